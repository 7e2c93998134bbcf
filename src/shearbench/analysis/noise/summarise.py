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
