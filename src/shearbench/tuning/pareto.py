"""Which size of which network is worth its cost? Accuracy against weights and against seconds, over all searches.

Reads the records of all models on a dataset and writes ``build/tuning/pareto/<dataset>.png`` and ``.csv``. The front
is drawn through the finalists: trained in full and scored on the same folds. Trials are shown where they ended.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from shearbench.evaluation.canvas import GREY, PALETTE, figure, plain, png, readable_log
from shearbench.records import is_finished, read_record, write_bytes, write_text
from shearbench.tuning.results import FINALISTS, TRIALS

_MARKERS = "osD^vPX*"
_COSTS = {"parameters": "weights", "seconds": "seconds of one training, on the machine that searched"}


def write_pareto(build: Path, dataset: str) -> None:
    """Draw the searches of all models on a dataset, and write the points."""
    table = points(build, dataset)
    folder = build / "tuning" / "pareto"
    write_text(folder / f"{dataset}.csv", table.to_csv(index=False))
    write_bytes(folder / f"{dataset}.png", draw(table, dataset))


def points(build: Path, dataset: str) -> pd.DataFrame:
    """Return a row for each finalist and each other trial that has a score.

    ``accuracy`` of a finalist is its mean over the folds and ``sd`` its standard deviation; that of a trial is on the
    inner part, in the epoch it reached. ``seconds`` are of one training of a finalist; a trial's are those it took.
    ``front_<cost>`` tells whether no other finalist is cheaper and as accurate.
    """
    folders = sorted((build / "tuning" / "results" / dataset).glob("*"))
    table = pd.concat([_of_model(folder) for folder in folders if is_finished(folder)], ignore_index=True)
    for cost in _COSTS:
        finalists = table[table["kind"] == "finalist"]
        table[f"front_{cost}"] = table.index.isin(finalists.index[front(finalists[cost], finalists["accuracy"])])
    return table


def front(costs: Sequence[float] | pd.Series, accuracies: Sequence[float] | pd.Series) -> list[bool]:
    """Tell of each point whether no other is at least as cheap and as accurate, and one of both more so."""
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
    finalists, trials = table[table["kind"] == "finalist"], table[table["kind"] == "trial"]
    made = figure(10, 4.8)
    panels = made.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(panels, _COSTS.items(), strict=True):
        for place, model in enumerate(models):
            look = {"color": PALETTE[place % len(PALETTE)], "marker": _MARKERS[place % len(_MARKERS)]}
            if cost == "parameters":  # a trial that was stopped has not been timed in full
                _draw_trials(axes, trials[trials["model"] == model], look)
            _draw_finalists(axes, finalists[finalists["model"] == model], cost, look)
        _draw_front(axes, table[table[f"front_{cost}"]].sort_values(cost), cost)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.margins(x=0.12)
        plain(axes)
    for axes in panels:
        readable_log(axes.xaxis)
    panels[0].xaxis.set_major_formatter(EngFormatter(sep=""))
    panels[0].set_ylabel("accuracy, %")
    lowest, highest = 100 * finalists["accuracy"].min(), 100 * (finalists["accuracy"] + finalists["sd"]).max()
    panels[0].set_ylim(max(0.0, lowest - 10), min(100.0, highest + 2))
    made.suptitle(_title(dataset, finalists), fontsize=9)
    made.legend(handles=_legend(models), loc="outside lower center", ncols=len(models) + 1, frameon=False, fontsize=9)
    return png(made)


def _title(dataset: str, finalists: pd.DataFrame) -> str:
    folds, digits = int(finalists["folds"].max()), int(finalists["digits"].max())
    return (
        f"{dataset}: filled, finalists trained in full, mean ± standard deviation over {folds} folds, n = {digits} "
        "digits;\nhollow, trials where they ended, on the inner part (those below the axis are not shown)"
    )


def _of_model(folder: Path) -> pd.DataFrame:
    record = read_record(folder)
    finalists, trials = pd.read_csv(folder / FINALISTS), pd.read_csv(folder / TRIALS)
    finalists, trials = finalists[finalists["failure"].isna()], trials[trials["accuracy"].notna()]
    scores = finalists.filter(regex=r"^accuracy_\d+$")
    setting = ["trial", "learning_rate", "batch", "width", "parameters"]
    first = finalists[[*setting, "seconds", "digits"]].assign(
        kind="finalist", accuracy=scores.mean(axis=1), sd=scores.std(axis=1), folds=scores.shape[1]
    )
    second = trials[[*setting, "accuracy", "seconds", "epochs"]].assign(kind="trial")
    return pd.concat([first, second], ignore_index=True).assign(model=record["model"])


def _draw_trials(axes: Axes, trials: pd.DataFrame, look: dict[str, str]) -> None:
    accuracy, edge = 100 * trials["accuracy"], look["color"]
    axes.scatter(
        trials["parameters"], accuracy, 16, marker=look["marker"], edgecolors=edge, facecolors="none", alpha=0.45
    )


def _draw_finalists(axes: Axes, finalists: pd.DataFrame, cost: str, look: dict[str, str]) -> None:
    accuracy, sd = 100 * finalists["accuracy"], 100 * finalists["sd"]
    axes.errorbar(finalists[cost], accuracy, sd, fmt=look["marker"], color=look["color"], markersize=6, elinewidth=0.8)


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
        Line2D(
            [], [], marker=_MARKERS[k % len(_MARKERS)], linestyle="none", color=PALETTE[k % len(PALETTE)], label=model
        )
        for k, model in enumerate(models)
    ]
    return [*entries, Line2D([], [], color=GREY, label="no finalist is cheaper and better")]
