"""What puts networks side by side: the corruption error by hand, and the files that a finished project has."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from shearbench.analysis.activations.compare import summary
from shearbench.analysis.corruption.compare import corruption_error, relative_error
from shearbench.records import read_record


def test_relative_error_is_the_ratio_of_sums() -> None:
    errors = np.array([[1.0, 2.0], [3.0, 2.0]])  # two networks, two corruptions
    baseline = np.array([[2.0, 4.0], [2.0, 4.0]])
    estimate, low, high = relative_error(errors, baseline, [0, 1])
    assert estimate == pytest.approx((4 / 4 + 4 / 8) / 2)
    left = np.array([(3 / 2 + 2 / 4) / 2, (1 / 2 + 2 / 4) / 2])  # without network 0, without network 1
    error = np.sqrt(1 / 2 * ((left - left.mean()) ** 2).sum())
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 1) * error)
    assert relative_error(errors, baseline, [1])[0] == pytest.approx(0.5)


def test_against_a_constant_baseline_the_jackknife_is_the_standard_error_of_a_mean() -> None:
    errors, baseline = np.random.default_rng(0).random((6, 1)), np.full((6, 1), 0.5)
    estimate, low, high = relative_error(errors, baseline, [0])
    expected = stats.ttest_1samp(errors[:, 0] / 0.5, 0).confidence_interval(0.95)
    assert estimate == pytest.approx(errors.mean() / 0.5)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_a_baseline_without_errors_has_no_ratio() -> None:
    assert np.isnan(relative_error(np.ones((2, 1)), np.zeros((2, 1)), [0])).all()


def rows_of(model: str, errors: dict[tuple[str, int], list[int]], dataset: str = "mnist") -> list[dict]:
    return [
        {
            "dataset": dataset,
            "model": model,
            "fold": fold,
            "corruption": name,
            "severity": severity,
            "n": 10,
            "errors": e,
        }
        for (name, severity), counts in errors.items()
        for fold, e in enumerate(counts)
    ]


def test_table_of_corruption_errors() -> None:
    kinds = [("none", 0), *((name, severity) for name in ("blur", "noise") for severity in range(1, 6))]
    base = {kind: [2, 2] for kind in kinds}
    half = {kind: [1, 1] if kind[0] != "noise" else [3, 3] for kind in kinds}
    table = corruption_error(
        pd.DataFrame(rows_of("mlp", base) + rows_of("cnn2", half) + rows_of("cnn2", half, "other"))
    )
    found = {(row["dataset"], row["model"], row["corruption"]): row for row in table.to_dict("records")}
    assert found["mnist", "mlp", "all"]["relative"] == pytest.approx(1.0)
    assert found["mnist", "cnn2", "blur"]["relative"] == pytest.approx(0.5)
    assert found["mnist", "cnn2", "noise"]["relative"] == pytest.approx(1.5)
    assert found["mnist", "cnn2", "all"]["relative"] == pytest.approx(1.0)
    assert found["mnist", "cnn2", "all"]["error"] == pytest.approx(0.2)  # (0.1 + 0.3) / 2
    assert found["mnist", "cnn2", "all"]["clean_error"] == pytest.approx(0.1)
    assert np.isnan(found["other", "cnn2", "all"]["relative"]), "no baseline on this dataset"
    assert found["other", "cnn2", "all"]["error"] == pytest.approx(0.2)


def test_spread_of_the_separation() -> None:
    rows = [
        {"dataset": "d", "model": "m", "fold": fold, "space": "penultimate", "n": 40, "silhouette": s, "purity": 0.5}
        for fold, s in enumerate((0.1, 0.3))
    ]
    found = summary(pd.DataFrame(rows)).to_dict("records")[0]
    assert found["silhouette_mean"] == pytest.approx(0.2)
    assert found["silhouette_sd"] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert found["purity_sd"] == 0
    assert (found["n"], found["networks"]) == (40, 2)


def test_a_finished_project_has_every_table_and_picture(finished_once: Path) -> None:
    files = set(read_record(finished_once / "build" / "comparison")["files"])
    tables = {"noise", "corruptions", "corruption_error", "embedding", "explanation", "explanation_curves"}
    pictures = {"noise", "embedding", "explanation", "explanation_curves", "attribution", "feature_maps_cnn2"}
    pictures |= {f"corruption{kind}_{dataset}" for kind in ("", "_samples") for dataset in ("mnist", "mechanical")}
    assert {f"{name}.csv" for name in tables} | {f"figures/{name}.png" for name in pictures} <= files
    assert "figures/feature_maps_mlp.png" not in files, "it has no convolutions"
    noise = pd.read_csv(finished_once / "build" / "comparison" / "noise.csv")
    assert set(zip(noise["dataset"], noise["model"], strict=True)) == {
        ("mnist", "mlp"),
        ("mnist", "cnn2"),
        ("mechanical", "mlp"),
    }
