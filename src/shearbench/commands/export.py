"""``shearbench export FOLDER``: results for a paper, as files for LaTeX, and one zip with all of them.

``tables/`` has each table as CSV and LaTeX; ``overview`` is the first table of the report. ``figures/`` has each figure
as PDF. Both have a folder for the comparison and for each run, ablation and class; ``figures/`` also has one for each
dataset and search. ``models/<run>/MODEL_CARD.md`` is a card for each run, ``references.bib`` the literature. Figures
are redrawn from the stored numbers, those of a class from new predictions.
"""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from shearbench.ablation.output import figures_of
from shearbench.analysis.comparisons import compared
from shearbench.analysis.evaluation import read_results
from shearbench.analysis.summaries import summarised
from shearbench.errors import InputError
from shearbench.execution.calls import progress_bar
from shearbench.handwriting.output import RESULTS, pictures
from shearbench.params import Params
from shearbench.plotting.canvas import pdf
from shearbench.plotting.files import Files, picture, saved_as
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns, read_evaluated, read_table
from shearbench.records import RECORD, read_json, write_text
from shearbench.report.blocks import Table
from shearbench.report.card import card
from shearbench.report.overview import NOT_WORSE, overview
from shearbench.report.sections.statistics import size_and_power_figure
from shearbench.stages import explore, handwriting
from shearbench.stages.evaluate import evaluation_of

_OF_CLASS = ("networks", "steps", "groups")
_REFERENCES = Path(__file__).parents[1] / "report" / "references.bib"


def main(params: Params, root: Path, folder: Path) -> list[Path]:
    """Write the folder and ``<folder>.zip``; return every file written, the zip last.

    Raises:
        InputError: if the folder is not empty, or a run has no evaluation or comparison.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty; name a folder that does not exist yet")
    if not (root / "reports" / "comparison.json").is_file():
        raise InputError(f"{root / 'reports'} has no comparison; run `make repro` first")
    runs = [(run.dataset, run.model) for run in params.runs.values()]
    evaluated = read_evaluated(root / "build", runs, networks=params.cv.networks)
    comparison = read_json(root / "reports" / "comparison.json")
    _write_table(_of_page(overview(root, comparison)), folder / "tables" / "overview.csv")
    for target, sources in _folders(params, root).items():
        for source in sources:
            _write_table(read_table(source), folder / "tables" / target / source.name)
    _write_figures(params, root, evaluated, folder / "figures")
    rows = {f"{row['dataset']}-{row['model']}": row for row in comparison}
    for run in evaluated.runs:
        write_text(folder / "models" / run.name / "MODEL_CARD.md", card(root, rows[run.name]))
    shutil.copyfile(_REFERENCES, folder / "references.bib")
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    return [*written, Path(shutil.make_archive(str(folder), "zip", folder))]


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, and as LaTeX with three decimals."""
    write_text(path, table.to_csv(index=False))
    text = table.to_latex(index=False, escape=True, float_format="%.3f", na_rep="")
    write_text(path.with_suffix(".tex"), text.replace(NOT_WORSE, r"$\approx$"))


def _of_page(table: Table) -> pd.DataFrame:
    """Return a table of the report as displayed, with intervals in parentheses."""
    body = [[f"{cell.text} ({cell.note})" if cell.note else cell.text for cell in row] for row in table.cells]
    return pd.DataFrame(body, columns=[f"{column.group} {column.title}".strip() for column in table.columns])


def _folders(params: Params, root: Path) -> dict[str, list[Path]]:
    """Return the CSV files for each folder below ``tables/``; for a class, only the tables in the report."""
    build = root / "build"
    runs = {f"runs/{name}": build / "evaluation" / run.dataset / run.model for name, run in params.runs.items()}
    ablations = {f"ablations/{path.name}": path for path in build.glob("ablation_results/*")}
    folders = {"": root / "reports", "comparison": build / "comparison", **runs, **ablations}
    found = {target: sorted(folder.glob("*.csv")) for target, folder in folders.items()}
    of_class = handwriting.output(root)
    return found | {handwriting.CLASS: sorted(path for name in _OF_CLASS for path in of_class.glob(f"{name}.csv"))}


def _write_figures(params: Params, root: Path, evaluated: EvaluatedRuns, folder: Path) -> None:
    """Draw every figure as PDF with a progress bar, or copy stored PDFs."""
    parts = list(_parts(params, root, evaluated, folder))
    with progress_bar("figures", 0, len(parts)) as show:
        for done, draw in enumerate(parts, start=1):
            with saved_as(pdf):
                draw()
            show(done)
    for search in sorted((root / "build" / "tuning" / "results").glob("*/*")):
        _copy(search, folder / "searches" / f"{search.parent.name}-{search.name}")


def _parts(params: Params, root: Path, evaluated: EvaluatedRuns, folder: Path) -> Iterator[Callable[[], None]]:
    """Yield one function per output folder; calling it draws the figures of that folder."""
    build, calibration = root / "build", root / "reports" / "calibration.json"
    if calibration.is_file():
        yield lambda: _draw(
            {"calibration.png": picture(size_and_power_figure(read_json(calibration)["candidates"]))}, folder
        )
    yield lambda: _draw(compared(evaluated), folder / "comparison")
    for name, run in zip(params.runs, evaluated.runs, strict=True):
        yield partial(_figures_of_run, params, root, name, run, folder / "runs" / name)
    for result in sorted((build / "ablation_results").glob(f"*/{RECORD}")):
        yield partial(_figures_of_ablation, result.parent, folder / "ablations" / result.parent.name)
    for name in params.datasets:
        yield partial(_figures_of_dataset, params, build, name, folder / "datasets" / name)
    if (handwriting.output(root) / RESULTS).is_file():
        yield partial(figures_of_class, params, root, folder / handwriting.CLASS)


def _figures_of_run(params: Params, root: Path, name: str, run: EvaluatedRun, folder: Path) -> None:
    made = evaluation_of(params, root, name, run.fold_runs, read_results(run.folder))
    _draw(summarised(made), folder)


def _figures_of_ablation(result: Path, folder: Path) -> None:
    tables = {path.stem: read_table(path) for path in result.glob("*.csv")}
    if "accuracies" in tables:
        _draw(figures_of(result.name, tables), folder)


def _figures_of_dataset(params: Params, build: Path, name: str, folder: Path) -> None:
    _draw(explore.files(params, build, name), folder)


def figures_of_class(params: Params, root: Path, folder: Path) -> None:
    """Predict the class digits again, and draw its figures as PDF."""
    results = read_json(handwriting.output(root) / RESULTS)
    found = handwriting.find(params, root, root / "data" / handwriting.CLASS)
    with saved_as(pdf):
        _draw(pictures(found, results), folder)


def _draw(files: Files, folder: Path) -> None:
    for name, write in files.items():
        if name.endswith(".png"):
            write(folder / Path(name).with_suffix(".pdf").name)


def _copy(source: Path, folder: Path) -> None:
    for path in source.glob("*.pdf"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
