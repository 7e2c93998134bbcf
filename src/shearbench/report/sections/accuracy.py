"""The sections on accuracy against cost, training samples, noise, corruptions, loads, datasets and displacement."""

import math
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from shearbench.predictions.evaluated import read_table
from shearbench.records import RECORD, read_json
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose, Table
from shearbench.report.comparison import (
    RUN,
    Columns,
    Row,
    Rows,
    count,
    data,
    interval,
    number,
    percent,
    picture,
    rows_of,
    section,
    table,
    wide,
)
from shearbench.report.findings import percent as in_percent
from shearbench.report.findings import span

_COST = """Cross-validated accuracy with its 95 % interval against five costs; up and to the left is better. FLOPs are
those of one prediction, a multiplication and an addition counted as two. Latency is per image on one thread of the CPU
in float32, in batches of 1 and of 64. Costs have logarithmic scales."""
_CURVE = """Cross-validated accuracy with its 95 % interval against the number of training samples. Smaller
training sets are parts of larger ones, and the held-out samples are the same. The ablation `{name}` trains these models
on {folds} folds; its networks may be smaller than those of the comparison."""


def _accuracy(row: Row) -> Cell:
    return Cell(in_percent(row["mean"]), row["mean"], note=span(row["low"], row["high"]))


_SIZES: Columns = {
    Column("dataset"): itemgetter("dataset"),
    Column("model"): itemgetter("curve"),
    Column("training samples", True, "of each fold"): count("train_size"),
    Column("accuracy", True, "cross-validated, in %, with its 95 % interval"): _accuracy,
    Column("n", True, "held-out samples"): count("n"),
}


@section("cost", "Accuracy against cost and training samples")
def cost(root: Path, rows: Rows) -> list[Block]:
    """Return the figure of the costs, and figure and table of each ablation of the number of training samples."""
    shown = wide(root, "cost", "Accuracy of every model against its costs, by dataset", ["cost"])
    unknown = sorted({row["model"] for row in rows if row["flops"] is None})
    note = [Prose(f"Without {', '.join(unknown)} in FLOPs: of a scikit-learn classifier they are not counted.")]
    return [Prose(_COST), *(note if unknown else []), shown, *_curves(root)]


def _curves(root: Path) -> Iterator[Block]:
    """Yield figure and table of each ablation of the number of training samples."""
    for path in sorted((root / "build" / "ablation_results").glob("*/figures/train_size.png")):
        folder = path.parents[1]
        text = _CURVE.format(name=folder.name, folds=read_json(folder / RECORD)["folds"])
        data = [folder / "train_size.csv"]
        yield Heading("Accuracy against training samples")
        yield Prose(text)
        yield Pictures([Picture.of(path, "Accuracy against the number of training samples", data=data)], wide=True)
        rows: Any = read_table(data[0]).to_dict("records")
        yield table(_SIZES, rows, "Accuracy in %, below it its 95 % interval for other samples and another training.")


_DISPLACEMENT = """\
Every training sample gets four numbers from its field: the mean of |u| over all pixels, its mean on the
stroke (weighted by the grey value), the mean length of u minus the field of the block without a digit, and the mean
norm of the displacement gradient. Each number divides the samples of a class into five equal groups. The figure has
the out-of-fold error of each group, with Wilson's 95 % interval. Ranks within classes remove the differences between
classes. Networks trained on images of the same samples are a control: they never get a displacement, so their trend
comes from the shape of the samples."""
_NUMBERS = """Large: the probability that a misclassified sample is displaced more than another sample of its class.
Odd: that its displacement is farther from the median of its class, on either side. Both are 0.5 without a relation;
95 % intervals by DeLong's method, on the logit scale."""
_NAMES = {
    "overall": "mean |u|",
    "stroke": "|u| on the stroke",
    "disturbance": "mean |u - u of the empty block|",
    "gradient": "mean norm of the gradient of u",
}
_WITHIN_CLASSES = "Within classes. Bold: the interval excludes 0.5; 1 in 20 does so by chance."


@section("displacement", "Displacement and errors")
def displacement(root: Path, _: Rows) -> list[Block]:
    """Return figures and table of each dataset of fields; nothing without one."""
    if not (root / "build" / "comparison" / "displacement_areas.csv").is_file():
        return []
    areas = [row for row in rows_of(root, "displacement_areas") if row["ranked"] == "within class"]
    files = [*data(root, "displacement_areas"), *data(root, "errors_by_displacement")]
    blocks: list[Block] = [Prose(_DISPLACEMENT)]
    for name in dict.fromkeys(row["fields"] for row in areas):
        shown = wide(root, f"displacement_{name}", f"Errors by displacement of {name}")
        blocks += [Heading(name), *_mean_fields(root, name), shown]
        blocks.append(Prose(f"{_NUMBERS} {_finding(areas, name)}"))
        blocks.append(table(_AREAS, [row for row in areas if row["fields"] == name], _WITHIN_CLASSES, files))
    return blocks


def _mean_fields(root: Path, name: str) -> list[Block]:
    folder = root / "build" / "explore" / name
    path = folder / "displacement_classes.png"
    if not path.is_file():
        return []
    text = f"Mean displacement of each class of {name}, the norm of its gradient, and what the digits change in it"
    return [Pictures([Picture.of(path, text, f"{text}.", [folder / "displacement.csv"])], wide=True)]


def _finding(areas: Rows, name: str) -> str:
    """Return a sentence with the number of runs with errors at large, and at unusual, displacement."""
    counts = []
    for dataset in dict.fromkeys(row["dataset"] for row in areas):
        rows = [row for row in areas if (row["fields"], row["dataset"], row["measure"]) == (name, dataset, "overall")]
        large, odd = (sum(row[f"{kind}_low"] > 0.5 for row in rows) for kind in ("large", "odd"))
        counts.append(f"large for {large} and odd for {odd} of {len(rows)} models on {dataset}")
    return f"By mean |u|, the whole interval is above 0.5: {'; '.join(counts)}."


def _area(name: str, row: Row) -> Cell:
    area, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return Cell("too few errors")
    return Cell(f"{area:.2f} ({low:.2f} to {high:.2f})", area, strong=low > 0.5 or high < 0.5)


_AREAS: Columns = {
    Column("displacement"): lambda row: _NAMES[row["measure"]],
    Column("predicted from", help="the dataset of the networks"): itemgetter("dataset"),
    Column("model"): itemgetter("model"),
    Column("errors", True, "out of fold, mean over the repeats"): number("errors", "g"),
    Column("large", True, "probability that a misclassified sample is displaced more than another of its class"): (
        partial(_area, "large")
    ),
    Column("odd", True, "probability that its displacement is less usual than that of another of its class"): (
        partial(_area, "odd")
    ),
}


_NOISE = """Accuracy under Gaussian noise on the inputs. Top: noise in units of the deviation between samples, which is
the root mean square, over the pixels of a channel, of the standard deviation over the test samples. At 1 the noise
equals the differences between samples, on every dataset. Bottom: noise in the input's own units, as in a study. There
the datasets cannot be compared, because displacements differ between samples by a few hundredths of a pixel. The
network of each fold predicts its own share of the test samples. Bands are one standard deviation over networks and
draws of the noise, which is the same for every network of a fold."""
_CORRUPTIONS = """Each corruption has five severities. Its random part for a sample (a direction, a place) is the same
for every network of a fold and at all severities. The mean corruption error (mCE, Hendrycks and Dietterich 2019) is
the error under a corruption, summed over its severities, relative to the error of `{baseline}` on the same samples,
and averaged over the corruptions. Below 100 % means less fragile than `{baseline}`."""
_PHYSICAL = """Fields are corrupted as measurements are. A rigid offset or rotation of the whole block changes no
strain, and a slightly larger or smaller load scales a field without changing the sample. A model that knew its
mechanics would lose nothing in these three. Lengths are in units of the imposed displacement."""


@section("noise", "Noise")
def noise(root: Path, _: Rows) -> list[Block]:
    """Return the text, the figure and the table of noise in units of the deviation."""
    rows = [row for row in rows_of(root, "noise") if row["scale"] == "own"]
    levels = sorted({float(row["level"]) for row in rows})
    columns = [Column("dataset"), Column("model"), *(Column(f"{level:g}", True) for level in levels)]
    found = {(row["dataset"], row["model"], float(row["level"])): row for row in rows}
    runs = dict.fromkeys((row["dataset"], row["model"]) for row in rows)
    lines = [[*run, *(_spread(found[*run, level]) for level in levels)] for run in runs]
    caption = (
        f"Accuracy in % against the noise in units of the deviation between samples; ± is the standard deviation "
        f"over {max(row['readings'] for row in rows)} evaluations (networks x draws) of "
        f"{min(row['n'] for row in rows)} samples."
    )
    shown = wide(root, "noise", "Accuracy of every network against Gaussian noise", ["noise"])
    return [Prose(_NOISE), shown, Table(columns, lines, caption)]


def _spread(row: Row) -> Cell:
    return Cell(f"{100 * row['accuracy_mean']:.1f} ± {100 * row['accuracy_sd']:.1f}", row["accuracy_mean"])


@section("corruption", "Corruptions")
def corruption(root: Path, rows: Rows) -> list[Block]:
    """Return the text, the table of errors and two figures of each dataset."""
    errors = rows_of(root, "corruption_error")
    shown = [{**row, "hardest": _hardest(row, errors)} for row in errors if row["corruption"] == "all"]
    pictures = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        words = f"Accuracy under each corruption of {dataset} at five severities"
        pictures.append(picture(root, f"corruption_{dataset}", words, words + ".", ["corruptions"]))
        words = f"One sample of {dataset} under each corruption"
        pictures.append(picture(root, f"corruption_samples_{dataset}", words, words + "."))
    return [
        Prose(_CORRUPTIONS.format(baseline=errors[0]["baseline"])),
        Prose(_PHYSICAL),
        table(_ERRORS, shown, data=data(root, "corruption_error")),
        Pictures(pictures, wide=True),
    ]


def _hardest(row: Row, errors: Rows) -> str:
    """Return the corruption with the largest error of a run."""
    run = (row["dataset"], row["model"])
    of_run = [each for each in errors if (each["dataset"], each["model"]) == run and each["corruption"] != "all"]
    hardest = max(of_run, key=lambda each: float(each["error"]))
    return f"{hardest['corruption']} ({100 * hardest['error']:.0f} %)"


def _relative(row: Row) -> Cell:
    if math.isnan(row["relative"]):
        return Cell("no baseline")
    mean, low, high = (100 * row[name] for name in ("relative", "low", "high"))
    return Cell(f"{mean:.0f} ({low:.0f} to {high:.0f})", row["relative"])


_ERRORS = RUN | {
    Column("clean error", True, "error on the same samples without corruption, in %"): percent("clean_error"),
    Column("corrupted error", True, "mean over corruptions and severities, in %"): percent("error"),
    Column("mCE", True, "mean corruption error, in % of the baseline; 95 % jackknife interval over the networks"): (
        _relative
    ),
    Column("hardest", help="the corruption with the largest error"): itemgetter("hardest"),
    Column("samples", True): count("samples"),
    Column("networks", True): count("networks"),
}


_SEVERITY = """Models of fields are trained at one displacement. Here they predict the same test samples at every
published step of their load: as measured, and divided by the load, that is multiplied by (own displacement /
displacement of the step). A user who knows the load can do the latter; it is exact for a linear material."""
_TRANSFER = """Each model predicts the test samples of the other datasets, with its own normalisation and with one of
the same kind refitted to the training samples of the other dataset. A one-channel image is doubled for a model of two
channels."""
_PREDICTS: Columns = {
    Column("dataset", help="training dataset of the networks"): itemgetter("dataset"),
    Column("model"): itemgetter("model"),
    Column("predicts", help="dataset of the test samples"): itemgetter("reads"),
    Column("normalisation"): itemgetter("normalisation"),
    Column("accuracy", True, "mean over the networks, in %; 95 % Wilson interval for the samples"): (
        interval("accuracy_mean", "accuracy")
    ),
    Column("samples", True): count("n"),
}


@section("transfer", "Transfer to other loads and datasets")
def transfer(root: Path, _: Rows) -> list[Block]:
    """Return the figure of other loads, and the table of other datasets; each if there are results."""
    blocks: list[Block] = []
    if rows_of(root, "severity"):
        shown = wide(root, "severity", "Accuracy of models of fields at every step of their load", ["severity"])
        blocks += [Heading("Other loads"), Prose(_SEVERITY), shown]
    rows = rows_of(root, "transfer")
    if not rows:
        return blocks
    skipped = [row for row in rows if isinstance(row["skipped"], str)]
    possible = [row for row in rows if not isinstance(row["skipped"], str)]
    left_out = dict.fromkeys(f"{row['reads']} by a model of {row['dataset']}: {row['skipped']}" for row in skipped)
    blocks += [Heading("Other datasets"), Prose(_TRANSFER)]
    blocks += [Prose(f"Not possible: {'; '.join(left_out)}.")] if left_out else []
    return blocks + ([table(_PREDICTS, possible, data=data(root, "transfer"))] if possible else [])
