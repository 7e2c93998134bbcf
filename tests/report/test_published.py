"""Published numbers beside ours: compared only where they can be, by intervals worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from shearbench.records import read_json
from shearbench.report.claims import AblationResult, Claim, OfDataset, read_claims
from shearbench.report.published import Line, Results, lines

CLAIM = read_claims(Path(__file__).parents[2])["mechanical-mnist"]


def _row(dataset: str, model: str, accuracy: float, sd: float, n_train: int = 60_000) -> dict[str, Any]:
    return {
        **{"dataset": dataset, "model": model, "folds": 5, "repeats": 1, "n_train": n_train, "n_test": 10_000},
        **{"test_accuracy_mean": accuracy, "test_accuracy_sd": sd, "parameters": 421_642, "accuracy_drop": 0.01},
    }


def _line(what: str, rows: list[dict[str, Any]], **given: Any) -> Line:
    made = lines(CLAIM, Results(rows=rows, **given))
    (line,) = [line for line in made if line.what == what]
    return line


def _trained_on(samples: int, epochs: int) -> dict[str, Any]:
    models = {key: {"recipe": {"epochs": epochs}} for key in ("cnn3_dropout", "cnn3_l2")}
    return {"sizes": {"train": samples}, "plan": {"models": models}}


PAIR = {"kind": "models", "within": "mnist", "a": "mlp", "b": "cnn3", "rope": 0.005}
CNN = "CNN on MNIST, accuracy (cnn3 here)"


def test_an_interval_worked_out_by_hand() -> None:
    line = _line(CNN, [_row("mnist", "cnn3", 0.99, 0.001)])
    reach = stats.t.ppf(0.975, 4) * 0.1 * (1 / 5 + 1 / 4) ** 0.5
    assert line.interval == f"{99 - reach:.2f} to {99 + reach:.2f} %"
    assert (line.published, line.ours) == ("99.18 ± 0.12 %", "99.00 ± 0.10 %")


@pytest.mark.parametrize(
    ("accuracy", "sd", "word"),
    [
        (0.9918, 0.001, "equivalent"),
        (0.9885, 0.001, "different"),
        (0.9918, 0.02, "undecided"),
        (0.98, 0.001, "different"),
    ],
)
def test_a_published_accuracy_has_an_equivalence_verdict(accuracy: float, sd: float, word: str) -> None:
    line = _line(CNN, [_row("mnist", "cnn3", accuracy, sd)], pairs=[PAIR])
    assert line.agrees == word  # at 98.85 % the two intervals overlap
    factor = (1 / 5 + 1 / 4) ** 0.5
    error = np.hypot(100 * sd, 0.12) * factor
    df = error**4 / (((100 * sd * factor) ** 4 + (0.12 * factor) ** 4) / 4)
    low, high = (100 * accuracy - 99.18 + sign * stats.t.ppf(0.975, df) * error for sign in (-1, 1))
    assert f"interval {low:+.2f} to {high:+.2f} points" in line.remark


def test_without_a_region_of_equivalence_there_is_no_verdict() -> None:
    line = _line(CNN, [_row("mnist", "cnn3", 0.9918, 0.001)])
    assert (line.agrees, line.remark) == ("cannot be compared", "no pair on mnist declares a region of equivalence")


def test_fewer_digits_cannot_be_compared() -> None:
    line = _line(CNN, [_row("mnist", "cnn3", 0.9918, 0.001, n_train=4000)])
    assert line.agrees == "cannot be compared"
    assert "4,000 samples, not of 60,000" in line.remark


def test_a_number_without_a_spread_cannot_be_compared() -> None:
    line = _line("MLP on MNIST, accuracy (mlp here)", [_row("mnist", "mlp", 0.98, 0.001)])
    assert (line.agrees, line.remark) == ("cannot be compared", "published without a spread")


def test_what_has_not_run_is_said() -> None:
    made = lines(CLAIM, Results())
    assert {line.agrees for line in made} == {"cannot be compared"}
    assert all("has not run" in line.remark for line in made)


@pytest.mark.parametrize(("parameters", "agrees"), [(421_642, "different"), (500_001, "equal"), (930_000, "different")])
def test_parameters_agree_to_the_digit_that_is_published(parameters: int, agrees: str) -> None:
    row = {**_row("mnist", "cnn2", 0.99, 0.001), "parameters": parameters}
    line = _line("CNN, parameters (cnn2 here)", [row])
    assert (line.ours, line.agrees) == (f"{parameters / 1e6:.2f} million", agrees)


@pytest.mark.parametrize(
    ("low", "high", "train", "epochs", "agrees"),
    [
        (0.001, 0.006, 48_000, 30, "equivalent"),
        (-0.002, 0.005, 48_000, 30, "undecided"),
        (-0.006, -0.001, 48_000, 30, "different"),
        (0.001, 0.006, 3_200, 30, "cannot be compared"),
        (0.001, 0.006, 48_000, 2, "cannot be compared"),
    ],
)
def test_the_gain_of_dropout(low: float, high: float, train: int, epochs: int, agrees: str) -> None:
    pair = {
        **{"family": "models", "within": "mnist", "a": "cnn3_dropout", "b": "cnn3_l2", "verdict": "undecided"},
        **{"difference": (low + high) / 2, "low": low, "high": high, "folds": 5, "rope": 0.004, "p_adjusted": 0.5},
    }
    ablation_result = AblationResult(Path(), _trained_on(train, epochs), [], [pair])
    line = _line("CNN, gain of dropout over L2 regularisation", [], ablations={"regularisation": ablation_result})
    assert (line.published, line.agrees) == ("0.4 percentage points", agrees)


def test_fives_read_as_threes_are_those_of_the_network_on_fields() -> None:
    row = {"model": "cnn3", "dataset": "mechanical", "true": 5, "predicted": 3, "n": 361, "p": 0.02}
    row |= {"reference_count": 3.0, "count": 14.5}
    others = [
        {**row, key: value, "count": 99.0} for key, value in (("model", "mlp"), ("true", 3), ("dataset", "mnist"))
    ]
    line = _line("5 predicted as 3, from MNIST to Mechanical MNIST (cnn3 here)", [], confused=[*others, row])
    assert (line.published, line.agrees) == ("8 to 16 samples", "cannot be compared")
    assert line.ours == "3 to 14.5 samples of 361, McNemar p 0.020"


@pytest.mark.parametrize(("a", "b"), [("cnn3", "resnet18"), ("resnet18", "cnn3")])
def test_the_networks_are_compared_whichever_is_named_first(a: str, b: str) -> None:
    pair = {
        **{"kind": "models", "within": "mechanical", "a": a, "b": b},
        **{"difference": 0.01, "low": -0.01, "high": 0.03, "p_adjusted": 0.2},
    }
    line = _line("CNN against ResNet-18 on Mechanical MNIST", [], pairs=[pair, {**pair, "within": "mnist"}])
    assert line.ours == f"{a} − {b}: +1.00 percentage points, adjusted p 0.200"


def test_three_folds_are_no_verdict_on_the_gain() -> None:
    pair = {
        **{"family": "models", "within": "mnist", "a": "cnn3_dropout", "b": "cnn3_l2", "verdict": "better"},
        **{"difference": 0.004, "low": 0.001, "high": 0.006, "folds": 3, "rope": 0.004, "p_adjusted": 0.01},
    }
    ablation_result = AblationResult(Path(), _trained_on(48_000, 30), [], [pair])
    line = _line("CNN, gain of dropout over L2 regularisation", [], ablations={"regularisation": ablation_result})
    assert line.agrees == "cannot be compared"
    assert "a verdict needs 5 folds" in line.remark


def test_training_losses_stand_beside_the_published_ones() -> None:
    losses = {("mechanical", "resnet18"): [(0.41, 0.021), (0.39, 0.034)]}
    rows = [_row("mechanical", "resnet18", 0.98, 0.001)]
    what = "ResNet-18 on Mechanical MNIST, training loss of the {} epoch (resnet18 here)"
    first, last = (_line(what.format(which), rows, losses=losses) for which in ("first", "last"))
    assert (first.published, first.ours) == ("2.45", "0.390 to 0.410 over 2 folds")
    assert (last.published, last.source, last.ours) == ("0.34", "Table 3", "0.021 to 0.034 over 2 folds")


def test_a_number_of_an_ablation_is_compared_with_its_trainings() -> None:
    given = [
        {**one.model_dump(), "ablation": "longer", "dataset": "none"}
        for one in CLAIM.published
        if isinstance(one, OfDataset) and one.label == "ResNet-18 on Mechanical MNIST" and one.ablation is None
    ]
    claim = Claim.model_validate({**CLAIM.model_dump(), "published": given})
    row = {"dataset": "none", "model": "resnet18", "split": "test", "bn_statistics": "as_trained", "folds": 5}
    record = {
        **{"sizes": {"train": 48_000}, "of_folds": 5, "plan": {"rope": 0.01}},
        **{"first_train_loss": {"none-resnet18": [0.31, 0.33]}, "train_loss": {"none-resnet18": [0.03, 0.04]}},
    }
    longer = AblationResult(Path(), record, [{**row, "mean": 0.8346, "sd": 0.0034}], [])
    accuracy, first, last = lines(claim, Results(ablations={"longer": longer}))
    assert accuracy.what == "ResNet-18 on Mechanical MNIST, accuracy (resnet18 here, ablation longer)"
    assert (accuracy.ours, accuracy.agrees) == ("83.46 ± 0.34 %", "equivalent")
    assert [each.ours for each in (first, last)] == ["0.310 to 0.330 over 2 folds", "0.030 to 0.040 over 2 folds"]
    assert "trained on none, as the ablation longer declares" in last.remark
    assert lines(claim, Results()) == []

    longer.record["sizes"]["train"] = 3_200
    assert lines(claim, Results(ablations={"longer": longer}))[0].agrees == "cannot be compared"


@pytest.mark.parametrize("turn", [False, True])
def test_a_drop_and_a_test_within_an_ablation(turn: bool) -> None:
    numbers = [
        {"kind": "drop", "label": "Lost", "models": ["cnn3"], "before": "mnist", "after": "none", "value": 1.01},
        {"kind": "p_value", "label": "A test", "dataset": "none", "models": ["resnet18", "cnn3"], "text": "p < 0.01"},
    ]
    given = [{**one, "ablation": "longer", "source": "a table"} for one in numbers]
    claim = Claim.model_validate({**CLAIM.model_dump(), "published": given})
    names = ("none", "mnist") if turn else ("mnist", "none")
    models = {"family": "models", "kind": "models", "a": "resnet18", "b": "cnn3"}
    means = {"mean_a": 0.5, "mean_b": 0.5}
    less = {**means, "difference": -0.02, "low": -0.03, "high": -0.01, "verdict": "worse"}
    more = {**means, "difference": 0.02, "low": 0.01, "high": 0.03, "verdict": "better"}
    ends = less if turn else more
    pairs = [
        {"family": "datasets", "kind": "datasets", "within": "cnn3", "a": names[0], "b": names[1], **ends},
        {**models, "within": "none", **ends, "p_adjusted": 0.2},
        {**models, "within": "mnist", **ends, "p_adjusted": 0.3},
    ]
    longer = AblationResult(Path(), {}, [], pairs)
    drop, test = lines(claim, Results(ablations={"longer": longer}))
    assert (drop.what, drop.ours) == ("Lost, lost (cnn3 here, ablation longer)", "+2.00 percentage points")
    assert drop.interval == "+1.00 to +3.00 percentage points"
    assert test.what == "A test (ablation longer here)"
    assert test.ours.endswith("adjusted p 0.200")
    assert lines(claim, Results()) == []


def test_the_rows_at_full_size_that_the_repository_keeps_are_set_beside_the_published_numbers() -> None:
    rows = read_json(Path(__file__).parents[2] / "reports" / "full" / "comparison.json")
    assert any("repeats" not in row for row in rows), "kept from a version without repeats"
    assert any(line.interval for line in lines(CLAIM, Results(rows=rows)))


@pytest.mark.parametrize(("plan", "samples", "overlap"), [({}, 60_000, 1 / 4), ({"train_on": "fold"}, 48_000, 0.0)])
def test_three_of_five_folds_are_trained_on_what_five_are(plan: dict[str, str], samples: int, overlap: float) -> None:
    row = {"dataset": "mnist", "model": "cnn3", "split": "test", "bn_statistics": "as_trained"}
    record = {"of_folds": 5, "sizes": {"train": 48_000}, "plan": plan}
    found = AblationResult(Path(), record, [{**row, "folds": 3, "mean": 0.99, "sd": 0.001}], [])
    number = OfDataset.model_construct(ablation="three", dataset="mnist")
    trained = Results(rows=[], ablations={"three": found}).trained(number, "cnn3")
    assert trained is not None
    assert (trained["n_train"], trained["test_to_train"]) == (samples, overlap)
