"""Questions that need a network: a probe is asked of each fold's network, in the process that has it loaded.

A measurement is one file with one function ``TrainedModel -> Measured`` and one line in ``MEASUREMENTS``. What it finds
is stacked over the folds, tabulated and drawn by an analysis (:mod:`shearbench.analysis.summaries`).
"""

from shearbench.analysis.batch_norm.measure import running_averages
from shearbench.analysis.corruption.measure import corruption
from shearbench.analysis.cost.measure import cost
from shearbench.analysis.embedding.measure import embedding
from shearbench.analysis.faithfulness.measure import explanation
from shearbench.analysis.feature_maps.measure import feature_maps
from shearbench.analysis.gradcam.measure import gradcam
from shearbench.analysis.noise.measure import noise
from shearbench.analysis.trained import Measurement

MEASUREMENTS: dict[str, Measurement] = {
    "gradcam": gradcam,
    "explanation": explanation,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "noise": noise,
    "running_averages": running_averages,
    "corruption": corruption,
    "cost": cost,
}
