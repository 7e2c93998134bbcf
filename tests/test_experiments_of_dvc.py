"""`dvc exp run -S` for real, in a small clone: its rows stand in the report, and DVC's own tables are to be read."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from shearbench.records import read_json
from shearbench.report.blocks import Cell, Table
from shearbench.report.sections import experiments
from shearbench.report.sections.experiments import Experiment, differing
from small_clone import REPOSITORY, RUNS, commit, make_clone, repro, run

SETTING = "models.mlp.recipe.learning_rate"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small clone that has run, was committed, and then ran an experiment that is not applied."""
    folder = tmp_path_factory.mktemp("a clone")
    make_clone(folder, tmp_path_factory.mktemp("samples"))
    run(folder, "shearbench", "data", "--adopt")
    repro(folder)
    commit(folder, "run")
    run(folder, "dvc", "exp", "run", "-S", f"{SETTING}=0.02", "-n", "quicker")
    return folder


def _rows(clone: Path) -> list[list[Cell]]:
    rows: list[dict[str, Any]] = read_json(clone / "reports" / "comparison.json")
    section = experiments.read(clone, rows)
    return [row for block in section.blocks if isinstance(block, Table) for row in block.cells]


@pytest.mark.slow
def test_an_experiment_has_its_rows_in_the_report_and_the_last_commit_too(clone: Path) -> None:
    quicker = read_json(clone / "reports" / "comparison.json")
    assert [row[0].text for row in _rows(clone)] == ["last commit"], "its own results are the page's"
    assert "0.02 → 0.001" in (clone / "reports" / "index.html").read_text(), "seen while the experiment ran"

    run(clone, "git", "checkout", "-q", "--", ".")
    run(clone, "dvc", "checkout", "-q")
    run(clone, "shearbench", "stage", "report")
    (row,) = _rows(clone)
    assert [one_run.text for one_run in row[:4]] == ["quicker", f"{SETTING}: 0.001 → 0.02", "mnist", "mlp"]
    (there,) = (each for each in quicker if (each["dataset"], each["model"]) == ("mnist", "mlp"))
    (here,) = (
        each
        for each in read_json(clone / "reports" / "comparison.json")
        if (each["dataset"], each["model"]) == ("mnist", "mlp")
    )
    assert row[4].value == there["cv_accuracy_mean"] != here["cv_accuracy_mean"]
    assert row[7].value == pytest.approx(there["cv_accuracy_mean"] - here["cv_accuracy_mean"])
    assert f"{SETTING}: 0.001 → 0.02" in (clone / "reports" / "index.html").read_text()


@pytest.mark.slow
def test_tables_of_dvc_have_a_column_for_each_network_on_each_dataset(clone: Path) -> None:
    (shown,) = json.loads(run(clone, "dvc", "metrics", "show", "--json"))[""]["data"].values()
    accuracies = {f"{name}-{model}": value for name, part in shown["data"].items() for model, value in part.items()}
    rows = read_json(clone / "reports" / "comparison.json")
    assert accuracies == {f"{row['dataset']}-{row['model']}": round(100 * row["cv_accuracy_mean"], 2) for row in rows}
    assert set(accuracies) == set(RUNS)
    columns = run(clone, "dvc", "exp", "show", "--only-changed", "--md").splitlines()[0]
    assert "mnist.mlp" in columns
    assert SETTING in columns
    assert "seed" not in columns


@pytest.mark.slow
def test_one_stage_is_an_experiment_in_a_clone_that_has_no_cache(clone: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    run(tmp_path, "git", "clone", "-q", clone, fresh)
    run(fresh, "shearbench", "data")
    params = (fresh / "params.yaml").read_bytes()
    run(fresh, "dvc", "exp", "run", "-n", "alone", "train@mnist-mlp")
    assert "alone" in run(fresh, "dvc", "exp", "list")
    assert (fresh / "params.yaml").read_bytes() == params


def test_no_plot_of_dvc_lies_within_a_folder_that_is_an_output() -> None:
    """`dvc exp run TARGET` looks for the plots that no stage makes, and fails without the list of such a folder."""
    assert "plots" not in yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())


@pytest.mark.slow
def test_plots_of_dvc_are_curves_matrices_and_pictures(clone: Path, tmp_path: Path) -> None:
    run(clone, "dvc", "plots", "show", "-o", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert all(f"{one_run}: accuracy on the folds held out" in page for one_run in RUNS)
    assert all(f"{one_run}: test samples" in page for one_run in RUNS)
    pictures = re.findall(r'<img[^>]*src="([^"]+)"', page)
    assert len(pictures) == 4
    assert all((tmp_path / picture).stat().st_size > 10_000 for picture in pictures)


def _row(model: str, cv: float, drop: float | None = None) -> dict[str, Any]:
    accuracies = {"cv_accuracy_mean": cv, "cv_accuracy_sd": 0.01, "test_accuracy_mean": cv, "test_accuracy_sd": 0.01}
    return {"dataset": "mnist", "model": model, **accuracies, "accuracy_drop": drop, "seconds_per_fold": cv}


def _tried(rows: Sequence[dict[str, Any]] | None) -> Experiment:
    return Experiment("x", "c" * 40, [("a.b", 1, 2)], rows)


def test_only_networks_that_came_out_otherwise_are_listed() -> None:
    here = [_row("mlp", 0.9), _row("cnn2", 0.8)]
    there = [{**_row("mlp", 0.9), "seconds_per_fold": 7, "accuracy_drop": 0.1}, _row("cnn2", 0.85), _row("new", 0.7)]
    found = differing(_tried(there), here)
    assert [(row["model"], other and other["model"]) for row, other in found] == [("cnn2", "cnn2"), ("new", None)]
    assert differing(_tried(None), here) == []


def test_a_folder_without_git_has_no_experiments(tmp_path: Path) -> None:
    section = experiments.read(tmp_path, [])
    assert not section.missing
    assert "dvc exp run -S" in section.blocks[0].text


def test_settings_of_a_commit_without_results_are_named(tmp_path: Path) -> None:
    """As after `make repro` and `dvc exp run -S` in a fresh clone, before anything is committed."""
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    (tmp_path / "params.yaml").write_text("rate: 1\n")
    commit(tmp_path, "begin")
    (tmp_path / "params.yaml").write_text("rate: 2\n")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "comparison.json").write_text("[]")
    (block,) = experiments.read(tmp_path, []).blocks
    assert "other parameters (here → there: rate: 2 → 1), and its results are not in DVC's cache" in " ".join(
        block.text.split()
    )
