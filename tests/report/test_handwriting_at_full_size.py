"""A class read at full size has its steps beside the run's own, and is enough where the run has read none."""

from pathlib import Path

import yaml

from shearbench.records import read_json
from shearbench.report.blocks import Cell, Heading, Pictures, Table
from shearbench.report.sections import handwriting

FULL = Path(__file__).parents[2] / "reports" / "full" / "handwriting"


def _project(folder: Path, steps: str) -> Path:
    full = folder / "reports" / "full" / "handwriting"
    (full / "figures").mkdir(parents=True)
    for name in ("record.json", "groups.csv", "confusion.csv"):
        (full / name).write_bytes((FULL / name).read_bytes())
    for name in ("steps", "groups", "hardness", "confusion"):
        (full / "figures" / f"{name}.png").write_bytes((FULL / "figures" / f"{name}.png").read_bytes())
    (full / "steps.csv").write_text(steps)
    _plan(folder, "mnist", "class_digits")
    return folder


def _plan(root: Path, *sources: str) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump({"sources": {source: {} for source in sources}}))


def _lines(root: Path) -> list[list[Cell]]:
    (table,) = (block for block in handwriting.read(root, []).blocks if isinstance(block, Table))
    return table.cells


def test_the_steps_are_those_of_the_file(tmp_path: Path) -> None:
    written = (FULL / "steps.csv").read_text()
    root = _project(tmp_path, written)
    section = handwriting.read(root, [])
    heads = [block.text for block in section.blocks if isinstance(block, Heading)]
    assert len(heads) == 1
    assert f"class {read_json(FULL / 'record.json')['folder']}," in heads[0]
    assert sum(len(block.images) for block in section.blocks if isinstance(block, Pictures)) == 4
    assert section.missing == ["the digits of a class; run `dvc repro handwriting`"]
    assert len(_lines(root)) == len(written.splitlines()) - 1


def test_a_project_without_digits_of_a_class_has_no_section_and_misses_none(tmp_path: Path) -> None:
    for sources, missing in ((["mnist", "class_digits"], 1), (["mnist"], 0), (["photos"], 0)):
        _plan(tmp_path, *sources)
        section = handwriting.read(tmp_path, [])
        assert (list(section.blocks), len(section.missing)) == ([], missing)


def test_each_number_is_the_file_s(tmp_path: Path) -> None:
    head = (FULL / "steps.csv").read_text().splitlines()[0] + ",missing"
    values = {
        **{"model": "mlp", "step": "6", "title": "mnist preparation", "n": "330.0", "folds": "5.0", "loss": "0.198"},
        **{"accuracy": "0.94", "accuracy_low": "0.907", "accuracy_high": "0.965", "gain_accuracy": "-0.02"},
        **{"gain_accuracy_low": "-0.034", "gain_accuracy_high": "-0.006"},
    }
    absent = {"model": "cnn3", "step": "1", "title": "plain MNIST", "missing": "cnn3_plain has not been trained"}
    lines = [",".join(row.get(name, "") for name in head.split(",")) for row in (values, absent)]
    shown, none = _lines(_project(tmp_path, "\n".join([head, *lines, ""])))
    assert [run.text for run in shown] == [
        *("mlp", "6", "mnist preparation", "330", "94.0", "90.7 to 96.5", "0.198"),
        "\N{MINUS SIGN}2.0 (\N{MINUS SIGN}3.4 to \N{MINUS SIGN}0.6)",
    ]
    assert none[5].text == "cnn3_plain has not been trained"
