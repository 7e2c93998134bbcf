"""Accuracy of every model against what it costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Pictures, Prose, Section

_TITLE = "Accuracy against cost"
_TEXT = """Cross-validated accuracy with its 95 % interval against five costs; up and to the left is better. FLOPs are
those of one prediction, a multiplication and an addition counted as two. Latency is per image on one thread of the CPU
in float32, in batches of 1 and of 64. Costs have logarithmic scales."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("cost", _TITLE, [], (comparison.MISSING,))
    picture = comparison.picture(root, "cost", "Accuracy of every model against its costs, by dataset", data=["cost"])
    unknown = sorted({row["model"] for row in rows if row["flops"] is None})
    told = [Prose(f"Without {', '.join(unknown)} in FLOPs: of a scikit-learn classifier they are not counted.")]
    blocks: list[Block] = [Prose(_TEXT), *(told if unknown else []), Pictures([picture], wide=True)]
    return Section("cost", _TITLE, blocks)
