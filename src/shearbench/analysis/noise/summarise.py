"""Summarise the accuracy by strength of Gaussian noise, from measurement ``noise``."""

import numpy as np
import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.predictions.estimates import accuracy_of


def noise(evaluation: Evaluation) -> Files:
    """Return ``noise.csv``: one row per strength.

    Columns: ``scale`` (``own``: in units of the input's own deviation; ``raw``: shares of the grey scale, or pixels of
    displacement), ``level`` (0 is no noise), ``sd_<channel>`` in the input's units, then those of
    :func:`accuracy_of`, where readings are networks x draws.
    """
    facts, settings = evaluation.facts("noise"), evaluation.settings.noise
    correct, rows = evaluation.stacked("noise", "correct"), evaluation.stacked("noise", "rows")
    deviation = np.array(facts["deviation"])
    strengths = settings.strengths(deviation, facts["scale"])
    named = [*(("own", level) for level in settings.levels), *(("raw", level) for level in settings.raw)]
    clean = accuracy_of(evaluation.stacked("noise", "clean"), rows)
    made = [{"scale": scale, "level": 0.0, **_deviations(0 * deviation), **clean} for scale in ("own", "raw")]
    for place, ((scale, level), sd) in enumerate(zip(named, strengths, strict=True)):
        made.append({"scale": scale, "level": level, **_deviations(sd), **accuracy_of(correct[:, place], rows)})
    return {"noise.csv": table(pd.DataFrame(made).sort_values(["scale", "level"]))}


def _deviations(sd: np.ndarray) -> dict[str, float]:
    return {f"sd_{channel}": float(value) for channel, value in enumerate(sd)}
