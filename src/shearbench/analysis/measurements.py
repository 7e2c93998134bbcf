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
from shearbench.analysis.measured import Measured
from shearbench.analysis.noise.measure import noise
from shearbench.analysis.trained import Measurement, TrainedModel

OF_LAYERS = ("gradcam", "explanation", "feature_maps", "embedding", "running_averages")
"""Probes that look into a network; a classifier of scikit-learn has nothing there."""

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


def measured(trained: TrainedModel) -> dict[str, Measured]:
    """Ask every probe; those that look into layers are skipped for a classifier of scikit-learn, with the reason."""
    skipped = Measured({}, {"skipped": "a classifier of scikit-learn has no layers"})
    return {
        name: skipped if name in OF_LAYERS and not trained.is_network else measurement(trained)
        for name, measurement in MEASUREMENTS.items()
    }
