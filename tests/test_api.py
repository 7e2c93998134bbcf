"""The Python API: lazily imported, the numbers of the files, and a comparison with hand-computed values."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

import shearbench
from shearbench.errors import InputError
from shearbench.records import read_npz


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import shearbench, sys; print([m for m in ('numpy', 'torch', 'pandas', 'sklearn') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    assert callable(shearbench.compare)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = shearbench.nothing


def test_a_projects_predictions_and_tables_are_those_of_its_files(finished_once: Path) -> None:
    project = shearbench.load_project(finished_once)
    assert [run.name for run in project.runs] == ["mnist-mlp", "mnist-cnn2", "mechanical-mlp"]
    run = project.run("mnist-mlp")
    table = project.table("comparison").set_index(["dataset", "model"])
    assert run.out_of_fold.probabilities.shape == (1, 60, 10)
    assert run.test.probabilities.shape == (2, 20, 10)
    stored = read_npz(finished_once / "build" / "evaluation" / "mnist" / "mlp" / "test_predictions.npz")
    np.testing.assert_array_equal(run.test.probabilities, stored["probabilities"])
    assert table.loc[("mnist", "mlp"), "test_accuracy_mean"] == pytest.approx(run.test.correct.mean())
    assert len(run.folds) == 2
    with pytest.raises(InputError, match=r"no run 'mnist-nets'; it has: mnist-mlp"):
        project.run("mnist-nets")
    with pytest.raises(InputError, match=r"no table 'pears'; there is: .*pairs"):
        project.table("pears")


def test_the_notebook_of_the_docs_runs(finished_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads((Path(__file__).parents[1] / "docs" / "python-api.ipynb").read_text())["cells"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    monkeypatch.chdir(finished_once)
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    rows = names["project"].table("comparison").set_index(["dataset", "model"])
    assert names["accuracies"]["mnist-mlp"][1] == pytest.approx(rows.loc[("mnist", "mlp"), "test_accuracy_mean"])
    assert names["found"].n == 60


def _said(only_a: int, only_b: int, both: int, neither: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.ones(only_a + only_b + both + neither, int)
    a = np.repeat([1, 0, 1, 0], [only_a, only_b, both, neither])
    b = np.repeat([0, 1, 1, 0], [only_a, only_b, both, neither])
    return labels, a, b


def test_without_groups_it_is_mcnemars_mid_p_and_the_interval_of_a_paired_difference() -> None:
    labels, a, b = _said(12, 4, 70, 14)
    found = shearbench.compare(labels, a, b)
    exact = mcnemar([[70, 12], [4, 14]], exact=True).pvalue
    assert found.p == pytest.approx(exact - stats.binom.pmf(4, 16, 0.5))
    assert found.difference == pytest.approx(0.08)
    d = (a == 1).astype(float) - (b == 1)
    half = stats.t.ppf(0.975, 99) * d.std(ddof=1) / 10
    assert (found.low, found.high) == pytest.approx((0.08 - half, 0.08 + half))
    assert (found.n, found.groups) == (100, 100)


def test_groups_that_answer_alike_count_once() -> None:
    labels, a, b = _said(3, 1, 4, 2)
    alone = shearbench.compare(labels, a, b)
    copies = [np.repeat(each, 7) for each in (labels, a, b)]
    grouped = shearbench.compare(*copies, groups=np.repeat(np.arange(10), 7))
    assert grouped.p == pytest.approx(alone.p)
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high))
    assert (grouped.n, grouped.groups) == (70, 10)
    assert shearbench.compare(*copies).p < alone.p


def test_probabilities_and_strings_are_taken() -> None:
    labels = np.array([0, 1, 2, 1])
    a = np.eye(3)[[0, 1, 2, 0]]
    found = shearbench.compare(labels, a, np.array([0, 0, 2, 1]))
    assert (found.accuracy_a, found.accuracy_b, found.difference) == (0.75, 0.75, 0)
    assert shearbench.compare(["x", "y"], ["x", "x"], ["y", "y"]).accuracy_a == 0.5


@pytest.mark.parametrize(
    ("arguments", "groups", "message"),
    [
        (([1, 2], [1, 2], [1]), None, r"b must be \(n,\) classes or .*\(2,\) labels; got \(1,\)"),
        (([1], [1], [1]), None, r"two independent samples or groups at least; got 1"),
        (([1, 2], [1, 2], [1, 1]), [5, 5], r"two independent samples or groups at least; got 1"),
        (([1, 2], [1, 2], [1, 1]), [5], r"labels and groups must be \(n,\)"),
    ],
)
def test_what_cannot_be_compared_is_said(
    arguments: tuple[list[int], ...], groups: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shearbench.compare(*arguments, groups=groups)
