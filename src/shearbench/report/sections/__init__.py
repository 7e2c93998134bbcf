"""The sections of the report, in their order. A section is one file with one function ``read`` and one line here.

``read(root, rows)`` reads what the pipeline left in files (``rows`` are those of ``reports/comparison.json``) and
returns a :class:`Section`; where a file has not been made, the section says which command makes it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Section
from shearbench.report.sections import (
    attribution,
    calibration,
    claim,
    classes,
    confusion,
    curves,
    datasets,
    differences,
    displacement,
    embedding,
    experiments,
    false_positives,
    feature_maps,
    handwriting,
    mistakes,
    power,
    ranking,
    robustness,
    spread,
    tuning,
)

Rows = Sequence[Mapping[str, Any]]
Read = Callable[[Path, Rows], Section]

SECTIONS: tuple[Read, ...] = (
    differences.read,
    datasets.read,
    curves.read,
    confusion.read,
    classes.read,
    mistakes.read,
    displacement.read,
    calibration.read,
    robustness.read,
    feature_maps.read,
    embedding.read,
    attribution.read,
    handwriting.read,
    tuning.read,
    experiments.read,
    claim.read,
    ranking.read,
    spread.read,
    power.read,
    false_positives.read,
)
