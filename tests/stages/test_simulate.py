"""Stage simulate: each load once, at every step that a dataset asks of it, for both splits."""

from pathlib import Path

import numpy as np

from shearbench.data.config import SimulatedDataset
from shearbench.data.dataset import read_fields, read_samples
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.simulation import simulate
from shearbench.params import Params
from shearbench.records import read_json
from shearbench.stages import prepare
from shearbench.stages import simulate as stage


def _entry(load: str, step: int) -> SimulatedDataset:
    return SimulatedDataset(source="simulated", load=load, step=step, normalise="pixel")  # type: ignore[arg-type]


def test_steps_are_gathered_by_load(params: Params) -> None:
    entries = {"a": _entry("shear", 5), "b": _entry("uniaxial", 3), "c": _entry("shear", 2), "d": _entry("shear", 5)}
    several = params.model_copy(update={"datasets": {**params.datasets, **entries}})
    assert stage.steps_of(several) == {("mnist", "shear"): [2, 5], ("mnist", "uniaxial"): [3]}


def test_fields_are_those_of_the_simulator_for_the_same_digits(small_project: Path, params: Params) -> None:
    prepare.main(params, small_project)
    stage.main(params, small_project)
    build = small_project / "build"
    for split in ("train", "test"):
        samples, fields = (
            read_samples(build / "samples", split),
            read_fields(build / "fields" / split / "mnist-shear.npz"),
        )
        np.testing.assert_array_equal(fields.ids, samples.ids)
        direct = simulate(samples.images[:2], load="shear", displacements=[displacements_of("shear")[5]])
        np.testing.assert_allclose(fields.at_step(5)[:2], direct.displacement[:, 0], atol=1e-6)
        assert read_json(build / "fields" / split / "mnist-shear.json")["load"] == "shear"
