"""Folds are read only where they belong to the present parameters, code, data and folds."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from shearbench import code
from shearbench.commands import predict, verify
from shearbench.errors import InputError
from shearbench.handwriting import networks
from shearbench.params import Params, load
from shearbench.pipeline.present import is_current, read_run
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_json, read_npz, write_json, write_npz, write_sealed
from shearbench.stages import compare, evaluate, transfer

RUN = "mnist-mlp"
READERS: dict[str, Callable[[Params, Path], Any]] = {
    "evaluate": lambda params, root: evaluate.main(params, root, RUN),
    "transfer": transfer.read_all,
    "compare": compare.main,
    "predict": lambda params, root: predict.choose(params, root, "mnist", "mlp"),
    "verify": verify.check_hashes,
}


def edited(root: Path, change: Callable[[dict[str, Any]], object]) -> Params:
    document = yaml.safe_load((root / "params.yaml").read_text())
    change(document)
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return load(root / "params.yaml")


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_folds_of_other_parameters_are_refused_by_all_that_read_them(
    finished: Path, read: Callable[[Params, Path], Any]
) -> None:
    params = edited(finished, lambda it: it["models"]["mlp"]["recipe"].update(epochs=3))
    with pytest.raises(InputError, match=r"other parameters than the present ones \(recipe\.epochs 2, now 3\)"):
        read(params, finished)


def test_folds_of_another_load_step_are_refused(finished: Path) -> None:
    params = edited(finished, lambda it: it["datasets"]["mechanical"].update(step=6))
    with pytest.raises(InputError, match=r"entry\.step 5, now 6"):
        predict.choose(params, finished, "mechanical", "mlp")


def test_folds_of_other_code_are_refused(finished: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    closure = code.closure
    monkeypatch.setattr(code, "closure", lambda *given: {**closure(*given), "helper.py": "does something else"})
    with pytest.raises(InputError, match=r"other code than the present one.*dvc repro train@mnist-mlp"):
        read_run(small_params, finished, RUN)


def test_folds_of_the_present_state_are_read_on_another_machine_too(finished: Path, small_params: Params) -> None:
    """Device and precision that params.yaml leaves open, and the build of torch, are those of the training."""
    auto = edited(finished, lambda it: it["execution"].update(device="auto", precision="auto"))
    assert len(read_run(auto, finished, RUN)) == 2
    with pytest.raises(InputError, match=r"precision fp32, now bf16"):
        read_run(edited(finished, lambda it: it["execution"].update(precision="bf16")), finished, RUN)


def test_scores_that_the_predictions_do_not_give_are_refused(finished: Path, small_params: Params) -> None:
    path = finished / "build/runs/mnist/mlp/fold-0/record.json"
    record = read_json(path)
    record["metrics"]["validation_accuracy"] = 0.999
    path.write_text(yaml.safe_dump(record))  # JSON is YAML
    write_sealed(path, record)  # by a forger who knows the digest
    with pytest.raises(InputError, match=r"states a validation accuracy of 0\.999, but its predictions give"):
        read_run(small_params, finished, RUN)


def test_a_class_is_read_by_the_networks_that_params_yaml_names_now(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = finished / "build/runs/mnist"
    shutil.copytree(runs / "mlp", runs / "renamed")
    found = networks.available(finished / "build", is_current=partial(is_current, small_params, finished))
    assert {one.network for one in found} == {"mlp", "cnn2"}
    assert "is of no entry of params.yaml" in " ".join(capsys.readouterr().out.split())
    params = edited(finished, lambda it: it["models"].update(mlp={**it["models"]["mlp"], "width": 0.2}))
    found = networks.available(finished / "build", is_current=partial(is_current, params, finished))
    assert {one.network for one in found} == {"cnn2"}
    assert "other parameters" in " ".join(capsys.readouterr().out.split())


def test_networks_of_other_data_are_left_out(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    card = finished / "build/datasets/mnist/card.json"
    write_json(card, {**read_json(card), "hashes": {**read_json(card)["hashes"], "train": "0" * 64}})
    with pytest.raises(InputError, match="has no trained network"):
        networks.available(finished / "build", is_current=partial(is_current, small_params, finished))
    assert "but the present training data has 000000000000" in " ".join(capsys.readouterr().out.split())


def test_networks_of_an_ablation_are_held_against_data_that_no_dataset_has(
    asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "project"
    shutil.copytree(asked, root)
    params, folder = load(root / "params.yaml"), root / "build/ablations/normalisation/mechanical_divide255/plain"
    fold_runs = read_fold_runs(folder, 2)
    assert is_current(params, root, folder, fold_runs)
    path = root / "build/fields/train/mnist-shear.npz"
    fields = read_npz(path)
    write_npz(path, {**fields, "displacement": 2 * fields["displacement"]})
    assert not is_current(params, root, folder, fold_runs)
    assert "but the present training data has" in " ".join(capsys.readouterr().out.split())
