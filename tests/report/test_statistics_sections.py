"""The sections on statistics say what the numbers in the files say."""

from pathlib import Path
from typing import Any

import pytest

from shearbench.commands.aa import write
from shearbench.records import read_json, write_json
from shearbench.report.blocks import Facts, Prose, Section, Table
from shearbench.report.sections import false_positives, power, spread
from shearbench.statistics.false_positives import FalsePositiveRate, row


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
    section = spread.read(finished_once, rows)
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
    section = spread.read(finished_once, [{**row, "repeats": 3} for row in rows])
    assert "over 2 folds × 3 repeats" in prose(section)
    assert "predicted 3 times" in prose(section)
    assert "upper bound" not in prose(section)
    assert {line[7] for line in tables(section)[0]} == {"6"}


def test_the_plan_is_set_beside_what_was_achieved(finished_once: Path, rows: list[dict[str, Any]]) -> None:
    pairs = read_json(finished_once / "reports" / "pairs.json")["rows"]
    section = power.read(finished_once, rows)
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
    section = power.read(tmp_path, [])
    ((line,),) = tables(section)
    assert [line[3], line[4], *line[7:]] == shown
    assert sentence in prose(section)


def test_without_pairs_there_is_nothing_to_plan(tmp_path: Path) -> None:
    write_json(tmp_path / "reports" / "pairs.json", {"rows": [], "refused": "folds are missing"})
    assert "no plan to check" in prose(power.read(tmp_path, []))


def test_without_rates_the_command_that_measures_them_is_named(tmp_path: Path) -> None:
    section = false_positives.read(tmp_path, [])
    assert not section.blocks
    assert "`shearbench aa`" in section.missing[0]


def test_the_rates_are_those_of_the_file(tmp_path: Path) -> None:
    rates = [
        FalsePositiveRate("corrected t", "a null", "equal", 0.05, 1000, 51),
        FalsePositiveRate("corrected t", "another", "at most", 0.05, 1000, 90),
        FalsePositiveRate("naive", "a null", "none", 0.05, 1000, 140),
    ]
    settings = {"seed": 1, "folds": 5, "seeds": 4, "draws": 7, "samples": 200, "model": {"architecture": "mlp"}}
    content = {
        "command": "shearbench aa",
        "settings": settings,
        "accuracy": 0.72,
        "variance": {"total": 0.0016, "data": 0.0009, "training": 0.0007, "seed": 0.0004, "fold": 0.0003},
        "rates": [row(rate) for rate in rates],
        "provenance": {"commit": "abc", "machine": {"processor": "a processor"}},
    }
    write(tmp_path / "reports", rates, content)
    section = false_positives.read(tmp_path, [])
    assert [(line[2], line[3], line[6]) for line in tables(section)[0]] == [
        ("5 %", "5.1 %", "yes"),
        ("at most 5 %", "9.0 %", "no"),
        ("nothing", "14.0 %", ""),
    ]
    assert "1 of 2 claims hold" in prose(section)
    assert "mlp, 72 % accuracy) cross-validated 4 times over 5 folds on each of 7 draws" in prose(section)
    (facts,) = (block.pairs for block in section.blocks if isinstance(block, Facts))
    assert facts[0] == ("± of a fold's accuracy", "4.00 points, 40 digits per fold")
    assert ("seed", "2.00 points") in facts
