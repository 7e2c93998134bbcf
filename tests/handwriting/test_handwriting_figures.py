"""Pictures of a class: labels that can be read."""

import numpy as np

from shearbench.handwriting.figures import shared_labels
from shearbench.plotting.canvas import figure


def test_points_too_near_for_labels_of_their_own_share_one() -> None:
    axes = figure(4, 4).subplots()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 100)
    x, y = np.array([1.0, 1.2, 5.0, 1.1]), np.array([90.0, 91.0, 90.0, 50.0])
    assert list(shared_labels(axes, ["a", "b", "c", "d"], x, y)) == [
        ("b, a", 1.2, 91.0),
        ("c", 5.0, 90.0),
        ("d", 1.1, 50.0),
    ]
