"""Names of the batch-norm statistics that a network can predict with.

Without torch, for modules that only need the names; :mod:`shearbench.analysis.batch_norm.predict` computes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from shearbench.statistics.proportions import differ

AS_TRAINED, BATCH, RECALIBRATED = "as_trained", "batch_statistics", "recalibrated"


def mode_warning(name: str, as_trained: float, batch_statistics: float, n: int) -> str | None:
    """Return a warning with advice if the two modes of a model differ by more than noise, else None.

    ``as_trained`` is the accuracy in evaluation mode, with the running averages that training left;
    ``batch_statistics`` that in training mode, on the same ``n`` samples.
    """
    if not differ(as_trained, batch_statistics, n):
        return None
    return (
        f"{name} predicts {100 * as_trained:.1f} % correctly in evaluation mode and {100 * batch_statistics:.1f} % in "
        f"training mode (n = {n:,} samples): its running averages do not fit its weights, and its accuracy as trained "
        "says little about what it has learned. Standardise the inputs (`normalise: pixel`), let the learning rate "
        "fall (`schedule: cosine`), or recalibrate the batch-norm statistics on training samples."
    )


def warnings_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the warnings of fold records, in their order."""
    found = []
    for record in records:
        measured = record.get("batch_norm")
        name = f"{record['dataset']}-{record['model']} fold {record['fold']}"
        warning = measured and mode_warning(name, measured[AS_TRAINED], measured[BATCH], measured["samples"])
        found += [warning] if warning else []
    return found
