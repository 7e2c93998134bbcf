"""Stage ``explore``: tables and figures of the training part of a dataset -> build/explore/<dataset>/.

Writes ``samples*.png`` (8 samples of each class), ``class_balance.{csv,png}`` (per fold),
``duplicates.csv`` (exact and near, within and across folds) and, if there are any, ``duplicates.png``,
``summary.json`` and, for fields, ``displacement.png`` (one sample of each class), ``displacement_classes.png`` (mean
fields of each class) and ``displacement.csv``.
"""

from pathlib import Path

import numpy as np

from shearbench.analysis.exploration import NEAR_FIELDS, NEAR_IMAGES, explored, explored_fields, explored_images
from shearbench.data.config import FieldDataset
from shearbench.data.dataset import FOLDS, load, read_samples
from shearbench.data.folds import read_folds
from shearbench.data.trend import homogeneous_field
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.plotting.files import Writer


def main(params: Params, root: Path, name: str) -> None:
    """Explore the training part of one dataset."""
    for file, write in files(params, root / "build", name).items():
        write(root / "build" / "explore" / name / file)


def files(params: Params, build: Path, name: str) -> dict[str, Writer]:
    """Return the tables and figures of one dataset: name -> writer."""
    folder, entry = build / "datasets" / name, params.datasets[name]
    dataset, folds = load(folder, "train"), read_folds(folder / FOLDS)
    if not np.array_equal(folds.ids, dataset.ids):
        raise InputError(f"{folder / FOLDS} has not the ids of dataset {name}; run `dvc repro`")
    images = read_samples(build / "samples", "train", entry.origin).images
    if isinstance(entry, FieldDataset):
        block = homogeneous_field(entry.load, entry.step, dataset.size)
        drawn, near = dict(explored_fields(entry, dataset, images, block)), NEAR_FIELDS
    else:
        drawn, near = explored_images(dataset), NEAR_IMAGES
    return drawn | explored(dataset, images, folds, near=near)
