"""Which size of which network is worth its cost? Accuracy against weights and against seconds, over all searches.

Reads the records of all models on a dataset and writes ``build/tuning/pareto/<dataset>.png`` and ``.csv``. The front
is drawn through the finalists: trained in full and scored on the same folds. Trials are shown where they ended.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from shearbench.evaluation.canvas import GREY, PALETTE, figure, plain, png
from shearbench.records import is_finished, read_record, write_bytes, write_text
from shearbench.tuning.results import FINALISTS, TRIALS

_MARKERS = "osD^vPX*"
_COSTS = {"parameters": "weights", "seconds": "seconds of one training"}


def write_pareto(build: Path, dataset: str) -> None:
    """Draw the searches of all models on a dataset, and write the points."""
    table = points(build, dataset)
    folder = build / "tuning" / "pareto"
    write_text(folder / f"{dataset}.csv", table.to_csv(index=False))
    write_bytes(folder / f"{dataset}.png", draw(table, dataset))


def points(build: Path, dataset: str) -> pd.DataFrame:
    """Return a row for each finalist and each other trial that has a score.

    ``accuracy`` of a finalist is its mean over the folds and ``sd`` its standard deviation; that of a trial is on the
    inner part, in the epoch it reached. ``seconds`` are of one training of all epochs, of a trial at its pace. ``front``
    tells, for each cost, whether no finalist costs less and is as accurate.
    """
    found = []
    for folder in sorted((build / "tuning" / "results" / dataset).glob("*")):
        if is_finished(folder):
            found.append(_of_model(folder))
    table = pd.concat(found, ignore_index=True)
    for cost in _COSTS:
        finalists = table[table["kind"] == "finalist"]
        table[f"front_{cost}"] = table.index.isin(finalists.index[front(finalists[cost], finalists["accuracy"])])
    return table


def front(costs: Sequence[float] | pd.Series, accuracies: Sequence[float] | pd.Series) -> list[bool]:
    """Tell of each point whether every cheaper, or equally dear, point is less accurate; of equal points, all or none."""
    pairs = list(zip(costs, accuracies, strict=True))
    return [
        not any(
            (other_cost <= cost and other > accuracy) or (other_cost < cost and other >= accuracy)
            for other_cost, other in pairs
        )
        for cost, accuracy in pairs
    ]


def draw(table: pd.DataFrame, dataset: str) -> bytes:
    """Return the figure: a panel for each cost, a colour and a marker for each model."""
    models = list(dict.fromkeys(table["model"]))
    made = figure(10, 4.6)
    panels = made.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(panels, _COSTS.items(), strict=True):
        for place, model in enumerate(models):
            _draw_model(axes, table[table["model"] == model], cost, PALETTE[place % len(PALETTE)], _MARKERS[place % 8])
        _draw_front(axes, table[table[f"front_{cost}"]].sort_values(cost), cost)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        plain(axes)
    panels[0].set_ylabel("accuracy, %")
    finalists = table[table["kind"] == "finalist"]
    lowest = 100 * finalists["accuracy"].min()
    panels[0].set_ylim(max(0.0, lowest - 12), 100.5)
    folds, digits = int(finalists["folds"].max()), int(finalists["digits"].max())
    made.suptitle(
        f"{dataset}: filled, finalists in full, mean ± standard deviation over {folds} folds, n = {digits} digits;\n"
        "hollow, trials where they ended, on the inner part (those below the axis are not shown)",
        fontsize=9,
    )
    made.legend(handles=_legend(models), loc="outside lower center", ncols=len(models) + 1, frameon=False, fontsize=9)
    return png(made)


def _of_model(folder: Path) -> pd.DataFrame:
    record = read_record(folder)
    finalists, trials = pd.read_csv(folder / FINALISTS), pd.read_csv(folder / TRIALS)
    finalists, trials = finalists[finalists["failure"].isna()], trials[trials["accuracy"].notna()]
    scores = finalists.filter(regex=r"^accuracy_\d+$")
    setting = ["trial", "learning_rate", "batch", "width", "parameters"]
    first = finalists[[*setting, "seconds", "digits"]].assign(
        kind="finalist", accuracy=scores.mean(axis=1), sd=scores.std(axis=1), folds=scores.shape[1]
    )
    whole = record["config"]["recipe"]["epochs"]
    second = trials[[*setting, "accuracy"]].assign(kind="trial", seconds=trials["seconds"] / trials["epochs"] * whole)
    return pd.concat([first, second], ignore_index=True).assign(model=record["model"])


def _draw_model(axes: Axes, table: pd.DataFrame, cost: str, colour: str, marker: str) -> None:
    trials, finalists = table[table["kind"] == "trial"], table[table["kind"] == "finalist"]
    shown = {"marker": marker, "linestyle": "none", "color": colour}
    axes.plot(trials[cost], 100 * trials["accuracy"], **shown, markerfacecolor="none", markersize=4, alpha=0.45)
    axes.errorbar(
        finalists[cost], 100 * finalists["accuracy"], 100 * finalists["sd"], **shown, markersize=6, elinewidth=0.8
    )


def _draw_front(axes: Axes, best: pd.DataFrame, cost: str) -> None:
    axes.step(best[cost], 100 * best["accuracy"], where="post", color=GREY, linewidth=1, zorder=1)
    for _, row in best.iterrows():
        axes.annotate(
            f"{row['model']} ×{row['width']:g}",
            (row[cost], 100 * row["accuracy"]),
            xytext=(4, 7),
            textcoords="offset points",
            fontsize=8,
        )


def _legend(models: Sequence[str]) -> list[Line2D]:
    entries = [
        Line2D([], [], marker=_MARKERS[k % 8], linestyle="none", color=PALETTE[k % len(PALETTE)], label=model)
        for k, model in enumerate(models)
    ]
    return [*entries, Line2D([], [], color=GREY, label="no finalist is cheaper and better")]
