"""Stage ``explore``: tables and figures of the training part of a dataset -> build/explore/<dataset>/.

Writes ``samples*.png`` (8 samples of each class), ``class_balance.{csv,png}`` (per fold),
``duplicates.csv`` (exact and near, within and across folds) and, if there are any, ``duplicates.png``,
``summary.json`` and, for fields, ``displacement.png`` (one sample of each class), ``displacement_classes.png`` (mean
fields of each class) and ``displacement.csv``.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from shearbench.analysis.exploration import figure as figures
from shearbench.analysis.exploration.summarise import (
    alike_figure,
    balance_frame,
    class_counts,
    class_figure,
    displacement_frame,
    duplicate_frame,
    field_figures,
    image_figures,
    summary,
)
from shearbench.data import duplicates
from shearbench.data.config import FieldDataset
from shearbench.data.dataset import FOLDS, load, read_samples
from shearbench.data.folds import read_folds
from shearbench.data.trend import homogeneous_field
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import write_json, write_text


def main(params: Params, root: Path, name: str) -> None:
    """Explore the training part of one dataset."""
    write(params, root / "build", name, root / "build" / "explore" / name)


def write(params: Params, build: Path, name: str, out: Path) -> None:
    """Write the tables and figures of one dataset into a folder."""
    dataset = load(build / "datasets" / name, "train")
    table = read_folds(build / "datasets" / name / FOLDS)
    if not np.array_equal(table.ids, dataset.ids):
        raise InputError(f"{build / 'datasets' / name / FOLDS} has not the ids of dataset {name}; run `dvc repro`")
    entry = params.datasets[name]
    images = read_samples(build / "samples", "train", entry.origin).images
    drawn = field_figures(entry, dataset, images) if isinstance(entry, FieldDataset) else image_figures(dataset)
    for file, figure in drawn:
        figures.save(figure, out / file)
    if isinstance(entry, FieldDataset):
        block = homogeneous_field(entry.load, entry.step, dataset.size)
        figures.save(class_figure(entry, dataset, block), out / "displacement_classes.png")
        _write_csv(out / "displacement.csv", displacement_frame(dataset, images, block))
    balance = class_counts(dataset, table)
    first = balance[: table.count]  # all repeats are equally balanced
    figures.save(
        figures.class_balance(first, classes=dataset.classes, title=f"{name}: samples held out"),
        out / "class_balance.png",
    )
    _write_csv(out / "class_balance.csv", balance_frame(balance, dataset.classes))
    near = duplicates.NEAR_FIELDS if isinstance(entry, FieldDataset) else duplicates.NEAR_IMAGES
    alike = duplicate_frame(dataset, table, near=near)
    _write_csv(out / "duplicates.csv", alike)
    if len(alike):
        figures.save(alike_figure(dataset, images, alike), out / "duplicates.png")
    write_json(out / "summary.json", summary(dataset, alike, near=near))


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))
