"""``shearbench verify``: does every stored file have the hash its record vouches for, and do folds repeat?

Reads ``data/``, ``build/datasets/``, ``build/runs/``, ``build/evaluation/``, ``build/experiments/``,
``build/outcomes/`` and ``reports/`` and writes nothing. No stage of ``dvc.yaml``.
"""

import hashlib
import secrets
from pathlib import Path

import yaml
from rich import print

from shearbench.data.dataset import SPLITS, load
from shearbench.data.folds import read_folds
from shearbench.data.guard import verify as verify_raw_data
from shearbench.errors import InputError
from shearbench.evaluation.cell import check_data, read_runs
from shearbench.params import Params, Question
from shearbench.records import read_record, sha256_of
from shearbench.training.verify import Verdict, verify


def main(params: Params, root: Path, *, sample: int) -> bool:
    """Check all hashes, train ``sample`` folds again and print what came out; return whether none differs.

    Raises:
        InputError: naming the first file that is not what its record vouches for, and what remakes it.
    """
    build = root / "build"
    folders = check_hashes(params, root)
    count = f"{len(params.datasets)} datasets, {len(folders)} folds, their evaluations, {len(params.experiments)}"
    print(f"hashes: raw data, {count} experiments and the reports are as recorded")
    picked = sorted(secrets.SystemRandom().sample(folders, min(sample, len(folders))))
    verdicts = verify(picked, datasets=build / "datasets", folds=build / "folds.npz", workers=params.execution.workers)
    for verdict in verdicts:
        print(_line(verdict, build))
    return all(verdict.verdict != "different" for verdict in verdicts)


def check_hashes(params: Params, root: Path) -> list[Path]:
    """Check every stored hash from raw data to evaluation; return the folders of all folds."""
    build = root / "build"
    verify_raw_data(root / "data", root / "data.dvc", params.sources)
    data_hashes = {
        name: [load(build / "datasets" / name, split).content_hash for split in SPLITS] for name in params.datasets
    }
    table = read_folds(build / "folds.npz")
    folders = []
    for cell in params.cells.values():
        runs = read_runs(build / "runs" / cell.dataset / cell.model, params.cv.networks)
        check_data(runs, data_hashes[cell.dataset][0], table)
        read_record(build / "evaluation" / cell.dataset / cell.model)
        folders += [run.folder for run in runs]
    for name, question in params.experiments.items():
        check_experiment(build, name, question)
    check_reports(root)
    return folders


def check_experiment(build: Path, name: str, question: Question) -> None:
    """Check the folds of an experiment, its outcome and the predictions behind it against their records."""
    for dataset in question.datasets:
        for model in question.models:
            read_runs(build / "experiments" / name / dataset / model, question.folds)
    folder = build / "outcomes" / name
    for file, expected in read_record(folder)["predictions"].items():
        path = folder / "predictions" / file
        if not path.is_file() or sha256_of(path) != expected:
            raise InputError(f"{path} is not what its record was written with; run `dvc repro -f outcome@{name}`")


def check_reports(root: Path) -> None:
    """Check the files in ``reports/`` against the hashes that DVC locked when it made them.

    Raises:
        InputError: naming the first one that is missing or differs.
    """
    lock = root / "dvc.lock"
    if not lock.is_file():
        raise InputError(f"{lock} is missing, so nothing says what the reports were; run `dvc repro`")
    stages = yaml.safe_load(lock.read_text())["stages"]
    for out in (out for stage in stages.values() for out in stage.get("outs", [])):
        path = root / out["path"]
        if path.parent.name == "reports" and not (path.is_file() and _md5(path) == out["md5"]):
            raise InputError(f"{path} is not what the pipeline wrote; remove it and run `dvc repro`")


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _line(verdict: Verdict, build: Path) -> str:
    where = verdict.folder.relative_to(build / "runs")
    differs = f"; differing: {', '.join(verdict.files)}" if verdict.files else ""
    changed = f"; since then changed: {', '.join(verdict.changed)}" if verdict.changed else ""
    return f"{where}: {verdict.verdict} (largest difference of a probability {verdict.distance:.2g}){differs}{changed}"
