"""A paper's published numbers, one by one, beside ours: equivalent, different, undecided, or why there is no verdict.

``claims/<name>.yaml`` has the published numbers; each kind of number has one function here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scipy import stats

from shearbench.report.claim import LEAST_FOLDS, AblationResult
from shearbench.report.claims import Accuracy, Claim, Confusion, Drop, Gain, Parameters, PValue, Study, TrainLoss
from shearbench.report.findings import p_value, points
from shearbench.statistics.resampled_t import error_factor
from shearbench.statistics.verdict import Word, decide_apart, decide_by_interval

Row = Mapping[str, Any]
_BARRED = "cannot be compared"
WORDS: Mapping[Word, str] = {
    "equivalent": "equivalent",
    "better": "different",
    "worse": "different",
    "undecided": "undecided",
}
"""Verdict on ours against the published number -> word in the table."""


@dataclass(frozen=True)
class Line:
    """One published number: its name, the published value, ours with its interval, and a remark."""

    what: str
    published: str
    source: str
    ours: str
    interval: str
    agrees: str
    remark: str


@dataclass(frozen=True)
class Results:
    """Our results, of one size of run.

    ``rows`` are those of ``comparison.json``, ``pairs`` of ``pairs.json``, ``confused`` of ``confused_pairs.csv`` if it
    exists, ``ablations`` by name, ``losses`` the (first, last) training loss of each fold by dataset and model.
    """

    rows: Sequence[Row] = ()
    pairs: Sequence[Row] = ()
    confused: Sequence[Row] = ()
    ablations: Mapping[str, AblationResult] = field(default_factory=dict)
    losses: Mapping[tuple[str, str], Sequence[tuple[float, float]]] = field(default_factory=dict)

    def row(self, dataset: str, model: str) -> Row | None:
        """Return the row of a run, or None if it has not run."""
        return next((row for row in self.rows if (row["dataset"], row["model"]) == (dataset, model)), None)

    def rope(self, dataset: str) -> float | None:
        """Return the declared region of equivalence of a dataset, or None if it has no pair of models."""
        found = [pair["rope"] for pair in self.pairs if pair["kind"] == "models" and pair["within"] == dataset]
        return float(found[0]) if found else None


def lines(claim: Claim, results: Results) -> list[Line]:
    """Return a line for each published number and each of our models that it is compared with."""
    return [line for number in claim.published for line in _KINDS[number.kind](number, claim.study, results)]


def _accuracy(number: Accuracy, study: Study, results: Results) -> Iterator[Line]:
    published = f"about {number.value:g} %" if number.spread is None else f"{number.value:.2f} ± {number.spread:.2f} %"
    for model in number.models:
        what, row = f"{number.label}, accuracy ({model} here)", results.row(number.dataset, model)
        if row is None:
            yield _absent(what, published, number.source, f"run {number.dataset}-{model}")
            continue
        mean, error, df = over_folds(
            row["test_accuracy_mean"], row["test_accuracy_sd"], row["folds"], row.get("repeats", 1)
        )
        reach = float(stats.t.ppf(0.975, df)) * error
        ours = f"{100 * mean:.2f} ± {100 * row['test_accuracy_sd']:.2f} %"
        interval = f"{100 * max(0.0, mean - reach):.2f} to {100 * min(1.0, mean + reach):.2f} %"
        agrees, remark = _agreement(row, number, study, results.rope(number.dataset))
        yield Line(what, published, number.source, ours, interval, agrees, remark)


def over_folds(mean: float, sd: float, folds: int, repeats: int = 1) -> tuple[float, float, float]:
    """Return a mean over the models of folds, its standard error by the corrected resampled t, and its df.

    Both sides use the same test set (MNIST's), so only other trainings change them.
    """
    return mean, sd * error_factor(folds, repeats), folds * repeats - 1


def _agreement(row: Row, number: Accuracy, study: Study, rope: float | None) -> tuple[str, str]:
    """Return the verdict on a published accuracy and ours, and the reason."""
    if row["n_train"] < study.samples:
        return _BARRED, _fewer_samples(row, study)
    if number.spread is None:
        return _BARRED, "published without a spread"
    if rope is None:
        return _BARRED, f"no pair on {number.dataset} declares a region of equivalence"
    here = over_folds(row["test_accuracy_mean"], row["test_accuracy_sd"], row["folds"], row.get("repeats", 1))
    found = decide_apart(here, over_folds(number.value / 100, number.spread / 100, study.folds), rope=rope)
    return WORDS[found.word], f"ours minus published: {found.rule}; our recipe has other epochs, schedule and scaling"


def _fewer_samples(row: Row, study: Study) -> str:
    return f"trained on folds of {row['n_train']:,} samples, not of {study.samples:,}"


def _drop(number: Drop, study: Study, results: Results) -> Iterator[Line]:
    published = f"{number.value:.2f} percentage points"
    for model in number.models:
        what, row = f"{number.label}, lost ({model} here)", results.row(number.after, model)
        if row is None or row["accuracy_drop"] is None:
            needed = f"runs {number.before}-{model} and {number.after}-{model}"
            yield _absent(what, published, number.source, needed)
            continue
        remark = "a difference of two means that were published without the interval of their difference"
        if row["n_train"] < study.samples:
            remark = _fewer_samples(row, study)
        ours = f"{100 * row['accuracy_drop']:.2f} percentage points"
        yield Line(what, published, number.source, ours, "", _BARRED, remark)


def _train_loss(number: TrainLoss, study: Study, results: Results) -> Iterator[Line]:
    published = f"{number.value:g}"
    for model in number.models:
        what = f"{number.label}, training loss of the {number.epoch} epoch ({model} here)"
        found, row = results.losses.get((number.dataset, model)), results.row(number.dataset, model)
        if not found or row is None:
            yield _absent(what, published, number.source, f"run {number.dataset}-{model} with its training losses")
            continue
        values = [loss[0 if number.epoch == "first" else 1] for loss in found]
        ours = f"{min(values):.3f} to {max(values):.3f} over {len(values)} folds"
        remark = "published without a spread; our recipe has other epochs and scaling"
        if row["n_train"] < study.samples:
            remark = _fewer_samples(row, study)
        yield Line(what, published, number.source, ours, "", _BARRED, remark)


def _confusion(number: Confusion, study: Study, results: Results) -> Iterator[Line]:
    published = f"{number.before} to {number.after} samples"
    for model in number.models:
        what = f"{number.label} ({model} here)"
        wanted: dict[str, Any] = {"model": model, "dataset": number.dataset}
        wanted |= {"true": number.true_class, "predicted": number.predicted_class}
        found = [
            row
            for row in results.confused
            if all(row[key] == value for key, value in wanted.items()) and math.isfinite(row["p"])  # NaN: one dataset
        ]
        if not found:
            needed = f"a table of the pairs that {model} confuses on both datasets"
            yield _absent(what, published, number.source, needed)
            continue
        (row,) = found
        n, here, there = row["n"], row["reference_count"], row["count"]
        ours = f"{here:g} to {there:g} samples of {n:,}, McNemar p {p_value(row['p'])}"
        remark = f"{study.label} does not say the model or the number of samples; ours are cross-validated"
        yield Line(what, published, number.source, ours, "", _BARRED, remark)


def _significance(number: PValue, study: Study, results: Results) -> Iterator[Line]:
    for pair in results.pairs:
        is_compared = pair["kind"] == "models" and pair["within"] == number.dataset
        if is_compared and {pair["a"], pair["b"]} == set(number.models):
            ours = f"{pair['a']} \N{MINUS SIGN} {pair['b']}: {points(pair['difference'])} percentage points, "
            ours += f"adjusted p {p_value(pair['p_adjusted'])}"
            interval = f"{points(pair['low'])} to {points(pair['high'])} percentage points"
            remark = "a plain t-test over folds is wrong too often; ours is corrected for the overlap of the folds"
            yield Line(number.label, number.text, number.source, ours, interval, _BARRED, remark)


def _parameters(number: Parameters, study: Study, results: Results) -> Iterator[Line]:
    published = f"{number.millions:g} million"
    for model in number.models:
        what, row = f"{number.label} ({model} here)", results.row(number.dataset, model)
        if row is None:
            yield _absent(what, published, number.source, f"run {number.dataset}-{model}")
            continue
        ours = row["parameters"] / 1e6
        agrees = "equal" if round(ours, 1) == number.millions else "different"
        yield Line(what, published, number.source, f"{ours:.2f} million", "", agrees, "to the digit that is published")


def _gain(number: Gain, study: Study, results: Results) -> Iterator[Line]:
    published = f"{number.value:g} percentage points"
    ablation_result = results.ablations.get(number.ablation)
    if ablation_result is None:
        yield _absent(number.label, published, number.source, f"ablation {number.ablation}")
        return
    for pair in ablation_result.of_family("models", b=number.against):
        trained = ablation_result.record["sizes"]["train"]
        few = pair["folds"] < LEAST_FOLDS
        word = f"a verdict needs {LEAST_FOLDS} folds" if few else f"verdict on {pair['a']}: {pair['verdict']}"
        remark = f"on {trained:,} training samples, {pair['folds']} folds; {word}; region ± {points(pair['rope'])[1:]}"
        ends = (pair[end] - number.value / 100 for end in ("low", "high"))
        agrees = WORDS[decide_by_interval(*ends, rope=pair["rope"], p_adjusted=pair["p_adjusted"]).word]
        if few or trained < study.samples * (1 - 1 / study.folds):
            agrees = _BARRED
        ours = f"{points(pair['difference'])} percentage points"
        interval = f"{points(pair['low'])} to {points(pair['high'])} percentage points"
        yield Line(number.label, published, number.source, ours, interval, agrees, remark)


def _absent(what: str, published: str, source: str, needed: str) -> Line:
    return Line(what, published, source, "", "", _BARRED, f"{needed} has not run")


_KINDS: Mapping[str, Callable[[Any, Study, Results], Iterator[Line]]] = {
    "accuracy": _accuracy,
    "drop": _drop,
    "train_loss": _train_loss,
    "confusion": _confusion,
    "p_value": _significance,
    "parameters": _parameters,
    "gain": _gain,
}
