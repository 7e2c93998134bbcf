"""All runs with finished evaluations, for comparisons; and the correctness of a run, the input of ``statistics``.

Reads ``build/runs/`` and ``build/evaluation/``, and when they are used ``build/datasets/`` and ``build/samples/``.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.data import dataset as datasets
from shearbench.data.config import origin_of, reference_of
from shearbench.data.dataset import SPLITS, Dataset, Samples, Split, read_samples, sources_in
from shearbench.errors import InputError
from shearbench.predictions.folds import FoldRun, overlap_of, read_fold_runs
from shearbench.predictions.scores import BySample, by_sample
from shearbench.records import RECORD, read_json, read_npz, read_record, sha256_of
from shearbench.statistics.crossed import clusters_of
from shearbench.statistics.runs import Run

_CLASS_COLUMNS = dict.fromkeys(("class", "classes", "true", "predicted", "label", "suggested"), "str")
Ids = NDArray[np.int64]


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file: class names are text even if they look like numbers, and only empty fields are missing."""
    return pd.read_csv(path, dtype=_CLASS_COLUMNS, keep_default_na=False, na_values=[""])


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """A run with its fold records and the folder, record and digest (SHA-256 of the record) of its evaluation."""

    dataset: str
    model: str
    folder: Path
    fold_runs: Sequence[FoldRun]
    record: dict[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """``<dataset>-<model>``, as in ``params.yaml``."""
        return f"{self.dataset}-{self.model}"

    def table(self, file: str) -> pd.DataFrame:
        """Read a CSV file of the evaluation."""
        return read_table(self.folder / file)

    def arrays(self, file: str) -> dict[str, NDArray[Any]]:
        """Read an NPZ file of the evaluation."""
        return read_npz(self.folder / file)

    def numbers(self, file: str) -> Any:
        """Read a JSON file of the evaluation."""
        return read_json(self.folder / file)

    @cached_property
    def out_of_fold(self) -> BySample:
        """Out-of-fold predictions of the networks."""
        return by_sample([fold_run.out_of_fold for fold_run in self.fold_runs])


@dataclass(frozen=True, eq=False)
class EvaluatedRuns:
    """The evaluated runs, in the order of ``params.yaml``, and the folder ``build/`` with their data."""

    build: Path
    runs: Sequence[EvaluatedRun]
    palette: Sequence[str]
    """Names of all evaluated models, also if ``runs`` is a subset, so that each model keeps its colour."""

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets, grouped by source, with the reference of each source first."""
        names = list(dict.fromkeys(run.dataset for run in self.runs))
        places = {origin: place for place, origin in reversed(list(enumerate(map(self.origin, names))))}
        return sorted(names, key=lambda name: (places[self.origin(name)], name != self.reference(name)))

    def origin(self, name: str) -> str:
        """Return the source of the samples of a dataset."""
        return origin_of(self.entry(name))

    def reference(self, name: str) -> str:
        """Return the dataset to compare another with: the first of images of the same source, or itself."""
        return reference_of(name, {run.dataset: run.record["entry"] for run in self.runs})

    def classes(self, name: str) -> list[str]:
        """Return the names of the classes of a dataset."""
        return next(list(run.record["classes"]) for run in self.runs if run.dataset == name)

    def guessing(self, name: str) -> float:
        """Return the accuracy of guessing among the classes of a dataset, in per cent."""
        return 100 / len(self.classes(name))

    def by_source(self) -> dict[str, "EvaluatedRuns"]:
        """Return the runs of each source by a suffix for file names: empty for the first, ``_<source>`` for others."""
        origins = list(dict.fromkeys(map(self.origin, self.datasets)))
        parts = {origin: [run for run in self.runs if self.origin(run.dataset) == origin] for origin in origins}
        return {
            f"_{name}" if place else "": replace(self, runs=runs) for place, (name, runs) in enumerate(parts.items())
        }

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return list(dict.fromkeys(run.model for run in self.runs))

    def of_networks(self) -> "EvaluatedRuns":
        """Return the runs with networks only."""
        return replace(self, runs=[run for run in self.runs if run.fold_runs[0].is_network])

    def of_model(self, model: str) -> list[EvaluatedRun]:
        """Return the runs of a model, in the order of :attr:`datasets`."""
        found = {run.dataset: run for run in self.runs if run.model == model}
        return [found[name] for name in self.datasets if name in found]

    def gathered(self, file: str) -> pd.DataFrame:
        """Read a CSV file of every evaluation into one table, with ``dataset`` and ``model`` as first columns."""
        tables = {(run.dataset, run.model): run.table(file) for run in self.runs}
        names = ["dataset", "model"]
        return pd.concat(tables, names=names).reset_index(names).reset_index(drop=True)

    def data(self, name: str, split: Split) -> Dataset:
        """Read one split of a dataset."""
        return datasets.load(self.build / "datasets" / name, split)

    def entry(self, name: str) -> dict[str, Any]:
        """Return the entry of a dataset in ``params.yaml`` at the time of training."""
        return next(dict(run.record["entry"]) for run in self.runs if run.dataset == name)

    def samples(self, split: Split, name: str) -> Samples:
        """Read the samples that a dataset was made from."""
        return datasets.read_samples(self.build / "samples", split, origin_of(self.entry(name)))


def read_evaluated(build: Path, runs: Iterable[tuple[str, str]], *, networks: int) -> EvaluatedRuns:
    """Read the fold records and evaluations of ``runs``, (dataset, model) each, with ``networks`` networks per run.

    Raises:
        InputError: if a fold or an evaluation is missing or damaged, or an evaluation belongs to an earlier training.
    """
    found = [_read_run(build, dataset, model, networks) for dataset, model in runs]
    return EvaluatedRuns(build, found, list(dict.fromkeys(run.model for run in found)))


def _read_run(build: Path, dataset: str, model: str, networks: int) -> EvaluatedRun:
    fold_runs = read_fold_runs(build / "runs" / dataset / model, networks)
    folder = build / "evaluation" / dataset / model
    record = read_record(folder)
    if record["fold_records"] != [fold_run.digest for fold_run in fold_runs]:
        raise InputError(
            f"{folder} is the evaluation of other networks than those in {fold_runs[0].folder.parent}; "
            f"run `dvc repro evaluate@{dataset}-{model}`"
        )
    return EvaluatedRun(dataset, model, folder, fold_runs, record, sha256_of(folder / RECORD))


@dataclass(frozen=True, eq=False)
class Origins:
    """Id -> hash of the image that all datasets are made from, and id -> group (writer), or -1 if unknown."""

    images: Mapping[int, bytes]
    groups: Mapping[int, int]

    def images_of(self, ids: Ids) -> NDArray[np.bytes_]:
        """Return the hash of the image of each sample, (n,)."""
        return np.array([self.images[number] for number in ids.tolist()])

    def groups_of(self, ids: Ids) -> Ids:
        """Return the group of each sample, (n,)."""
        return np.array([self.groups[number] for number in ids.tolist()])

    def clusters_of(self, ids: Ids) -> Ids:
        """Return the cluster of each sample, (n,): its group, or a number of its own if the group is unknown."""
        return clusters_of(self.groups_of(ids), ids)


def read_origins(folder: Path) -> Origins:
    """Read the images and groups of all samples of every source in ``build/samples/``."""
    images: dict[int, bytes] = {}
    groups: dict[int, int] = {}
    for split in SPLITS:
        for source in sources_in(folder, split):
            samples = read_samples(folder, split, source)
            ids = samples.ids.tolist()
            groups |= dict(zip(ids, samples.groups.tolist(), strict=True))
            images |= {
                number: hashlib.sha256(image.tobytes()).hexdigest().encode()
                for number, image in zip(ids, samples.images, strict=True)
            }
    return Origins(images, groups)


def run_of(
    fold_runs: Sequence[FoldRun], held_out: BySample, test: BySample, origins: Origins, *, model: str | None = None
) -> Run:
    """Return the correctness of a run from its predictions; ``model`` replaces the name of its model."""
    record, repeats = fold_runs[0].record, len(held_out.correct)
    assert held_out.folds is not None
    return Run(
        dataset=record["dataset"],
        model=model or record["model"],
        data_hash=record["hashes"]["data"],
        ids=held_out.ids,
        folds=held_out.folds,
        correct=held_out.correct,
        test_ids=test.ids,
        test_correct=test.correct.reshape(repeats, -1, len(test.ids)),
        content=origins.images_of(held_out.ids),
        test_content=origins.images_of(test.ids),
        groups=origins.groups_of(held_out.ids),
        test_groups=origins.groups_of(test.ids),
        train_size=float(np.mean([fold_run.record["sizes"]["train"] for fold_run in fold_runs])),
        disjoint=not overlap_of(fold_runs),
    )
