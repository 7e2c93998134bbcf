"""A small project, trained, evaluated and compared in a few seconds, for the tests of what only reads results."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

import shearbench
from shearbench.analysis.evaluation import Evaluation, FoldTask, infer
from shearbench.analysis.settings import one_of_each_class
from shearbench.analysis.summaries import write_evaluation, write_plots
from shearbench.analysis.transfer.measure import transfer, write_transfer
from shearbench.data import dataset as datasets
from shearbench.data.dataset import SPLITS, Dataset, Samples, load, read_samples, write_dataset, write_samples
from shearbench.data.folds import FoldTable, write_folds, write_part
from shearbench.mechanics.simulation import compile_kernels
from shearbench.params import Params
from shearbench.params import load as load_params
from shearbench.pipeline.configs import config_of
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import write_npz
from shearbench.stages import ablation, ablation_result, compare, training_configs
from shearbench.stages import transfer as transfer_stage
from shearbench.training.crossval import fold_task, train_fold

FOLDS = 2
RUNS = {"mnist-mlp": "mlp", "mnist-cnn2": "cnn2", "mechanical-mlp": "mlp"}
RECIPE = {"epochs": 2, "batch": 20, "learning_rate": 1e-2, "weight_decay": 0.0}
IMAGES = {"source": "mnist", "channels": 1, "normalise": "unit"}
EVALUATE = {"samples": 10, "noise": {"levels": [1, 4], "raw": [0.3], "draws": 2}, "explained": 1, "embedded": 40}
FIELDS = {"source": "simulated", "load": "shear", "step": 5, "normalise": "pixel"}


def document(repeats: int = 1, runs: Collection[str] = tuple(RUNS)) -> dict[str, Any]:
    """The project's own parameters, with networks, runs and folds that take a second."""
    own: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
    models = {
        name: {
            "architecture": name,
            "width": 0.1,
            "options": {},
            "recipe": RECIPE,
            "search": own["models"][name]["search"],
        }
        for name in ("mlp", "cnn2")
    }
    return {
        **own,
        "seed": 1,
        "datasets": {"mnist": IMAGES, "mechanical": FIELDS},
        "models": models,
        "runs": {run: {"dataset": run.split("-")[0], "model": RUNS[run]} for run in runs},
        "ablations": {},
        "cv": {**own["cv"], "folds": FOLDS, "repeats": repeats, "inner_fraction": 0.2},
        "evaluate": EVALUATE,
        "execution": {**own["execution"], "workers": 1, "device": "cpu", "precision": "fp32"},
        "tracking": {"uri": "default"},
    }


def write_data(root: Path, repeats: int = 1) -> None:
    """Sixty training and twenty test digits: class k is a bright bar at row 2k, so that a network can learn it."""
    rng = np.random.default_rng(0)
    ids = np.arange(80)
    labels = ids % 10
    images = rng.integers(0, 60, (80, 1, 28, 28), dtype=np.uint8)
    images[ids, 0, 2 * labels + 4] = 250
    fields = np.stack([images[:, 0] / 255.0, rng.normal(size=(80, 28, 28))], axis=1).astype(np.float32)
    for name, inputs, entry in (("mnist", images, IMAGES), ("mechanical", fields, FIELDS)):
        splits = {
            split: Dataset(name, ids[rows], inputs[rows], labels[rows])
            for split, rows in (("train", slice(60)), ("test", slice(60, 80)))
        }
        write_dataset(root / "build" / "datasets" / name, splits, {"entry": entry})
    for split, rows in (("train", slice(60)), ("test", slice(60, 80))):
        write_samples(root / "build" / "samples", split, Samples(split, ids[rows], images[rows, 0], labels[rows]))
    steps = {"steps": np.array([4, 5, 6]), "displacement": np.stack([0.5 * fields, fields, 1.5 * fields], axis=1)[60:]}
    write_npz(root / "build" / "severity" / "mnist-shear.npz", {"ids": ids[60:], **steps})
    folds = np.stack([np.roll(ids[:60] // 10 % FOLDS, repeat) for repeat in range(repeats)])
    for name in ("mnist", "mechanical"):
        write_folds(root / "build" / "datasets" / name / datasets.FOLDS, FoldTable(ids[:60], folds))
    write_folds(root / "build" / "folds" / "mnist.npz", FoldTable(ids[:60], folds))
    write_part(root / "build" / "tuning_part" / "mnist.npz", ids[:18])


def train_run(params: Params, root: Path, run: str) -> None:
    """Train a run in this process: the worker processes have their own tests."""
    build, names = root / "build", params.runs[run]
    settled = config_of(params, dataset=names.dataset, model=names.model)
    for fold in range(params.cv.networks):
        out = build / "runs" / names.dataset / names.model / f"fold-{fold}"
        data = build / "datasets" / names.dataset
        train_fold(fold_task(settled, fold, dataset=data, out=out), lambda _: None)


def evaluate_run(params: Params, root: Path, run: str) -> None:
    """Evaluate a run in this process."""
    build, names = root / "build", params.runs[run]
    fold_runs = read_fold_runs(build / "runs" / names.dataset / names.model, params.cv.networks)
    data = build / "datasets" / names.dataset
    test = load(data, "test")
    explained = one_of_each_class(test.ids, test.labels)
    tasks = [FoldTask(fold_run.folder, data, explained, "cpu", params.evaluate) for fold_run in fold_runs]
    results = [infer(task, lambda _: None) for task in tasks]
    samples = read_samples(build / "samples", "test")
    evaluation = Evaluation(fold_runs, load(data, "train"), test, samples, explained, params.evaluate, results)
    write_evaluation(build / "evaluation" / names.dataset / names.model, evaluation)
    write_plots(build / "plots" / names.dataset / names.model, evaluation)


def transfer_runs(params: Params, root: Path) -> None:
    """Let the networks of all runs read what they were not made for, in this process."""
    fold_runs = transfer_stage.read_all(params, root)
    found = iter(
        [transfer(task, lambda _: None) for task in transfer_stage.tasks_of(params, root / "build", fold_runs)]
    )
    write_transfer(
        root / "build" / "transfer", fold_runs, {run: [next(found) for _ in folds] for run, folds in fold_runs.items()}
    )


def make(root: Path, repeats: int = 1, runs: Collection[str] = tuple(RUNS)) -> None:
    """Make the project in ``root``."""
    (root / "params.yaml").write_text(yaml.safe_dump(document(repeats, runs), sort_keys=False))
    params = load_params(root / "params.yaml")
    write_data(root, repeats)
    training_configs.main(params, root)
    for run in runs:
        train_run(params, root, run)
        evaluate_run(params, root, run)
    transfer_runs(params, root)
    compare.main(params, root)


def ask(root: Path) -> None:
    """Make the data of the project in ``root``, and an ablation of two networks on two datasets with its result."""
    network = {"width": 0.05, "options": {}, "recipe": {**RECIPE, "epochs": 1}}
    planned = {
        "question": "Is it the depth or the scale?",
        "folds": FOLDS,
        "rope": 0.01,
        "diagnose": True,
        "datasets": {f"mechanical_{kind}": {**FIELDS, "normalise": kind} for kind in ("divide255", "detrend")},
        "models": {
            "deep": {**network, "architecture": "resnet18"},
            "plain": {**network, "architecture": "mlp"},
        },
    }
    whole = document() | {"ablations": {"normalisation": planned}}
    (root / "params.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    params = load_params(root / "params.yaml")
    write_data(root)
    write_fields(root)
    compile_kernels()  # or each worker does, and loky replaces a worker whose memory grows by 300 MB
    ablation.main(params, root, "normalisation")
    ablation_result.main(params, root, "normalisation")


def write_fields(root: Path) -> None:
    """Write the fields that the datasets of the project were made of."""
    for split in SPLITS:
        data = load(root / "build" / "datasets" / "mechanical", split)
        fields = {"ids": data.ids, "steps": np.array([FIELDS["step"]]), "displacement": data.inputs[:, None]}
        write_npz(root / "build" / "fields" / split / "mnist-shear.npz", fields)


def write_predictions(project: Path, folder: Path) -> Path:
    """Write the predictions of mnist-cnn2 as another program would: folds as CSV in another order, tests as NPZ."""
    folder.mkdir()
    card = {"dataset": "mnist", "model": "copied", "description": "cnn2 of this project"}
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    run = shearbench.load_project(project).run("mnist-cnn2")
    for fold in run.folds:
        held_out = fold.out_of_fold
        table = pd.DataFrame(held_out.probabilities, columns=[str(digit) for digit in range(10)])
        table.insert(0, "id", held_out.ids)
        table["label"] = held_out.labels
        table.sample(frac=1, random_state=1).to_csv(folder / f"fold-{fold.fold}.csv", index=False)
        arrays = {"ids": run.test.ids, "labels": run.test.labels, "probabilities": run.test.probabilities[fold.fold]}
        np.savez(folder / f"test-{fold.fold}.npz", **arrays)
    return folder
