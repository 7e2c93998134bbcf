"""Optuna's own figures of a study, as PNG and PDF.

Trials end at different epochs, so their last values are not comparable. History, importances, slices and parallel
coordinates show the accuracy after the first rung, which every trial reaches; curves and timeline show the course of
each trial. Importances are fANOVA's (Hutter et al., ICML 2014) and need at least ``_FEW`` trials.
"""

import io
import warnings
from collections.abc import Callable, Iterator

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import TrialState, create_trial
from optuna.visualization import matplotlib as drawn

from shearbench.plotting.canvas import DPI, readable_log
from shearbench.tuning.study import Ledger, Study

_FEW = 8
_NAMED = 60  # largest number of curves with a legend
_SEED = 0  # of fANOVA's trees, so that the figure is reproducible
_LABELS = {"learning_rate": "learning rate", "batch": "batch size", "width": "width"}


def draw(study: Study, *, inner: int) -> dict[str, bytes]:
    """Return file name -> PNG or PDF; figures that need more trials than the study has are left out.

    ``inner`` is the number of samples that score a trial.
    """
    whole = Ledger(study).optuna
    epochs = study.halving.plan[0].epochs
    same = _at_epoch(whole, epochs)
    count = f"{study.label}, {len(same.trials)} trials"
    after = f"accuracy on {inner} inner samples, epoch {epochs}"
    pictures: dict[str, Callable[[], Figure]] = {
        "curves": lambda: _curves(whole, count, inner),
        "timeline": lambda: _titled(drawn.plot_timeline(whole), f"{study.label}: timeline"),
    }
    if same.trials:
        pictures |= {
            "history": lambda: _history(same, count, after),
            "slices": lambda: _slices(same, count, after),
            "parallel": lambda: _parallel(same, count, after),
        }
    if len(same.trials) >= _FEW:
        pictures["importance"] = lambda: _importance(same, count, after)
    with mpl.rc_context(), warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        plt.switch_backend("agg")
        mpl.rcParams["figure.figsize"] = (7.0, 4.2)
        saved = [(f"{name}.{kind}", content) for name, make in pictures.items() for kind, content in _saved(make())]
        return dict(saved)


def _curves(study: optuna.Study, count: str, inner: int) -> Figure:
    axes = drawn.plot_intermediate_values(study)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"accuracy on {inner} inner samples")
    names = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, ncols=1 + len(axes.lines) // 20)
    names.set_visible(len(axes.lines) <= _NAMED)
    return _titled(axes, f"{count}: epoch by epoch")


def _history(study: optuna.Study, count: str, after: str) -> Figure:
    axes = drawn.plot_optimization_history(study, target_name="accuracy")
    axes.set_xlabel("trial")
    axes.set_ylabel(after)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)  # points can be anywhere inside
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _titled(axes, f"{count}: history")


def _importance(study: optuna.Study, count: str, after: str) -> Figure:
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
    axes = drawn.plot_param_importances(study, evaluator=evaluator)
    axes.legend().set_visible(False)
    axes.set_xlabel(f"share of the spread explained: {after}")
    axes.set_ylabel("")
    axes.margins(x=0.1)
    for text in axes.texts:  # the shares, which touch the ends of their bars
        text.set_text(f" {text.get_text()}")
    return _titled(axes, f"{count}: importances (fANOVA)")


def _slices(study: optuna.Study, count: str, after: str) -> Figure:
    drawn.plot_slice(study, target_name=after)
    figure = plt.gcf()
    figure.suptitle(f"{count}: slices", fontsize=11)
    figure.axes[-1].set_ylabel("trial", labelpad=10)  # beside the colours; Optuna's own label overlaps their numbers
    return figure


def _parallel(study: optuna.Study, count: str, after: str) -> Figure:
    axes = drawn.plot_parallel_coordinate(study, target_name="accuracy")
    for lines in axes.collections:  # the lightest of Optuna's shades are hardly darker than the grid
        shades = lines.get_cmap()(np.linspace(0.3, 1.0, 64))
        lines.set_cmap(LinearSegmentedColormap.from_list("darker", shades))
    figure = _titled(axes, f"{count}: parallel coordinates")
    for each in figure.axes:
        each.grid(False)  # every axis has a grid, which would cut the lines
        if each.get_yscale() == "log":
            readable_log(each.yaxis)
        for label in each.get_yticklabels():  # labels of inner axes stand among the lines
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})
        if each.get_ylabel() == "accuracy" and each is not axes:
            each.set_ylabel(after)
    return figure


def _titled(axes: Axes, title: str) -> Figure:
    axes.set_title("", loc="left")  # Optuna puts some titles there
    axes.set_title(title, fontsize=11)
    return plt.gcf()


def _at_epoch(study: optuna.Study, epochs: int) -> optuna.Study:
    """Return an in-memory study of the trials with at least ``epochs``, with their accuracy at that epoch."""
    same = optuna.create_study(direction="maximize")
    for trial in study.get_trials(deepcopy=False):
        if epochs in trial.intermediate_values and trial.state != TrialState.FAIL:
            params = {_LABELS.get(name, name): value for name, value in trial.params.items()}
            distributions = {_LABELS.get(name, name): value for name, value in trial.distributions.items()}
            value = trial.intermediate_values[epochs]
            same.add_trial(create_trial(params=params, distributions=distributions, value=value))
    return same


def _saved(figure: Figure) -> Iterator[tuple[str, bytes]]:
    """Yield a figure as PNG and as PDF, without dates."""
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, bbox_inches="tight", metadata=metadata)
        yield kind, buffer.getvalue()
    plt.close(figure)
