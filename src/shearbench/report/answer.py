"""The main results as sentences, from the numbers and verdicts of the comparison: plain data in, text out.

For each dataset: the best model and its lead, equivalent models that cost less, and the detectable difference of
undecided pairs. Then the drop of each model from the first dataset, and the agreement with the first study.
"""

from collections.abc import Mapping

from shearbench.report.findings import Row, Rows, listed, percent
from shearbench.statistics.verdict import turned

STUDY = ("mechanical", "cnn3", "resnet18", 98.17, 83.46)
"""Dataset, names of its two models in this project, and the accuracies in % of the first study."""
_CHANGES = {"better": "loses", "worse": "gains"}


def answer(rows: Rows, pairs: Row) -> list[str]:
    """Return the sentences of the first screen: one paragraph per dataset, then the drops and the first study.

    ``rows`` are those of ``reports/comparison.json``; ``pairs`` is ``reports/pairs.json``.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    paragraphs = [_best([row for row in rows if row["dataset"] == name], pairs["rows"]) for name in datasets]
    if pairs["refused"]:
        return [*paragraphs, "There are no verdicts: the comparison was refused."]
    drops = [drop for name in datasets[1:] if (drop := _drops(datasets[0], name, pairs["rows"]))]
    return [*paragraphs, *drops, *_study(pairs["rows"])]


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
    if below := by_verdict.get("worse"):
        parts.append(f"On all samples that a model did not train on, {listed(below)} has the higher accuracy.")
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
    least = _points(max(pair["detectable"] for pair in undecided.values()))
    return [f"{start.format(listed(undecided))} this run could only have detected differences above {least} points."]


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
    parts = [*changed, *([f"{listed(equal)} stays equivalent within the declared region"] if equal else [])]
    sentences = [f"From {reference} to {dataset}, {', '.join(parts)}."] if parts else []
    start = f"From {reference} to {dataset}, for {{}}"
    undecided = {model: pair for model, pair in found.items() if pair["verdict"] == "undecided"}
    return " ".join([*sentences, *_limits(start, undecided)])


def _study(pairs: Rows) -> list[str]:
    """Return a sentence that compares the first study's claim on fields with the verdict of this run."""
    dataset, plain, deep, theirs, others = STUDY
    pair = _pairs_of(plain, pairs, kind="models", within=dataset).get(deep)
    if pair is None:
        return []
    outcome = {
        "better": "this run agrees on the order",
        "worse": "this run says the opposite",
        "equivalent": "in this run the two are equivalent",
        "undecided": "in this run the two are undecided",
    }[pair["verdict"]]
    return [
        f"The first study reports {theirs:g} % for the CNN and {others:g} % for ResNet-18 on {dataset}; {outcome} "
        f"({plain} − {deep}: {_points(pair['difference'])} points, {_interval(pair)})."
    ]


def _pairs_of(one: str, pairs: Rows, *, kind: str, within: str) -> dict[str, Row]:
    """Return other -> pair for each pair of ``one``, swapped so that ``one`` comes first."""
    found: dict[str, Row] = {}
    for pair in pairs:
        if (pair["kind"], pair["within"]) != (kind, within):
            continue
        if pair["a"] == one:
            found[pair["b"]] = pair
        elif pair["b"] == one:
            swapped = {"difference": -pair["difference"], "low": -pair["high"], "high": -pair["low"]}
            found[pair["a"]] = {**pair, **swapped, "verdict": turned(pair["verdict"])}
    return found


def _interval(pair: Row, *, sign: bool = True) -> str:
    low, high = (100 * pair[end] for end in ("low", "high"))
    if not sign and high < 0:
        low, high = -high, -low
    return f"95 % CI {low:.1f} to {high:.1f}"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
