"""The comparison: its columns, the drop from mnist, and the best network, which the test set does not choose."""

import json
from pathlib import Path

import pandas as pd
import pytest

from shearbench.comparison import printed
from shearbench.comparison.table import best_of_each_dataset, rows_of_runs, with_verdicts
from shearbench.errors import InputError
from shearbench.params import Params

FIRST = ["dataset", "model", "cv_accuracy_mean", "cv_accuracy_sd", "test_accuracy_mean", "test_accuracy_sd"]


def test_table_has_a_row_a_run_in_the_order_of_the_parameters(finished_once: Path, small_params: Params) -> None:
    table = pd.read_csv(finished_once / "reports" / "comparison.csv")
    assert table.columns.tolist()[:6] == FIRST
    assert table.columns.tolist()[6:10] == ["folds", "parameters", "seconds_per_fold", "accuracy_drop"]
    assert (table["dataset"] + "-" + table["model"]).tolist() == list(small_params.runs)
    metrics = json.loads((finished_once / "build/evaluation/mnist/cnn2/metrics.json").read_text())
    row = table.set_index(["dataset", "model"]).loc[("mnist", "cnn2")]
    assert row["cv_accuracy_mean"] == pytest.approx(metrics["out_of_fold"]["accuracy_mean"])
    assert row["test_accuracy_low"] <= row["test_accuracy_mean"] <= row["test_accuracy_high"]
    assert (row["n_train"], row["n_test"], row["folds"]) == (60, 20, 2)
    assert row["hardware"].startswith("cpu, fp32, ")


def test_drop_is_from_mnist_of_the_same_model(finished_once: Path) -> None:
    rows = {(row["dataset"], row["model"]): row for row in printed.read_tables(finished_once)["runs"]}
    drop = rows["mnist", "mlp"]["cv_accuracy_mean"] - rows["mechanical", "mlp"]["cv_accuracy_mean"]
    assert rows["mechanical", "mlp"]["accuracy_drop"] == pytest.approx(drop)
    assert rows["mnist", "mlp"]["accuracy_drop"] is None
    (alone,) = rows_of_runs(finished_once / "build" / "evaluation", [("mechanical", "mlp")])
    assert alone["accuracy_drop"] is None


def test_best_is_chosen_by_cross_validation_alone() -> None:
    rows = [
        {"dataset": "a", "model": "x", "cv_accuracy_mean": 0.9, "test_accuracy_mean": 0.8},
        {"dataset": "a", "model": "y", "cv_accuracy_mean": 0.8, "test_accuracy_mean": 0.9},
        {"dataset": "b", "model": "y", "cv_accuracy_mean": 0.1, "test_accuracy_mean": 0.1},
    ]
    assert best_of_each_dataset(rows) == {"a": "x", "b": "y"}


def test_missing_evaluation_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `dvc repro evaluate@mnist-mlp`"):
        rows_of_runs(tmp_path, [("mnist", "mlp")])


def test_runs_of_different_hardware_are_said_to_be(finished_once: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed.read_tables(finished_once)["runs"]
    printed.print_table(rows)
    assert "hardware differs" not in capsys.readouterr().out
    printed.print_table([*rows[:-1], {**rows[-1], "hardware": "cuda (a GPU), bf16"}])
    output = " ".join(capsys.readouterr().out.split())
    both = f"{rows[0]['hardware']}; cuda (a GPU), bf16"
    network, classifier = rows[0], {**rows[-1], "hardware": "cpu"}
    printed.print_table([network, classifier])
    assert "hardware differs" not in capsys.readouterr().out
    printed.print_table([{**network, "hardware": "cuda (a GPU), bf16"}, classifier])
    assert "hardware differs: cuda (a GPU), bf16; cpu" in " ".join(capsys.readouterr().out.split())
    assert output.endswith(f"Seconds are not comparable, because the hardware differs: {both}.")


def test_table_fits_eighty_columns(
    finished_once: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed.print_table(printed.read_tables(finished_once)["runs"])
    output = capsys.readouterr().out
    assert "mechanical mlp" in output
    assert "…" not in output


def test_a_drop_is_printed_only_where_fields_and_images_are_compared(
    finished_once: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = printed.read_tables(finished_once)["runs"]
    printed.print_table(rows)
    assert "drop" in capsys.readouterr().out
    printed.print_table([row for row in rows if row["accuracy_drop"] is None])
    assert "drop" not in capsys.readouterr().out


def test_a_verdict_is_that_of_the_row_against_the_best_of_its_dataset() -> None:
    accuracies = {"a": 0.9, "b": 0.95, "c": 0.5}
    rows = [{"dataset": "mnist", "model": model, "cv_accuracy_mean": mean} for model, mean in accuracies.items()]
    pairs = [
        {"within": "mnist", "a": "a", "b": "b", "verdict": "equivalent", "p_adjusted": 0.3},
        {"within": "mnist", "a": "b", "b": "c", "verdict": "better", "p_adjusted": 0.01},  # b is better: c is worse
        {"within": "mnist", "a": "a", "b": "c", "verdict": "undecided", "p_adjusted": 0.2},
        {"within": "b", "a": "mnist", "b": "mechanical", "verdict": "better", "p_adjusted": 0.02},
    ]
    found = [
        tuple(row[name] for name in ("compared_with", "verdict", "p_adjusted")) for row in with_verdicts(rows, pairs)
    ]
    assert found == [("b", "equivalent", 0.3), (None, None, None), ("b", "worse", 0.01)]
    assert with_verdicts(rows, [])[2]["verdict"] is None
