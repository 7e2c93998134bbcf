"""Questions that need a network: a probe is asked of each fold's network, in the process that has it loaded.

A probe is one file with one function ``Subject -> Answer`` and one line in ``PROBES``. What it finds is stacked over
the folds, tabulated and drawn by an analysis (:mod:`shearbench.evaluation.analyses`).
"""

from shearbench.evaluation.probes.corruption import corruption
from shearbench.evaluation.probes.embedding import embedding
from shearbench.evaluation.probes.explanation import explanation
from shearbench.evaluation.probes.feature_maps import feature_maps
from shearbench.evaluation.probes.gradcam import gradcam
from shearbench.evaluation.probes.noise import noise
from shearbench.evaluation.probes.running_averages import running_averages
from shearbench.evaluation.subject import Probe

PROBES: dict[str, Probe] = {
    "gradcam": gradcam,
    "explanation": explanation,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "noise": noise,
    "running_averages": running_averages,
    "corruption": corruption,
}
