"""Training of the readers that ship with the package: all of MNIST, the augmentation ``pens``, further styles.

``train`` writes ``build/readers/``: the data as a dataset, its folds, and a fold's record for each reader. Digits of
some writers are held out for calibration. ``pack`` copies the readers into the package.

The styles (``STYLES``) are rare in MNIST: zeros with a slash, sevens with a bar, ones with a foot and a flag. Lines of
about the digit's own stroke width are added to MNIST's digits, so that a reader learns both forms. Lengths are shares
of the height of the digit.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from shearbench.comparison.champion import Trust
from shearbench.data.config import ImageDataset, MnistFolder
from shearbench.data.dataset import FOLDS, Dataset, Split, read_card, write_dataset
from shearbench.data.dataset import load as load_dataset
from shearbench.data.folds import RESERVED, FoldTable, read_folds, write_folds
from shearbench.data.handwritten import SIDE
from shearbench.data.mnist import Part, collect
from shearbench.errors import InputError
from shearbench.execution import Workers
from shearbench.handwriting.reader_threshold import (
    DEMANDED,
    DIGITS,
    SIMULATED_CLASSES,
    SURE,
    WRITERS,
    class_threshold,
    draw_classes,
)
from shearbench.handwriting.readers import RECORD, WHITE, Readers, load
from shearbench.predictions.calibration import apply_temperature, fit_temperature
from shearbench.records import is_finished, provenance, read_json, read_record, write_bytes, write_json
from shearbench.seeds import generator_for, seed_for
from shearbench.training.augmentation import pens
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.hardware import Hardware
from shearbench.training.recipe import Recipe
from shearbench.training.results import WEIGHTS

Images = NDArray[np.uint8]
Segments = NDArray[np.float64]  # the ends of lines (s, 4) in pixels: x and y of one end, then of the other

SEED = 42
ENTRY = ImageDataset(source="mnist", channels=1, normalise="unit")
READERS: Mapping[str, tuple[str, float, dict[str, Any], int]] = {
    "cnn3": ("cnn3", 1.0, {"dropout": 0.3}, 16),
    "resnet18": ("resnet18", 0.25, {"stem": "small"}, 16),
}
"""Name -> architecture, width, options, epochs.

The prediction is the mean of their probabilities with equal weights. If the largest mean probability of the unchanged
image is below ``readers.SURE``, the mean is taken over all views. The list, the weights and the rule for the threshold
were fixed before any class was read, so no class influences them.
"""
_RECIPE: Any = {"batch": 128, "learning_rate": 2e-3, "weight_decay": 1e-5}
_HELD_OUT_WRITERS = 45
_INK = 64  # pixels above are ink
_y, _x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)


def train(
    mnist: Path, out: Path, *, workers: Workers, hardware: Hardware, only: Collection[str] = tuple(READERS)
) -> list[dict[str, Any]]:
    """Train the readers ``only`` that have no record in ``out`` for this config, data and code; return the records.

    ``mnist`` is a folder of MNIST's four IDX files and QMNIST's labels, which name the writer of each digit. A stopped
    training resumes from its checkpoint in ``out``.

    Raises:
        InputError: if files are missing or have the wrong content.
    """
    prepare(mnist, out)
    tasks = [fold_task(config_of(name, hardware), 0, dataset=out / "digits", out=out / name) for name in only]
    return train_folds(tasks, workers=workers, label="train the readers")


def prepare(mnist: Path, out: Path) -> None:
    """Write the dataset of MNIST's training digits and styled copies, and its folds: 0 held out, 1 for training."""
    part = _mnist(mnist)["train"]
    if (part.groups < 0).any():
        raise InputError(f"{mnist} must hold qmnist-train-labels-idx2-int too: readers are calibrated on other writers")
    images, labels = part.images, part.labels.astype(np.int64)
    rng = generator_for(SEED, "readers", "data")
    chosen = rng.permutation(np.unique(part.groups))[: 2 * _HELD_OUT_WRITERS]
    held_out, second = (np.isin(part.groups, half) for half in (chosen[:_HELD_OUT_WRITERS], chosen[_HELD_OUT_WRITERS:]))
    more, names = styled(images[~held_out], labels[~held_out], rng)
    everything = np.concatenate([images, more])[:, None]
    ids = np.arange(len(everything))
    folds = np.concatenate([np.where(held_out, 0, np.where(second, 1, RESERVED)), np.full(len(more), RESERVED)])
    train = Dataset("digits", ids, everything, np.concatenate([labels, names]))
    nothing = Dataset("digits", ids[:0], everything[:0], labels[:0])
    write_dataset(out / "digits", {"train": train, "test": nothing}, {"entry": ENTRY.model_dump()})
    write_folds(out / "digits" / FOLDS, FoldTable(ids, folds[None].astype(np.int64)))


def _mnist(folder: Path) -> dict[Split, Part]:
    return collect(MnistFolder(kind="path", path=str(folder.resolve())), Path())


def config_of(name: str, hardware: Hardware) -> TrainingConfig:
    architecture, width, options, epochs = READERS[name]
    return TrainingConfig(
        dataset="readers",
        model=name,
        seed=SEED,
        architecture=architecture,
        width=width,
        options=options,
        recipe=Recipe(epochs=epochs, augment="pens", schedule="cosine", **_RECIPE),
        entry=ENTRY,
        inner_fraction=0.1,
        device=hardware.device,
        precision=hardware.precision,
    )


def pack(out: Path, folder: Path, *, mnist: Path) -> dict[str, Any]:
    """Write the trained readers of ``out`` to ``folder`` in half precision, calibrated; return their record.

    A reader that was not trained in ``out`` stays unchanged in ``folder``. Calibration uses the held-out digits as
    drawn by ``pens``, because unknown handwriting is harder than MNIST. MNIST's test digits are scored once, for the
    record.

    Raises:
        InputError: if a reader is neither trained nor in ``folder``, or was trained on other data.
    """
    data = read_card(out / "digits")["hashes"]["train"]
    facts = [packed(name, out, folder, data) for name in READERS]
    record: dict[str, Any] = {
        "data": "MNIST's 60,000 training digits without those of 45 writers (QMNIST), and styled copies",
        "data_sha256": data,
        "seed": SEED,
        "stored_as": "float16",
        "readers": facts,
        "trust": asdict(Trust(1.0, DEMANDED, None, 0.0, None, 0)),
        "provenance": provenance(),
    }
    write_json(folder / RECORD, record)
    load.cache_clear()
    readers = load(folder)
    drawn, labels, plain = held_out(out)
    together = readers.probabilities(drawn)
    test = _mnist(mnist)["test"]
    record["accuracy"] = {
        "held out, as drawn by pens": _accuracies(readers, drawn, labels)
        | {"together, with views": float((together.argmax(axis=1) == labels).mean())},
        "held out": _accuracies(readers, plain, labels),
        "MNIST test": _accuracies(readers, test.images, test.labels.astype(np.int64)),
    }
    record["trust"] = asdict(_trust(together, labels, writers_of_held_out(mnist, out)))
    record["classes"] = {"satisfied": SURE, "drawn": SIMULATED_CLASSES, "writers": WRITERS, "digits": WRITERS * DIGITS}
    write_json(folder / RECORD, record)
    load.cache_clear()
    return record


def _trust(probabilities: NDArray[np.float32], labels: NDArray[np.int64], writers: NDArray[np.int64]) -> Trust:
    """Return calibration and threshold: at least ``DEMANDED`` of the answers right in ``SURE`` of the classes."""
    temperature = fit_temperature(probabilities, labels)
    scaled = apply_temperature(probabilities, temperature)
    confidence, right = scaled.max(axis=1), scaled.argmax(axis=1) == labels
    threshold = class_threshold(draw_classes(writers, labels), confidence, right)
    correct = right[confidence >= threshold]
    if not len(correct):
        return Trust(temperature, DEMANDED, None, 0.0, None, len(labels))
    return Trust(temperature, DEMANDED, threshold, len(correct) / len(labels), float(correct.mean()), len(labels))


def packed(name: str, out: Path, folder: Path, data: str) -> dict[str, Any]:
    """Write a reader's weights to ``folder`` and return its facts; a reader not trained in ``out`` stays."""
    if not is_finished(out / name):
        stored = read_json(folder / RECORD)
        known = [one for one in stored["readers"] if one["name"] == name and stored["data_sha256"] == data]
        if not known:
            raise InputError(f"{out / name} has no record, and {folder} no reader {name} of this data; train it")
        return dict(known[0])
    record, content, file = read_record(out / name), _half(out / name), f"{name}.safetensors"
    write_bytes(folder / file, content)
    return {
        "name": name,
        **{key: record["config"][key] for key in ("architecture", "width", "options", "recipe", "precision")},
        **{key: record[key] for key in ("parameters", "epochs", "seconds", "sizes")},
        "code": record["hashes"]["code"],
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _half(fold: Path) -> bytes:
    """Return a fold's weights in half precision, as safetensors, for pixels divided by 255."""
    state = load_file(fold / WEIGHTS)
    assert not state.pop("normalise.mean").any()
    assert (state.pop("normalise.scale") == WHITE).all()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    return save({name: value.contiguous() for name, value in halves.items()})


def held_out(out: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]:
    """Return the held-out digits as drawn by ``pens``, their labels, and the digits unchanged."""
    dataset = load_dataset(out / "digits", "train")
    _, rows = read_folds(out / "digits" / FOLDS).split(0, "rest")
    plain = dataset.inputs[rows]
    generator = torch.Generator().manual_seed(seed_for(SEED, "readers", "calibration"))
    drawn = pens(torch.from_numpy(plain).float(), generator).round().to(torch.uint8).numpy()
    return drawn[:, 0], dataset.labels[rows], np.asarray(plain[:, 0], np.uint8)


def writers_of_held_out(mnist: Path, out: Path) -> NDArray[np.int64]:
    """Return the writer of each held-out digit, numbered from 0."""
    _, rows = read_folds(out / "digits" / FOLDS).split(0, "rest")
    writers: NDArray[np.int64] = np.unique(_mnist(mnist)["train"].groups[rows], return_inverse=True)[1]
    return writers


def _accuracies(readers: Readers, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return n and the accuracy of each network and of their mean, without views."""
    alone = readers.by_network(images, views=False)
    found = {**alone, "together": np.mean(list(alone.values()), axis=0)}
    return {"n": len(labels)} | {name: float((each.argmax(axis=1) == labels).mean()) for name, each in found.items()}


def slashed_zero(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a line through a zero (28, 28) from the lower left to the upper right, of random length."""
    top, bottom, left, right = _box(digit)
    centre, half = np.array([(left + right) / 2, (top + bottom) / 2]), np.array([right - left, top - bottom]) / 2
    reach = rng.uniform(0.6, 1.2, 2) * half
    return np.concatenate([centre - reach, centre + reach])[None]


def barred_seven(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a short bar across the stem of a seven (28, 28)."""
    top, bottom, *_ = _box(digit)
    height = bottom - top
    row = round(top + rng.uniform(0.45, 0.65) * height)
    x = float(np.flatnonzero(digit[row] > _INK).mean()) if (digit[row] > _INK).any() else SIDE / 2
    half, rise = rng.uniform(0.15, 0.32) * height, rng.uniform(-0.25, 0.25)
    return np.array([[x - half, row + rise * half, x + half, row - rise * half]])


def one_with_serifs(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a foot under a one (28, 28), a flag down to the left from its top, or both."""
    top, bottom, *_ = _box(digit)
    height = bottom - top
    upper, lower = (float(np.flatnonzero(digit[row] > _INK).mean()) for row in (top, bottom))
    kind, lines = rng.integers(3), []
    if kind != 0:
        half, off, rise = rng.uniform(0.12, 0.35) * height, rng.uniform(-0.05, 0.05) * height, rng.uniform(-0.1, 0.1)
        lines.append([lower + off - half, bottom - 0.5 + rise * half, lower + off + half, bottom - 0.5 - rise * half])
    if kind != 1:
        angle, length = np.radians(rng.uniform(30, 65)), rng.uniform(0.2, 0.45) * height
        lines.append([upper, top + 0.5, upper - length * np.sin(angle), top + 0.5 + length * np.cos(angle)])
    return np.array(lines)


STYLES: dict[int, tuple[Callable[[Images, np.random.Generator], Segments], float]] = {
    0: (slashed_zero, 0.25),
    7: (barred_seven, 0.25),
    1: (one_with_serifs, 0.5),
}
"""Digit -> function that returns the added lines, and the share of digits that get them."""


def styled(images: Images, labels: NDArray[np.int64], rng: np.random.Generator) -> tuple[Images, NDArray[np.int64]]:
    """Return new images (m, 28, 28) and labels (m,): a share of the given digits with lines of ``STYLES`` added."""
    made, names = [], []
    for label, (style, share) in STYLES.items():
        rows = np.flatnonzero(labels == label)
        for row in rng.permutation(rows)[: int(share * len(rows))]:
            made.append(_drawn(images[row], style(images[row], rng), width=rng.uniform(1.6, 3.2)))
            names.append(label)
    return np.stack(made), np.array(names, np.int64)


def _drawn(digit: Images, lines: Segments, *, width: float) -> Images:
    """Return a digit (28, 28) with smooth lines of ``width`` pixels added."""
    drawn = digit.astype(np.float64)
    for x0, y0, x1, y1 in lines:
        along = np.array([x1 - x0, y1 - y0])
        share = np.clip(((_x - x0) * along[0] + (_y - y0) * along[1]) / max(along @ along, 1e-9), 0, 1)
        gap: NDArray[np.float64] = np.hypot(_x - x0 - share * along[0], _y - y0 - share * along[1])
        drawn = np.maximum(drawn, 255 * np.clip(width / 2 + 0.5 - gap, 0, 1))
    return np.round(drawn).astype(np.uint8)


def _box(digit: Images) -> tuple[int, int, int, int]:
    """Return the first and last row and column of the ink."""
    rows, columns = np.flatnonzero((digit > _INK).any(axis=1)), np.flatnonzero((digit > _INK).any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
