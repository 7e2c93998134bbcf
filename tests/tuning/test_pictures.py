"""Optuna's pictures of a study that is larger than those of the default search."""

import io
from pathlib import Path

from PIL import Image

from patterns import point, space_of_three
from shearbench.plotting.canvas import DPI
from shearbench.tuning.results import draw
from shearbench.tuning.study import Ledger, Study
from shearbench.tuning.trial import Halving, Point, TrialResult

TRIALS = 120


def test_a_hundred_trials_do_not_push_the_curves_aside_with_their_names(tmp_path: Path) -> None:
    present = point(1e-3, 32, 1.0)
    space = space_of_three((1e-4, 1e-2), (32, 64), (0.5, 1.0))
    study = Study(tmp_path / "journal.log", "s", "mnist-mlp", 1, space, present, Halving(4, 2, 2))
    ledger = Ledger(study)
    for number in range(TRIALS):
        accuracy = 0.5 + ledger.draw(number).hyperparameters["learning_rate"] * 10
        curve = tuple(Point(1.0, 0.5, 1.0, accuracy, accuracy) for _ in range(2))
        ledger.record(number, TrialResult(curve))
        ledger.stop(number)
    pictures = draw(study, inner=100)
    shown = {name: content for name, content in pictures.items() if name.endswith(".png")}
    sizes = {name: Image.open(io.BytesIO(content)).size for name, content in shown.items()}
    assert sizes["curves.png"][0] < 7.5 * DPI
    assert all(width < 9 * DPI and height < 5 * DPI for width, height in sizes.values()), sizes
