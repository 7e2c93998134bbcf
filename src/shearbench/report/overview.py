"""The first screen: the main results as sentences, then accuracy, robustness and cost of each model, and its recipe.

Sentences follow from the numbers and verdicts of the comparison. For each dataset: the best model and its lead,
equivalent models that cost less, and the detectable difference of undecided pairs. Then the drop of each model from the
first dataset, and the agreement with each published claim.

The recipes are beside the first table, so that unequal training budgets are visible there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.records import is_finished, read_json, read_record
from shearbench.report.blocks import Cell, Column, Data, Table
from shearbench.report.claims import Claim, read_claims
from shearbench.report.findings import Row, Rows, hardware_of_all, listed, percent, points, seen_from, span
from shearbench.training.recipe import Recipe

NOT_WORSE = "≈"
"""Marks an accuracy that no verdict calls worse than the best of its dataset."""
_NOISE = "own", 1.0  # scale and level of the rows of noise.csv in the table
_CAPTION = """Cross-validated accuracy in % with its 95 % interval for other samples and another training: each sample
is predicted by the model that did not train on it. The best of a dataset is bold; ≈ marks models that no verdict calls
worse than it.{drop} Noise: Gaussian, as strong as samples differ, not clipped. Corruptions: mean over all kinds and
severities, clipped to the range of the data. Both are measured on {n} test samples.{strangers} FLOPs: of one
prediction. ms/image: latency in batches of 1 and of 64, float32 on one thread of {processor}. s/fold: training time on
{hardware}.{costs}"""
_DROP = """ Drop: cross-validated accuracy lost from {first}, in percentage points; the differences in the sentences
above on this run count test samples too."""
_STRANGERS = """ Strangers' digits: of the model's trainings, the one with the highest accuracy on the {n} digits of a
class, so it is optimistic."""
_COSTS = " Costs are those of the model on {first}."
_SHOWN = {"epochs", "batch", "learning_rate", "weight_decay", "augment", "schedule"}  # in columns of their own
_BACKWARD = 3  # operations of training over prediction: a forward pass, and a backward pass of twice the cost
_RECIPES = """Training of each model, from the records of its folds. Epochs: how many were run, of the most that the
recipe allows. TFLOPs: 10^12 floating point operations to train one fold, 3 times those of its predictions (Hoffmann et
al. 2022). Last epoch: change in validation accuracy in percentage points, mean over the folds; it is small by itself
where the learning rate decays.
Batch, learning rate, schedule, weight decay and augmentation are those of the recipe in `params.yaml`."""
_EQUAL = 0.05
"""Largest relative difference of training compute that counts as equal."""
_SMALL_RISE = 0.002
"""Largest rise of validation accuracy in the last epoch that is not mentioned."""


def overview(root: Path, rows: Rows) -> Table:
    """Return the table of all models on all datasets; ``rows`` are those of ``reports/comparison.json``."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    found = {(row["dataset"], row["model"]): row for row in rows}
    strangers = _strangers(root)
    robust = {key: _robustness(root / "build" / "evaluation" / key[0] / key[1]) for key in found}
    table: dict[Column, list[Cell | str]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        of_model = {name: found.get((name, model)) for name in datasets}
        measured = {name: robust.get((name, model), {}) for name in datasets}
        row = next(row for row in of_model.values() if row is not None)
        cells = [(Column("model"), model), *_accuracies(of_model)]
        for kind, title in (("noise", "under noise"), ("corruption", "corrupted")):
            cells += [(Column(name, True, group=title), _share(measured[name].get(kind))) for name in datasets]
        if strangers:
            cells.append((Column("strangers' digits", True), _share(strangers.get(model, {}).get("accuracy"))))
        for column, cell in [*cells, *_costs(row)]:
            table.setdefault(column, []).append(cell)
    caption = _CAPTION.format(
        drop=_DROP.format(first=datasets[0]) if len(datasets) > 1 else "",
        n=distinct(f"{each['n']:,}" for each in robust.values() if "n" in each) or "no",
        strangers=_STRANGERS.format(n=distinct(f"{each['n']:,}" for each in strangers.values())) if strangers else "",
        costs=_COSTS.format(first=datasets[0]) if len(datasets) > 1 else "",
        processor=distinct(each["processor"] for each in robust.values() if "processor" in each),
        hardware="; ".join(hardware_of_all(rows)),
    )
    body = list(zip(*table.values(), strict=True))
    return Table(list(table), body, " ".join(caption.split()), [Data.of(root / "reports" / "comparison.csv")])


def _robustness(folder: Path) -> dict[str, Any]:
    """Return mean accuracies under noise and corruption of a run, with their n; empty without an evaluation."""
    if not is_finished(folder):
        return {}
    noise = pd.read_csv(folder / "noise.csv")
    shown = noise.loc[(noise["scale"] == _NOISE[0]) & (noise["level"] == _NOISE[1]), "accuracy_mean"]
    machine = read_json(folder / "record.json")["provenance"]["machine"]
    found = {
        "corruption": float(pd.read_csv(folder / "corruptions.csv").query("severity > 0")["accuracy_mean"].mean()),
        "n": int(noise["n"].max()),
        "processor": machine["processor"],
    }
    return found | ({"noise": float(shown.iloc[0])} if len(shown) else {})


def _strangers(root: Path) -> dict[str, Row]:
    """Return model -> the best of its trainings on the digits of a class; empty without such an evaluation."""
    classes = root / "build" / "handwriting"  # pages for teachers are there too; they have no record
    finished = [folder for folder in (classes / "class_digits", *sorted(classes.glob("*"))) if is_finished(folder)]
    models = read_json(finished[0] / "results.json")["models"] if finished else []
    rows = sorted((row for row in models if "accuracy" in row), key=lambda row: float(row["accuracy"]))
    return {row["model"]: row for row in rows}


def _accuracies(of_model: Mapping[str, Row | None]) -> Iterator[tuple[Column, Cell | str]]:
    """Yield the accuracy on each dataset, then the drop from the first to each other one."""
    group = "cross-validated accuracy"
    for name, row in of_model.items():
        yield Column(name, True, group=group), "" if row is None else accuracy(row)
    for name, row in list(of_model.items())[1:]:
        drop = None if row is None else row["accuracy_drop"]
        yield Column(f"drop to {name}", True, group=group), "" if drop is None else Cell(percent(drop), drop)


def accuracy(row: Row) -> Cell:
    """Return cross-validated accuracy with its interval: bold if best, marked if no verdict calls it worse."""
    best = row["compared_with"] is None
    mark = "" if best or row["verdict"] == "worse" else f" {NOT_WORSE}"
    interval = span(row["cv_accuracy_low"], row["cv_accuracy_high"])
    shown, help_text = percent(row["cv_accuracy_mean"]) + mark, "the best" if best else row["verdict"] or "no verdict"
    return Cell(shown, row["cv_accuracy_mean"], strong=best, help=help_text, note=interval)


def _costs(row: Row) -> Iterator[tuple[Column, Cell | str]]:
    """Yield the costs of a model; FLOPs are empty for a classifier with an unknown number of operations."""
    yield Column("parameters", True), Cell(f"{row['parameters'] / 1e6:.2f} M", row["parameters"])
    yield Column("FLOPs", True), "" if row["flops"] is None else Cell(f"{row['flops'] / 1e6:.1f} M", row["flops"])
    for batch in (1, 64):
        seconds = float(row[f"seconds_per_image_{batch}"])
        yield (
            Column(f"{batch}", True, f"latency in batches of {batch}", "ms/image"),
            Cell(f"{1e3 * seconds:.2f}", seconds),
        )
    yield Column("s/fold", True), Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"])


def _share(value: float | None) -> Cell | str:
    return "" if value is None else Cell(percent(value), value)


def distinct(texts: Iterable[str]) -> str:
    """Return the distinct texts, joined by semicolons."""
    return "; ".join(dict.fromkeys(texts))


def recipes(root: Path, rows: Rows) -> Table:
    """Return a row for each run with stored folds; ``rows`` are those of ``reports/comparison.json``."""
    body = [_recipe(row, records, _rise(root, row)) for row in rows if (records := _records(root, row))]
    columns = [
        *(Column(title) for title in ("dataset", "model", "architecture")),
        *(Column(title, True) for title in ("epochs", "batch", "learning rate", "weight decay")),
        *(Column(title) for title in ("schedule", "augmentation", "further options")),
        *(Column(title, True) for title in ("parameters", "TFLOPs", "last epoch", "s/fold")),
    ]
    return Table(columns, body, " ".join(_RECIPES.split()), [Data.of(root / "reports" / "comparison.csv")])


def budgets(root: Path, rows: Rows) -> str:
    """Return sentences on the compute of the models, equal or not, and on models that had not reached a plateau."""
    spent: dict[str, list[float]] = {}
    for row in rows:
        if (records := _records(root, row)) and (compute := _compute(row, records)):
            spent.setdefault(row["model"], []).append(compute)
    rises = {f"{row['model']} on {row['dataset']}": rise for row in rows if (rise := _rise(root, row)) is not None}
    rising = [f"{name} ({points(rise)})" for name, rise in rises.items() if rise > _SMALL_RISE]
    sentences = []
    if len(spent) > 1:
        means = {model: float(np.mean(each)) for model, each in spent.items()}
        least, *_, most = sorted(means, key=means.__getitem__)
        costs = (f"{means[model] / 1e12:.2g} TFLOPs for {model}" for model in (least, most))
        equal = means[most] <= (1 + _EQUAL) * means[least]
        verdict = f"equal within {100 * _EQUAL:g} %" if equal else "not equal"
        sentences.append(f"Budgets are {verdict}: training one fold takes {' and '.join(costs)}.")
    gained = f"more than {100 * _SMALL_RISE:g} percentage points of validation accuracy in the last epoch"
    if rises and not rising:
        sentences.append(f"No network gained {gained}.")
    if rising:
        sentences.append(f"These gained {gained}: {listed(rising)}. More epochs may change their place.")
    return " ".join(sentences)


def _records(root: Path, row: Row) -> list[dict[str, Any]]:
    folders = sorted((root / "build" / "runs" / row["dataset"] / row["model"]).glob("fold-*"))
    return [read_record(folder) for folder in folders if is_finished(folder)]


def _rise(root: Path, row: Row) -> float | None:
    """Return the rise of validation accuracy in the last epoch, mean over the folds; None without two epochs."""
    path = root / "build" / "evaluation" / row["dataset"] / row["model"] / "learning_curves.csv"
    if not path.is_file():
        return None
    curve = pd.read_csv(path).query("split == 'validation'")
    values = curve.loc[curve["folds"] == curve["folds"].max(), "accuracy_mean"].to_numpy()
    return float(values[-1] - values[-2]) if len(values) > 1 else None


def _compute(row: Row, records: Rows) -> float | None:
    """Return the operations of training one fold, mean over the folds; None if those of a prediction are unknown."""
    if row["flops"] is None:
        return None
    seen = np.mean([each["epochs"] * each["sizes"]["train"] for each in records])
    return float(_BACKWARD * row["flops"] * seen)


def _recipe(row: Row, records: Rows, rise: float | None) -> list[Cell | str]:
    config = records[0]["config"]
    recipe, width = config.get("recipe") or {}, config.get("width")
    further = {key: value for key, value in recipe.items() if key not in _SHOWN and value != _default(key)}
    options = {**config.get("options", {}), **further}
    compute = _compute(row, records)
    return [
        row["dataset"],
        row["model"],
        str(config["architecture"]) + (f", width {width:g}" if width not in (None, 1) else ""),
        _epochs([record["epochs"] for record in records], recipe) if recipe else "",
        *(f"{recipe[key]:g}" if key in recipe else "" for key in ("batch", "learning_rate", "weight_decay")),
        str(recipe.get("schedule") or "") if recipe else "",
        str(recipe.get("augment", "")),
        ", ".join(f"{key} {value}" for key, value in options.items()),
        Cell(f"{row['parameters']:,}", row["parameters"]),
        "" if compute is None else Cell(f"{compute / 1e12:.2g}", compute),
        "" if rise is None else Cell(points(rise), rise),
        Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"]),
    ]


def _default(key: str) -> Any:
    """Return the default of an option of recipes; the table omits options at their default."""
    return Recipe.model_fields[key].default if key in Recipe.model_fields else None


def _epochs(run: Sequence[int], recipe: Row) -> Cell:
    """Return the number of epochs that the folds ran, and the largest number that the recipe allows."""
    span = f"{min(run)}" if min(run) == max(run) else f"{min(run)} to {max(run)}"
    return Cell(f"{span} of {recipe['epochs']}", max(run))


_CHANGES = {"better": "loses", "worse": "gains"}
_ORDER = {
    "better": "the order is the same here",
    "worse": "the order is the opposite here",
    "equivalent": "the two are equivalent here",
    "undecided": "the two are undecided here",
}


def answers(root: Path, rows: Rows) -> dict[str, list[str]]:
    """Return the sentences of the first screen by title: of this run, and of its datasets at full size if they exist.

    The latter are in ``reports/full/``.
    """
    reports, datasets = root / "reports", {row["dataset"] for row in rows}
    claims = read_claims(root).values()
    found = {f"This run, {_size(rows)}": answer(rows, read_json(reports / "pairs.json"), claims)}
    full = reports / "full" / "comparison.json"
    stored = [row for row in read_json(full) if row["dataset"] in datasets] if full.is_file() else []
    if stored:
        # Their trainings shared a machine with other work, so their seconds are not compared.
        untimed = [{key: value for key, value in row.items() if key != "seconds_per_fold"} for row in stored]
        title = f"At full size, {_size(stored)}, compared on held-out samples"
        found[title] = answer(untimed, read_json(full.with_name("pairs.json")), claims)
    return found


def _size(rows: Rows) -> str:
    return "n = " + distinct(f"{row['n_train']:,}" for row in rows)


def answer(rows: Rows, pairs: Row, claims: Iterable[Claim] = ()) -> list[str]:
    """Return the sentences of the first screen: one paragraph per dataset, then the drops and the claims.

    ``rows`` are those of ``reports/comparison.json``; ``pairs`` is ``reports/pairs.json``.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    paragraphs = [_best([row for row in rows if row["dataset"] == name], pairs["rows"]) for name in datasets]
    if pairs["refused"]:
        return [*paragraphs, "There are no verdicts: the comparison was refused."]
    drops = [drop for name in datasets[1:] if (drop := _drops(datasets[0], name, pairs["rows"]))]
    return [*paragraphs, *drops, *_published(pairs["rows"], claims)]


def _best(rows: Rows, pairs: Rows) -> str:
    """Return the model with the highest accuracy on a dataset, and the verdicts against the others, in words."""
    best = max(rows, key=lambda row: float(row["cv_accuracy_mean"]))
    dataset, model = best["dataset"], best["model"]
    by_verdict: dict[str, dict[str, Row]] = {}
    for other, pair in _pairs_of(model, pairs, kind="models", within=dataset).items():
        by_verdict.setdefault(pair["verdict"], {})[other] = pair
    accuracy = f"{percent(best['cv_accuracy_mean'])}\N{NO-BREAK SPACE}%, n = {best['n_train']:,}"
    first = f"{model} has the highest cross-validated accuracy on {dataset} ({accuracy})"
    above = [
        f"{_points(pair['difference'])} points above {other} ({_interval(pair)})"
        for other, pair in by_verdict.get("better", {}).items()
    ]
    parts = [f"{first}: {', '.join(above)}." if above else f"{first}."]
    below = [
        f"{other} is {_points(-pair['difference'])} points above it ({_interval(pair, sign=False)})"
        for other, pair in by_verdict.get("worse", {}).items()
    ]
    if below:
        parts.append(f"On all samples that a model did not train on, {', '.join(below)}.")
    parts += _as_good(best, rows, by_verdict.get("equivalent", {}))
    parts += _limits("Against {}", by_verdict.get("undecided", {}))
    return " ".join(parts)


def _as_good(best: Row, rows: Rows, equal: Mapping[str, Row]) -> list[str]:
    """Return sentences on the models that are equivalent to the best, and on those that cost less."""
    if not equal:
        return []
    region = _points(max(pair["rope"] for pair in equal.values()))
    sentences = [f"It is equivalent to {listed(equal)} (within ± {region} percentage points)."]
    for row in rows:
        if row["model"] in equal:
            cheaper = [
                f"{row[key] / best[key]:.2g} times the {what}"
                for key, what in (("parameters", "parameters"), ("seconds_per_fold", "training time"))
                if row.get(key) and best.get(key) and row[key] < 0.9 * best[key]
            ]
            if cheaper:
                sentences.append(f"{row['model']} needs {' and '.join(cheaper)}.")
    return sentences


def _limits(start: str, undecided: Mapping[str, Row]) -> list[str]:
    """Return a sentence with the detectable difference of undecided pairs; nothing without such a pair."""
    if not undecided:
        return []
    least = listed(_points(pair["detectable"]) for pair in undecided.values())
    which = f"differences of {least} points" if len(undecided) > 1 else f"a difference of {least} points"
    return [
        f"{start.format(listed(undecided))} the verdict is undecided; this run detects {which} there with the declared "
        "power."
    ]


def _drops(reference: str, dataset: str, pairs: Rows) -> str:
    """Return a sentence on the drop or gain of each model from ``reference`` to ``dataset``, by the verdicts."""
    models = dict.fromkeys(pair["within"] for pair in pairs if pair["kind"] == "datasets")
    against = {model: _pairs_of(reference, pairs, kind="datasets", within=model) for model in models}
    found = {model: others[dataset] for model, others in against.items() if dataset in others}
    changed = [
        f"{model} {_CHANGES[pair['verdict']]} {_points(abs(pair['difference']))} points ({_interval(pair, sign=False)})"
        for model, pair in sorted(found.items(), key=lambda item: -abs(item[1]["difference"]))
        if pair["verdict"] in _CHANGES
    ]
    equal = [model for model, pair in found.items() if pair["verdict"] == "equivalent"]
    stay = "stay" if len(equal) > 1 else "stays"
    parts = [*changed, *([f"{listed(equal)} {stay} equivalent within the declared region"] if equal else [])]
    sentences = [f"From {reference} to {dataset}, {', '.join(parts)}."] if parts else []
    start = f"From {reference} to {dataset}, for {{}}"
    undecided = {model: pair for model, pair in found.items() if pair["verdict"] == "undecided"}
    return " ".join([*sentences, *_limits(start, undecided)])


def _published(pairs: Rows, claims: Iterable[Claim]) -> Iterator[str]:
    """Yield a sentence for each claim that sets the published accuracies beside the verdict on the same two models."""
    for claim in claims:
        test = claim.test
        if test is None or test.comparison is None:
            continue
        pair = _pairs_of(test.reference, pairs, kind="models", within=test.comparison).get(test.suspect)
        if pair is not None:
            theirs = f"{100 * test.reference_level:.2f} % for its counterpart of {test.reference} and "
            theirs += f"{100 * test.level:.2f} % for that of {test.suspect}"
            yield (
                f"{claim.study.heading} reports {theirs} on {test.comparison}; {_ORDER[pair['verdict']]} "
                f"({test.reference} − {test.suspect}: {_points(pair['difference'])} points, {_interval(pair)})."
            )


def _pairs_of(one: str, pairs: Rows, *, kind: str, within: str) -> dict[str, Row]:
    """Return other -> pair for each pair of ``one``, swapped so that ``one`` comes first."""
    own = [pair for pair in pairs if (pair["kind"], pair["within"]) == (kind, within) and one in (pair["a"], pair["b"])]
    return {pair["b"]: pair for pair in (seen_from(one, each) for each in own)}


def _interval(pair: Row, *, sign: bool = True) -> str:
    low, high = (100 * pair[end] for end in ("low", "high"))
    if not sign and high < 0:
        low, high = -high, -low
    return f"{100 * pair.get('level', 0.95):g} % CI {low:.1f} to {high:.1f}".replace("-", "\N{MINUS SIGN}")


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}".replace("-", "\N{MINUS SIGN}")
