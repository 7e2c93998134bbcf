"""The sections on robustness, feature maps, embedding and maps: what they say is what the tables hold."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shearbench.analysis.activations.section import embedding, feature_maps
from shearbench.analysis.corruption.section import corruption, noise
from shearbench.analysis.gradcam.section import attribution
from shearbench.analysis.transfer.section import transfer
from shearbench.records import read_json
from shearbench.report.blocks import Cell, Pictures, Prose, Section, Table
from shearbench.report.comparison import spread


def rows_of(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_json(root / "reports" / "comparison.json")
    return rows


def tables_of(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def pictures_of(section: Section) -> int:
    return sum(len(block.images) for block in section.blocks if isinstance(block, Pictures))


@pytest.mark.parametrize("read", [noise, corruption, transfer, embedding, feature_maps, attribution])
def test_without_a_comparison_a_section_says_what_is_missing(tmp_path: Path, finished_once: Path, read: Any) -> None:
    section = read(tmp_path, rows_of(finished_once))
    assert any("dvc repro compare" in text for text in section.missing)
    assert pictures_of(section) == 0


def test_sections_on_robustness_say_what_the_tables_hold(finished_once: Path) -> None:
    sections = [read(finished_once, rows_of(finished_once)) for read in (noise, corruption, transfer)]
    assert not any(section.missing for section in sections)
    assert [pictures_of(section) for section in sections] == [1, 4, 1]  # corruptions: two for each dataset
    (levels,), (errors,), (other,) = map(tables_of, sections)
    folder = finished_once / "build" / "comparison"
    first = pd.read_csv(folder / "noise.csv").query("dataset == 'mnist' and model == 'cnn2' and scale == 'own'")
    row = next(row for row in levels.cells if [cell.text for cell in row[:2]] == ["mnist", "cnn2"])
    assert [cell.value for cell in row[2:]] == first["accuracy_mean"].tolist()
    table = pd.read_csv(folder / "corruption_error.csv").query("corruption == 'all'")
    assert [row[3].value for row in errors.cells] == table["error"].tolist()
    kinds = pd.read_csv(folder / "corruption_error.csv").query("corruption != 'all' and dataset == 'mnist'")
    worst = kinds[kinds["model"] == "mlp"].sort_values("error").iloc[-1]
    mlp = next(row for row in errors.cells if [cell.text for cell in row[:2]] == ["mnist", "mlp"])
    assert mlp[5].text.endswith(f"({100 * worst['error']:.0f} %)")
    assert mlp[4].text.startswith("100 ")
    said = {(row[0].text, row[2].text): row[4].text for row in other.cells}
    assert ("mnist", "mechanical") not in said
    told = [block.text for block in sections[2].blocks if isinstance(block, Prose)]
    assert any("mechanical by a model of mnist: it takes one channel, and a field has two" in text for text in told)
    assert "to" in said["mechanical", "mnist"]


def test_embedding_and_maps_list_every_run(finished_once: Path) -> None:
    rows = rows_of(finished_once)
    names = [[row["dataset"], row["model"]] for row in rows]
    numbers = tables_of(embedding(finished_once, rows))[0]
    assert [[cell.text for cell in row[:2]] for row in numbers.cells] == names
    table = pd.read_csv(finished_once / "build" / "comparison" / "embedding.csv")
    assert numbers.cells[0][3].value == table.query("space == 'penultimate'")["purity_mean"].iloc[0]
    section = attribution(finished_once, rows)
    measured = tables_of(section)[0]
    assert [[cell.text for cell in row[:2]] for row in measured.cells] == names
    assert pictures_of(section) == 3 + len(rows)
    shown = feature_maps(finished_once, rows)
    assert pictures_of(shown) == 1
    assert any("not shown: mlp" in getattr(block, "text", "") for block in shown.blocks)


def test_what_was_not_measured_is_an_empty_cell() -> None:
    """As the spread over the batches of an epoch of one batch."""
    show = spread("loss", ".2f")
    assert show({"loss_mean": 1.0, "loss_sd": 0.5}) == Cell("1.00 ± 0.50", 1.0)
    assert show({"loss_mean": float("nan"), "loss_sd": float("nan")}) == Cell("")
