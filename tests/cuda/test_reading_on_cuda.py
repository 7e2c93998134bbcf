"""Networks of the small project, trained on the CPU, read by the GPU: the same answers to all that is asked of them."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import small_project
from shearbench.ablation.result import PredictionTask, predict_fold
from shearbench.analysis.evaluation import FoldTask, Measured, infer
from shearbench.analysis.settings import one_of_each_class
from shearbench.analysis.transfer.measure import TransferTask, transfer
from shearbench.data.dataset import load
from shearbench.handwriting import networks
from shearbench.params import Params
from shearbench.params import load as load_params
from shearbench.records import read_record
from shearbench.stages import compare, evaluate, train, training_configs
from shearbench.stages import transfer as transfer_stage

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)


def _advance(units: int) -> None:
    pass


def _alike(here: Measured, there: Measured) -> None:
    """Booleans (read right or not) may differ where two classes are equally probable; numbers but by rounding."""
    assert here.facts == there.facts
    assert here.arrays.keys() == there.arrays.keys()
    for name, expected in here.arrays.items():
        if expected.dtype == np.bool_:
            assert (expected != there.arrays[name]).mean() <= 0.02, name
        elif name != "places":  # t-SNE magnifies rounding
            np.testing.assert_allclose(there.arrays[name], expected, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("run", small_project.RUNS)
def test_every_probe_answers_alike(run: str, finished_once: Path, small_params: Params) -> None:
    dataset, model = run.split("-")
    build = finished_once / "build"
    test = load(build / "datasets" / dataset, "test")
    fold_run, explained = build / "runs" / dataset / model / "fold-0", one_of_each_class(test.ids, test.labels)
    here, there = (
        infer(FoldTask(fold_run, build / "datasets" / dataset, explained, device, small_params.evaluate), _advance)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=1e-4)
    assert here.measured.keys() == there.measured.keys()
    for name, measured in here.measured.items():
        _alike(measured, there.measured[name])


def test_other_datasets_and_steps_are_read_alike(finished_once: Path, small_params: Params) -> None:
    build = finished_once / "build"
    fold_run = build / "runs" / "mechanical" / "mlp" / "fold-0"
    here, there = (
        transfer(
            TransferTask(fold_run, build / "datasets" / "mechanical", build, ("mnist",), device, small_params.evaluate),
            _advance,
        )
        for device in ("cpu", "cuda")
    )
    for one, other in zip([*here.datasets, *here.steps], [*there.datasets, *there.steps], strict=True):
        assert (one.name, one.bn_statistics, one.skipped) == (other.name, other.bn_statistics, other.skipped)
        assert (one.correct != other.correct).sum() <= 1


def test_a_diagnosed_network_reads_alike_in_every_way(asked: Path) -> None:
    build = asked / "build"
    fold_run = build / "ablations" / "normalisation" / "mechanical_divide255" / "deep" / "fold-0"
    data = build / "datasets" / "mechanical"
    here, there = (predict_fold(PredictionTask(fold_run, data, device), _advance) for device in ("cpu", "cuda"))
    for said, again in ((here.test, there.test), (here.held_out, there.held_out)):
        assert said.keys() == again.keys()
        for bn_statistics in said:
            np.testing.assert_allclose(again[bn_statistics], said[bn_statistics], atol=1e-3, err_msg=bn_statistics)
    assert here.train == pytest.approx(there.train, abs=0.05)


def test_handwriting_is_read_alike(finished_once: Path) -> None:
    fold_run = finished_once / "build" / "runs" / "mnist" / "cnn2" / "fold-0"
    here, there = (
        networks.predict_images(networks.PredictionTask(fold_run, 1, {"plain": IMAGES}, device), _advance)["plain"]
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(there, here, atol=1e-4)
    labels = np.arange(20) % 2
    near, again = (
        networks.distance(networks.DistanceTask(fold_run, 1, IMAGES, IMAGES, labels, device), _advance)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(again, near, rtol=1e-2)
    groups = np.arange(20) % 4
    task = networks.FineTuningTask(fold_run, 1, IMAGES, labels, groups, 1, 42, "cuda")
    once, twice = (networks.fine_tune(task, _advance) for _ in range(2))
    assert once.shape == (5, 10)
    np.testing.assert_array_equal(once, twice)


def test_the_stages_make_a_project_on_the_gpu(tmp_path: Path) -> None:
    """Training, evaluation, transfer and comparison, by worker processes that share the GPU."""
    document = small_project.document(runs=["mnist-cnn2", "mechanical-mlp"])
    document["execution"] = {"workers": 2, "device": "cuda", "precision": "bf16"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    params = load_params(tmp_path / "params.yaml")
    small_project.write_data(tmp_path)
    training_configs.main(params, tmp_path)
    for run in params.runs:
        train.main(params, tmp_path, run)
        evaluate.main(params, tmp_path, run)
    transfer_stage.main(params, tmp_path)
    compare.main(params, tmp_path)
    record = read_record(tmp_path / "build" / "evaluation" / "mnist" / "cnn2")
    assert record["hardware"].startswith("cuda")
    assert (tmp_path / "reports" / "comparison.csv").is_file()
