"""The main results as sentences, from the numbers and verdicts of the comparison: plain data in, text out.

For each dataset: the best model and its lead, equivalent models that cost less, and the detectable difference of
undecided pairs. Then the drop of each model from the first dataset, and the agreement with the first study.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shearbench.report.findings import listed, percent
from shearbench.statistics.verdict import turned

Row = Mapping[str, Any]
STUDY = ("mechanical", "cnn3", "resnet18", 98.17, 83.46)
"""Dataset, names of its two models in this project, and the accuracies in % of the first study."""
_CHANGES = {"better": "loses", "worse": "gains"}


def answer(rows: Sequence[Row], pairs: Mapping[str, Any]) -> list[str]:
    """Return the sentences of the first screen: one paragraph per dataset, then the drops and the first study.

    Args:
        rows: of ``reports/comparison.json``.
        pairs: ``reports/pairs.json``; pairs that are not in its ``rows`` are left out.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    paragraphs = [_best([row for row in rows if row["dataset"] == name], pairs["rows"]) for name in datasets]
    if pairs["refused"]:
        return [*paragraphs, "There are no verdicts: the comparison was refused."]
    drops = [drop for name in datasets[1:] if (drop := _drops(datasets[0], name, pairs["rows"]))]
    return [*paragraphs, *drops, *_study(pairs["rows"])]


def _best(rows: Sequence[Row], pairs: Sequence[Row]) -> str:
    """Return the model with the highest accuracy on a dataset, and the verdicts against the others, in words."""
    best = max(rows, key=lambda row: float(row["cv_accuracy_mean"]))
    dataset, model = best["dataset"], best["model"]
    against = dict(_pairs_of(model, pairs, kind="models", within=dataset))
    first = f"{model} has the highest cross-validated accuracy on {dataset} ({_accuracy(best)})"
    above = [
        f"{_points(pair['difference'])} points above {other} ({_interval(pair)})"
        for other, pair in against.items()
        if pair["verdict"] == "better"
    ]
    below = [other for other, pair in against.items() if pair["verdict"] == "worse"]
    parts = [f"{first}: {', '.join(above)}." if above else f"{first}."]
    if below:
        parts.append(f"On all samples that a network did not train on, {listed(below)} has the higher accuracy.")
    parts += _as_good(best, rows, {other: pair for other, pair in against.items() if pair["verdict"] == "equivalent"})
    parts += _limits("Against {}", {other: pair for other, pair in against.items() if pair["verdict"] == "undecided"})
    return " ".join(parts)


def _as_good(best: Row, rows: Sequence[Row], equal: Mapping[str, Row]) -> list[str]:
    """Return sentences on the models that are equivalent to the best, and on those that cost less."""
    if not equal:
        return []
    region = _points(max(pair["rope"] for pair in equal.values()))
    sentences = [f"It is equivalent to {listed(list(equal))} (within ± {region} percentage points)."]
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
    least = _points(max(pair["detectable"] for pair in undecided.values()))
    who = start.format(listed(list(undecided)))
    return [f"{who} this run could only have detected differences above {least} points."]


def _drops(reference: str, dataset: str, pairs: Sequence[Row]) -> str:
    """Return a sentence on the drop or gain of each model from ``reference`` to ``dataset``, by the verdicts."""
    found: dict[str, Row] = {}
    for model in dict.fromkeys(pair["within"] for pair in pairs if pair["kind"] == "datasets"):
        others = dict(_pairs_of(reference, pairs, kind="datasets", within=model))
        if dataset in others:
            found[model] = others[dataset]
    changed = [
        f"{model} {_CHANGES[pair['verdict']]} {_points(abs(pair['difference']))} points ({_interval(pair, sign=False)})"
        for model, pair in sorted(found.items(), key=lambda item: -abs(item[1]["difference"]))
        if pair["verdict"] in _CHANGES
    ]
    equal = [model for model, pair in found.items() if pair["verdict"] == "equivalent"]
    parts = [*changed, *([f"{listed(equal)} stays equivalent within the declared region"] if equal else [])]
    sentences = [f"From {reference} to {dataset}, {', '.join(parts)}."] if parts else []
    start = f"From {reference} to {dataset}, for {{}}"
    undecided = {model: pair for model, pair in found.items() if pair["verdict"] == "undecided"}
    return " ".join([*sentences, *_limits(start, undecided)])


def _study(pairs: Sequence[Row]) -> list[str]:
    """Return a sentence that compares the first study's claim on fields with the verdict of this run."""
    dataset, plain, deep, theirs, others = STUDY
    for other, pair in _pairs_of(plain, pairs, kind="models", within=dataset):
        if other == deep:
            says = {
                "better": "this run agrees on the order",
                "worse": "this run says the opposite",
                "equivalent": "in this run the two are equivalent",
                "undecided": "in this run the two are undecided",
            }[pair["verdict"]]
            return [
                f"The first study reports {theirs:g} % for the CNN and {others:g} % for ResNet-18 on {dataset}; {says} "
                f"({plain} − {deep}: {_points(pair['difference'])} points, {_interval(pair)})."
            ]
    return []


def _pairs_of(one: str, pairs: Sequence[Row], *, kind: str, within: str) -> list[tuple[str, Row]]:
    """Return (other, pair) for each pair of ``one``, swapped so that ``one`` comes first."""
    found: list[tuple[str, Row]] = []
    for pair in pairs:
        if pair["kind"] == kind and pair["within"] == within and one in (pair["a"], pair["b"]):
            if pair["a"] == one:
                found.append((pair["b"], pair))
            else:
                swapped = {"difference": -pair["difference"], "low": -pair["high"], "high": -pair["low"]}
                found.append((pair["a"], {**pair, **swapped, "verdict": turned(pair["verdict"])}))
    return found


def _accuracy(row: Row) -> str:
    return f"{percent(row['cv_accuracy_mean'])}\N{NO-BREAK SPACE}%, n = {row['n_train']:,}"


def _interval(pair: Row, *, sign: bool = True) -> str:
    low, high = (100 * pair[end] for end in ("low", "high"))
    if not sign and high < 0:
        low, high = -high, -low
    return f"95 % CI {low:.1f} to {high:.1f}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
