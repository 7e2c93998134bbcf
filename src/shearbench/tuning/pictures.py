"""Optuna's own pictures of a study, as PNG.

Trials end at different epochs, so their last values cannot be put side by side. History, importances, slices and
parallel coordinates show the accuracy after the first rung, which every trial reaches; curves and timeline show each
trial as it went. Importances are fANOVA's (Hutter et al., ICML 2014), of at least ``_FEW`` trials.
"""

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import optuna
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from optuna.trial import TrialState, create_trial
from optuna.visualization import matplotlib as drawn

from shearbench.evaluation.canvas import DPI
from shearbench.tuning.study import Ledger, Study

_FEW = 8
_SEED = 0  # of fANOVA's trees, so that a study gives one picture
_LABELS = {"learning_rate": "learning rate", "batch": "batch size", "width": "width"}


def draw(study: Study, *, inner: int) -> dict[str, bytes]:
    """Return file name -> PNG; what a study has too few trials for is left out.

    Args:
        study: a study that has trials.
        inner: how many digits score a trial.
    """
    whole = Ledger(study).optuna
    epochs = study.halving.plan[0].epochs
    same = _at_epoch(whole, epochs)
    what = f"accuracy on {inner} inner digits after epoch {epochs}"
    makers: dict[str, Callable[[], Any]] = {
        "curves.png": lambda: drawn.plot_intermediate_values(whole),
        "timeline.png": lambda: drawn.plot_timeline(whole),
    }
    if same.trials:
        makers |= {
            "history.png": lambda: drawn.plot_optimization_history(same, target_name=what),
            "slices.png": lambda: drawn.plot_slice(same, target_name=what),
            "parallel.png": lambda: drawn.plot_parallel_coordinate(same, target_name=what),
        }
    if len(same.trials) >= _FEW:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
        makers["importance.png"] = lambda: drawn.plot_param_importances(same, evaluator=evaluator, target_name=what)
    with mpl.rc_context(), warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        plt.switch_backend("agg")
        return {name: _png(make) for name, make in makers.items()}


def _at_epoch(study: optuna.Study, epochs: int) -> optuna.Study:
    """Return a study in memory whose trials ended after ``epochs``: those that had as many."""
    same = optuna.create_study(direction="maximize")
    for trial in study.get_trials(deepcopy=False):
        if epochs in trial.intermediate_values and trial.state != TrialState.FAIL:
            params = {_LABELS[name]: value for name, value in trial.params.items()}
            distributions = {_LABELS[name]: value for name, value in trial.distributions.items()}
            value = trial.intermediate_values[epochs]
            same.add_trial(create_trial(params=params, distributions=distributions, value=value))
    return same


def _png(make: Callable[[], Any]) -> bytes:
    made = make()
    figure: Figure = plt.gcf() if not hasattr(made, "figure") else made.figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close("all")
    return buffer.getvalue()
