"""Summarise the accuracy under each corruption at each severity, and by strength of Gaussian noise."""

import numpy as np
import pandas as pd

from shearbench.analysis.corruption.corruptions import CLEAN, corruptions_of
from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.predictions.scores import accuracy_of


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


def noise(evaluation: Evaluation) -> Files:
    """Return ``noise.csv``: one row per strength.

    Columns: ``scale`` (``own``: in units of the input's own deviation; ``raw``: shares of the grey scale, or pixels of
    displacement), ``level`` (0 is no noise), ``sd_<channel>`` in the input's units, then those of
    :func:`accuracy_of`, where readings are networks x draws.
    """
    facts, config = evaluation.facts("noise"), evaluation.settings.noise
    correct, rows, clean = (evaluation.stacked("noise", name) for name in ("correct", "rows", "clean"))
    deviation = np.array(facts["deviation"])
    named = [*(("own", level) for level in config.levels), *(("raw", level) for level in config.raw)]
    conditions = [(scale, 0.0, 0 * deviation, clean) for scale in ("own", "raw")]
    for place, sd in enumerate(config.strengths(deviation, facts["scale"])):
        conditions.append((*named[place], sd, correct[:, place]))
    made = [
        {
            "scale": scale,
            "level": level,
            **{f"sd_{channel}": float(value) for channel, value in enumerate(sd)},
            **accuracy_of(hits, rows),
        }
        for scale, level, sd, hits in conditions
    ]
    return {"noise.csv": table(pd.DataFrame(made).sort_values(["scale", "level"]))}
