"""Results of searches: finalists, accuracy against cost, cost of the search, and Optuna's figures.

All contents except Optuna's figures come from ``tuned/*.yaml``, so a fresh clone shows them without a search.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from shearbench.records import is_finished
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.findings import Rows, listed, p_value, percent, points
from shearbench.training.recipe import described
from shearbench.tuning.pareto import cost_table, draw_costs
from shearbench.tuning.tuned import Difference, Score, Tuned, read_tuned

Found = Mapping[str, Mapping[str, Tuned]]
"""Search results by dataset and model."""

_TITLE = "Tuning"
_TEXT = """A search sees only the tuning part: training samples that no fold holds out if its result is used
(`training.use_tuned` in `params.yaml`). Successive halving compares trials at the same epoch and stops the poorer ones.
The best three and the present hyperparameters are then trained in full and cross-validated, on samples of the tuning
part that scored no trial. Found is the finalist with the highest mean. Its accuracy here is selected and so optimistic:
the highest of several means is partly luck. A run with `training.use_tuned` estimates it on other samples. The
corrected resampled t-test compares it with the present hyperparameters: the interval is of this pair alone, p is
Holm-adjusted over the finalists.
`docs/tuning.md` has the details."""
_COSTS = """{who} trained in full and cross-validated on the same samples. The line joins those that no other beats in
both cost and accuracy."""
_WHO = {
    False: "Every finalist was",
    True: "Every finalist, and the best trial of each width that no finalist has if `tuning.sizes` asked for it, were",
}
_COLUMNS = (
    Column("model"),
    Column(
        "hyperparameters",
        help="found: the winner, with its verdict against the present ones of params.yaml; the others are trials",
    ),
    Column("accuracy", True, "mean ± standard deviation over the folds of the tuning part, in %"),
    Column("against present", True, "difference in percentage points and its interval, corrected resampled t"),
    Column("p", True, "Holm-adjusted over the finalists"),
    Column("values", help="width multiplies the channels or units of the model"),
    Column("parameters", True, "in millions"),
    Column("time", True, "training of one fold, on the machine of the search, under its load"),
)
_SPENT = (
    Column("dataset"),
    Column("model"),
    Column("trials", True),
    Column("in full", True, "trained to the last epoch"),
    Column("stopped early", True),
    Column("failed", True, "loss not finite, out of memory, or the process died twice"),
    Column("epochs", True, "of all trials and finalists"),
    Column("samples", True, "of the tuning part, which is all that the search sees"),
    Column("scored", True, "samples of the tuning part on which the finalists are compared"),
)
_PICTURES = {
    "curves.png": "Accuracy on the inner part after each epoch, one line per trial. Short lines stopped at a rung.",
    "history.png": "Accuracy after the first rung, trial by trial.",
    "importance.png": "Share of the variance of that accuracy that each hyperparameter explains (fANOVA).",
    "slices.png": "That accuracy against each hyperparameter.",
    "parallel.png": "That accuracy and the hyperparameters, one line per trial.",
    "timeline.png": "Time of each trial, with the wait for its rung.",
}


def read(root: Path, rows: Rows) -> Section:
    """Return the section.

    Raises:
        InputError: if a file of ``tuned/`` has a fault.
    """
    found = _found(root / "tuned")
    untuned = list(_untuned(rows, found))
    if not found:
        return Section("tuning", _TITLE, untuned)
    searches = _searches(found)
    who = _WHO[any(tuned.sizes for _, _, tuned in searches)]
    blocks: list[Block] = [
        Prose(_TEXT),
        *_finalists(found),
        *_full(_found(root / "reports" / "full" / "tuning")),
        Heading("What accuracy costs"),
        Prose(_COSTS.format(who=who)),
        *_costs(found),
        Heading("Cost of the searches"),
        Table(_SPENT, [_spent(*search) for search in searches]),
        *_optuna(root, [(dataset, model) for dataset, model, _ in searches]),
        *untuned,
    ]
    return Section("tuning", _TITLE, blocks)


def _untuned(rows: Rows, found: Found) -> Iterator[Block]:
    """Yield the models of each dataset without a search, with the command for one; a search is optional."""
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        of_dataset = [row["model"] for row in rows if row["dataset"] == dataset]
        models = [model for model in of_dataset if model not in found.get(dataset, {})]
        if models:
            command = f"`shearbench tune {models[0]} --dataset {dataset}`"
            yield Prose(
                f"Without a search: {listed(models)} on {dataset}. {command} makes one, if `params.yaml` gives "
                f"the model a `search`."
            )


def sentence(dataset: str, models: Mapping[str, Tuned]) -> str:
    """Return a sentence that counts the models by the verdict on their search result."""
    kinds: dict[str, list[str]] = {}
    for model, tuned in models.items():
        kind, text = "present" if tuned.hyperparameters == tuned.present else "failed", model
        if tuned.difference is not None:
            kind, text = tuned.difference.verdict, f"{model} ({points(tuned.difference.mean)} points)"
        kinds.setdefault(kind, []).append(text)
    texts = {
        "better": "the result is better than the present hyperparameters for",
        "equivalent": "result and present hyperparameters are equivalent for",
        "undecided": "the result scored higher than the present hyperparameters, which decides nothing, for",
        "present": "the present hyperparameters scored highest for",
        "failed": "the present hyperparameters failed and others trained for",
    }
    parts = [f"{text} {', '.join(kinds[kind])}" for kind, text in texts.items() if kind in kinds]
    return f"On {dataset}: {'; '.join(parts)}."


def _found(folder: Path) -> Found:
    """Return the results of all searches in a folder."""
    files = sorted(path for path in folder.glob("*.yaml") if path.name != "dvc.yaml")
    by_model = {path.stem: read_tuned(path) for path in files}
    datasets = sorted({dataset for sections in by_model.values() for dataset in sections}, reverse=True)
    return {
        dataset: {model: sections[dataset] for model, sections in by_model.items() if dataset in sections}
        for dataset in datasets
    }


def _searches(found: Found) -> list[tuple[str, str, Tuned]]:
    return [(dataset, model, tuned) for dataset, models in found.items() for model, tuned in models.items()]


def _finalists(found: Found) -> Iterator[Block]:
    """Yield the conclusion for each dataset, and the table behind it."""
    for dataset, models in found.items():
        yield Prose(sentence(dataset, models))
        yield Table(_COLUMNS, [line for model, tuned in models.items() for line in _lines(model, tuned)])


def _full(found: Found) -> Iterator[Block]:
    """Yield the results of searches on more samples than those of a default run."""
    if found:
        samples = {tuned.reserved.samples for _, _, tuned in _searches(found)}
        yield Heading("On more samples")
        yield Prose(
            f"The same search on {' or '.join(f'{n:,}' for n in sorted(samples))} of MNIST's 60,000 training digits, "
            "made once; `reports/full/README.md` says with which command, on what machine."
        )
        yield from _finalists(found)


def _lines(model: str, tuned: Tuned) -> Iterator[list[Cell | str]]:
    """Yield a row for each finalist, the best first; the conclusion comes before the cost."""
    for score in sorted(tuned.finalists, key=lambda score: -(score.accuracy or 0.0)):
        hyperparameters = score.hyperparameters
        kinds = {"found": tuned.hyperparameters, "present": tuned.present}
        names = [name for name, values in kinds.items() if values == hyperparameters]
        found = tuned.difference if tuned.hyperparameters == hyperparameters else None
        name = ", ".join(names) or f"trial {score.trial}"
        text, rule = (f"{name}: {found.verdict}", found.rule) if found else (name, "")
        yield [
            model,
            Cell(text, strong="found" in names, help=rule),
            _accuracy(score),
            *_against(found),
            described(hyperparameters),
            Cell(f"{score.parameters / 1e6:.2f} M", score.parameters),
            Cell(f"{score.seconds:.1f} s", score.seconds),
        ]


def _accuracy(score: Score) -> Cell:
    if score.accuracy is None or score.sd is None:
        return Cell("failed", help=score.reason or "")
    return Cell(f"{percent(score.accuracy)} ± {percent(score.sd)}", score.accuracy)


def _against(found: Difference | None) -> list[Cell | str]:
    if found is None:
        return ["", ""]
    text = f"{points(found.mean)} ({' to '.join(map(points, found.interval))})"
    return [Cell(text, found.mean), Cell(p_value(found.p_holm), found.p_holm)]


def _spent(dataset: str, model: str, tuned: Tuned) -> list[Cell | str]:
    search = tuned.search
    counts = (search.trials, search.complete, search.stopped_early, search.failed, search.epochs)
    return [dataset, model, *(Cell(f"{n:,}", n) for n in (*counts, tuned.reserved.samples, search.samples_scored))]


def _costs(found: Found) -> Iterator[Block]:
    """Yield the front of each dataset in words, then the figures."""
    tables = {dataset: cost_table(models) for dataset, models in found.items()}
    yield from (Prose(worth(dataset, table)) for dataset, table in tables.items())
    yield Pictures([_cost(dataset, table) for dataset, table in tables.items()], wide=True)


def worth(dataset: str, table: pd.DataFrame) -> str:
    """Return a sentence with the sizes on the Pareto front, the cheapest first."""

    def text(cost: str, unit: float, name: str) -> str:
        best = table[table[f"front_{cost}"]].sort_values([cost, "accuracy"])
        shown = zip(best["size"], best[cost] / unit, best["accuracy"], strict=True)
        return ", ".join(f"{size} ({value:.2f} {name}, {percent(accuracy)} %)" for size, value, accuracy in shown)

    parameters, seconds = text("parameters", 1e6, "M"), text("seconds", 1, "s")
    return f"Worth their cost on {dataset}: by parameters {parameters}; by seconds of training {seconds}."


def _cost(dataset: str, table: pd.DataFrame) -> Picture:
    return Picture.drawn(
        draw_costs(table, dataset),
        f"Accuracy against parameters and seconds of every model that was searched on {dataset}",
        f"{dataset}: accuracy against cost of each size of each model; × is its width.",
        [Data.table(f"cost-{dataset}.csv", table)],
    )


def _optuna(root: Path, searches: Sequence[tuple[str, str]]) -> Iterator[Block]:
    """Yield Optuna's figures of the searches that ran here."""
    away = []
    for dataset, model in searches:
        folder = root / "build" / "tuning" / "results" / dataset / model
        name = f"{model} on {dataset}"
        if not is_finished(folder):
            away.append(name)
            continue
        shown = {file: text for file, text in _PICTURES.items() if (folder / file).is_file()}
        yield Heading(name)
        yield Pictures([Picture.of(folder / file, f"{name}: {text}", text) for file, text in shown.items()])
    if away:
        yield Prose(
            f"Optuna's figures are drawn where a search runs, and these ran elsewhere: {', '.join(away)}. "
            "`shearbench tune MODEL --dataset DATASET` draws them, and finds the same."
        )
