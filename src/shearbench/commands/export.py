"""``shearbench export FOLDER``: the run for a paper, as files that LaTeX takes, and one zip with all of them.

``tables/`` has each table as CSV and LaTeX, ``figures/`` each comparison as PDF and each run's figures as PNG,
``models/<run>/MODEL_CARD.md`` a card for each run, ``references.bib`` the literature.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.analysis.comparisons import compared
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.plotting.canvas import pdf
from shearbench.plotting.files import saved_as
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns, read_evaluated
from shearbench.records import read_json, write_text
from shearbench.report.card import card

_REFERENCES = Path(__file__).parents[1] / "report" / "references.bib"


def main(params: Params, root: Path, folder: Path) -> list[Path]:
    """Write the folder and ``<folder>.zip``; return every file written.

    Raises:
        InputError: if the folder is not empty, or a run has not been evaluated or compared.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; name a folder that does not exist yet")
    if not (root / "reports" / "comparison.json").is_file():
        raise InputError(f"{root / 'reports'} has no comparison; run `make repro` first")
    runs = [(run.dataset, run.model) for run in params.runs.values()]
    evaluated = read_evaluated(root / "build", runs, networks=params.cv.networks)
    rows = {f"{row['dataset']}-{row['model']}": row for row in read_json(root / "reports" / "comparison.json")}
    written = [
        *_tables(root, folder / "tables"),
        *_comparisons(evaluated, folder / "figures"),
        *(path for run in evaluated.runs for path in _run(root, run, rows[run.name], folder)),
    ]
    shutil.copyfile(_REFERENCES, folder / "references.bib")
    archive = shutil.make_archive(str(folder), "zip", folder)
    return [*written, folder / "references.bib", Path(archive)]


def _tables(root: Path, folder: Path) -> Iterator[Path]:
    """Write every table of the comparison as CSV and as LaTeX with three decimals."""
    for source in (*sorted((root / "reports").glob("*.csv")), *sorted((root / "build" / "comparison").glob("*.csv"))):
        table, path = pd.read_csv(source), folder / source.name
        write_text(path, table.to_csv(index=False))
        yield path
        text = table.to_latex(index=False, escape=True, float_format="%.3f", na_rep="")
        write_text(path.with_suffix(".tex"), text)
        yield path.with_suffix(".tex")


def _comparisons(evaluated: EvaluatedRuns, folder: Path) -> Iterator[Path]:
    """Draw every figure that puts runs side by side, as PDF."""
    with saved_as(pdf):
        for name, write in compared(evaluated).items():
            if name.endswith(".png"):
                path = folder / Path(name).with_suffix(".pdf").name
                write(path)
                yield path


def _run(root: Path, run: EvaluatedRun, row: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """Copy the figures of a run, and write its card."""
    for source in sorted((run.folder / "figures").glob("*.png")):
        path = folder / "models" / run.name / source.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        yield path
    path = folder / "models" / run.name / "MODEL_CARD.md"
    write_text(path, card(root, row))
    yield path
