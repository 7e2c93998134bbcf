"""The pictures of a class: before and after, steps of the recipe, groups, why a group is hard, and copies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.data.dataset import CLASSES
from shearbench.evaluation.canvas import BLUE, GREY, ORANGE, bare, colours, figure, plain
from shearbench.handwriting.folder import Sheet
from shearbench.handwriting.results import FEATURES, Findings
from shearbench.handwriting.scores import by_group

_ACROSS = 6  # before-and-after triplets in a row of the sheet
_SHOWN_A_GROUP = 5
_MOST_REJECTED = 24
_MOST_PAIRS = 24


def before_and_after(findings: Findings) -> Figure:
    """Draw the rejected pictures, then some of each group: as drawn, as ``study`` and as ``mnist`` prepare them."""
    sheets = shown(findings)
    rows = -(-len(sheets) // _ACROSS)
    made = figure(2.4 * _ACROSS, 1.0 * rows + 0.5)
    panels = made.subplots(rows, 3 * _ACROSS, squeeze=False)
    for axes in panels.flat:
        bare(axes)
    for place, sheet in enumerate(sheets):
        row, column = divmod(place, _ACROSS)
        _triplet(list(panels[row, 3 * column : 3 * column + 3]), sheet)
    made.suptitle("As drawn, as study prepares it, as mnist prepares it (crossed out where it rejects)", fontsize=12)
    return made


def shown(findings: Findings) -> list[Sheet]:
    """Return the sheets that are pictured: the rejected ones, and evenly spread ones of each group."""
    read = findings.digits.read
    rejected = [sheet for sheet in read if any(one.rejected for one in sheet.prepared.values())][:_MOST_REJECTED]
    chosen = list(rejected)
    for group in np.unique(findings.digits.groups):
        own = [sheet for sheet in read if sheet.entry.writer.group == group and sheet not in rejected]
        places = np.unique(np.linspace(0, len(own) - 1, min(_SHOWN_A_GROUP, len(own))).round().astype(int))
        chosen += [own[place] for place in places]
    return chosen


def _triplet(panels: Sequence[Axes], sheet: Sheet) -> None:
    assert sheet.thumbnail is not None
    panels[0].imshow(sheet.thumbnail)
    panels[0].set_title(_short(sheet.entry.file), fontsize=7, loc="left", pad=2)
    for axes, prepared in zip(panels[1:], sheet.prepared.values(), strict=True):
        axes.imshow(prepared.image, cmap="gray", vmin=0, vmax=255)
        if prepared.rejected:
            axes.plot([0, 27], [0, 27], color=ORANGE, lw=1.5)
            axes.plot([0, 27], [27, 0], color=ORANGE, lw=1.5)


def _short(name: str) -> str:
    stem = name.rpartition(".")[0]
    return stem if len(stem) <= 14 else f"{stem[:13]}…"


def steps_figure(findings: Findings, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw accuracy at each step of the recipe, a line a network, with the interval over writers."""
    made = figure(9, 5)
    axes = made.subplots()
    names = findings.families
    titles = {row["step"]: f"{row['step']}\n{_wrapped(row['title'])}" for row in rows if row["title"] != "per group"}
    where = {step: place for place, step in enumerate(titles)}
    for place, (name, colour) in enumerate(colours(names).items()):
        own = [row for row in rows if row["network"] == name and row.get("n") and row["title"] != "per group"]
        x = np.array([where[row["step"]] for row in own]) + 0.09 * (place - (len(names) - 1) / 2)
        y = np.array([100 * row["accuracy"] for row in own])
        spans = [row["accuracy_interval"] or (row["accuracy"],) * 2 for row in own]
        error = np.array([(y[k] - 100 * low, 100 * high - y[k]) for k, (low, high) in enumerate(spans)]).T
        axes.errorbar(x, y, error.reshape(2, -1), color=colour, fmt="o-", ms=6, lw=1.4, elinewidth=1, label=name)
    plain(axes)
    axes.set_xticks(range(len(titles)), list(titles.values()), fontsize=9)
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(top=101)
    axes.legend(frameon=False, loc="lower right")
    n = len(findings.digits.digits)
    writers = len(np.unique(findings.digits.writers))
    axes.set_title(f"{findings.digits.name}: {n} digits of {writers} writers; bars: 95 % over writers", fontsize=11)
    return made


def _wrapped(title: str) -> str:
    return (
        title.replace(", ", ",\n").replace(" augmentation", "\naugmentation").replace(" preparation", "\npreparation")
    )


def groups_figure(findings: Findings, kinds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw the accuracy of each group with Wilson's interval and n; ``kinds``: legend -> rows of the groups."""
    first = next(iter(kinds.values()))
    made = figure(max(7.0, 0.85 * len(first) + 2), 4.8)
    axes = made.subplots()
    width = 0.8 / len(kinds)
    for place, ((kind, rows), colour) in enumerate(zip(kinds.items(), (GREY, BLUE, ORANGE), strict=False)):
        known = [(x, row) for x, row in enumerate(rows) if row["n"]]
        x = np.array([x for x, _ in known]) + (place - (len(kinds) - 1) / 2) * width
        y = np.array([100 * row["accuracy"] for _, row in known])
        error = np.array(
            [(100 * (row["accuracy"] - row["low"]), 100 * (row["high"] - row["accuracy"])) for _, row in known]
        )
        axes.bar(x, y, width * 0.9, color=colour, alpha=0.75, label=kind)
        axes.errorbar(x, y, error.T, fmt="none", ecolor="black", elinewidth=1, capsize=2)
    axes.set_xticks(range(len(first)), [f"{row['group']}\nn = {row['n_all']}" for row in first])
    plain(axes)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("group")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 105)
    axes.legend(frameon=False, ncols=len(kinds), loc="upper center", bbox_to_anchor=(0.5, 1.12))
    return made


def hardness_figure(findings: Findings, rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw accuracy of each group against the median of each feature in it, and the rank correlation over digits."""
    groups = [row for row in _group_rows(findings) if row["n"]]
    made = figure(12.5, 7.4)
    panels = made.subplots(2, 3, sharey=True)
    for axes, row in zip(panels.flat, rows, strict=False):
        own = [group for group in groups if str(group["group"]) in row["groups"]]
        x = np.array([row["groups"][str(group["group"])] for group in own])
        y = np.array([100 * group["accuracy"] for group in own])
        error = np.array([(100 * (g["accuracy"] - g["low"]), 100 * (g["high"] - g["accuracy"])) for g in own])
        axes.errorbar(x, y, error.T, fmt="o", color=BLUE, ms=6, elinewidth=1)
        for group, left, height in zip(own, x, y, strict=True):
            axes.annotate(str(group["group"]), (left, height), (5, 4), textcoords="offset points", fontsize=9)
        plain(axes)
        axes.set_xlabel(FEATURES[row["feature"]])
        axes.set_title(f"over n = {row['n']} digits: ρ = {_signed(row)}", fontsize=10)
    for axes in panels.flat[len(rows) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy of the group (%)")
    network = findings.networks[findings.chosen]
    made.suptitle(
        f"What goes with being misread by {network.network} ({network.training}): groups by number, "
        "Wilson's 95 % interval;\nρ: rank correlation of a digit's feature with being read rightly, 95 % over writers",
        fontsize=11,
    )
    return made


def _signed(row: Mapping[str, Any]) -> str:
    span = "" if row["interval"] is None else f" ({row['interval'][0]:+.2f} to {row['interval'][1]:+.2f})"
    return f"{row['rank_correlation']:+.2f}{span}"


def _group_rows(findings: Findings) -> list[dict[str, Any]]:
    return by_group(findings.looked_at, findings.digits.groups)


def copies_figure(findings: Findings) -> Figure | None:
    """Draw flagged digits as drawn and prepared beside the MNIST digit that they are too near to; None without any."""
    pairs = sorted(findings.copies, key=lambda copy: -copy.correlation)[:_MOST_PAIRS]
    if not pairs:
        return None
    across = min(4, len(pairs))
    rows = -(-len(pairs) // across)
    made = figure(3.1 * across, 1.35 * rows + 0.6)
    panels = made.subplots(rows, 3 * across, squeeze=False)
    for axes in panels.flat:
        bare(axes)
    place_of = {int(each): place for place, each in enumerate(findings.reference.ids)}
    originals = findings.reference.images
    for place, copy in enumerate(pairs):
        row, column = divmod(place, across)
        three = panels[row, 3 * column : 3 * column + 3]
        sheet = findings.digits.read[copy.row]
        assert sheet.thumbnail is not None
        three[0].imshow(sheet.thumbnail)
        three[0].set_title(_short(sheet.entry.file), fontsize=8, loc="left", pad=2)
        for axes, image in zip(
            three[1:], (sheet.prepared["mnist"].image, originals[place_of[copy.mnist]]), strict=True
        ):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        three[2].set_title(f"{copy.mnist}: {copy.correlation:.3f}", fontsize=8, loc="left", pad=2)
    more = f" ({len(pairs)} of {len(findings.copies)})" if len(findings.copies) > len(pairs) else ""
    made.suptitle(f"As drawn, prepared, and the MNIST digit (id: correlation){more}", fontsize=11)
    return made


def confusion_figure(title: str, counts: NDArray[np.int64], folds: int) -> Figure:
    """Draw (true, predicted) counts over the folds' networks as shares of the true class, with digits a network."""
    made = figure(6.6, 6.0)
    axes = made.subplots()
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(counts / total, cmap="Blues", vmin=0, vmax=1)
    for true, predicted in np.argwhere(counts > 0):
        share = counts[true, predicted] / total[true, 0]
        colour = "white" if share > 0.5 else "black"
        axes.text(
            predicted,
            true,
            f"{counts[true, predicted] / folds:.1f}".removesuffix(".0"),
            ha="center",
            va="center",
            color=colour,
            fontsize=9,
        )
    axes.set_xticks(range(CLASSES))
    axes.set_yticks(range(CLASSES))
    axes.set_xlabel("read as")
    axes.set_ylabel("digit of the file's name")
    axes.set_title(title, fontsize=11)
    made.colorbar(image, label="share of the true class", fraction=0.045, pad=0.02)
    return made
