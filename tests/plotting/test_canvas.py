"""Titles and legends keep apart and within the figure; logarithmic axes have labels."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from shearbench.plotting.canvas import OF_DATASETS, PALETTE, colours, figure, headed, readable_log, two_names


@pytest.mark.parametrize("width", [5.0, 9.0])
def test_a_long_title_and_many_names_stay_within_the_figure_and_apart(width: float) -> None:
    made = figure(width, 4.0)
    made.subplots().plot([0, 1])
    handles = [Line2D([], [], label=name) for name in ("mlp", "cnn2", "cnn3", "resnet18", "svm", "guessing")]
    headed(
        made, "Errors by displacement of mechanical: 1 is the least displaced fifth of each class; intervals", handles
    )
    FigureCanvasAgg(made).draw()
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


def test_a_model_has_one_colour_in_figures_of_all_models_and_of_some() -> None:
    every = colours(["mlp", "cnn2", "cnn3", "resnet18", "svm"])
    assert list(every.values()) == list(PALETTE[:5])
    for some in (["svm", "mlp"], ["cnn2", "cnn3", "mlp", "resnet18"], ["own", "svm"]):
        shown = colours(some)
        assert list(shown) == some
        assert all(shown[name] == every[name] for name in some if name in every)
        assert len(set(shown.values())) == len(some)
    assert len(set(colours([f"own{number}" for number in range(6)]).values())) == 6
    assert list(colours(["mnist", "svm"], OF_DATASETS).values()) == list(OF_DATASETS[:2])


def test_two_names_fit_above_a_tile() -> None:
    assert two_names("3", " as", "8") == "3 as 8"
    long = two_names("a class with a long name", ", or", "another class")
    assert long == "a class w…, or\nanother c…"
    assert max(map(len, long.splitlines())) <= 14
