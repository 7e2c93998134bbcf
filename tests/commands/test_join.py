"""Predictions from elsewhere: compared as the pipeline compares its own, and every fault of a folder is named."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import shearbench
import small_project
from shearbench.commands import join
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import read_json
from shearbench.report.blocks import Table
from shearbench.report.sections.statistics import joined as joined_section


@pytest.fixture
def folder(finished_once: Path, tmp_path: Path) -> Path:
    """The predictions of mnist-cnn2 under another name: folds as CSV in another order, the test part as NPZ."""
    return small_project.write_predictions(finished_once, tmp_path / "elsewhere")


@pytest.fixture
def mlp_alone(small_params: Params) -> Params:
    """The project with one run on MNIST."""
    return small_params.model_copy(update={"runs": {"mnist-mlp": small_params.runs["mnist-mlp"]}})


def test_a_copy_of_a_run_is_compared_as_the_run_is(finished_once: Path, mlp_alone: Params, folder: Path) -> None:
    found = join.main(mlp_alone, finished_once, folder)
    own = next(row for row in read_json(finished_once / "reports/pairs.json")["rows"] if row["within"] == "mnist")
    assert (own["a"], own["b"]) == ("mlp", "cnn2")
    (joined,) = found["rows"]
    assert (joined["a"], joined["b"]) == ("copied", "mlp")
    assert joined["difference"] == -own["difference"]
    assert (joined["low"], joined["high"]) == pytest.approx((-own["high"], -own["low"]))
    assert joined["p_adjusted"] == pytest.approx(own["p_adjusted"])
    assert joined["test_difference"] == pytest.approx(-own["test_difference"])
    run = shearbench.load_project(finished_once).run("mnist-cnn2")
    assert found["test_accuracy"] == run.test.correct.mean()
    assert found["fold_accuracies"] == [[fold.record["metrics"]["validation_accuracy"] for fold in run.folds]]
    assert len(pd.read_csv(finished_once / "reports" / "joined" / "mnist-copied.csv")) == 1
    models, shown = (block for block in joined_section(finished_once, []).blocks if isinstance(block, Table))
    assert [cell.text for cell in models.cells[0]][:2] == ["mnist", "copied"]
    assert models.cells[0][3].value == found["test_accuracy"]
    assert [cell.text for cell in shown.cells[0]][:4] == ["mnist", "copied", "mlp", joined["verdict"]]
    shutil.rmtree(finished_once / "reports" / "joined")
    assert joined_section(finished_once, []).blocks == []


def test_the_fold_table_says_what_to_predict(finished_once: Path, folder: Path) -> None:
    table = shearbench.load_project(finished_once).fold_table("mnist")
    assert len(table) == 60
    for fold in (0, 1):
        rows = pd.read_csv(folder / f"fold-{fold}.csv", dtype={"label": str}).sort_values("id")
        own = table[table["fold"] == fold].sort_values("id")
        assert own["id"].tolist() == rows["id"].tolist()
        assert own["label"].tolist() == rows["label"].tolist()


def _edit(path: Path, change: object) -> None:
    table = pd.read_csv(path)
    change(table)  # type: ignore[operator]
    table.to_csv(path, index=False)


def _other_label(table: pd.DataFrame) -> None:
    table.loc[0, "label"] = (table.loc[0, "label"] + 1) % 10


def _logits(table: pd.DataFrame) -> None:
    table.loc[2, [str(digit) for digit in range(10)]] = 3.0


def _seen_sample(table: pd.DataFrame) -> None:
    table.loc[0, "id"] = 10**6


def _words(table: pd.DataFrame) -> None:
    table["id"] = "x" + table["id"].astype(str)


def _twice(table: pd.DataFrame) -> None:
    table.loc[0, "id"] = table.loc[1, "id"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_other_label, r"fold-0\.csv has other labels than the dataset for 1 samples"),
        (_logits, r"fold-0\.csv must have probabilities .* row 3 sum to 30"),
        (_seen_sample, r"once each, 30 ids: 1 missing, as \[\d+\]; 1 not among them, as \[1000000\]"),
        (_twice, r"1 missing, as \[\d+\]; 1 repeated"),
        (_words, r"fold-0\.csv must have whole numbers as id"),
        (lambda table: table.pop("7"), r"fold-0\.csv must have the columns .* it lacks 7"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(
    finished_once: Path, small_params: Params, folder: Path, change: object, told: str
) -> None:
    _edit(folder / "fold-0.csv", change)
    with pytest.raises(InputError, match=told):
        join.main(small_params, finished_once, folder)


def test_arrays_of_different_lengths_are_refused(finished_once: Path, small_params: Params, folder: Path) -> None:
    arrays = dict(np.load(folder / "test-0.npz"))
    np.savez(folder / "test-0.npz", **{**arrays, "labels": arrays["labels"][:-3]})
    with pytest.raises(InputError, match=r"test-0\.npz must have as many labels and probabilities as ids"):
        join.main(small_params, finished_once, folder)


def test_a_folder_that_is_not_whole_is_refused(finished_once: Path, small_params: Params, folder: Path) -> None:
    (folder / "test-1.npz").rename(folder / "test-2.npz")
    with pytest.raises(InputError, match=r"must hold test-1\.csv or test-1\.npz, the predictions of the test samples"):
        join.main(small_params, finished_once, folder)
    for text, told in (
        ("dataset: mnist\nmodel: cnn2\ndescription: x\n", "a name that params.yaml has not; got 'cnn2'"),
        ("dataset: mnist\nmodel: x/../../../evil\ndescription: x\n", "model: String should match pattern"),
        ("dataset: letters\nmodel: new\ndescription: x\n", "one that has runs, mnist, mechanical; got 'letters'"),
        ("dataset: mnist\n", "model: Field required"),
    ):
        (folder / "card.yaml").write_text(text)
        with pytest.raises(InputError, match=told):
            join.main(small_params, finished_once, folder)
    (folder / "card.yaml").unlink()
    with pytest.raises(InputError, match=r"card\.yaml is missing"):
        join.main(small_params, finished_once, folder)
