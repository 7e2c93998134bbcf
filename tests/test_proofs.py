"""Images of other sizes and numbers of classes, each classified by a support vector machine."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

import any_images
from shearbench.data.dataset import load
from shearbench.records import read_json

pytestmark = pytest.mark.slow
LETTERS = [chr(ord("a") + number) for number in range(26)]


def _digits(root: Path) -> dict[str, Any]:
    """Scikit-learn's 1,797 digits of 8 x 8 pixels, in MedMNIST's layout."""
    found = load_digits()
    images, labels = (16 * found.images).clip(0, 255).astype(np.uint8), found.target
    np.savez(root / "digits.npz", train_images=images[:1200], train_labels=labels[:1200], test_images=images[1200:],
             test_labels=labels[1200:])  # fmt: skip
    return {"kind": "npz", "path": "digits.npz"}


def _letters(root: Path) -> dict[str, Any]:
    """26 letters of 16 x 16 pixels, moved and noisy, 40 each."""
    rng, font = np.random.default_rng(3), ImageFont.load_default(14)
    for letter in LETTERS:
        (root / "letters" / letter).mkdir(parents=True)
        for number in range(40):
            image = Image.new("L", (16, 16))
            ImageDraw.Draw(image).text(tuple(rng.uniform((2, -4), (5, -1))), letter, fill=220, font=font)
            noisy = np.asarray(image) + rng.normal(0, 12, (16, 16))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(root / "letters" / letter / f"{number}.png")
    return {"kind": "folder", "path": "letters", "channels": 1}


def _hundred(root: Path) -> dict[str, Any]:
    """100 classes with 20 samples each: noisy copies of 100 random images of 12 x 12 pixels."""
    rng = np.random.default_rng(4)
    labels = np.arange(2000) % 100
    images = rng.integers(0, 160, (100, 12, 12))[labels] + rng.integers(0, 90, (2000, 12, 12))
    np.savez(root / "hundred.npz", train_images=images.astype(np.uint8), train_labels=labels)
    return {"kind": "npz", "path": "hundred.npz"}


def _colours(root: Path) -> dict[str, Any]:
    """Five shapes in colours that say nothing, 32 x 32 pixels, 40 each."""
    rng = np.random.default_rng(5)
    for kind, name in enumerate(any_images.SHAPES):
        (root / "colours" / name).mkdir(parents=True)
        for number in range(40):
            Image.fromarray(any_images.shape(kind, rng, (32, 32))).save(root / "colours" / name / f"{number}.png")
    return {"kind": "folder", "path": "colours"}


@pytest.mark.parametrize(
    ("make", "shape", "classes", "test", "least"),
    [
        (_digits, (1, 8, 8), 10, 597, 0.93),  # scikit-learn's own example of an SVM has 0.97 on another half
        (_letters, (1, 16, 16), 26, 208, 0.5),  # 0.70 was measured; chance is 0.04
        (_hundred, (1, 12, 12), 100, 400, 0.5),  # 0.65 was measured; chance is 0.01
        (_colours, (3, 32, 32), 5, 40, 0.9),  # 1.0 was measured; chance is 0.2
    ],
)
def test_every_size_and_number_of_classes_is_trained_and_evaluated(
    make: Any, shape: tuple[int, ...], classes: int, test: int, least: float, tmp_path: Path
) -> None:
    whole = any_images.document()
    name = make.__name__.removeprefix("_")
    machine = {"architecture": "sklearn.svm.SVC", "options": {"C": 10.0}, "features": "pca"}
    document = {
        **whole,
        "sources": {name: make(tmp_path)},
        "datasets": {name: {"source": name, "channels": shape[0], "normalise": "unit"}},
        "models": {"svm": machine},
        "runs": {f"{name}-svm": {"dataset": name, "model": "svm"}},
        "compare": {**whole["compare"], "rope": {name: 0.02}},
        "tuning": {**whole["tuning"], "dataset": name},
    }
    any_images.run_to_evaluations(tmp_path, document)
    sealed = load(tmp_path / "build" / "datasets" / name, "test")
    assert (sealed.inputs.shape, len(sealed.classes)) == ((test, *shape), classes)
    folder = tmp_path / "build" / "evaluation" / name / "svm"
    scores = read_json(folder / "metrics.json")["test"]
    print(name, scores["accuracy_mean"], scores["balanced_accuracy_mean"])
    assert scores["accuracy_mean"] > least
    assert pd.read_csv(folder / "per_class.csv")["class"].nunique() == classes
