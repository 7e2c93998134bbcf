"""``shearbench verify``: check the hash of every stored file and train some folds again.

Reads all outputs in ``dvc.lock``, DVC's cache and the records; writes nothing. Files in git are compared with the last
commit, and differences are reported. Not a stage of ``dvc.yaml``.
"""

import secrets
from itertools import product
from pathlib import Path

from rich import print
from rich.markup import escape

from shearbench.commands import stored
from shearbench.data.dataset import SPLITS, load
from shearbench.data.guard import verify as verify_raw_data
from shearbench.errors import InputError
from shearbench.params import Ablation, Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_record, sha256_of
from shearbench.training.verify import Verdict, verify


def main(params: Params, root: Path, *, sample: int) -> bool:
    """Check all hashes, train ``sample`` folds again and print the verdicts; return True if none differs.

    Raises:
        InputError: if a file differs from its hash; the message names it and the command that recreates it.
    """
    build = root / "build"
    for name in map(escape, stored.uncommitted(root)):
        print(f"[yellow]{name} is not as committed[/]: {_meaning(name)}")
    check_bytes(params, root)
    folders = check_hashes(params, root)
    count = f"{len(params.datasets)} datasets, {len(folders)} folds, their evaluations, {len(params.ablations)}"
    print(f"hashes: raw data, {count} runs, the reports and DVC's cache match their records")
    picked = sorted(secrets.SystemRandom().sample(folders, min(sample, len(folders))))
    verdicts = verify(picked, datasets=build / "datasets", workers=params.execution.pool)
    for verdict in verdicts:
        print(_line(verdict, build))
    return all(verdict.verdict != "different" for verdict in verdicts)


def _meaning(name: str) -> str:
    """Return the meaning of a difference from the last commit, without advice that would discard results."""
    if name.startswith(stored.RESULTS):
        return f"expected after a run: `git diff {name}` shows the change, `git add` and `git commit` keep it"
    return f"`git diff {name}` shows the change"


def check_bytes(params: Params, root: Path) -> None:
    """Compare every file of the pipeline with its hash, raw data first.

    Raises:
        InputError: if files differ; the message lists each with the command that recreates it.
    """
    verify_raw_data(root / "data", root / "data.dvc", params.sources)
    found = list(stored.faults(params, root))
    if found:
        lines = "\n".join(f"- {one}" for one in found)
        raise InputError(f"{len(found)} file(s) differ from their records:\n{lines}")


def check_hashes(params: Params, root: Path) -> list[Path]:
    """Check that datasets, folds and evaluations match their records; return the folders of all folds."""
    build = root / "build"
    for dataset, split in product(params.datasets, SPLITS):
        load(build / "datasets" / dataset, split)
    folders = []
    for name, one_run in params.runs.items():
        folders += [run.folder for run in read_run(params, root, name)]
        read_record(build / "evaluation" / one_run.dataset / one_run.model)
    for name, ablation in params.ablations.items():
        check_ablation(build, name, ablation)
    return folders


def check_ablation(build: Path, name: str, ablation: Ablation) -> None:
    """Check the folds of an ablation, its result and its stored predictions against their records."""
    for dataset in ablation.datasets:
        for model in ablation.models:
            read_fold_runs(build / "ablations" / name / dataset / model, ablation.folds)
    folder = build / "ablation_results" / name
    for file, expected in read_record(folder)["predictions"].items():
        path = folder / "predictions" / file
        if not path.is_file() or sha256_of(path) != expected:
            raise InputError(f"{path} differs from its record; run `dvc repro -f ablation_result@{name}`")


def _line(verdict: Verdict, build: Path) -> str:
    where = verdict.folder.relative_to(build / "runs")
    differs = f"; differing: {', '.join(verdict.files)}" if verdict.files else ""
    cause = f"; {verdict.cause}, which rounds differently" if verdict.cause and verdict.files else ""
    changed = f"; changed since: {', '.join(verdict.changed)}" if verdict.changed else ""
    found = f"{verdict.verdict} (largest difference of a probability {verdict.distance:.2g})"
    return f"{where}: {found}{differs}{changed}{cause}"
