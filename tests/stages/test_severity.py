"""Stage severity: the test digits that networks share out, at every step of each load."""

from pathlib import Path

import numpy as np

from shearbench.data.dataset import read_fields, read_samples
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.simulation import simulate
from shearbench.params import Params
from shearbench.records import read_json
from shearbench.stages import prepare
from shearbench.stages import severity as stage


def test_fields_at_every_step_are_those_of_the_simulator(small_project: Path, params: Params) -> None:
    prepare.main(params, small_project)
    few = params.evaluate.model_copy(update={"samples": 1})
    stage.main(params.model_copy(update={"evaluate": few}), small_project)
    build = small_project / "build"
    samples, fields = read_samples(build / "samples", "test"), read_fields(build / "severity" / "mnist-shear.npz")
    assert fields.steps.tolist() == list(range(1, 11))
    assert len(fields.ids) == params.cv.networks  # one digit for each of them, of as many classes
    rows = np.array([int(np.flatnonzero(samples.ids == number)[0]) for number in fields.ids])
    assert len(set(samples.labels[rows])) == params.cv.networks
    direct = simulate(samples.images[rows[:1]], load="shear", displacements=displacements_of("shear")[1:])
    np.testing.assert_allclose(fields.displacement[0], direct.displacement[0], atol=1e-6)
    assert read_json(build / "severity" / "card.json")["mnist-shear"]["samples"] == params.cv.networks


def test_without_fields_there_is_nothing_to_shear(small_project: Path, params: Params) -> None:
    prepare.main(params, small_project)
    images = {name: entry for name, entry in params.datasets.items() if entry.source == "mnist"}
    stage.main(params.model_copy(update={"datasets": images}), small_project)
    assert [path.name for path in (small_project / "build" / "severity").iterdir()] == ["card.json"]
