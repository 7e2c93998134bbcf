"""The measurements of a trained model: they run for each fold's model, in the process that has it loaded.

A measurement is one file with one function ``TrainedModel -> Measured`` and one line in ``MEASUREMENTS``. A summary
stacks its arrays over the folds, tabulates and draws them (:mod:`shearbench.analysis.summaries`).
"""

from collections.abc import Callable

from shearbench.analysis.activations.measure import embedding, feature_maps
from shearbench.analysis.batch_norm.measure import running_averages
from shearbench.analysis.corruption.measure import corruption, noise
from shearbench.analysis.cost.measure import cost
from shearbench.analysis.evaluation import Measured
from shearbench.analysis.gradcam.measure import explanation, gradcam
from shearbench.analysis.trained import TrainedModel

OF_LAYERS = ("gradcam", "explanation", "feature_maps", "embedding", "running_averages")
"""Measurements of the layers of a network; a classifier of scikit-learn has none."""

MEASUREMENTS: dict[str, Callable[[TrainedModel], Measured]] = {
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
    """Return all measurements; those of layers are skipped for a classifier of scikit-learn, with the reason."""
    skipped = Measured({}, {"skipped": "a classifier of scikit-learn has no layers"})
    return {
        name: skipped if name in OF_LAYERS and not trained.is_network else measurement(trained)
        for name, measurement in MEASUREMENTS.items()
    }
