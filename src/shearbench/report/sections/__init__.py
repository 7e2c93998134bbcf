"""The sections of the report, in order. A section is one function and one line here.

The sections of an analysis are in its topic, ``analysis/<topic>/section.py``.

``(root, rows) -> Section`` reads files of the pipeline; ``rows`` are those of ``reports/comparison.json``. If a file is
missing, the section names the command that makes it.
"""

from shearbench.analysis.activations.section import embedding, feature_maps
from shearbench.analysis.calibration.section import calibration
from shearbench.analysis.corruption.section import corruption, noise
from shearbench.analysis.cost.section import cost
from shearbench.analysis.displacement.section import displacement
from shearbench.analysis.gradcam.section import attribution
from shearbench.analysis.learning.section import curves
from shearbench.analysis.scores.section import classes, confusion, mistakes
from shearbench.analysis.transfer.section import transfer
from shearbench.report import card
from shearbench.report.comparison import Read
from shearbench.report.sections import (
    claim,
    experiments,
    handwriting,
    statistics,
    tuning,
)

SECTIONS: tuple[Read, ...] = (
    statistics.differences,
    statistics.joined,
    cost,
    card.datasets,
    curves,
    confusion,
    classes,
    mistakes,
    displacement,
    calibration,
    noise,
    corruption,
    transfer,
    feature_maps,
    embedding,
    attribution,
    handwriting.read,
    tuning.read,
    experiments.read,
    claim.read,
    card.read,
    statistics.spread,
    statistics.power,
    statistics.false_positives,
)
