"""What the report says of learning, classes, errors and calibration: the numbers of the files, and what is missing."""

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shearbench.analysis.calibration import section as calibration
from shearbench.analysis.displacement import section as displacement
from shearbench.analysis.learning import section as learning
from shearbench.analysis.scores import section as scores_section
from shearbench.records import read_json
from shearbench.report import card
from shearbench.report.blocks import Heading, Pictures, Prose, Section, Table
from shearbench.report.comparison import MISSING

READ = {
    "curves": learning.curves,
    "confusion": scores_section.confusion,
    "classes": scores_section.classes,
    "mistakes": scores_section.mistakes,
    "displacement": displacement.displacement,
    "calibration": calibration.calibration,
}
RUNS = {("mnist", "mlp"), ("mnist", "cnn2"), ("mechanical", "mlp")}


def rows_of(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_json(root / "reports" / "comparison.json")
    return rows


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def table_of(root: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(root / "build" / "comparison" / f"{name}.csv")


@pytest.mark.parametrize("name", READ)
def test_every_run_is_in_it_with_a_picture_side_by_side(name: str, finished_once: Path) -> None:
    section = READ[name](finished_once, rows_of(finished_once))
    assert section.id == name
    assert not section.missing
    pictures = [picture for block in section.blocks if isinstance(block, Pictures) for picture in block.images]
    each_run = [picture for picture in pictures if " of " in picture.text and " on m" in picture.text]
    assert len(each_run) == (3 if name in ("confusion", "mistakes") else 0)
    assert len(pictures) > len(each_run)
    assert all(len(row) == len(table.columns) for table in tables(section) for row in table.rows)


@pytest.mark.parametrize("name", READ)
def test_without_a_comparison_it_says_so(name: str, finished: Path) -> None:
    shutil.rmtree(finished / "build" / "comparison")
    section = READ[name](finished, rows_of(finished))
    assert MISSING in section.missing
    assert not tables(section)


def test_pictures_of_other_things_than_digits_have_no_words_on_digits_and_no_empty_table(finished: Path) -> None:
    folder = finished / "build" / "comparison"
    shares, pairs = (pd.read_csv(folder / f"{name}.csv") for name in ("errors_by_class", "confused_pairs"))
    shares[shares["classes"] != "3 5 8"].to_csv(folder / "errors_by_class.csv", index=False)
    pairs.assign(change=float("nan")).to_csv(folder / "confused_pairs.csv", index=False)
    for read, count in ((scores_section.classes, 1), (scores_section.confusion, 0)):
        section = read(finished, rows_of(finished))
        said = " ".join(block.text for block in section.blocks if isinstance(block, Prose | Heading))
        for words in ("3, 5 and 8", "digits", "every dataset", "Most confused pairs"):
            assert words not in said
        assert len(tables(section)) == count


def test_dynamics_are_those_of_the_file(finished_once: Path) -> None:
    table, modes = tables(learning.curves(finished_once, rows_of(finished_once)))
    expected = table_of(finished_once, "training_dynamics")
    assert {(row[0].text, row[1].text) for row in table.cells} == RUNS
    for row, mode, found in zip(table.cells, modes.cells, expected.itertuples(), strict=True):
        assert row[4].text == f"{found.first_train_loss_mean:.3f} ± {found.first_train_loss_sd:.3f}"
        assert mode[4].value == pytest.approx(100 * found.mode_gap_mean)
    assert table.cells[0][3].text == "never (0 of 2)"  # two epochs are too few


def test_widest_gap_is_named_only_where_evaluation_is_worse() -> None:
    row = {"model": "a", "dataset": "d", "networks": 5, "mode_gap_mean": 0.01}
    assert learning._widest([row]) == "Here, no run has a lower mean in evaluation than in training."
    worse = row | {"mode_gap_mean": -0.3, "train_accuracy_while_training_mean": 0.98}
    said = learning._widest([row, worse | {"train_accuracy_when_evaluated_mean": 0.68}])
    assert said.startswith("Here, a on d loses most: 98.0 % while training, 68.0 % when evaluated")


def test_most_confused_pairs_say_from_what_to_what(finished_once: Path) -> None:
    (table,) = tables(scores_section.confusion(finished_once, rows_of(finished_once)))
    expected = table_of(finished_once, "confused_pairs").dropna(subset="change")
    assert {row[1].text for row in table.cells} == {"mechanical"}
    assert len(table.cells) == min(8, len(expected)) > 0
    first = expected.iloc[0]
    assert table.cells[0][2].text == f"{first['true']} as {first['predicted']}"
    assert table.cells[0][3].text == f"{first['reference_count']:g} to {first['count']:g}"


def test_verdict_on_the_round_classes_follows_from_the_interval(finished_once: Path) -> None:
    table, scores = tables(scores_section.classes(finished_once, rows_of(finished_once)))
    for each in (table, scores):
        assert {(row[0].text, row[1].text) for row in each.cells} == RUNS
    expected = pd.read_csv(finished_once / "build" / "evaluation" / "mnist" / "cnn2" / "per_class.csv")
    cnn2 = next(row for row in scores.cells if [cell.text for cell in row[:2]] == ["mnist", "cnn2"])
    assert [cell.value for cell in cnn2[2:]] == expected.loc[expected["split"] == "test", "f1"].tolist()
    row = {"share": 0.5, "share_of_samples": 0.3}
    for bounds, verdict in (((0.31, 0.7), "yes"), ((0.1, 0.7), "not shown"), ((0.1, 0.29), "no, less")):
        assert scores_section._verdict(row | {"share_low": bounds[0], "share_high": bounds[1]}) == verdict
    assert scores_section._verdict(row | {"share": float("nan")}) == "no error"


def test_calibration_has_chance_beside_the_error(finished_once: Path) -> None:
    scores, answers, guaranteed = tables(calibration.calibration(finished_once, rows_of(finished_once)))
    compared = rows_of(finished_once)
    assert [row[2].text for row in guaranteed.cells] == ["99.0"] * len(compared)
    for row, found in zip(guaranteed.cells, compared, strict=True):
        assert (row[3].value, row[5].value) == (found["abstention_guaranteed"], found["abstention_observed"])
    expected = table_of(finished_once, "calibration")
    for row, answer, found in zip(scores.cells, answers.cells, expected.itertuples(), strict=True):
        assert re.fullmatch(r"[\d.]+ ± [\d.]+ \([\d.]+\)", row[3].text)
        assert row[3].value == pytest.approx(100 * found.ece_before_mean)
        assert row[5].text == f"{found.nll_before_mean:.3f} ± {found.nll_before_sd:.3f}"
        assert answer[2].value == pytest.approx(100 * found.accuracy_at_100)


def test_displacement_lists_every_measure_and_reader(finished_once: Path) -> None:
    (table,) = tables(displacement.displacement(finished_once, rows_of(finished_once)))
    assert len(table.rows) == 4 * 3
    areas = table_of(finished_once, "displacement_areas")
    assert table.cells[0][3].value == areas.query("ranked == 'within class'")["errors"].iloc[0]


def test_finding_on_displacement_counts_whole_intervals_above_one_half() -> None:
    row = {"fields": "f", "measure": "overall", "large_low": 0.45, "odd_low": 0.52}
    rows = [row | {"dataset": "mnist"}, row | {"dataset": "f"}, row | {"dataset": "f", "odd_low": 0.5}]
    assert displacement._finding([*rows, row | {"dataset": "f", "measure": "stroke"}], "f") == (
        "By mean |u|, the whole interval is above 0.5: large for 0 and odd for 1 of 1 models on mnist; "
        "large for 0 and odd for 1 of 2 models on f."
    )


def test_a_run_without_fields_has_no_displacement(finished: Path) -> None:
    (finished / "build" / "comparison" / "displacement_areas.csv").unlink()
    assert not tables(displacement.displacement(finished, rows_of(finished)))


def test_datasets_count_their_classes_by_split(finished_once: Path) -> None:
    first, second = tables(card.datasets(finished_once, rows_of(finished_once)))
    for table in (first, second):
        assert [run.text for run in table.cells[0]] == ["training", *["6"] * 10]
        assert [run.text for run in table.cells[1]] == ["test", *["2"] * 10]


def test_those_who_suspect_a_label_are_named_or_those_who_do_not() -> None:
    runs = ["a-mlp", "a-cnn2", "b-mlp", "b-cnn2"]
    assert scores_section.suspected_by(runs, runs) == "all"
    assert scores_section.suspected_by(["a-mlp", "a-cnn2", "b-cnn2"], runs) == "all but b-mlp"
    assert scores_section.suspected_by(["a-mlp", "b-cnn2"], runs) == "a-mlp b-cnn2"
