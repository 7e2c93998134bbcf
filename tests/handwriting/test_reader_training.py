"""The command that makes the readers: tiny ones on a few of MNIST's digits, packed, and one of them trained anew."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from shearbench.data import idx
from shearbench.data.config import BundledMnist
from shearbench.data.mnist import WRITERS, collect
from shearbench.errors import InputError
from shearbench.handwriting import reader_training, readers
from shearbench.handwriting.reader_threshold import class_threshold, draw_classes
from shearbench.training.hardware import Hardware

CPU = Hardware("cpu", "fp32")


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 500 training and 20 test digits, five of each writer, in QMNIST's form."""
    folder, parts = tmp_path_factory.mktemp("mnist"), collect(BundledMnist(kind="bundled"), Path())
    for split, count in (("train", 500), ("test", 100)):
        images, labels = parts[split].images[:count], parts[split].labels[:count]  # type: ignore[index]
        for name, array in zip(idx.MNIST_FILES[split], (images, labels), strict=True):  # type: ignore[index]
            (folder / name).write_bytes(idx.encode(array))
        table = np.zeros((count, 8), ">i4")
        table[:, 0], table[:, 2] = labels, np.arange(count) // 5 + (1000 if split == "test" else 0)
        head = struct.pack(">3I", 0x0C02, *table.shape)
        (folder / WRITERS[split]).write_bytes(head + table.tobytes())  # type: ignore[index]
    return folder


@pytest.mark.slow
def test_readers_are_trained_packed_and_one_is_made_anew_while_the_other_stays(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {name: ("cnn2", 0.1, {}, 1) for name in ("one", "two")}
    monkeypatch.setattr(reader_training, "READERS", tiny)
    out, folder = tmp_path / "build", tmp_path / "weights"
    reader_training.prepare(mnist, out)
    with pytest.raises(InputError, match="is missing"):
        reader_training.pack(out, folder, mnist=mnist)
    reader_training.train(mnist, out, workers=1, hardware=CPU, only=list(tiny))
    record = reader_training.pack(out, folder, mnist=mnist)
    assert [one["name"] for one in record["readers"]] == ["one", "two"]
    assert all(len(one["code"]) == 64 for one in record["readers"])
    assert record["readers"][0]["sha256"] != record["readers"][1]["sha256"], "each has a seed of its own"
    loaded = readers.load(folder)
    images = collect(BundledMnist(kind="bundled"), Path())["test"].images[:5]
    alone = loaded.by_network(images)
    np.testing.assert_allclose(loaded.probabilities(images), (alone["one"] + alone["two"]) / 2, atol=1e-6)
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setattr(reader_training, "READERS", tiny | {"two": ("cnn2", 0.2, {}, 1)})
    reader_training.train(mnist, elsewhere, workers=1, hardware=CPU, only=["two"])
    again = reader_training.pack(elsewhere, folder, mnist=mnist)
    assert again["readers"][0] == record["readers"][0]
    assert again["readers"][1]["parameters"] > record["readers"][1]["parameters"]
    assert json.loads((folder / readers.RECORD).read_text()) == again


@pytest.mark.parametrize(("wrong", "least"), [(10, 0.9), (1, 0.6)])
def test_the_threshold_is_the_least_that_satisfies_nearly_all_classes(wrong: int, least: float) -> None:
    """Half of the classes have the writer whose digits are wrong: one may be, of 300, and ten may not."""
    writers, labels = np.repeat(np.arange(45), 10), np.tile(np.arange(10), 45)
    right = ~((writers == 0) & (labels < wrong))
    confidence = np.where(writers == 0, 0.6, 0.9)
    classes = draw_classes(writers, labels)
    assert classes.shape == (4000, 300)
    assert (labels[classes].reshape(4000, 30, 10) == np.arange(10)).all()
    assert class_threshold(classes, confidence, right) == least
