"""The sections on statistics say what the numbers in the files say."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shearbench.records import read_json, write_json
from shearbench.report.blocks import Facts, Prose, Section, Table
from shearbench.report.sections import statistics
from shearbench.report.sections.statistics import power, spread


def prose(section: Section) -> str:
    return " ".join(" ".join(block.text.split()) for block in section.blocks if isinstance(block, Prose))


def tables(section: Section) -> list[list[list[str]]]:
    return [
        [[cell.text for cell in row] for row in block.cells] for block in section.blocks if isinstance(block, Table)
    ]


@pytest.fixture
def rows(finished_once: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = read_json(finished_once / "reports" / "comparison.json")
    return read


def test_the_parts_of_the_spread_add_up(finished_once: Path, rows: list[dict[str, Any]]) -> None:
    section = spread(finished_once, rows)
    (table,) = tables(section)
    assert [line[:2] for line in table] == [[row["dataset"], row["model"]] for row in rows]
    for line, run in zip(table, rows, strict=True):
        assert float(line[2]) == pytest.approx(100 * run["cv_accuracy_sd"], abs=0.005)
        parts = run["cv_sd_data"] ** 2 + run["cv_sd_training"] ** 2
        assert parts == pytest.approx(max(run["cv_accuracy_sd"], run["cv_sd_data"]) ** 2)
        assert line[6:] == ["30", "2"]
    assert "over 2 folds" in prose(section)
    assert "upper bound" in prose(section)


def test_with_repeats_the_spread_says_so(finished_once: Path, rows: list[dict[str, Any]]) -> None:
    section = spread(finished_once, [{**row, "repeats": 3} for row in rows])
    assert "over 2 folds × 3 repeats" in prose(section)
    assert "predicted 3 times" in prose(section)
    assert "upper bound" not in prose(section)
    assert {line[7] for line in tables(section)[0]} == {"6"}


def test_the_plan_is_set_beside_what_was_achieved(finished_once: Path, rows: list[dict[str, Any]]) -> None:
    pairs = read_json(finished_once / "reports" / "pairs.json")["rows"]
    section = power(finished_once, rows)
    (table,) = tables(section)
    assert [line[:3] for line in table] == [[pair["within"], pair["a"], pair["b"]] for pair in pairs]
    for line, pair in zip(table, pairs, strict=True):
        assert float(line[4]) == pytest.approx(100 * pair["detectable"], abs=0.005)
    assert "2 folds" in prose(section)


@pytest.mark.parametrize(
    ("changes", "shown", "sentence"),
    [
        ({"planned": 0.02, "detectable": 0.013, "needed_repeats": 1}, ["2.00", "1.30", "1", "met"], "for 1 of 1 pairs"),
        ({"planned": 0.01, "detectable": 0.013, "needed_repeats": 4}, ["1.00", "1.30", "4", "missed"], "for 0 of 1"),
        (
            {"planned": 0.01, "detectable": 0.5, "needed_repeats": None},
            ["1.00", "50.00", "none", "missed"],
            "for 0 of 1",
        ),
        ({"planned": None, "detectable": 0.5, "needed_repeats": None}, ["not declared", "50.00", "", ""], "no plan"),
    ],
)
def test_a_plan_is_met_or_missed(
    tmp_path: Path, changes: dict[str, Any], shown: list[str], sentence: str, finished_once: Path
) -> None:
    pair = read_json(finished_once / "reports" / "pairs.json")["rows"][0]
    write_json(tmp_path / "reports" / "pairs.json", {"rows": [{**pair, **changes}], "refused": None})
    section = power(tmp_path, [])
    ((line,),) = tables(section)
    assert [line[3], line[4], *line[7:]] == shown
    assert sentence in prose(section)


def test_without_pairs_there_is_nothing_to_plan(tmp_path: Path) -> None:
    write_json(tmp_path / "reports" / "pairs.json", {"rows": [], "refused": "folds are missing"})
    assert "no plan to check" in prose(power(tmp_path, []))


def test_without_a_calibration_the_command_that_measures_it_is_named(tmp_path: Path) -> None:
    section = statistics.false_positives(tmp_path, [])
    assert "`python benchmarks/calibration.py`" in prose(section)
    assert not section.missing  # nothing that this project could make


def _calibration(root: Path) -> None:
    """Write a calibration of three pairs of folds and one of disjoint sets, 200 draws each."""
    verdict, disjoint = "crossed, moderated (the verdict)", "crossed, 10 disjoint sets, test only"
    sizes = [
        (verdict, "equal", "one", "two", 0.065),
        (verdict, "A/A", "one", "one, other seeds", 0.02),
        (verdict, "equal", "two", "one, other seeds", 0.035),
        (verdict, "unequal", "one", "three", 0.9),
        ("another", "equal", "one", "two", 0.5),
        (disjoint, "equal", "one", "two", 0.07),
    ]
    lines = [f'"{name}",{null},{a},"{b}",200,0,0,{size},{size / 2},{size * 2}' for name, null, a, b, size in sizes]
    (root / "reports").mkdir()
    text = "\n".join(["candidate,null,a,b,draws,difference,decided,size,low,high", *lines])
    (root / "reports" / "calibration.csv").write_text(text)
    measured = {"size": 0.04, "least_size": 0.02, "worst_size": 0.065, "power": 0.9}
    found = {
        "candidates": [{"candidate": verdict, **measured}, {"candidate": disjoint, **measured, "power": None}],
        "families": [{"candidate": "max-t (the verdict)", "size": 0.06, "low": 0.04, "high": 0.1}],
        "provenance": {"commit": "abc", "machine": {"processor": "a processor"}},
    }
    write_json(root / "reports" / "calibration.json", found)
    Image.new("L", (8, 8)).save(root / "reports" / "calibration.png")


def test_the_sizes_of_the_verdict_are_those_of_the_file_and_those_outside_are_named(tmp_path: Path) -> None:
    _calibration(tmp_path)
    section = statistics.false_positives(tmp_path, [])
    nulls, candidates = tables(section)
    assert [line[1:] for line in nulls] == [
        ["one against two", "6.5 %", "3.2 to 13.0 %", "200", "yes"],
        ["one against one, other seeds (A/A)", "2.0 %", "1.0 to 4.0 %", "200", "no"],
        ["two against one, other seeds", "3.5 %", "1.8 to 7.0 %", "200", "yes"],
        ["one against two", "7.0 %", "3.5 to 14.0 %", "200", "no"],
    ]
    assert [line[0] for line in nulls] == ["folds"] * 3 + ["disjoint sets"]
    assert candidates == [["crossed, moderated (the verdict)", "4.0 %", "2.0 to 6.5 %", "90.0 %"]]
    said = prose(section)
    assert "Of 3 pairs of cross-validated classifiers 2 lie within 5 ± 1.5 %." in said
    assert "Outside: one against one, other seeds (2.0 %)." in said
    assert "The mean of all pairs is 4.0 %" in said
    assert "In 6.0 % of the draws (95 % interval 4.0 to 10.0)" in said
    assert "Of 1 pairs trained on disjoint sets and compared on the test part alone, 0 lie within" in said
    (facts,) = (block.pairs for block in section.blocks if isinstance(block, Facts))
    assert facts == [("made by", "commit abc, on a processor")]
