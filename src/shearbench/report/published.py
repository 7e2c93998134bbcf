"""A paper's published numbers, one by one, beside ours: equivalent, different, undecided, or why there is no verdict.

``claims/<name>.yaml`` has the published numbers; each kind of number has one function here.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from shearbench.records import RECORD
from shearbench.report import claims
from shearbench.report.claims import LEAST_FOLDS, AblationResult, read_ablation_result
from shearbench.report.comparison import pairs_of_file, rows_of_file
from shearbench.report.findings import Row, Rows, listed, p_value, points, seen_from
from shearbench.statistics.resampled_t import error_factor
from shearbench.statistics.verdict import Word, decide_by_interval, decide_unpaired

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
    """One published number: its name, value and source, a remark, ours with its interval, and the verdict."""

    what: str
    published: str
    source: str
    remark: str
    ours: str = ""
    interval: str = ""
    agrees: str = _BARRED


@dataclass(frozen=True)
class Results:
    """Our results, of one size of run.

    ``rows`` are those of ``comparison.json``, ``pairs`` of ``pairs.json``, ``confused`` of ``confused_pairs.csv`` if it
    exists, ``ablations`` by name, ``losses`` the (first, last) training loss of each fold by dataset and model.
    """

    rows: Rows = ()
    pairs: Rows = ()
    confused: Rows = ()
    ablations: Mapping[str, AblationResult] = field(default_factory=dict)
    losses: Mapping[tuple[str, str], Sequence[tuple[float, float]]] = field(default_factory=dict)

    def row(self, dataset: str, model: str) -> Row | None:
        """Return the row of a run, or None if it has not run."""
        return next((row for row in self.rows if (row["dataset"], row["model"]) == (dataset, model)), None)

    def trained(self, number: claims.OfDataset, model: str) -> Row | None:
        """Return the row of the run that a number is compared with, of the comparison or of an ablation."""
        if number.ablation is None:
            return self.row(number.dataset, model)
        result = self.ablations[number.ablation]
        found = result.accuracy(number.dataset, model, "test", "as_trained")
        if found is None:
            return None
        samples = round(result.record["sizes"]["train"] * (1 + result.test_to_train))
        accuracy = {"test_accuracy_mean": found["mean"], "test_accuracy_sd": found["sd"]}
        return {**accuracy, "folds": found["folds"], "n_train": samples, "test_to_train": result.test_to_train}

    def rope(self, number: claims.OfDataset) -> float | None:
        """Return the declared region of equivalence, or None if the dataset has no pair of models."""
        if number.ablation:
            return float(self.ablations[number.ablation].record["plan"]["rope"])
        found = [pair["rope"] for pair in self.pairs if pair["kind"] == "models" and pair["within"] == number.dataset]
        return float(found[0]) if found else None

    def train_losses(self, number: claims.TrainLoss, model: str) -> Sequence[float]:
        """Return the training loss of each fold in the first or the last epoch; empty if it is not known."""
        first = number.epoch == "first"
        if number.ablation:
            losses = self.ablations[number.ablation].record.get("first_train_loss" if first else "train_loss", {})
            return [float(loss) for loss in losses.get(f"{number.dataset}-{model}", ())]
        return [pair[0 if first else 1] for pair in self.losses.get((number.dataset, model), ())]


def read_results(rows: Rows, *, reports: Path, comparison: Path, ablations: Path, evaluations: Path) -> Results:
    """Return the available results of one size of run; ``rows`` are those of its ``comparison.json``.

    The folders have ``pairs.json``, ``confused_pairs.csv``, the ablation results and
    ``<dataset>/<model>/training_dynamics.csv``.
    """
    confused = comparison / "confused_pairs.csv"
    folders = [path.parent for path in ablations.glob(f"*/{RECORD}") if (path.parent / "pairs.csv").is_file()]
    dynamics = {(row["dataset"], row["model"]): evaluations / row["dataset"] / row["model"] for row in rows}
    losses = {
        run: pd.read_csv(path)[["first_train_loss", "last_train_loss"]]
        for run, folder in dynamics.items()
        if (path := folder / "training_dynamics.csv").is_file()
    }
    return Results(
        rows,
        pairs_of_file(reports / "pairs.json"),
        rows_of_file(confused) if confused.is_file() else (),
        {folder.name: result for folder in folders if (result := read_ablation_result(folder))},
        {run: list(table.itertuples(index=False, name=None)) for run, table in losses.items()},
    )


def lines(claim: claims.Claim, results: Results) -> list[Line]:
    """Return a line for each published number and each of our models that it is compared with.

    A number that is compared with an ablation is left out if that ablation has not run.
    """
    given = [one for one in claim.published if not isinstance(one, claims.OfTrainings) or _has_run(one, results)]
    return [line for number in given for line in _lines(number, claim.study, results)]


def _has_run(number: claims.OfTrainings, results: Results) -> bool:
    return number.ablation is None or number.ablation in results.ablations


def _here(number: claims.OfTrainings, model: str) -> str:
    return f"({model} here{f', ablation {number.ablation}' if number.ablation else ''})"


def _lines(number: claims.Number, study: claims.Study, results: Results) -> Iterator[Line]:
    if isinstance(number, claims.PValue):
        yield from _significance(number, results)
    elif isinstance(number, claims.Gain):
        yield from _gain(number, study, results)
    else:
        for model in number.models:
            yield _KINDS[number.kind](number, model, study, results)


def _recipe(number: claims.OfDataset, others: str) -> str:
    if number.ablation:
        return f"trained on {number.dataset}, as the ablation {number.ablation} declares"
    return f"our recipe has other {others}"


def _accuracy(number: claims.Accuracy, model: str, study: claims.Study, results: Results) -> Line:
    published = f"about {number.value:g} %" if number.spread is None else f"{number.value:.2f} ± {number.spread:.2f} %"
    head = f"{number.label}, accuracy {_here(number, model)}", published, number.source
    row = results.trained(number, model)
    if row is None:
        return Line(*head, f"run {number.dataset}-{model} has not run")
    sd = row["test_accuracy_sd"]
    mean, error, df = over_folds(
        row["test_accuracy_mean"], sd, row["folds"], row.get("repeats", 1), test_to_train=row.get("test_to_train")
    )
    reach = float(stats.t.ppf(0.975, df)) * error
    ours = f"{100 * mean:.2f} ± {100 * sd:.2f} %"
    interval = f"{100 * max(0.0, mean - reach):.2f} to {100 * min(1.0, mean + reach):.2f} %"
    rope, fewer = results.rope(number), _fewer_samples(row, study)
    if fewer or number.spread is None:
        return Line(*head, fewer or "published without a spread", ours, interval)
    if rope is None:
        return Line(*head, f"no pair on {number.dataset} declares a region of equivalence", ours, interval)
    theirs = over_folds(number.value / 100, number.spread / 100, study.folds)
    found = decide_unpaired((mean, error, df), theirs, rope=rope)
    remark = f"ours minus published: {found.rule}; {_recipe(number, 'epochs, schedule and scaling')}"
    return Line(*head, remark, ours, interval, WORDS[found.word])


def over_folds(
    mean: float, sd: float, folds: int, repeats: int = 1, *, test_to_train: float | None = None
) -> tuple[float, float, float]:
    """Return a mean over the models of folds, its standard error by the corrected resampled t, and its df.

    Both sides use the same test set (MNIST's), so only other trainings change them. ``test_to_train`` is n_test/n_train
    of a fold, by default 1/(folds - 1).
    """
    return mean, sd * error_factor(folds, repeats, test_to_train=test_to_train), folds * repeats - 1


def _fewer_samples(row: Row, study: claims.Study) -> str:
    """Return a remark if our folds are smaller than the study's, else an empty text."""
    fewer = row["n_train"] < study.samples
    return f"trained on folds of {row['n_train']:,} samples, not of {study.samples:,}" if fewer else ""


def _drop(number: claims.Drop, model: str, study: claims.Study, results: Results) -> Line:
    published = f"{number.value:.2f} percentage points"
    head = f"{number.label}, lost {_here(number, model)}", published, number.source
    remark = "a difference of two means that were published without the interval of their difference"
    if number.ablation:
        result = results.ablations[number.ablation]
        names = {number.before, number.after}
        for pair in result.of_family("datasets", within=model):
            if {pair["a"], pair["b"]} == names:
                lost = seen_from(number.before, pair)
                return Line(*head, remark, f"{points(lost['difference'])} percentage points", _interval(lost))
        return Line(*head, f"the ablation has no pair of {number.before} and {number.after} for {model}")
    row = results.row(number.after, model)
    if row is None or row["accuracy_drop"] is None:
        return Line(*head, f"run {number.before}-{model} or {number.after}-{model} has not run")
    return Line(*head, _fewer_samples(row, study) or remark, f"{100 * row['accuracy_drop']:.2f} percentage points")


def _train_loss(number: claims.TrainLoss, model: str, study: claims.Study, results: Results) -> Line:
    what = f"{number.label}, training loss of the {number.epoch} epoch {_here(number, model)}"
    head = what, f"{number.value:g}", number.source
    found, row = results.train_losses(number, model), results.trained(number, model)
    if not found or row is None:
        return Line(*head, f"run {number.dataset}-{model} with its training losses has not run")
    remark = f"published without a spread; {_recipe(number, 'epochs and scaling')}"
    ours = f"{min(found):.3f} to {max(found):.3f} over {len(found)} folds"
    return Line(*head, _fewer_samples(row, study) or remark, ours)


def _confusion(number: claims.Confusion, model: str, study: claims.Study, results: Results) -> Line:
    published = f"{number.before} to {number.after} samples"
    head = f"{number.label} ({model} here)", published, number.source
    wanted = {"model": model, "dataset": number.dataset, "true": number.true_class, "predicted": number.predicted_class}
    for row in results.confused:
        if all(row[key] == value for key, value in wanted.items()) and math.isfinite(row["p"]):  # NaN: one dataset
            n, here, there = row["n"], row["reference_count"], row["count"]
            ours = f"{here:g} to {there:g} samples of {n:,}, McNemar p {p_value(row['p'])}"
            remark = f"{study.label} does not say the model or the number of samples; ours are cross-validated"
            return Line(*head, remark, ours)
    return Line(*head, f"a table of the pairs that {model} confuses on both datasets has not run")


def _parameters(number: claims.Parameters, model: str, study: claims.Study, results: Results) -> Line:
    head = f"{number.label} ({model} here)", f"{number.millions:g} million", number.source
    row = results.row(number.dataset, model)
    if row is None:
        return Line(*head, f"run {number.dataset}-{model} has not run")
    ours = row["parameters"] / 1e6
    decimals = len(f"{number.millions:g}".partition(".")[2])
    agrees = "equal" if round(ours, decimals) == number.millions else "different"
    return Line(*head, "to the digit that is published", f"{ours:.2f} million", agrees=agrees)


def _significance(number: claims.PValue, results: Results) -> Iterator[Line]:
    pairs = results.ablations[number.ablation].of_family("models") if number.ablation else results.pairs
    for pair in pairs:
        is_compared = pair["kind"] == "models" and pair["within"] == number.dataset
        if is_compared and {pair["a"], pair["b"]} == set(number.models):
            what = number.label + (f" (ablation {number.ablation} here)" if number.ablation else "")
            ours = f"{pair['a']} \N{MINUS SIGN} {pair['b']}: {points(pair['difference'])} percentage points, "
            ours += f"adjusted p {p_value(pair['p_adjusted'])}"
            remark = "a plain t-test takes the folds for independent; ours counts their overlap"
            yield Line(what, number.text, number.source, remark, ours, _interval(pair))


def _gain(number: claims.Gain, study: claims.Study, results: Results) -> Iterator[Line]:
    head = number.label, f"{number.value:g} percentage points", number.source
    result = results.ablations.get(number.ablation)
    if result is None:
        yield Line(*head, f"ablation {number.ablation} has not run")
        return
    for pair in result.of_family("models", b=number.against):
        trained, models = result.record["sizes"]["train"], result.record["plan"]["models"]
        epochs = {models[pair[side].partition(",")[0]]["recipe"]["epochs"] for side in "ab"}
        few = pair["folds"] < LEAST_FOLDS
        word = f"a verdict needs {LEAST_FOLDS} folds" if few else f"verdict on {pair['a']}: {pair['verdict']}"
        size = f"{trained:,} training samples, {listed(map(str, sorted(epochs)))} epochs, {pair['folds']} folds"
        remark = f"on {size}; {word}; region ± {points(pair['rope'])[1:]}"
        ends = (pair[end] - number.value / 100 for end in ("low", "high"))
        agrees = WORDS[decide_by_interval(*ends, rope=pair["rope"], p_adjusted=pair["p_adjusted"]).word]
        if few or trained < study.samples * (1 - 1 / study.folds) or epochs != {study.epochs or max(epochs)}:
            agrees = _BARRED
        yield Line(*head, remark, f"{points(pair['difference'])} percentage points", _interval(pair), agrees)


def _interval(pair: Row) -> str:
    return f"{points(pair['low'])} to {points(pair['high'])} percentage points"


_KINDS: Mapping[str, Callable[[Any, str, claims.Study, Results], Line]] = {
    "accuracy": _accuracy,
    "drop": _drop,
    "train_loss": _train_loss,
    "confusion": _confusion,
    "parameters": _parameters,
}
