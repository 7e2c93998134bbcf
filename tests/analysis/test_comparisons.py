"""What stands side by side, against counts made by hand and against the files of the runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.analysis.calibration.compare import summary_of
from shearbench.analysis.displacement.compare import errors_of
from shearbench.analysis.scores.compare import mean_counts, pairs_of, shares_of, suspects
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns, read_evaluated
from shearbench.predictions.scores import BySample
from shearbench.statistics.paired import mcnemar_p
from shearbench.statistics.proportions import wilson
from shearbench.statistics.verdict import holm

LABELS = [5] * 20 + [3] * 10
ENTRIES = {"mnist": {"source": "mnist"}, "fields": {"source": "simulated", "load": "shear"}}


def run(dataset: str, *readings: list[int], labels: list[int] = LABELS) -> EvaluatedRun:
    """Return a run of model ``m`` whose networks, one a repeat, read the digits as these classes."""
    record = {"entry": ENTRIES[dataset], "classes": list(map(str, range(10)))}
    made = EvaluatedRun(dataset, "m", Path(), [], record, "")
    stated = np.eye(10, dtype=np.float32)[np.array(readings)]
    made.__dict__["out_of_fold"] = BySample(np.arange(len(labels)), np.array(labels), stated)
    return made


def evaluated_of(*runs: EvaluatedRun) -> EvaluatedRuns:
    return EvaluatedRuns(Path(), runs, ())


MNIST = run("mnist", [3] * 2 + [5] * 18 + [3] * 10)
FIELDS = run("fields", [5] + [3] * 8 + [5] * 11 + [3] * 9 + [5])


def test_pairs_say_from_what_to_what_and_test_the_same_digits() -> None:
    first, second = pairs_of(FIELDS, evaluated_of(FIELDS, MNIST))
    assert (first["true"], first["predicted"], first["n"]) == ("5", "3", 20)
    assert (first["reference_count"], first["count"], first["change"]) == (2, 8, 6)  # 5 as 3: 2 to 8
    assert (first["rate"], first["rate_low"], first["rate_high"]) == (0.4, *wilson(0.4, 20))
    here, there = (np.isin(np.arange(20), rows) for rows in (range(1, 9), range(2)))
    assert first["p"] == pytest.approx(mcnemar_p(here[None], there[None]))
    assert (second["true"], second["predicted"], second["reference_count"], second["count"]) == ("3", "5", 0, 1)
    assert [first["p_holm"], second["p_holm"]] == holm([first["p"], second["p"]])


def test_pairs_of_the_reference_and_without_one_have_no_change() -> None:
    for alone, evaluated in ((MNIST, evaluated_of(FIELDS, MNIST)), (FIELDS, evaluated_of(FIELDS))):
        rows = pairs_of(alone, evaluated)
        assert [row["count"] for row in rows] == ([2] if alone is MNIST else [8, 1])
        assert all("p" not in row for row in rows)
    other_samples = run("mnist", [5] * 3, labels=[5] * 3)
    assert all("change" not in row for row in pairs_of(FIELDS, evaluated_of(FIELDS, other_samples)))


def test_counts_are_means_over_the_repeats() -> None:
    twice = run("mnist", [5, 3, 3], [5, 5, 3], labels=[5, 5, 3])
    counts = mean_counts(twice.out_of_fold)
    assert (counts[5, 5], counts[5, 3], counts[3, 3], counts.sum()) == (1.5, 0.5, 1, 3)
    (row,) = pairs_of(twice, evaluated_of(twice))
    assert (row["count"], row["rate"], row["rate_low"]) == (0.5, 0.25, wilson(0.25, 2)[0])


def test_share_of_the_errors_has_the_errors_as_its_n() -> None:
    made = run("mnist", [0, 0, 5, 5, 2, 2, 0, 1], labels=[5, 5, 5, 8, 1, 2, 0, 0])
    rows = {row["classes"]: row for row in shares_of(made)}
    assert len(rows) == 11
    hard = rows["3 5 8"]
    assert (hard["n"], hard["errors"], hard["all_errors"]) == (4, 3, 5)
    assert (hard["share"], hard["share_low"], hard["share_high"]) == (0.6, *wilson(0.6, 5))
    assert (hard["rate"], hard["share_of_samples"]) == (0.75, 0.5)
    assert (rows["1"]["share"], rows["1"]["rate"]) == (0.2, 1)
    assert np.isnan(rows["4"]["rate"])
    assert np.isnan(rows["4"]["rate_low"])
    assert rows["4"]["share"] == 0


def test_share_of_no_errors_is_none() -> None:
    rows = list(shares_of(run("mnist", LABELS)))
    assert all(np.isnan([row["share"], row["share_low"], row["share_high"]]).all() for row in rows)


@pytest.fixture
def evaluated(finished_once: Path) -> EvaluatedRuns:
    runs = [("mnist", "mlp"), ("mnist", "cnn2"), ("mechanical", "mlp")]
    return read_evaluated(finished_once / "build", runs, networks=2)


def test_calibration_of_a_run_is_the_mean_over_its_networks(evaluated: EvaluatedRuns) -> None:
    row = summary_of(evaluated.runs[1])
    rows = evaluated.runs[1].table("calibration.csv").query("split == 'test' and stage == 'after'")
    assert row["nll_after_mean"] == pytest.approx(rows["nll"].mean())
    assert row["ece_after_sd"] == pytest.approx(np.std(rows["ece"], ddof=1))
    assert (row["networks"], row["n"]) == (2, 20)
    metrics = evaluated.runs[1].numbers("metrics.json")
    assert row["accuracy_at_100"] == pytest.approx(metrics["test"]["accuracy_mean"])
    assert row["accuracy_at_100_low"] == pytest.approx(wilson(metrics["test"]["accuracy_mean"], 20)[0])


def test_suspects_are_counted_over_the_runs(evaluated: EvaluatedRuns, tmp_path: Path) -> None:
    def suspecting(name: str, rows: list[tuple[int, int, int, float]]) -> EvaluatedRun:
        folder = tmp_path / name
        folder.mkdir()
        table = pd.DataFrame(rows, columns=["id", "label", "suggested", "confidence"])
        table.to_csv(folder / "suspicious_labels.csv", index=False)
        return EvaluatedRun("mnist", name, folder, [], {}, "")

    a = suspecting("a", [(7, 3, 5, 0.9), (8, 1, 7, 0.99)])
    found = suspects(evaluated_of(a, suspecting("b", [(7, 3, 5, 0.7), (8, 1, 4, 0.8)]), suspecting("c", [])))
    assert found[["id", "suggested", "runs", "of"]].to_numpy().tolist() == [
        [7, "5", 2, 3],
        [8, "7", 1, 3],
        [8, "4", 1, 3],
    ]
    assert found["confidence"].tolist() == pytest.approx([0.8, 0.99, 0.8])
    assert found["by"][0] == "mnist-a mnist-b"
    assert suspects(evaluated_of(suspecting("d", []))).empty


def test_errors_by_displacement_are_all_errors_of_the_fields_and_of_their_images(evaluated: EvaluatedRuns) -> None:
    rates, areas = errors_of(evaluated, "mechanical")
    assert set(zip(rates["dataset"], rates["model"], strict=True)) == {
        ("mnist", "mlp"),
        ("mnist", "cnn2"),
        ("mechanical", "mlp"),
    }
    for (dataset, model, measure, ranked), part in rates.groupby(["dataset", "model", "measure", "ranked"]):
        (read,) = (each for each in evaluated.runs if (each.dataset, each.model) == (dataset, model))
        assert part["n"].tolist() == [12] * 5
        assert part["errors"].sum() == (~read.out_of_fold.correct).sum()
        assert part["rate_low"].tolist() == [wilson(rate, 12)[0] for rate in part["rate"]]
        if ranked == "all":  # quantiles of the measure itself do not overlap
            assert (part["high"].to_numpy()[:-1] <= part["low"].to_numpy()[1:]).all()
        assert len(areas[(areas["measure"] == measure) & (areas["model"] == model)]) == 2 * (1 + (model == "mlp"))


def test_errors_by_displacement_are_of_the_digits_that_folds_deal(evaluated: EvaluatedRuns) -> None:
    """With tuned settings in use, the digits of the tuning part are held out by no fold."""
    runs = []
    for read in evaluated.runs:
        said = read.out_of_fold
        made = replace(read)
        made.__dict__["out_of_fold"] = BySample(said.ids[20:], said.labels[20:], said.probabilities[:, 20:])
        runs.append(made)
    rates, _ = errors_of(replace(evaluated, runs=runs), "mechanical")
    for (dataset, model, _, ranked), part in rates.groupby(["dataset", "model", "measure", "ranked"]):
        (read,) = (each for each in runs if (each.dataset, each.model) == (dataset, model))
        assert part["n"].sum() == 40, ranked
        assert part["errors"].sum() == (~read.out_of_fold.correct).sum()
