"""What the two studies published, number by number, beside ours: agree, differ, or why they cannot be compared."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from shearbench.report.claim import AblationResult
from shearbench.report.findings import p_value, points
from shearbench.statistics.resampled_t import error_factor

Row = Mapping[str, Any]
FOLDS = 5
"""Of the studies; their ± is taken for the standard deviation over them, as they do not say."""
DIGITS = 60_000
"""Training digits of the studies."""
MNIST, MECHANICAL = "mnist", "mechanical"
TABLES: Sequence[tuple[str, str, str, float, float | None]] = (
    # network in the study, ours, dataset, accuracy in %, ±
    ("MLP", "mlp", MNIST, 98.0, None),
    ("CNN", "cnn3", MNIST, 99.18, 0.12),
    ("CNN", "cnn2", MNIST, 99.18, 0.12),
    ("ResNet-18", "resnet18", MNIST, 98.95, 0.15),
    ("CNN", "cnn3", MECHANICAL, 98.17, 0.21),
    ("CNN", "cnn2", MECHANICAL, 98.17, 0.21),
    ("ResNet-18", "resnet18", MECHANICAL, 83.46, 0.34),
)
DROPS = (("CNN", "cnn3", 99.18 - 98.17), ("ResNet-18", "resnet18", 98.95 - 83.46))
PARAMETERS = 0.5
"""Millions, of the study's CNN by its text, which describes two."""
FIVES_AS_THREES = (8, 16)
"""Digits, on MNIST and on Mechanical MNIST; the study's text does not say of which network, nor of how many."""
DROPOUT_GAIN = 0.4
"""Points by which the study's CNN is better with dropout than with L2 regularisation."""


@dataclass(frozen=True)
class Line:
    """One published number: what it is, as published, ours with its interval, and what may be said of the two."""

    what: str
    published: str
    ours: str
    interval: str
    agrees: str
    remark: str


def lines(
    rows: Sequence[Row], pairs: Sequence[Row], confused: Sequence[Row], regularisation: AblationResult | None
) -> list[Line]:
    """Return a line for each published number.

    Args:
        rows: of ``comparison.json``, of the default or of the full-size run.
        pairs: of ``pairs.json`` of the same run.
        confused: of ``confused_pairs.csv`` of the same run, if it was kept.
        regularisation: the ablation result of the ablation of that name, if it has run.
    """
    by_run = {(row["dataset"], row["model"]): row for row in rows}
    return [
        *(_accuracy(*entry, by_run.get((entry[2], entry[1]))) for entry in TABLES),
        *(_drop(name, model, value, by_run.get((MECHANICAL, model))) for name, model, value in DROPS),
        *(_fives(model, confused) for model in ("cnn3", "resnet18")),
        *_significance(pairs),
        *(_parameters(by_run.get((MNIST, model)), model) for model in ("cnn2", "cnn3")),
        *_dropout(regularisation),
    ]


def _accuracy(name: str, model: str, dataset: str, value: float, spread: float | None, row: Row | None) -> Line:
    what = f"{name} on {'MNIST' if dataset == MNIST else 'Mechanical MNIST'}, accuracy ({model} here)"
    published = f"about {value:g} %" if spread is None else f"{value:.2f} ± {spread:.2f} %"
    if row is None:
        return _absent(what, published, f"run {dataset}-{model}")
    low, high = _over_folds(row)
    ours = f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f} %"
    interval = f"{low:.2f} to {high:.2f} %"
    agrees, remark = _agreement(row, value, spread, low, high)
    return Line(what, published, ours, interval, agrees, remark)


def _over_folds(row: Row) -> tuple[float, float]:
    """Return the 95 % interval, in %, of the mean over the networks of the folds, by the corrected resampled t."""
    reach = _reach(100 * row["test_accuracy_sd"], row["folds"], row.get("repeats", 1))
    mean = 100 * row["test_accuracy_mean"]
    return max(0.0, mean - reach), min(100.0, mean + reach)


def _reach(sd: float, folds: int, repeats: int = 1) -> float:
    return float(stats.t.ppf(0.975, folds * repeats - 1)) * sd * error_factor(folds, repeats)


def _agreement(row: Row, value: float, spread: float | None, low: float, high: float) -> tuple[str, str]:
    """Return what may be said of a published accuracy and ours, and the reason."""
    if row["n_train"] < DIGITS:
        return "cannot be compared", f"trained on folds of {row['n_train']:,} digits, not of {DIGITS:,}"
    if spread is None:
        return "cannot be compared", "published without a spread"
    reach = _reach(spread, FOLDS)
    meets = low <= value + reach and value - reach <= high
    how = "the 95 % intervals meet" if meets else "the 95 % intervals do not meet"
    return ("agree" if meets else "differ"), f"{how}; our recipe has other epochs, schedule and scaling"


def _drop(name: str, model: str, value: float, row: Row | None) -> Line:
    what, published = f"{name}, lost from MNIST to Mechanical MNIST ({model} here)", f"{value:.2f} points"
    if row is None or row["accuracy_drop"] is None:
        return _absent(what, published, f"runs mnist-{model} and mechanical-{model}")
    ours = f"{100 * row['accuracy_drop']:.2f} points"
    if row["n_train"] < DIGITS:
        reason = f"trained on folds of {row['n_train']:,} digits, not of {DIGITS:,}"
        return Line(what, published, ours, "", "cannot be compared", reason)
    remark = "a difference of two means that were published without the interval of their difference"
    return Line(what, published, ours, "", "cannot be compared", remark)


def _fives(model: str, confused: Sequence[Row]) -> Line:
    before, after = FIVES_AS_THREES
    what, published = f"5 read as 3, from MNIST to Mechanical MNIST ({model} here)", f"{before} to {after} digits"
    wanted = {"model": model, "dataset": MECHANICAL, "true": 5, "predicted": 3}
    found = [
        row
        for row in confused
        if all(row[key] == value for key, value in wanted.items()) and math.isfinite(row["p"])  # NaN: only one dataset
    ]
    if not found:
        return _absent(what, published, f"a table of the pairs that {model} confuses on both datasets")
    (row,) = found
    n, here, there = row["n"], row["reference_count"], row["count"]
    ours = f"{here:g} to {there:g} digits of {n:,}, McNemar p {p_value(row['p'])}"
    remark = "the study does not say of which network or of how many digits; ours are read out of fold"
    return Line(what, published, ours, "", "cannot be compared", remark)


def _significance(pairs: Sequence[Row]) -> Iterator[Line]:
    what, published = "CNN against ResNet-18 on Mechanical MNIST", "p < 0.01, t-test of 5 folds"
    for pair in pairs:
        if pair["kind"] == "models" and pair["within"] == MECHANICAL and {pair["a"], pair["b"]} == {"cnn3", "resnet18"}:
            ours = f"{pair['a']} − {pair['b']}: {points(pair['difference'])} points, Holm p {p_value(pair['p_holm'])}"
            interval = f"{points(pair['low'])} to {points(pair['high'])} points"
            remark = "a plain t-test of folds is wrong too often; ours is corrected for their overlap"
            yield Line(what, published, ours, interval, "cannot be compared", remark)


def _parameters(row: Row | None, model: str) -> Line:
    what, published = f"CNN, parameters ({model} here)", f"{PARAMETERS:g} million"
    if row is None:
        return _absent(what, published, f"run mnist-{model}")
    ours = row["parameters"] / 1e6
    agrees = "agree" if round(ours, 1) == PARAMETERS else "differ"
    return Line(what, published, f"{ours:.2f} million", "", agrees, "the study's text describes two different CNNs")


def _dropout(ablation_result: AblationResult | None) -> Iterator[Line]:
    what, published = "CNN, gain of dropout over L2 regularisation", f"{DROPOUT_GAIN:g} points"
    if ablation_result is None:
        yield _absent(what, published, "ablation regularisation")
        return
    for pair in ablation_result.of_family("models", b="cnn3_l2"):
        low, high = 100 * pair["low"], 100 * pair["high"]
        trained = ablation_result.record["sizes"]["train"]
        remark = (
            f"on {trained:,} training digits, {pair['folds']} folds; verdict on dropout against L2: {pair['verdict']}"
        )
        agrees = "agree" if low <= DROPOUT_GAIN <= high else "differ"
        if trained < DIGITS * (1 - 1 / FOLDS):
            agrees = "cannot be compared"
        ours = f"{points(pair['difference'])} points"
        yield Line(what, published, ours, f"{points(pair['low'])} to {points(pair['high'])} points", agrees, remark)


def _absent(what: str, published: str, needed: str) -> Line:
    return Line(what, published, "", "", "cannot be compared", f"{needed} has not run")
