"""Networks on inputs that they were not made for: what is brought before them, and what they make of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from shearbench.analysis.transfer.measure import (
    AS_MEASURED,
    DIVIDED,
    OWN,
    REFITTED,
    InputResult,
    TransferResult,
    at_steps,
    obstacle,
    obstacle_to_refitting,
    on_dataset,
    with_channels,
    write_transfer,
)
from shearbench.data.dataset import Dataset, write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.records import read_record, write_npz
from small_model import FIELDS, IMAGES, trained_of

DOUBLED = {**IMAGES, "channels": 2}


class Level(nn.Module):
    """Reads the class off the mean of u_x: its nearest whole number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -((x[:, :1].mean(dim=(2, 3)) - torch.arange(10)) ** 2)


def constant(values: np.ndarray, channels: int = 2, kind: type = np.float32) -> np.ndarray:
    return np.broadcast_to(values[:, None, None, None], (len(values), channels, 28, 28)).astype(kind)


@pytest.mark.parametrize(
    ("own", "other", "reason"),
    [
        (FIELDS, {**FIELDS, "normalise": "pixel"}, "the same inputs"),
        (IMAGES, DOUBLED, "the same inputs"),
        (IMAGES, FIELDS, "it takes one channel"),
        (DOUBLED, FIELDS, ""),
        (FIELDS, IMAGES, ""),
        (FIELDS, {**FIELDS, "step": 7}, ""),
        (FIELDS, {**FIELDS, "load": "uniaxial"}, ""),
    ],
)
def test_what_a_network_cannot_read_has_a_reason(own: dict, other: dict, reason: str) -> None:
    assert obstacle(own, other).startswith(reason)
    assert bool(obstacle(own, other)) == bool(reason)


def test_what_cannot_be_refitted_has_a_reason() -> None:
    reasons = {kind: obstacle_to_refitting({**FIELDS, "normalise": kind}, IMAGES) for kind in ("pixel", "channel")}
    assert reasons == {"pixel": "", "channel": ""}
    assert all(obstacle_to_refitting({"normalise": kind}, IMAGES) for kind in ("none", "unit", "divide255", "detrend"))


def test_images_are_doubled_and_of_doubled_ones_a_channel_is_taken() -> None:
    one = np.arange(4.0).reshape(1, 1, 2, 2)
    assert np.array_equal(with_channels(one, 2)[:, 0], with_channels(one, 2)[:, 1])
    assert np.array_equal(with_channels(with_channels(one, 2), 1), one)
    assert with_channels(one, 1) is one


def test_other_steps_as_measured_and_divided(tmp_path: Path) -> None:
    """Fields that grow with the displacement: divided by the load they are read at every step, else at their own."""
    labels = np.arange(20) % 10
    own = constant(labels.astype(float))
    displacement = np.stack([0.5 * own, own, 1.5 * own], axis=1)  # steps 4, 5, 6 of shear: d = 0.5, 1, 1.5
    shuffled = np.random.default_rng(0).permutation(20)
    arrays = {"ids": shuffled, "steps": np.array([4, 5, 6]), "displacement": displacement[shuffled]}
    write_npz(tmp_path / "severity" / "mnist-shear.npz", arrays)
    trained = trained_of(Level(), own, labels, entry=FIELDS, samples=20)
    found = {(result.name, result.adaptation): result.correct for result in at_steps(trained, tmp_path)}
    for step, factor in (("4", 0.5), ("5", 1.0), ("6", 1.5)):
        read = np.minimum(np.rint(factor * labels[trained.share] - 1e-6), 9)  # halves go to the lower class
        assert np.array_equal(found[step, AS_MEASURED], read == labels[trained.share])
        assert found[step, DIVIDED].all()
    assert 0 < found["4", AS_MEASURED].mean() < 1


def test_another_dataset_by_its_own_and_by_a_refitted_normaliser(tmp_path: Path) -> None:
    """A dataset in other units is misread as it is, and read once the normaliser is refitted to what its fold saw."""
    labels = np.arange(40) % 10
    entry = {**FIELDS, "normalise": "channel"}
    units = 3.0 * labels + 50
    splits = {
        split: Dataset("other", np.arange(*ends), constant(units[: ends[1] - ends[0]]), labels[: ends[1] - ends[0]])
        for split, ends in (("train", (40, 80)), ("test", (0, 40)))
    }
    write_dataset(tmp_path / "datasets" / "other", splits, {"entry": {**entry, "step": 7}})
    write_folds(tmp_path / "datasets" / "other" / "folds.npz", FoldTable(np.arange(40, 80), np.arange(40)[None] // 20))

    class Standard(nn.Module):
        """Reads the class off a channel of mean 0 and deviation 1."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Level()(x * float(labels.std()) + float(labels.mean()))

    trained = trained_of(Standard(), constant(labels.astype(float)), labels, entry=entry, samples=40)
    own, refitted = on_dataset(trained, "other", tmp_path)
    assert (own.adaptation, refitted.adaptation) == (OWN, REFITTED)
    assert own.correct.mean() == 0.1  # everything is far too large: class 9
    assert refitted.correct.all()


def test_tables_of_a_finished_project(finished_once: Path) -> None:
    folder = finished_once / "build" / "transfer"
    assert set(read_record(folder)["files"]) == {"datasets.csv", "severity.csv"}
    datasets = pd.read_csv(folder / "datasets.csv", keep_default_na=False).set_index(
        ["dataset", "model", "normalisation"]
    )
    assert datasets.loc[("mnist", "mlp", OWN), "skipped"].startswith("it takes one channel")
    assert datasets.loc[("mechanical", "mlp", REFITTED), "skipped"] == ""
    assert 0 <= float(datasets.loc[("mechanical", "mlp", REFITTED), "accuracy_mean"]) <= 1
    steps = pd.read_csv(folder / "severity.csv")
    assert set(steps["dataset"]) == {"mechanical"}
    assert steps.groupby("step")["trained"].first().to_dict() == {4: False, 5: True, 6: False}
    own = steps[steps["trained"]]
    assert own["accuracy_mean"].nunique() == 1, "at its own step nothing is divided"
    assert "figures/severity.png" in read_record(finished_once / "build" / "comparison")["files"]


@pytest.mark.parametrize(("height", "displacement"), [(28, 1.0), (56, 2.0)])
def test_the_displacement_of_a_step_grows_with_the_block(tmp_path: Path, height: int, displacement: float) -> None:
    entry = {"load": "shear", "step": 5, "normalise": "none"}
    fold_run = SimpleNamespace(record={"config": {"entry": entry}}, digest="0")
    step = InputResult("5", AS_MEASURED, np.arange(4), np.array([True, False, True, True]))
    write_transfer(tmp_path, {("a", "b"): [fold_run]}, {("a", "b"): [TransferResult([], [step], height, "cpu")] * 2})
    assert pd.read_csv(tmp_path / "severity.csv")["displacement"].tolist() == [displacement]
