"""Feature maps of one sample in the successive convolutions of each network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Pictures, Prose, Section
from shearbench.report.pictures import missing, of_networks, without_layers

_TITLE = "Feature maps"
_TEXT = """The same digit as an image and as a field, through the networks of fold 0. Of the convolutions with equal
map resolution the last is shown, and of its channels those with the largest variance over the picture. Channels of
two networks do not correspond. Their resolution, and the layer at which the stroke disappears, can be compared."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("feature-maps", _TITLE, [], (comparison.MISSING,))
    facts = [(record["model"], record["measurements"]["feature_maps"]) for _, record in of_networks(root, rows)]
    shown = dict.fromkeys(model for model, found in facts if not found["skipped"])
    without = dict.fromkeys(model for model, found in facts if found["skipped"])
    text = _TEXT + (f" Without convolutions and not shown: {', '.join(without)}." if without else "")
    words = "Feature maps of {} on every dataset"
    pictures = [comparison.picture(root, f"feature_maps_{model}", words.format(model)) for model in shown]
    return Section(
        "feature-maps",
        _TITLE,
        [Prose(text), *without_layers(root, rows), Pictures(pictures, wide=True)],
        missing(root, rows),
    )
