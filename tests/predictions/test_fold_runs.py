"""Fold records are read only if they are whole, and of the data and folds that are there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from shearbench.data.folds import FoldTable, read_folds
from shearbench.errors import InputError
from shearbench.predictions.folds import check_data, hardware_of, read_fold_runs
from shearbench.records import write_sealed
from shearbench.training.hardware import instructions


@pytest.fixture
def folder(finished: Path) -> Path:
    return finished / "build" / "runs" / "mnist" / "mlp"


def hash_of_training_data(finished: Path) -> str:
    return str(json.loads((finished / "build" / "datasets" / "mnist" / "card.json").read_text())["hashes"]["train"])


def change_record(folder: Path, **changes: object) -> None:
    record = json.loads((folder / "record.json").read_text())
    write_sealed(folder / "record.json", {**record, **changes})


def test_reads_every_fold_in_order(finished: Path, folder: Path) -> None:
    fold_runs = read_fold_runs(folder, 2)
    table = read_folds(finished / "build" / "datasets" / "mnist" / "folds.npz")
    check_data(fold_runs, hash_of_training_data(finished), table)
    assert [fold_run.fold for fold_run in fold_runs] == [0, 1]
    ids = np.concatenate([fold_run.out_of_fold.ids for fold_run in fold_runs])
    assert np.array_equal(np.sort(ids), np.arange(60))


def test_what_the_networks_were_trained_on_is_said_in_full(folder: Path) -> None:
    own = instructions()
    assert hardware_of(read_fold_runs(folder, 2)) == f"cpu, fp32, {own}"
    record = json.loads((folder / "fold-1" / "record.json").read_text())
    change_record(folder / "fold-1", gpu="a GPU", config={**record["config"], "device": "cuda", "precision": "bf16"})
    assert hardware_of(read_fold_runs(folder, 2)) == f"cpu, fp32, {own}; cuda (a GPU), bf16"
    change_record(folder / "fold-1", instructions="AVX2 (MKL_CBWR=AVX2)", gpu=None, config=record["config"])
    assert hardware_of(read_fold_runs(folder, 2)) == "; ".join(
        sorted([f"cpu, fp32, {own}", "cpu, fp32, AVX2 (MKL_CBWR=AVX2)"])
    )


def test_out_of_fold_scores_are_those_of_the_record(folder: Path) -> None:
    from shearbench.predictions.scores import score

    for fold_run in read_fold_runs(folder, 2):
        scores = score(fold_run.out_of_fold)
        assert scores.accuracy == fold_run.record["metrics"]["validation_accuracy"]
        assert scores.loss == pytest.approx(fold_run.record["metrics"]["validation_loss"], rel=1e-12)


def test_refuses_a_missing_fold(folder: Path) -> None:
    with pytest.raises(InputError, match="fold-2 is not; run `dvc repro train@mnist-mlp`"):
        read_fold_runs(folder, 3)


def test_refuses_a_fold_in_the_folder_of_another(folder: Path) -> None:
    shutil.rmtree(folder / "fold-1")
    shutil.copytree(folder / "fold-0", folder / "fold-1")
    with pytest.raises(InputError, match="fold-1 holds the record of fold 0"):
        read_fold_runs(folder, 2)


def test_refuses_a_damaged_file(folder: Path) -> None:
    (folder / "fold-1" / "history.csv").write_text("")
    with pytest.raises(InputError, match=r"history\.csv is not the file"):
        read_fold_runs(folder, 2)


@pytest.mark.parametrize(
    ("changes", "place"), [({"config": None}, "config"), ({"fold": "0"}, "fold"), ({"hashes": {}}, "hashes.config")]
)
def test_refuses_a_record_of_another_shape(folder: Path, changes: dict[str, object], place: str) -> None:
    change_record(folder / "fold-0", **changes)
    with pytest.raises(InputError, match=rf"record.json is not what the pipeline wrote at {place};"):
        read_fold_runs(folder, 2)


def test_refuses_folds_of_different_settings(folder: Path) -> None:
    hashes = read_fold_runs(folder, 2)[1].record["hashes"]
    change_record(folder / "fold-1", hashes={**hashes, "config": "0" * 64})
    with pytest.raises(InputError, match="config hash 000000000000, but fold 0 has"):
        read_fold_runs(folder, 2)


def test_refuses_other_data_and_other_folds(finished: Path, folder: Path) -> None:
    fold_runs, table = read_fold_runs(folder, 2), read_folds(finished / "build" / "datasets" / "mnist" / "folds.npz")
    with pytest.raises(InputError, match=r"data hash .*, but the present training data has 111111111111"):
        check_data(fold_runs, "1" * 64, table)
    with pytest.raises(InputError, match="folds hash"):
        check_data(fold_runs, hash_of_training_data(finished), FoldTable(table.ids, 1 - table.folds))
