"""The figures of a class: preparation, steps of the recipe, groups, features of hard digits, copies, confusion."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.data.handwritten import CLASSES
from shearbench.handwriting.folder import THUMBNAIL, Sheet
from shearbench.handwriting.results import FEATURES, Findings, Row
from shearbench.handwriting.scores import by_group
from shearbench.plotting.canvas import BLUE, GREY, INK, ORANGE, bare, colours, figure, plain
from shearbench.plotting.scores import confusion_panel

Colours = NDArray[np.uint8]

_NAME, _GAP = 16, 14  # pixels above a tile for its name, and between triplets
_CROSS = (213, 94, 0)
_SHOWN_A_GROUP, _MOST_REJECTED, _MOST_PAIRS = 5, 24, 24
_LABEL = (0.05, 0.045)  # width and height of a short label, as shares of a panel of the hardness figure


def before_and_after(findings: Findings) -> Figure:
    """Draw rejected pictures, then some of each group: as drawn, and as ``study`` and ``mnist`` prepare them."""
    tiles = []
    for sheet in _shown(findings):
        assert sheet.thumbnail is not None
        prepared = [_crossed(_enlarged(one.image), bool(one.rejected)) for one in sheet.prepared.values()]
        tiles.append((_short(sheet.entry.file), [sheet.thumbnail, *prepared]))
    title = "As drawn, as study prepares it, as mnist prepares it (crossed out where it rejects)"
    return _sheet(title, tiles, across=6)


def _sheet(title: str, tiles: Sequence[tuple[str, Sequence[Colours]]], *, across: int) -> Figure:
    """Draw named triplets of pictures (64, 64, 3) as one picture, with ``across`` triplets side by side."""
    across = min(across, len(tiles))
    rows = -(-len(tiles) // across)
    height, width = THUMBNAIL + _NAME, 3 * (THUMBNAIL + 3) + _GAP
    picture = np.zeros((rows * height, across * width - _GAP, 4), np.uint8)  # transparent between the tiles
    made = figure(width * across / 85, height * rows / 85 + 0.5)
    axes = made.subplots()
    for place, (name, images) in enumerate(tiles):
        top, left = (place // across) * height + _NAME, (place % across) * width
        for number, image in enumerate(images):
            start = left + number * (THUMBNAIL + 3)
            picture[top : top + THUMBNAIL, start : start + THUMBNAIL] = np.dstack(
                [image, np.full_like(image[..., 0], 255)]
            )
        axes.text(left, top - 4, name, fontsize=7, va="bottom")
    axes.imshow(picture, interpolation="nearest")
    bare(axes)
    made.suptitle(title, fontsize=11)
    return made


def _enlarged(image: NDArray[np.uint8]) -> Colours:
    """Return a 28 x 28 image at twice its size as a tile (64, 64, 3) with a grey frame."""
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    tile = np.pad(large, (THUMBNAIL - len(large)) // 2, constant_values=110)
    return np.repeat(tile[..., None], 3, axis=2)


def _crossed(tile: Colours, rejected: bool) -> Colours:
    if not rejected:
        return tile
    y, x = np.mgrid[0:THUMBNAIL, 0:THUMBNAIL]
    line = (np.abs(y - x) <= 1) | (np.abs(y + x - THUMBNAIL + 1) <= 1)
    return np.where(line[..., None], np.array(_CROSS, np.uint8), tile)


def _shown(findings: Findings) -> list[Sheet]:
    """Return the sheets to draw: up to 24 rejected ones, and up to 5 of each group, evenly spread."""
    read = findings.digits.read
    rejected = [sheet for sheet in read if any(one.rejected for one in sheet.prepared.values())][:_MOST_REJECTED]
    chosen = []
    for group in np.unique(findings.digits.groups):
        own = [sheet for sheet in read if sheet.entry.group == group and sheet not in rejected]
        places = np.linspace(0, len(own) - 1, min(_SHOWN_A_GROUP, len(own))).round().astype(int)
        chosen += [own[place] for place in places]
    return rejected + chosen


def _short(name: str) -> str:
    stem = name.rpartition(".")[0]
    return stem if len(stem) <= 14 else f"{stem[:13]}…"


def steps_figure(findings: Findings, rows: Sequence[Row]) -> Figure:
    """Draw accuracy at each step of the recipe, one line per network, with intervals over writers."""
    made = figure(9, 5)
    axes = made.subplots()
    names = findings.families
    rows = [row for row in rows if row["title"] != "per group"]
    titles = {row["step"]: f"{row['step']}\n{_wrapped(row['title'])}" for row in rows}
    where = {step: place for place, step in enumerate(titles)}
    for place, (name, colour) in enumerate(colours(names).items()):
        own = [row for row in rows if row["model"] == name and row.get("n")]
        x = np.array([where[row["step"]] for row in own]) + 0.09 * (place - (len(names) - 1) / 2)
        spans = [row["accuracy_interval"] or (row["accuracy"],) * 2 for row in own]
        y, error = _percent((row["accuracy"], *span) for row, span in zip(own, spans, strict=True))
        axes.errorbar(x, y, error, color=colour, fmt="o-", ms=6, lw=1.4, elinewidth=1, label=name)
    plain(axes)
    axes.set_xticks(range(len(titles)), list(titles.values()), fontsize=9)
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(top=101)
    axes.legend(frameon=False, loc="lower right")
    digits, writers = findings.digits, len(np.unique(findings.digits.writers))
    title = f"{digits.name}: {len(digits.files)} digits of {writers} writers; bars: 95 % over writers"
    axes.set_title(title, fontsize=11)
    return made


def _wrapped(title: str) -> str:
    return re.sub(r"(?<=,) | (?=augmentation|preparation)", "\n", title)


def _percent(accuracies: Iterable[tuple[float, float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracies (n,) in percent, and the lengths (2, n) of their intervals, from accuracy, low and high."""
    accuracy, low, high = np.array([*accuracies]).reshape(-1, 3).T
    return 100 * accuracy, 100 * np.stack([accuracy - low, high - accuracy])


def _of_groups(rows: Iterable[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return _percent((row["accuracy"], row["low"], row["high"]) for row in rows)


def groups_figure(kinds: Mapping[str, Sequence[Row]]) -> Figure:
    """Draw the accuracy of each group with Wilson's interval and n; ``kinds``: legend -> rows of the groups."""
    first = next(iter(kinds.values()))
    made = figure(max(7.0, 0.85 * len(first) + 2), 4.8)
    axes = made.subplots()
    width = 0.8 / len(kinds)
    for place, ((kind, rows), colour) in enumerate(zip(kinds.items(), (GREY, BLUE, ORANGE), strict=False)):
        known = [(x, row) for x, row in enumerate(rows) if row["n"]]
        x = np.array([x for x, _ in known]) + (place - (len(kinds) - 1) / 2) * width
        y, error = _of_groups(row for _, row in known)
        axes.bar(x, y, width * 0.9, color=colour, alpha=0.75, label=kind)
        axes.errorbar(x, y, error, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    axes.set_xticks(range(len(first)), [f"{row['group']}\nn = {row['n_all']}" for row in first])
    plain(axes)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("group")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 105)
    made.legend(frameon=False, loc="outside upper center")  # in one column: a row would be wider than the figure
    return made


def hardness_figure(findings: Findings, rows: Sequence[Row]) -> Figure:
    """Draw the accuracy of each group against its median of each feature, with the rank correlation over digits."""
    groups = [row for row in by_group(findings.examined, findings.digits.groups, findings.writers) if row["n"]]
    made = figure(12.5, 7.4)
    panels = made.subplots(2, 3, sharey=True)
    points: list[tuple[Axes, list[str], NDArray[np.float64], NDArray[np.float64]]] = []
    for axes, row in zip(panels.flat, rows, strict=False):
        own = [group for group in groups if str(group["group"]) in row["groups"]]
        x = np.array([row["groups"][str(group["group"])] for group in own])
        y, error = _of_groups(own)
        axes.errorbar(x, y, error, fmt="o", color=BLUE, ms=6, elinewidth=1)
        points.append((axes, [str(group["group"]) for group in own], x, y))
        plain(axes)
        axes.set_xlabel(FEATURES[row["feature"]])
        axes.set_title(f"over n = {row['n']} digits: ρ = {_signed(row)}", fontsize=10)
    for axes, names, x, y in points:  # after all points: the panels share their scale
        for label, left, height in shared_labels(axes, names, x, y):
            axes.annotate(label, (left, height), (5, 4), textcoords="offset points", fontsize=9)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy of the group (%)")
    network = findings.networks[findings.chosen]
    made.suptitle(
        f"Accuracy of {network.network} ({network.training}) by features of the digits: groups by number, "
        "Wilson's 95 %;\nρ: rank correlation of a digit's feature with correct predictions, 95 % over writers",
        fontsize=11,
    )
    return made


def shared_labels(
    axes: Axes, names: Sequence[str], x: NDArray[np.float64], y: NDArray[np.float64]
) -> Iterator[tuple[str, float, float]]:
    """Yield a label for each point; points with overlapping labels share one."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    places = np.stack([(x - left) / (right - left), (y - bottom) / (top - bottom)], axis=1)
    free = list(np.lexsort((x, -y)))
    while free:
        first = free[0]
        together = [each for each in free if (np.abs(places[each] - places[first]) < _LABEL).all()]
        yield ", ".join(names[each] for each in together), float(x[first]), float(y[first])
        free = [each for each in free if each not in together]


def _signed(row: Row) -> str:
    span = "" if row["interval"] is None else f" ({row['interval'][0]:+.2f} to {row['interval'][1]:+.2f})"
    return f"{row['rank_correlation']:+.2f}{span}"


def copies_figure(findings: Findings) -> Figure | None:
    """Draw flagged digits, as drawn and prepared, beside their nearest MNIST digit; return None without any."""
    pairs = sorted(findings.copies, key=lambda copy: -copy.correlation)[:_MOST_PAIRS]
    if not pairs:
        return None
    originals = dict(zip(findings.reference.ids.tolist(), findings.reference.images, strict=True))
    tiles = []
    for copy in pairs:
        sheet, original = findings.digits.read[copy.row], originals[copy.mnist]
        assert sheet.thumbnail is not None
        name = f"{_short(sheet.entry.file)}, MNIST {copy.mnist}: {copy.correlation:.3f}"
        tiles.append((name, [sheet.thumbnail, _enlarged(sheet.prepared["mnist"].image), _enlarged(original)]))
    more = f"; {len(pairs)} of {len(findings.copies)}" if len(findings.copies) > len(pairs) else ""
    return _sheet(f"As drawn, prepared, and the MNIST digit (its id: correlation{more})", tiles, across=4)


def confusion_figure(title: str, counts: NDArray[np.int64], folds: int) -> Figure:
    """Draw counts (true, predicted) of all folds as shares of the true class, with digits per network beside them."""
    made = figure(6.6, 6.0)
    axes = made.subplots()
    image = confusion_panel(axes, counts / folds, [str(digit) for digit in range(CLASSES)])
    axes.set_ylabel("digit of the file's name")
    axes.set_title(title, fontsize=11)
    made.colorbar(image, label="share of the true class", fraction=0.045, pad=0.02)
    return made
