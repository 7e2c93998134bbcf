"""The sections on statistics say what the numbers in the files say."""

from pathlib import Path
from typing import Any

import pytest

from shearbench.records import read_json
from shearbench.report.blocks import Prose, Section, Table
from shearbench.report.sections import spread


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
    for line, row in zip(table, rows, strict=True):
        assert float(line[2]) == pytest.approx(100 * row["cv_accuracy_sd"], abs=0.005)
        parts = row["cv_sd_data"] ** 2 + row["cv_sd_training"] ** 2
        assert parts == pytest.approx(max(row["cv_accuracy_sd"], row["cv_sd_data"]) ** 2)
        assert line[6:] == ["30", "2"]
    assert "over 2 folds" in prose(section)
    assert "upper bound" in prose(section)


def test_with_repeats_the_spread_says_so(finished_once: Path, rows: list[dict[str, Any]]) -> None:
    section = spread.read(finished_once, [{**row, "repeats": 3} for row in rows])
    assert "over 2 folds × 3 repeats" in prose(section)
    assert "predicted 3 times" in prose(section)
    assert "upper bound" not in prose(section)
    assert {line[7] for line in tables(section)[0]} == {"6"}
