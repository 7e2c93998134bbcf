"""Names of classes along an axis: shortened where they are long, some of them where not all fit."""

from collections.abc import Sequence

from matplotlib.axis import Axis, XAxis

LABELLED = 26
"""Up to so many classes have their numbers written into a matrix; of more the colours must do."""
_TICKS = 60  # names on an axis
_LONGEST = 16  # characters
_UPRIGHT = 2  # characters that fit beside one another without being turned


def shortened(name: str) -> str:
    """Return a name of at most 16 characters: its end gives way to an ellipsis."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def class_ticks(axis: Axis, classes: Sequence[str]) -> None:
    """Label places 0, 1, ... of an axis with the names of classes; of more than 60 every so many."""
    step = -(-len(classes) // _TICKS)
    names = [shortened(name) for name in classes[::step]]
    axis.set_ticks(range(0, len(classes), step), names)
    if isinstance(axis, XAxis) and max(map(len, names)) > _UPRIGHT:
        axis.set_tick_params(labelrotation=90)
    if len(classes) > LABELLED:
        axis.set_tick_params(labelsize=6)
