"""What puts cells and datasets side by side: a contrast makes tables and pictures of a :class:`Suite`.

A contrast is one file with one function ``Suite -> Files`` and one line in ``CONTRASTS``; its files go to
``build/comparison/``, are vouched for by the record there and logged to MLflow without more ado.
"""

from collections.abc import Callable

from shearbench.evaluation.contrasts.calibration import calibration
from shearbench.evaluation.contrasts.classes import classes
from shearbench.evaluation.contrasts.confusion import confusion
from shearbench.evaluation.contrasts.corruption import corruption
from shearbench.evaluation.contrasts.displacement import displacement
from shearbench.evaluation.contrasts.dynamics import dynamics
from shearbench.evaluation.contrasts.embedding import embedding
from shearbench.evaluation.contrasts.explanation import explanation
from shearbench.evaluation.contrasts.feature_maps import feature_maps
from shearbench.evaluation.contrasts.noise import noise
from shearbench.evaluation.contrasts.suspicious import suspicious
from shearbench.evaluation.contrasts.transfer import transfer
from shearbench.evaluation.files import Files
from shearbench.evaluation.suite import Suite

Contrast = Callable[[Suite], Files]

CONTRASTS: dict[str, Contrast] = {
    "dynamics": dynamics,
    "confusion": confusion,
    "classes": classes,
    "calibration": calibration,
    "suspicious": suspicious,
    "displacement": displacement,
    "noise": noise,
    "corruption": corruption,
    "transfer": transfer,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "explanation": explanation,
}
