"""Summarise the accuracy under each corruption at each severity, from measurement ``corruption``."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from shearbench.analysis.corruption.corruptions import CLEAN, SEVERITIES, corruptions_of
from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.predictions.estimates import accuracy_of


def corruption(evaluation: Evaluation) -> Files:
    """Return two tables; both begin with the uncorrupted inputs, corruption ``none`` at severity 0.

    ``corruptions.csv``, one row per corruption and severity: ``corruption, measure, severity, value``, then the columns
    of :func:`accuracy_of`. ``corruption_errors.csv``, the same by fold: ``fold, corruption, severity, n, errors``.
    """
    rows = evaluation.stacked("corruption", "rows")
    summary, errors = [], []
    for name, measure, severity, value, correct in _conditions(evaluation):
        facts = {"corruption": name, "measure": measure, "severity": severity, "value": value}
        summary.append({**facts, **accuracy_of(correct, rows)})
        for fold_run, hits in zip(evaluation.fold_runs, correct, strict=True):
            counts = {"n": hits.size, "errors": int((~hits).sum())}
            errors.append({"fold": fold_run.fold, "corruption": name, "severity": severity, **counts})
    return {"corruptions.csv": table(pd.DataFrame(summary)), "corruption_errors.csv": table(pd.DataFrame(errors))}


def _conditions(evaluation: Evaluation) -> Iterator[tuple[str, str, int, float, Any]]:
    """Yield corruption, measure, severity, value and correct predictions (networks, n)."""
    correct = evaluation.stacked("corruption", "correct")
    yield CLEAN, "", 0, 0.0, evaluation.stacked("corruption", "clean")
    for place, (name, kind) in enumerate(corruptions_of(evaluation.entry).items()):
        for severity in range(1, SEVERITIES + 1):
            yield name, kind.measure, severity, kind.values[severity - 1], correct[:, place, severity - 1]
