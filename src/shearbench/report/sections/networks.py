"""The sections on networks: learning curves, feature maps, embedding and Grad-CAM."""

import math
from functools import partial
from pathlib import Path

from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose
from shearbench.report.comparison import (
    RUN,
    Row,
    Rows,
    count,
    data,
    number,
    of_networks,
    per_dataset,
    picture,
    rows_of,
    section,
    spread,
    table,
    wide,
    without_layers,
)

_CURVES = """Lines are means over the folds, bands one standard deviation. Train is the running mean of the epoch in
training mode (with dropout and augmentation, before the last step of the epoch). Validation is measured after the
epoch, on the held-out fold. With early stopping, later epochs are means over fewer folds."""
_MODES = """The accuracy on the training samples during training and the accuracy of the best weights on the same
samples differ. Dropout, augmentation and the weights at the start of the epoch make the first lower. Batch
normalisation uses the statistics of the batch during training and running averages afterwards. If the averages lag,
the second is lower than the first."""


@section("curves", "Learning curves")
def curves(root: Path, rows: Rows) -> list[Block]:
    """Return learning curves with their table, and the accuracies by mode."""
    text = [Prose(_CURVES), *without_layers(root, rows)]
    return [*text, *_dynamics(root)] if of_networks(root, rows) else text


def _dynamics(root: Path) -> list[Block]:
    rows = rows_of(root, "training_dynamics")
    caption = "Losses are cross-entropies in nats; mean ± standard deviation over the networks."
    return [
        wide(root, "learning_curves", "Learning curves of every network, datasets side by side", ["learning_curves"]),
        table(_DYNAMICS, rows, caption, data(root, "training_dynamics")),
        Heading("Training and evaluation"),
        Prose(f"{_MODES} {_widest(rows)}"),
        wide(root, "accuracy_by_mode", "Accuracy of every run while training and when evaluated"),
        table(_BY_MODE, rows, "In %; mean ± standard deviation over the networks."),
    ]


def _reached(row: Row) -> Cell:
    mean, reached, networks = row["epochs_to_low_loss_mean"], row["reached_low_loss"], row["networks"]
    if math.isnan(mean):
        return Cell(f"never (0 of {networks})", math.inf)
    return Cell(f"{mean:.1f} ({reached} of {networks})", mean)


def _widest(rows: Rows) -> str:
    """Return a sentence on the run with the largest drop from training mode to evaluation mode."""
    row = min(rows, key=lambda each: float(each["mode_gap_mean"]))
    if row["mode_gap_mean"] >= 0:
        return "Here, no run has a lower mean in evaluation than in training."
    return (
        f"Here, {row['model']} on {row['dataset']} loses most: {100 * row['train_accuracy_while_training_mean']:.1f} % "
        f"while training, {100 * row['train_accuracy_when_evaluated_mean']:.1f} % when evaluated (means over "
        f"{row['networks']} networks)."
    )


_DYNAMICS = RUN | {
    Column("epochs", True, "done, mean over the folds"): spread("epochs", ".1f"),
    Column(
        "epochs to 0.1",
        True,
        "first epoch with a training loss below 0.1; in brackets the number of networks that reach it",
    ): _reached,
    Column("first loss", True, "training loss of the first epoch"): spread("first_train_loss", ".3f"),
    Column("last loss", True, "training loss of the last epoch"): spread("last_train_loss", ".3f"),
    Column("held-out loss", True, "after the last epoch, on the held-out fold"): spread("last_validation_loss", ".3f"),
    Column("batch spread", True, "standard deviation of the training loss over the mini-batches of the last epoch"): (
        spread("last_batch_loss_sd", ".3f")
    ),
}
_BY_MODE = RUN | {
    Column("while training", True, "accuracy on the training samples during the best epoch, in %"): (
        spread("train_accuracy_while_training", ".1f", 100)
    ),
    Column("when evaluated", True, "accuracy of the best weights on the same samples, in %"): (
        spread("train_accuracy_when_evaluated", ".1f", 100)
    ),
    Column("gap", True, "evaluation minus training, percentage points"): spread("mode_gap", "+.1f", 100),
    Column("held out", True, "accuracy of the best weights on the held-out fold, in %"): (
        spread("validation_accuracy", ".1f", 100)
    ),
}


_FEATURE_MAPS = """\
The same sample as an image and as a field, through the networks of fold 0. Of the convolutions with equal
map resolution the last is shown, and of its channels those with the largest variance over the picture. Channels of
two networks do not correspond. Their resolution, and the layer at which the stroke disappears, can be compared."""


@section("feature-maps", "Feature maps")
def feature_maps(root: Path, rows: Rows) -> list[Block]:
    """Return the text and a figure of each model with convolutions."""
    skipped = {
        record["model"]: record["measurements"]["feature_maps"]["skipped"] for _, record in of_networks(root, rows)
    }
    without = [model for model, reason in skipped.items() if reason]
    text = _FEATURE_MAPS + (f" Without convolutions and not shown: {', '.join(without)}." if without else "")
    pictures = [
        picture(root, f"feature_maps_{model}", f"Feature maps of {model} on every dataset")
        for model, reason in skipped.items()
        if not reason
    ]
    return [Prose(text), *without_layers(root, rows), Pictures(pictures, wide=True)]


_EMBEDDING = """\
Each point is a test sample, with the same samples in every panel. t-SNE maps the input of the last layer of
fold 0's network to the plane. Distances and cluster sizes in such a figure mean little, so the numbers are computed
in that layer itself and for every network. The silhouette is 1 for distant classes and 0 for touching ones. The
purity is the share of a sample's 10 nearest neighbours with its class. The same numbers for the inputs are beside
them; the difference is the effect of learning."""
_SEPARATION = RUN | {
    Column("silhouette", True, "in the penultimate layer; ± standard deviation over the networks"): (
        spread("silhouette", ".3f")
    ),
    Column("purity", True, "in the penultimate layer; ± standard deviation over the networks"): spread("purity", ".3f"),
    Column("silhouette of the inputs", True): number("inputs_silhouette_mean", ".3f"),
    Column("purity of the inputs", True): number("inputs_purity_mean", ".3f"),
    Column("samples", True): count("n"),
    Column("networks", True): count("networks"),
}


@section("embedding", "Embedding (t-SNE)")
def embedding(root: Path, rows: Rows) -> list[Block]:
    """Return the text, the table of both spaces and the figure."""
    skipped = without_layers(root, rows)
    if not of_networks(root, rows):
        return skipped
    found = {(row["dataset"], row["model"], row["space"]): row for row in rows_of(root, "embedding")}
    runs = [(row["dataset"], row["model"]) for row in rows]
    lines = [
        found[*run, "penultimate"] | {f"inputs_{name}": value for name, value in found[*run, "inputs"].items()}
        for run in runs
        if (*run, "inputs") in found
    ]
    shown = wide(root, "embedding", "t-SNE of the penultimate layer of every network on every dataset", ["embedding"])
    return [Prose(_EMBEDDING), *skipped, table(_SEPARATION, lines), shown]


_MAPS = """One test sample per class (the lowest id), the same for every network, fold and dataset. A map shows the
pixels that are evidence for the true class."""
_MEASURED = """Measures of the maps. Deletion removes the pixels with the largest weight first; insertion adds them
first to an input without a sample (Petsiuk et al. 2018). The number is the mean probability of the true class on the
way: low for deletion and high for insertion with a good map. Entropy is 0 for a map of one pixel and 1 for a uniform
map. The share on the stroke counts pixels of the image above half of white. Agreement is the correlation of the maps
of two folds' networks for the same sample. Chance is the value for noise maps of the same resolution; for agreement it
is the value for maps of samples of different classes, because a network that always looks at the same place agrees
with others by habit. Intervals are 95 % t intervals over the {n} samples, with means over the networks as values."""
_FOLDS = (
    "The same samples through the networks of the folds. A difference between folds is no property of the architecture."
)
_MEASURES = {
    "deletion": "less is better",
    "insertion": "more is better",
    "entropy": "0 one pixel, 1 everywhere",
    "stroke": "share of the map on the stroke",
    "agreement": "correlation of the maps of two folds",
}


@section("attribution", "Grad-CAM")
def attribution(root: Path, rows: Rows) -> list[Block]:
    """Return the maps side by side with their measures, and the maps of every fold."""
    networks = of_networks(root, rows)
    pictures = []
    for folder, record in networks:
        text = f"Attribution maps of {record['model']} on {record['dataset']}"
        pictures.append((record["dataset"], Picture.of(folder / "figures" / "gradcam.png", text, _method(record))))
    side_by_side = _explanation(root, rows) if networks else []
    folds = [Prose(_FOLDS), *per_dataset(pictures)]
    return [Prose(_MAPS), *without_layers(root, rows), *side_by_side, *folds]


def _explanation(root: Path, rows: Rows) -> list[Block]:
    measures = rows_of(root, "explanation")
    found = {(row["dataset"], row["model"], row["measure"]): row for row in measures}
    runs = [(row["dataset"], row["model"]) for row in rows if (row["dataset"], row["model"], "entropy") in found]
    lines = [
        {"dataset": dataset, "model": model, **{name: found[dataset, model, name] for name in _MEASURES}}
        for dataset, model in runs
    ]
    columns = RUN | {Column(name, True, text): partial(_measure, name) for name, text in _MEASURES.items()}
    curves = picture(root, "explanation_curves", "Deletion and insertion curves", data=["explanation_curves"])
    return [
        wide(root, "attribution", "Maps of every network of the same samples"),
        Heading("The maps, measured"),
        Prose(_MEASURED.format(n=max(row["n"] for row in measures))),
        table(columns, lines, "Mean (95 % interval over samples; chance).", data(root, "explanation")),
        Pictures(
            [picture(root, "explanation", "Measures of the maps with intervals", data=["explanation"]), curves],
            wide=True,
        ),
        Heading("Fold by fold"),
    ]


def _measure(name: str, row: Row) -> Cell:
    mean, low, high, chance = (row[name][part] for part in ("mean", "low", "high", "chance"))
    if math.isnan(mean):
        return Cell("no map")
    return Cell(f"{mean:.2f} ({low:.2f}\N{EN DASH}{high:.2f}; {chance:.2f})", mean)


def _method(record: Row) -> str:
    """Return a sentence on the method of the maps, and the reason if it is not Grad-CAM."""
    facts = record["measurements"]["gradcam"]
    if facts["skipped"]:
        return f"No Grad-CAM: {facts['skipped']}."
    height, width = facts["resolution"]
    return f"Grad-CAM on layer {facts['layer']}, whose map is {height} × {width}."
