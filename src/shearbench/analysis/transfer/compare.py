"""Compare the transfer of models: accuracy at other steps of the load, and on other datasets."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.plotting.canvas import GREY, accuracy_axis, accuracy_band, colours, entry, figure
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.predictions.evaluated import EvaluatedRuns
from shearbench.records import read_record

_STYLES = ("-", "--")
"""Lines of the fields as measured, and divided by the load."""


def transfer(evaluated: EvaluatedRuns) -> Files:
    """Return ``severity.csv``, ``transfer.csv`` and, for fields, the figure of the severity.

    Raises:
        InputError: if ``build/transfer`` is missing or damaged.
    """
    folder = evaluated.build / "transfer"
    read_record(folder)
    steps, datasets = (pd.read_csv(folder / f"{name}.csv") for name in ("severity", "datasets"))
    files: dict[str, Writer] = {"severity.csv": table(steps), "transfer.csv": table(datasets)}
    if len(steps):
        files["figures/severity.png"] = picture(severity_figure(evaluated, steps))
    return files


def severity_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw one panel per dataset of fields: accuracy at each step of its load, with Wilson's interval."""
    colour, datasets = colours(evaluated.palette), list(rows["dataset"].unique())
    styles = dict(zip(rows["adaptation"].unique(), _STYLES, strict=True))
    made = figure(5.2 * len(datasets) + 2.2, 4.3)
    panels = made.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        of_dataset = rows[rows["dataset"] == dataset]
        for model in of_dataset["model"].unique():
            of_model = of_dataset[of_dataset["model"] == model]
            for adaptation, style in styles.items():
                part = of_model[of_model["adaptation"] == adaptation]
                line = {"ls": style, "marker": "o", "ms": 3.5, "lw": 1.4}
                accuracy_band(axes, colour[model], part["step"], part, alpha=0.13, **line)
        _axis(axes, of_dataset, evaluated.guessing(dataset))
        axes.set_title(f"{dataset}: {evaluated.entry(dataset)['load']}", fontsize=11)
    panels[0].set_ylabel("accuracy (%)")
    present = [model for model in evaluated.models if model in set(rows["model"])]
    handles = [entry(model, colour[model], marker="o", ms=4) for model in present]
    handles += [entry(adaptation, ls=style) for adaptation, style in styles.items()]
    made.legend(handles=[*handles, entry("guessing", ls=":")], loc="outside right center", frameon=False)
    networks, samples = rows["readings"].max(), rows["n"].min()
    made.suptitle(f"Mean over {networks} networks and Wilson's 95 % interval for {samples} test samples", fontsize=11)
    return made


def _axis(axes: Axes, rows: pd.DataFrame, guessing: float) -> None:
    accuracy_axis(axes, guessing)
    axes.axvline(int(rows.loc[rows["trained"], "step"].iloc[0]), color=GREY, lw=1)
    steps = rows.drop_duplicates("step")
    axes.set_xticks(steps["step"], [f"{displacement:g}" for displacement in steps["displacement"]])
    axes.set_xlabel("imposed displacement (pixels) at each step; the line is where it was trained")
