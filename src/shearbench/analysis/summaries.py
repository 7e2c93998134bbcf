"""The parts of a run's evaluation: an analysis makes tables, arrays and pictures of an :class:`Evaluation`.

An analysis is one file with one function ``Evaluation -> Files`` and one line in ``SUMMARIES``; its files are vouched
for by the record and logged to MLflow without more ado. What needs a network is asked by a probe first.
"""

from collections.abc import Callable

from shearbench.analysis.batch_norm.summarise import running_averages
from shearbench.analysis.calibration.summarise import calibration
from shearbench.analysis.corruption.summarise import corruption
from shearbench.analysis.embedding.summarise import embedding
from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.faithfulness.summarise import explanation
from shearbench.analysis.feature_maps.summarise import feature_maps
from shearbench.analysis.gradcam.summarise import attribution
from shearbench.analysis.learning.summarise import learning
from shearbench.analysis.mistakes.summarise import mistakes
from shearbench.analysis.noise.summarise import noise
from shearbench.analysis.scores.summarise import scoring
from shearbench.plotting.files import Files

Analysis = Callable[[Evaluation], Files]

OF_NETWORKS = ("learning", "attribution", "explanation", "feature_maps", "embedding", "running_averages")
"""Analyses of epochs and layers, which a classifier of scikit-learn does not have."""

SUMMARIES: dict[str, Analysis] = {
    "scoring": scoring,
    "learning": learning,
    "calibration": calibration,
    "mistakes": mistakes,
    "attribution": attribution,
    "explanation": explanation,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "noise": noise,
    "running_averages": running_averages,
    "corruption": corruption,
}


def analyses_of(evaluation: Evaluation) -> dict[str, Analysis]:
    """Return the analyses that apply to a run, by name."""
    return {name: each for name, each in SUMMARIES.items() if evaluation.is_network or name not in OF_NETWORKS}
