"""The sections of the report, in order. A section is one file with one function ``read`` and one line here.

``read(root, rows)`` reads files of the pipeline (``rows`` are those of ``reports/comparison.json``) and returns a
:class:`Section`. If a file is missing, the section names the command that makes it.
"""

from shearbench.analysis.calibration import section as calibration
from shearbench.analysis.corruption import section as corruption
from shearbench.analysis.cost import section as cost
from shearbench.analysis.displacement import section as displacement
from shearbench.analysis.embedding import section as embedding
from shearbench.analysis.feature_maps import section as feature_maps
from shearbench.analysis.gradcam import section as attribution
from shearbench.analysis.learning import section as curves
from shearbench.analysis.mistakes import section as mistakes
from shearbench.analysis.scores import section as scores
from shearbench.analysis.transfer import section as transfer
from shearbench.report import card
from shearbench.report.comparison import Read
from shearbench.report.sections import claim, datasets, experiments, false_positives, handwriting, statistics, tuning

SECTIONS: tuple[Read, ...] = (
    statistics.differences,
    statistics.joined,
    cost.read,
    datasets.read,
    curves.read,
    scores.confusion,
    scores.read,
    mistakes.read,
    displacement.read,
    calibration.read,
    corruption.noise,
    corruption.read,
    transfer.read,
    feature_maps.read,
    embedding.read,
    attribution.read,
    handwriting.read,
    tuning.read,
    experiments.read,
    claim.read,
    card.read,
    statistics.spread,
    statistics.power,
    false_positives.read,
)
