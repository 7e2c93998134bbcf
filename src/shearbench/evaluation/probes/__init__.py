"""Questions that need a network: a probe is asked of each fold's network, in the process that has it loaded.

A probe is one file with one function ``Subject -> Answer`` and one line in ``PROBES``. What it finds is stacked over
the folds, tabulated and drawn by an analysis (:mod:`shearbench.evaluation.analyses`).
"""

from shearbench.evaluation.probes.gradcam import gradcam
from shearbench.evaluation.subject import Probe

PROBES: dict[str, Probe] = {
    "gradcam": gradcam,
}
