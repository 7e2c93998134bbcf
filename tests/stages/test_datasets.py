"""Stage datasets: each entry of params.yaml becomes a dataset with a card."""

from pathlib import Path

import numpy as np
import pytest

from shearbench.data.dataset import load, read_card, read_samples
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import write_json, write_npz
from shearbench.stages import datasets, prepare


@pytest.fixture
def prepared(small_project: Path, params: Params) -> Path:
    """A project folder with digits and made-up fields."""
    prepare.main(params, small_project)
    build = small_project / "build"
    for split in ("train", "test"):
        ids = read_samples(build / "samples", split).ids
        displacement = np.arange(len(ids) * 2 * 1568, dtype=np.float32).reshape(len(ids), 2, 2, 28, 28)
        arrays = {"ids": ids, "steps": np.array([3, 5]), "displacement": displacement}
        write_npz(build / "fields" / split / "mnist-shear.npz", arrays)
        write_json(build / "fields" / split / "mnist-shear.json", {"load": "shear", "displacements": [0.1, 1.0]})
    return small_project


def test_every_entry_becomes_a_dataset_of_the_same_digits(prepared: Path, params: Params) -> None:
    datasets.main(params, prepared)
    build = prepared / "build"
    for split in ("train", "test"):
        samples = read_samples(build / "samples", split)
        mnist, mechanical = (load(build / "datasets" / name, split) for name in ("mnist", "mechanical"))
        np.testing.assert_array_equal(mnist.inputs[:, 0], samples.images)
        np.testing.assert_array_equal(mechanical.ids, samples.ids)
        np.testing.assert_array_equal(mechanical.labels, samples.labels)
        fields = np.load(build / "fields" / split / "mnist-shear.npz")["displacement"]
        np.testing.assert_array_equal(mechanical.inputs, fields[:, 1], strict=True)


def test_the_card_says_what_was_simulated(prepared: Path, params: Params) -> None:
    datasets.main(params, prepared)
    card = read_card(prepared / "build" / "datasets" / "mechanical")
    assert card["entry"] == params.datasets["mechanical"].model_dump()
    assert card["entry"]["of"] == "mnist"
    assert card["classes"] == list("0123456789")
    assert (card["size"], card["channels"]) == ([28, 28], 2)
    assert card["fields"]["test"] == {"load": "shear", "displacements": [0.1, 1.0]}
    assert card["counts"] == {"train": 60, "test": 20}
    assert "fields" not in read_card(prepared / "build" / "datasets" / "mnist")


def test_a_step_that_was_not_simulated_is_named(prepared: Path, params: Params) -> None:
    entry = params.datasets["mechanical"].model_copy(update={"step": 4})
    with pytest.raises(InputError, match=r"shear\.npz has no step 4, only \[3, 5\]"):
        datasets.main(params.model_copy(update={"datasets": {"mechanical": entry}}), prepared)
