"""Label an axis with class names: long names are shortened, and names that do not fit are left out."""

from collections.abc import Sequence

from matplotlib.axis import Axis, XAxis

LABELLED = 26
"""The most classes for which a matrix shows numbers; with more classes it shows colours only."""
_TICKS = 60  # the most names on an axis
_LONGEST = 16  # the most characters of a name
_UPRIGHT = 2  # the most characters of a name for horizontal labels


def shortened(name: str) -> str:
    """Return a name of at most 16 characters; a longer name ends in an ellipsis."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def class_ticks(axis: Axis, classes: Sequence[str]) -> None:
    """Label positions 0, 1, ... of an axis with class names; with more than 60 classes at equal steps."""
    step = -(-len(classes) // _TICKS)
    names = [shortened(name) for name in classes[::step]]
    axis.set_ticks(range(0, len(classes), step), names)
    if isinstance(axis, XAxis) and max(map(len, names)) > _UPRIGHT:
        axis.set_tick_params(labelrotation=90)
    if len(classes) > LABELLED:
        axis.set_tick_params(labelsize=6)
