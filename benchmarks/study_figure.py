"""Draw `reports/full/study/epochs.png`, the accuracy after each epoch, from `history.csv` beside it.

    python benchmarks/study_figure.py

One line per fold: held-out accuracy as trained and recalibrated, and the published test accuracy of each model.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from shearbench.plotting.canvas import INK, PALETTE, entry, figure, headed, plain, png
from shearbench.report.claims import Accuracy, read_claims

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "reports" / "full" / "study"
DATASETS = {
    "none": ("unscaled", "mechanical"),
    "divide255": ("divided by 255", "mechanical"),
    "pixel": ("standardised pixels", "mechanical"),
    "mnist": ("MNIST", "mnist"),
}
"""Dataset of the history -> its name in the figure, and the dataset of the published accuracy."""
LINES = {"validation_accuracy": ("as trained", PALETTE[1]), "recalibrated": ("recalibrated", PALETTE[3])}


def draw(history: pd.DataFrame) -> Figure:
    """Return a panel for each dataset and model, with a line for each fold."""
    datasets = {name: each for name, each in DATASETS.items() if name in set(history["dataset"])}
    numbers = [each for each in read_claims(ROOT)["mechanical-mnist"].published if isinstance(each, Accuracy)]
    published = {(each.dataset, model): each.value for each in numbers for model in each.models}
    made = figure(3.0 * len(datasets) + 0.6, 5.2)
    panels = made.subplots(2, len(datasets), sharex=True, sharey=True, squeeze=False)
    for row, model in enumerate(("resnet18", "cnn3")):
        for panel, (dataset, (name, claimed)) in zip(panels[row], datasets.items(), strict=True):
            own = history[(history["dataset"] == dataset) & (history["model"] == model)]
            for column, (_, colour) in LINES.items():
                for _, fold in own.groupby("fold"):
                    panel.plot(fold["epoch"], 100 * fold[column], color=colour, linewidth=0.9, alpha=0.8)
            panel.axhline(published[claimed, model], color=INK, ls="--", lw=1)
            count = own["fold"].nunique()
            title = f"{name}, {model} ({count} {'fold' if count == 1 else 'folds'})"
            panel.set_title(title, loc="left", fontsize=9)
            panel.set_ylim(0, 100)
            plain(panel)
        panels[row][0].set_ylabel("accuracy in %", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("epoch", fontsize=9)
    handles = [entry(label, colour) for label, colour in LINES.values()]
    headed(made, "The study's own size: held-out accuracy", [*handles, entry("published test accuracy", INK, ls="--")])
    return made


if __name__ == "__main__":
    (FOLDER / "epochs.png").write_bytes(png(draw(pd.read_csv(FOLDER / "history.csv"))))
