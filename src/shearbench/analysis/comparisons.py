"""The comparisons of runs and datasets: each makes tables and figures of an :class:`EvaluatedRuns`.

A comparison is one file with one function ``EvaluatedRuns -> Files`` and one line in ``COMPARISONS``. Its files go to
``build/comparison/``; the record there holds their hashes, and MLflow gets them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from shearbench.analysis.activations.compare import embedding, feature_maps
from shearbench.analysis.calibration.compare import calibration
from shearbench.analysis.corruption.compare import corruption, noise
from shearbench.analysis.cost.compare import cost
from shearbench.analysis.displacement.compare import displacement
from shearbench.analysis.gradcam.compare import attribution, explanation
from shearbench.analysis.learning.compare import dynamics
from shearbench.analysis.scores.compare import classes, confusion, suspicious
from shearbench.analysis.transfer.compare import transfer
from shearbench.execution import run_tasks
from shearbench.execution.calls import Advance
from shearbench.plotting.files import Files, Writer, merged
from shearbench.predictions.evaluated import EvaluatedRuns
from shearbench.records import hash_of, write_record

OF_NETWORKS = ("dynamics", "feature_maps", "embedding", "attribution", "explanation")
"""Comparisons of epochs and layers, for runs with networks only."""

COMPARISONS: dict[str, Callable[[EvaluatedRuns], Files]] = {
    "cost": cost,
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
    "attribution": attribution,
    "explanation": explanation,
}


def compared(evaluated: EvaluatedRuns) -> dict[str, Writer]:
    """Return the files of every comparison, by their name."""
    return merged((name, COMPARISONS[name](runs)) for name, runs in _comparisons(evaluated))


def write_comparison(folder: Path, evaluated: EvaluatedRuns, *, workers: int | Literal["auto"]) -> None:
    """Write all files of ``build/comparison/``, its record last.

    Raises:
        TasksFailed: if a comparison fails.
    """
    # Drawing takes most of the time, and each comparison draws its own figures.
    made = run_tasks(
        _compare, _comparisons(evaluated), workers=workers, label="comparison", name=lambda comparison: comparison[0]
    )
    runs = {run.name: run.digest for run in evaluated.runs}
    write_record(folder, {"evaluations": runs, "hashes": {"evaluations": hash_of(runs)}}, merged(made))


def _comparisons(evaluated: EvaluatedRuns) -> list[tuple[str, EvaluatedRuns]]:
    """Return the name and the runs of each comparison that has runs."""
    networks = evaluated.of_networks()
    runs_of = {name: networks if name in OF_NETWORKS else evaluated for name in COMPARISONS}
    return [(name, runs) for name, runs in runs_of.items() if runs.runs]


def _compare(comparison: tuple[str, EvaluatedRuns], advance: Advance) -> tuple[str, Files]:
    name, evaluated = comparison
    made = COMPARISONS[name](evaluated)
    advance(1)
    return name, made
