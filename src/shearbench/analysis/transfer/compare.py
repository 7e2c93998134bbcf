"""Compare the transfer of models: accuracy at other steps of the load, and on other datasets."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shearbench.analysis.transfer.adaptation import AS_MEASURED, DIVIDED
from shearbench.plotting.canvas import GREY, colours, figure, plain
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.predictions.evaluated import EvaluatedRuns
from shearbench.records import read_record

_STYLES = {AS_MEASURED: "-", DIVIDED: "--"}


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
    made = figure(5.2 * len(datasets) + 2.2, 4.3)
    panels = made.subplots(1, len(datasets), squeeze=False, sharey=True)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        of_dataset = rows[rows["dataset"] == dataset]
        for model in of_dataset["model"].unique():
            of_model = of_dataset[of_dataset["model"] == model]
            for adaptation, style in _STYLES.items():
                _line(axes, of_model[of_model["adaptation"] == adaptation], colour[model], style)
        _axis(axes, of_dataset, evaluated.guessing(dataset))
        axes.set_title(f"{dataset}: {evaluated.entry(dataset)['load']}", fontsize=11)
    panels[0].set_ylabel("accuracy (%)")
    present = [model for model in evaluated.models if model in set(rows["model"])]
    handles = [Line2D([], [], color=colour[model], marker="o", ms=4, label=model) for model in present]
    handles += [Line2D([], [], color=GREY, ls=style, label=adaptation) for adaptation, style in _STYLES.items()]
    handles.append(Line2D([], [], color=GREY, ls=":", label="guessing"))
    made.legend(handles=handles, loc="outside right center", frameon=False)
    readings, samples = rows["readings"].max(), rows["n"].min()
    made.suptitle(f"Mean over {readings} networks and Wilson's 95 % interval for {samples} test digits", fontsize=11)
    return made


def _line(axes: Axes, rows: pd.DataFrame, colour: str, style: str) -> None:
    axes.plot(rows["step"], 100 * rows["accuracy_mean"], style, color=colour, marker="o", ms=3.5, lw=1.4)
    low, high = 100 * rows["accuracy_low"], 100 * rows["accuracy_high"]
    axes.fill_between(rows["step"], low, high, color=colour, alpha=0.13, lw=0)


def _axis(axes: Axes, rows: pd.DataFrame, guessing: float) -> None:
    plain(axes)
    axes.axvline(int(rows.loc[rows["trained"], "step"].iloc[0]), color=GREY, lw=1)
    axes.axhline(guessing, color=GREY, ls=":", lw=1)
    steps = rows.drop_duplicates("step")
    axes.set_xticks(steps["step"], [f"{displacement:g}" for displacement in steps["displacement"]])
    axes.set_xlabel("imposed displacement (pixels) at each step; the line is where it was trained")
    axes.set_ylim(0, 102)
