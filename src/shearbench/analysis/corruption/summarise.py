"""Summarise the accuracy under each corruption at each severity, from measurement ``corruption``."""

import pandas as pd

from shearbench.analysis.corruption.corruptions import CLEAN, corruptions_of
from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.predictions.estimates import accuracy_of


def corruption(evaluation: Evaluation) -> Files:
    """Return two tables; both begin with the uncorrupted inputs, corruption ``none`` at severity 0.

    ``corruptions.csv``, one row per corruption and severity: ``corruption, measure, severity, value``, then the columns
    of :func:`accuracy_of`. ``corruption_errors.csv``, the same by fold: ``fold, corruption, severity, n, errors``.
    """
    rows, correct = (evaluation.stacked("corruption", name) for name in ("rows", "correct"))
    conditions = [(CLEAN, "", 0, 0.0, evaluation.stacked("corruption", "clean"))]
    for place, (name, kind) in enumerate(corruptions_of(evaluation.entry).items()):
        for level, value in enumerate(kind.values):
            conditions.append((name, kind.measure, level + 1, value, correct[:, place, level]))
    summary, errors = [], []
    for name, measure, severity, value, hits in conditions:
        facts = {"corruption": name, "measure": measure, "severity": severity, "value": value}
        summary.append({**facts, **accuracy_of(hits, rows)})
        for fold_run, of_fold in zip(evaluation.fold_runs, hits, strict=True):
            counts = {"n": of_fold.size, "errors": int((~of_fold).sum())}
            errors.append({"fold": fold_run.fold, "corruption": name, "severity": severity, **counts})
    return {"corruptions.csv": table(pd.DataFrame(summary)), "corruption_errors.csv": table(pd.DataFrame(errors))}
