"""All cells of a run with their finished evaluations: what is put side by side.

Reads ``build/runs/``, ``build/evaluation/``, ``build/datasets/`` and ``build/digits/``, each when first asked for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from shearbench.data import dataset as datasets
from shearbench.data.dataset import Dataset, Digits, Split
from shearbench.errors import InputError
from shearbench.evaluation.cell import FoldRun, read_runs
from shearbench.evaluation.scores import ByDigit, by_digit
from shearbench.records import RECORD, read_json, read_npz, read_record, sha256_of

REFERENCE = "mnist"
"""The dataset against which the others are held, where it is there."""


@dataclass(frozen=True, eq=False)
class EvaluatedCell:
    """A cell with its fold records and the folder, record and digest (SHA-256 of the record) of its evaluation."""

    dataset: str
    model: str
    folder: Path
    runs: Sequence[FoldRun]
    record: dict[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """``<dataset>-<model>``, as in ``params.yaml``."""
        return f"{self.dataset}-{self.model}"

    def table(self, file: str) -> pd.DataFrame:
        """Read a CSV file of the evaluation."""
        return pd.read_csv(self.folder / file)

    def arrays(self, file: str) -> dict[str, NDArray[Any]]:
        """Read an NPZ file of the evaluation."""
        return read_npz(self.folder / file)

    def numbers(self, file: str) -> Any:
        """Read a JSON file of the evaluation."""
        return read_json(self.folder / file)

    @cached_property
    def out_of_fold(self) -> ByDigit:
        """What the networks say of the training digits that they have not seen."""
        return by_digit([run.out_of_fold for run in self.runs])


@dataclass(frozen=True, eq=False)
class Suite:
    """The evaluated cells, in the order of ``params.yaml``, and the folder ``build/`` with the data they stand on."""

    build: Path
    cells: Sequence[EvaluatedCell]

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets: the reference first, the others as they come."""
        names = list(dict.fromkeys(cell.dataset for cell in self.cells))
        return sorted(names, key=lambda name: name != REFERENCE)

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return list(dict.fromkeys(cell.model for cell in self.cells))

    def of_model(self, model: str) -> list[EvaluatedCell]:
        """Return the cells of a model, in the order of :attr:`datasets`."""
        found = {cell.dataset: cell for cell in self.cells if cell.model == model}
        return [found[name] for name in self.datasets if name in found]

    def gathered(self, file: str) -> pd.DataFrame:
        """Read a CSV file of every evaluation into one table, ``dataset`` and ``model`` before its columns."""
        tables = []
        for cell in self.cells:
            rows = cell.table(file)
            rows.insert(0, "dataset", cell.dataset)
            rows.insert(1, "model", cell.model)
            tables.append(rows)
        return pd.concat(tables, ignore_index=True)

    def data(self, name: str, split: Split) -> Dataset:
        """Read one split of a dataset."""
        return datasets.load(self.build / "datasets" / name, split)

    def entry(self, name: str) -> dict[str, Any]:
        """Return the entry of a dataset in ``params.yaml``, as its cells were trained on it."""
        return next(dict(cell.record["entry"]) for cell in self.cells if cell.dataset == name)

    def digits(self, split: Split) -> Digits:
        """Read the digits that all datasets are made of."""
        return datasets.read_digits(self.build / "digits", split)


def read_suite(build: Path, cells: Iterable[tuple[str, str]], *, networks: int) -> Suite:
    """Read the runs and evaluations of cells, (dataset, model) each.

    Args:
        build: the folder ``build/``.
        cells: in the order in which tables shall list them.
        networks: how many networks each cell has.

    Raises:
        InputError: if a fold or an evaluation is missing or damaged, or an evaluation is of an earlier training.
    """
    return Suite(build, [_read_cell(build, dataset, model, networks) for dataset, model in cells])


def _read_cell(build: Path, dataset: str, model: str, networks: int) -> EvaluatedCell:
    runs = read_runs(build / "runs" / dataset / model, networks)
    folder = build / "evaluation" / dataset / model
    record = read_record(folder)
    if record["fold_records"] != [run.digest for run in runs]:
        raise InputError(
            f"{folder} is the evaluation of other networks than those in {runs[0].folder.parent}; "
            f"run `dvc repro evaluate@{dataset}-{model}`"
        )
    return EvaluatedCell(dataset, model, folder, runs, record, sha256_of(folder / RECORD))
