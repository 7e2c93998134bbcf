"""Feature maps of one sample in the successive convolutions of each network."""

from pathlib import Path

from shearbench.report.blocks import Block, Pictures, Prose
from shearbench.report.comparison import Rows, of_networks, picture, section, without_layers

_TEXT = """The same sample as an image and as a field, through the networks of fold 0. Of the convolutions with equal
map resolution the last is shown, and of its channels those with the largest variance over the picture. Channels of
two networks do not correspond. Their resolution, and the layer at which the stroke disappears, can be compared."""


@section("feature-maps", "Feature maps")
def read(root: Path, rows: Rows) -> list[Block]:
    """Return the text and a figure of each model with convolutions."""
    skipped = {
        record["model"]: record["measurements"]["feature_maps"]["skipped"] for _, record in of_networks(root, rows)
    }
    without = [model for model, reason in skipped.items() if reason]
    text = _TEXT + (f" Without convolutions and not shown: {', '.join(without)}." if without else "")
    pictures = [
        picture(root, f"feature_maps_{model}", f"Feature maps of {model} on every dataset")
        for model, reason in skipped.items()
        if not reason
    ]
    return [Prose(text), *without_layers(root, rows), Pictures(pictures, wide=True)]
