"""Create matplotlib figures without a window and save them with the same bytes every time.

The background is transparent and text is mid-grey, so that one figure is legible on white paper and on a dark page.
Colours: Okabe and Ito's palette, which colour-blind readers can distinguish.
"""

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from PIL import Image

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5f6368"
PALETTE = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of models."""
_OF_MODELS = dict(zip(("mlp", "cnn2", "cnn3", "resnet18", "svm"), PALETTE, strict=False))
"""The colour of a model that the default projects have, in each figure, also in one that shows only some models."""
OF_DATASETS = ("#8A63B3", "#A67C00", "#2A8C82", "#B0413E")
"""Colours of datasets: purple, ochre, teal and brick, which differ from those of models."""
INK = "#757575"
"""Colour of text and axes: contrast 4.6 : 1 on white and 3.9 : 1 on the report's dark background (WCAG 2.2)."""
DPI = 150
LABELLED = 26
"""The most classes for which a matrix shows numbers; with more classes it shows colours only."""
_TICKS = 60  # the most names on an axis
_LONGEST = 16  # the most characters of a name
_BESIDE = 10  # the most characters of two names on one line above a tile, and of each if they have a line each
_UPRIGHT = 2  # the most characters of a name for horizontal labels
_LETTER, _ENTRY = 0.09, 1.4  # width in inches of a letter in a title, of an entry in a legend
_NARROW = 4.0  # largest ratio of the ends for which a logarithmic axis has evenly spaced labels
_LABELS = ((20.0, (1, 2, 5)), (1000.0, (1, 3)), (np.inf, (1,)))  # largest ratio of the ends, labels of each decade
mpl.rcParams.update(
    {
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "axes.edgecolor"), INK),
        **dict.fromkeys(("xtick.color", "ytick.color"), INK),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
    }
)


def figure(width: float, height: float) -> Figure:
    """Return an empty figure, ``width`` x ``height`` inches, with a layout that clips no label."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def png(made: Figure) -> bytes:
    """Return a figure as PNG bytes, drawn once: ``savefig`` draws it twice, first without rendering."""
    canvas: Any = FigureCanvasAgg(made)
    canvas.draw()
    buffer = io.BytesIO()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    picture.save(buffer, format="PNG", dpi=(DPI, DPI))
    return buffer.getvalue()


def pdf(made: Figure) -> bytes:
    """Return a figure as PDF bytes, without a creation date."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


def headed(made: Figure, title: str, handles: Sequence[Any] = ()) -> None:
    """Write a title above a figure, wrapped to its width, and below it the legend of ``handles``, if any."""
    width = made.get_figwidth()
    lines = [line for part in title.split("\n") for line in textwrap.wrap(part, int(width / _LETTER))]
    made.suptitle("\n".join(lines), fontsize=11)
    if handles:
        columns = min(len(handles), max(1, int(width / _ENTRY)))
        made.legend(handles=list(handles), loc="outside lower center", ncols=columns, frameon=False)


def entry(label: str, colour: str = GREY, **style: Any) -> Line2D:
    """Return the entry of a legend."""
    return Line2D([], [], color=colour, label=label, **style)


def band(axes: Axes, colour: str, x: Any, mean: Any, low: Any, high: Any, *, alpha: float = 0.15, **line: Any) -> None:
    """Draw a line in the style of ``line``, and the area from ``low`` to ``high`` in its colour."""
    axes.plot(x, mean, color=colour, **line)
    axes.fill_between(x, low, high, color=colour, alpha=alpha, lw=0)


def accuracy_band(axes: Axes, colour: str, x: Any, rows: pd.DataFrame, *, alpha: float = 0.15, **line: Any) -> None:
    """Draw ``accuracy_mean`` with its interval, ``accuracy_low`` to ``accuracy_high``, in percent."""
    mean, low, high = (100 * rows[f"accuracy_{part}"] for part in ("mean", "low", "high"))
    band(axes, colour, x, mean, low, high, alpha=alpha, **line)


def accuracy_axis(axes: Axes, guessing: float) -> None:
    """Let an axis show accuracies from 0 to 100 %, with a dotted line at that of guessing, in percent."""
    plain(axes)
    axes.axhline(guessing, color=GREY, ls=":", lw=1)
    axes.set_ylim(0, 102)


def plain(axes: Axes) -> None:
    """Remove the top and right of the frame and draw a light grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def bare(axes: Axes) -> None:
    """Remove ticks and frame from axes that show a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def colours(names: Sequence[str], palette: Sequence[str] = PALETTE) -> dict[str, str]:
    """Return name -> colour, in the order of ``names``; colours repeat if there are more names than colours.

    Models of the default projects have the same colour in all figures; other names share the colours that are left.
    """
    fixed = {name: _OF_MODELS[name] for name in names if palette == PALETTE and name in _OF_MODELS}
    left = [colour for colour in palette if colour not in fixed.values()] or list(palette)
    others = [name for name in names if name not in fixed]
    found = fixed | {name: left[place % len(left)] for place, name in enumerate(others)}
    return {name: found[name] for name in names}


def readable_log(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers; a wider axis has fewer labels per decade.

    An axis that spans less than a factor of 4 has up to three numbers.
    """
    least, most = sorted(axis.get_view_interval())
    if most < _NARROW * least:
        axis.set_major_locator(MaxNLocator(3))
    else:
        subs = next(subs for limit, subs in _LABELS if most < limit * least)
        axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def shortened(name: str, most: int = _LONGEST) -> str:
    """Return a name of at most ``most`` characters; a longer name ends in an ellipsis."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def two_names(first: str, word: str, second: str) -> str:
    """Return 'first word second' for the space above a tile; if it is too long, each name has its own line."""
    if len(first) + len(second) <= _BESIDE:
        return f"{first}{word} {second}"
    return f"{shortened(first, _BESIDE)}{word}\n{shortened(second, _BESIDE)}"


def class_ticks(axis: Axis, classes: Sequence[str]) -> None:
    """Label positions 0, 1, ... of an axis with class names; with more than 60 classes at equal steps."""
    step = -(-len(classes) // _TICKS)
    names = [shortened(name) for name in classes[::step]]
    axis.set_ticks(range(0, len(classes), step), names)
    if isinstance(axis, XAxis) and max(map(len, names)) > _UPRIGHT:
        axis.set_tick_params(labelrotation=90)
    if len(classes) > LABELLED:
        axis.set_tick_params(labelsize=6)
