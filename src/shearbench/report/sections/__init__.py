"""The sections of the report, in order. A section is one function and one line here.

``(root, rows) -> Section`` reads files of the pipeline; ``rows`` are those of ``reports/comparison.json``. If a file is
missing, the section names the command that makes it.
"""

from shearbench.report import card
from shearbench.report.comparison import Read
from shearbench.report.sections import (
    accuracy,
    claim,
    experiments,
    handwriting,
    networks,
    predictions,
    statistics,
    tuning,
)

SECTIONS: tuple[Read, ...] = (
    statistics.differences,
    statistics.joined,
    accuracy.cost,
    card.datasets,
    networks.curves,
    predictions.confusion,
    predictions.classes,
    predictions.mistakes,
    accuracy.displacement,
    predictions.calibration,
    accuracy.noise,
    accuracy.corruption,
    accuracy.transfer,
    networks.feature_maps,
    networks.embedding,
    networks.attribution,
    handwriting.read,
    tuning.read,
    experiments.read,
    claim.read,
    card.read,
    statistics.spread,
    statistics.power,
    statistics.false_positives,
)
