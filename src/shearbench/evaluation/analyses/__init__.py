"""The parts of a cell's evaluation: an analysis makes tables, arrays and pictures of an :class:`Evaluation`.

An analysis is one file with one function ``Evaluation -> Files`` and one line in ``ANALYSES``; its files are vouched
for by the record and logged to MLflow without more ado. What needs a network is asked by a probe first.
"""

from collections.abc import Callable

from shearbench.evaluation.analyses.attribution import attribution
from shearbench.evaluation.analyses.calibration import calibration
from shearbench.evaluation.analyses.corruption import corruption
from shearbench.evaluation.analyses.embedding import embedding
from shearbench.evaluation.analyses.explanation import explanation
from shearbench.evaluation.analyses.feature_maps import feature_maps
from shearbench.evaluation.analyses.learning import learning
from shearbench.evaluation.analyses.mistakes import mistakes
from shearbench.evaluation.analyses.noise import noise
from shearbench.evaluation.analyses.running_averages import running_averages
from shearbench.evaluation.analyses.scoring import scoring
from shearbench.evaluation.evaluation import Evaluation
from shearbench.evaluation.files import Files

Analysis = Callable[[Evaluation], Files]

ANALYSES: dict[str, Analysis] = {
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
