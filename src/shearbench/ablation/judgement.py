"""Judgement of hypotheses by their trainings: level, spread, training loss and control -> published numbers met.

The rules are in :mod:`shearbench.ablation.hypotheses`; they were fixed before any training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from shearbench.ablation.hypotheses import Hypothesis, Observed

Run = tuple[str, str]
"""Dataset and model."""
CRITERIA = ("level", "spread", "training loss", "control")
LEVEL = 0.95


@dataclass(frozen=True)
class Training:
    """One finished training: test accuracy by batch-norm statistics, and the training loss of its last epoch."""

    accuracy: Mapping[str, float]
    train_loss: float


@dataclass(frozen=True)
class Mean:
    """Mean and standard deviation over n independent trainings, with Student's 95 % interval of the mean."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Return the mean of at least two values."""
        n, mean, sd = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
        reach = float(stats.t.isf((1 - LEVEL) / 2, n - 1)) * sd / sqrt(n)
        return cls(n, mean, sd, mean - reach, mean + reach)

    def meets(self, low: float, high: float) -> bool:
        """Return True if the interval overlaps ``low`` to ``high``."""
        return self.low <= high and self.high >= low


def judge(
    hypotheses: Mapping[str, Hypothesis], observed: Observed, trained: Mapping[Run, Sequence[Training]]
) -> pd.DataFrame:
    """Return a row for each hypothesis: its predictions, the results of its trainings, and the verdict.

    A hypothesis with fewer than two finished trainings is ``not run``.

    Args:
        hypotheses: by name, in the order of ``params.yaml``.
        observed: the published numbers.
        trained: the finished trainings of each run.
    """
    rows = []
    for name, given in hypotheses.items():
        source = hypotheses[given.same_as] if given.same_as else given
        own = trained.get((source.dataset, source.model), ())
        shallow = trained.get((source.dataset, source.control), ()) if source.control else ()
        described = {
            **{"hypothesis": name, "because": given.because, "dataset": given.dataset, "model": given.model},
            **{"statistics": given.statistics, "control": given.control, "same_as": given.same_as},
        }
        rows.append({**described, **_predicted(given), **_found(given, observed, own, shallow)})
    return pd.DataFrame(rows)


def _predicted(given: Hypothesis) -> dict[str, str]:
    stated = given.predicts.model_dump()
    return {
        f"predicted_{key}": "" if value is None else f"{value[0]:g} to {value[1]:g}" for key, value in stated.items()
    }


def _found(
    given: Hypothesis, observed: Observed, own: Sequence[Training], shallow: Sequence[Training]
) -> dict[str, Any]:
    """Return the results of the trainings of a hypothesis, and the verdict on the published numbers."""
    control = float(np.mean([one.accuracy["as_trained"] for one in shallow])) if shallow else None
    if len(own) < 2:
        return {"trainings": len(own), "control_accuracy": control, "verdict": "not run"}
    accuracy = Mean.of([one.accuracy[given.statistics] for one in own])
    loss = Mean.of([one.train_loss for one in own])
    met: dict[str, bool | None] = {
        "level": accuracy.meets(observed.level - observed.level_tolerance, observed.level + observed.level_tolerance),
        "spread": spread_p(accuracy.sd, accuracy.n, observed.spread, observed.folds) >= 1 - LEVEL,
        "training loss": loss.meets(
            observed.train_loss / observed.train_loss_factor, observed.train_loss * observed.train_loss_factor
        ),
        "control": None if control is None else control >= observed.control,
    }
    return {
        "trainings": accuracy.n,
        **{"accuracy": accuracy.mean, "accuracy_low": max(0.0, accuracy.low), "accuracy_high": min(1.0, accuracy.high)},
        **{"spread": accuracy.sd, "spread_p": spread_p(accuracy.sd, accuracy.n, observed.spread, observed.folds)},
        **{"train_loss": loss.mean, "train_loss_low": max(0.0, loss.low), "train_loss_high": loss.high},
        "control_accuracy": control,
        "as_predicted": _as_predicted(given, accuracy, loss, control),
        "verdict": verdict(met),
    }


def verdict(met: Mapping[str, bool | None]) -> str:
    """Return ``fits``, ``misfit`` with the missed published numbers, or ``control not run``."""
    missed = [name for name in CRITERIA if met[name] is False]
    if missed:
        return f"misfit: {', '.join(missed)}"
    return "control not run" if met["control"] is None else "fits"


def spread_p(sd: float, n: int, published: float, folds: int) -> float:
    """Return the two-sided p value of the F test that two standard deviations, of n and ``folds`` values, are equal."""
    tail = float(stats.f.cdf((sd / published) ** 2, n - 1, folds - 1))
    return 2 * min(tail, 1 - tail)


def _as_predicted(given: Hypothesis, accuracy: Mean, loss: Mean, control: float | None) -> str:
    """Return the means outside their predicted ranges, or ``yes``."""
    predicts = given.predicts
    found = {
        "level": (accuracy.mean, predicts.level),
        "spread": (accuracy.sd, predicts.spread),
        "training loss": (loss.mean, predicts.train_loss),
    }
    if control is not None and predicts.control is not None:
        found["control"] = control, predicts.control
    outside = [name for name, (value, (low, high)) in found.items() if not low <= value <= high]
    return f"not {', '.join(outside)}" if outside else "yes"
