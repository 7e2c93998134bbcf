"""Titles and legends keep apart and within the figure; logarithmic axes have labels."""

import pytest
from matplotlib.lines import Line2D

from shearbench.plotting.canvas import figure, headed, readable_log


@pytest.mark.parametrize("width", [5.0, 9.0])
def test_a_long_title_and_many_names_stay_within_the_figure_and_apart(width: float) -> None:
    made = figure(width, 4.0)
    made.subplots().plot([0, 1])
    handles = [Line2D([], [], label=name) for name in ("mlp", "cnn2", "cnn3", "resnet18", "svm", "guessing")]
    headed(
        made, "Errors by displacement of mechanical: 1 is the least displaced fifth of each class; intervals", handles
    )
    made.canvas.draw()
    title, legend = made._suptitle.get_window_extent(), made.legends[0].get_window_extent()
    for box in (title, legend):
        assert 0 <= box.x0 < box.x1 <= made.bbox.width
        assert 0 <= box.y0 < box.y1 <= made.bbox.height
    assert legend.y1 < made.axes[0].bbox.y0 < made.axes[0].bbox.y1 < title.y0


@pytest.mark.parametrize("reach", [(0.4, 0.6), (0.02, 0.9), (1, 17), (1, 400), (1, 50_000)])
def test_a_logarithmic_axis_has_two_labels_or_more_and_not_many(reach: tuple[float, float]) -> None:
    axes = figure(2.5, 2.0).subplots()
    axes.plot(reach, [0, 1])
    axes.set_xscale("log")
    readable_log(axes.xaxis)
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert 2 <= len(shown) <= 6
