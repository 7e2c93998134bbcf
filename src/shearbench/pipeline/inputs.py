"""Make the inputs of a dataset from samples and fields, and temporarily those of all datasets of an ablation."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.config import DatasetEntry, FieldDataset, PublishedDataset, SimulatedDataset
from shearbench.data.dataset import (
    FOLDS,
    SPLITS,
    TUNING_PART,
    Dataset,
    Fields,
    Samples,
    Split,
    materialise,
    read_fields,
    read_samples,
    write_dataset,
)
from shearbench.data.openbu import published_fields
from shearbench.params import Ablation
from shearbench.records import hash_of, read_json, write_bytes


@contextmanager
def inputs_of(name: str, ablation: Ablation, build: Path, splits: Sequence[Split]) -> Iterator[Mapping[str, Path]]:
    """Yield temporary folders of the datasets of an ablation; equal inputs are written once."""
    scratch, made = build / "scratch" / name, {}
    shutil.rmtree(scratch, ignore_errors=True)  # left by a killed process
    try:
        for dataset, entry in ablation.datasets.items():
            content = hash_of(entry.model_dump(exclude={"normalise"}))[:16]
            if not (scratch / content).exists():
                write_dataset(scratch / content, {one: make_split(dataset, entry, one, build) for one in splits}, {})
                copy_tables(entry, build, scratch / content)
            made[dataset] = scratch / content
        yield made
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def make_split(name: str, entry: DatasetEntry, split: Split, build: Path) -> Dataset:
    """Make one split of a dataset from samples and, for field datasets, their fields."""
    samples = read_samples(build / "samples", split, entry.origin)
    inputs = materialise(entry, samples, _fields(entry, samples, split, build))
    return Dataset(name, samples.ids, inputs, samples.labels, samples.groups, samples.classes)


def unit_text(entry: DatasetEntry, train: Dataset) -> str:
    """Return the unit of the inputs of a dataset as text."""
    if isinstance(entry, FieldDataset):
        return "displacement in pixels: u_x to the right, u_y up"
    return "grey value or colour, 0 to 255" if train.inputs.dtype == np.uint8 else "as in the source, floating point"


def copy_tables(entry: DatasetEntry, build: Path, folder: Path) -> None:
    """Copy the fold table and the tuning part of the source of a dataset to its folder."""
    for table, name in (("folds", FOLDS), ("tuning_part", TUNING_PART)):
        write_bytes(folder / name, (build / table / f"{entry.origin}.npz").read_bytes())


def field_facts(entry: DatasetEntry, build: Path) -> dict[str, Any]:
    """Return the metadata of the simulation for each split; empty for datasets that are not simulated."""
    if not isinstance(entry, SimulatedDataset):
        return {}
    return {"fields": {split: read_json(_simulated(build, split, entry).with_suffix(".json")) for split in SPLITS}}


def _fields(entry: DatasetEntry, samples: Samples, split: Split, build: Path) -> Fields | None:
    if isinstance(entry, PublishedDataset):
        return published_fields(entry, samples, split=split, folder=build / "downloads")
    return read_fields(_simulated(build, split, entry)) if isinstance(entry, SimulatedDataset) else None


def _simulated(build: Path, split: Split, entry: SimulatedDataset) -> Path:
    return build / "fields" / split / f"{entry.of}-{entry.load}.npz"
