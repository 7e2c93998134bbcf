"""``shearbench verify``: check the hash of every stored file and train some folds again; write nothing.

DVC trusts write-protected files in its cache and restores them without reading. This check reads each one, all outputs
in ``dvc.lock``, and the shards. It lists the files that differ, with the command that recreates them. Files in git are
compared with the last commit, and differences are reported.

Folds are trained again in a temporary folder. On the machine that trained them the files should be bit-equal. Other
processors round differently, and training magnifies the differences. If no probability differs by more than
``TOLERANCE``, the verdict is "within tolerance".
"""

import secrets
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from rich import print
from rich.markup import escape

from shearbench.data.dataset import SPLITS, load
from shearbench.data.mechanical import damaged_shards
from shearbench.data.raw import CACHE, OBJECTS, Tree, listing, md5_of, tree_of
from shearbench.data.raw import verify as verify_raw_data
from shearbench.errors import InputError
from shearbench.execution import Workers
from shearbench.params import Ablation, Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_npz, read_record, sha256_of
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.results import OUT_OF_FOLD

_LOCKS = ("dvc.lock", "tuned/dvc.lock")
_DIR = ".dir"
_RESULTS = ("dvc.lock", "reports")  # written by `dvc repro`; the user writes the others
TOLERANCE = 1e-3
_OF_GIT = ("data.dvc", "dvc.lock", "params.yaml", "reports", "tuned")


@dataclass(frozen=True)
class Verdict:
    """The result of training a fold again.

    ``changed`` names the inputs (``config``, ``data``, ``folds``, ``code``) that are no longer those of the record,
    ``files`` the files that differ; ``distance`` is the largest difference between two probabilities.
    """

    folder: Path
    verdict: Literal["bit-equal", "within tolerance", "different"]
    changed: tuple[str, ...]
    files: tuple[str, ...]
    distance: float
    cause: str = ""
    """Why bits may differ for the same inputs: the instruction sets of both trainings; empty if equal."""


def main(params: Params, root: Path, *, sample: int) -> bool:
    """Check all hashes, train ``sample`` folds again and print the verdicts; return True if none differs.

    Raises:
        InputError: if a file differs from its hash; the message names it and the command that recreates it.
    """
    build = root / "build"
    for name in map(escape, uncommitted(root)):
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
    if name.startswith(_RESULTS):
        return f"expected after a run: `git diff {name}` shows the change, `git add` and `git commit` keep it"
    return f"`git diff {name}` shows the change"


def check_bytes(params: Params, root: Path) -> None:
    """Compare every file of the pipeline with its hash, raw data first.

    Raises:
        InputError: if files differ; the message lists each with the command that recreates it.
    """
    verify_raw_data(root / "data", root / "data.dvc", params.sources)
    found = list(faults(params, root))
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
    for dataset, model in ablation.runs:
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


def faults(params: Params, root: Path) -> Iterator[str]:
    """Yield one line for each stored file that changed: the file, and the command that recreates it.

    Raises:
        InputError: if ``dvc.lock`` is missing or unreadable, or if none of its outputs exists.
    """
    cache = cache_of(root)
    owners = {path: (stage, md5) for lock in _LOCKS for stage, path, md5 in _locked(params, root, root / lock)}
    if not any((root / path).exists() for path in owners if path.startswith("build")):
        raise InputError(f"none of the results in dvc.lock exists in {root}; run `dvc repro`")
    differing = {path: _differing(root, path, md5, cache) for path, (_, md5) in owners.items()}
    broken = {owners[path][0] for path, names in differing.items() if names}
    yield from _cache_faults(root, cache, {md5: stage for stage, md5 in owners.values()}, broken)
    for path, names in differing.items():
        for name in names:
            differs = "is not the file that the pipeline wrote; remove it and"
            wrong = differs if (root / path).exists() else "is missing;"
            yield f"{name} {wrong} run `dvc repro {owners[path][0]}`"
    for shard in damaged_shards(root / "build" / "shards"):
        yield f"{shard.relative_to(root)} is not the simulated file; remove it and run `dvc repro --force simulate`"


def uncommitted(root: Path) -> list[str]:
    """Return the parameters and results in git that differ from the last commit; empty if git fails.

    They may have been changed on purpose, so they are not faults.
    """
    command = ["git", "-C", str(root), "-c", "core.quotePath=false", "diff", "--name-only", "--relative", "HEAD", "--"]
    try:
        return subprocess.run([*command, *_OF_GIT], capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def _locked(params: Params, root: Path, lock: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (stage, path, MD5) of each output in a lock file, except for stages removed from ``params.yaml``."""
    if not lock.is_file() and lock.parent != root:
        return  # no search yet
    try:
        stages: Mapping[str, Mapping[str, Any]] = yaml.safe_load(lock.read_text())["stages"]
    except FileNotFoundError:
        raise InputError(f"{lock} is missing, so the hashes of the results are unknown; run `dvc repro`") from None
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"{lock} is not a lock file of DVC ({error}); restore it with git") from None
    known = {*params.runs, *params.datasets, *params.ablations, *params.models}
    prefix = "" if lock.parent == root else f"{lock.parent.name}/dvc.yaml:"
    for name, stage in stages.items():
        _, _, of = name.partition("@")
        if not of or of in known:
            for out in stage.get("outs", []):
                yield prefix + name, out["path"], out["md5"]


def _differing(root: Path, path: str, md5: str, cache: Path) -> list[str]:
    """Return the files of an output that differ; the output itself if DVC's list of the folder is lost."""
    place = root / path
    if not place.exists():
        return [path]
    if not md5.endswith(_DIR):
        return [] if place.is_file() and md5_of(place) == md5 else [path]
    tree = tree_of(place) if place.is_dir() else Tree({}, 0)
    if tree.hash == md5:
        return []
    before = listing(cache, md5)
    names = sorted(tree.files.keys() | before.keys()) if before else []
    return [f"{path}/{name}" for name in names if tree.files.get(name) != before.get(name)] or [path]


def cache_of(root: Path) -> Path:
    """Return DVC's cache folder as configured in DVC; the default one if DVC fails."""
    try:
        done = subprocess.run(["dvc", "cache", "dir"], cwd=root, capture_output=True, text=True, check=True)
        return Path(root, done.stdout.strip() or CACHE)
    except (OSError, subprocess.CalledProcessError):
        return root / CACHE


def _cache_faults(root: Path, cache: Path, stages: Mapping[str, str], broken: Collection[str]) -> Iterator[str]:
    """Yield the objects of DVC's cache whose content does not match their name.

    They are listed first, because DVC would restore lost outputs of the stages in ``broken`` from them.
    """
    of_file = {
        md5: stage for tree, stage in stages.items() if tree.endswith(_DIR) for md5 in listing(cache, tree).values()
    }
    for path in sorted({*(cache / OBJECTS).glob("??/*"), *cache.glob("??/*"), *(root / CACHE).glob("??/*")}):
        md5 = path.parent.name + path.name
        if path.is_file() and md5_of(path) != md5.removesuffix(_DIR):
            stage = stages.get(md5) or of_file.get(md5)
            again = f"run `dvc commit --force {stage}`, which stores it again" if stage else "no result needs it now"
            again = f"run `dvc repro {stage}`, as its output is damaged too" if stage in broken else again
            where = path.relative_to(root) if root in path.parents else path
            yield f"{where} in DVC's cache is damaged; remove it (`rm -f`), then {again}"


def verify(runs: Sequence[Path], *, datasets: Path, workers: Workers) -> list[Verdict]:
    """Train the folds in folders (``runs``) again and compare them with the stored ones, which are not changed.

    Raises:
        InputError: if a record or its data are missing or damaged.
        TasksFailed: after the other folds have finished, naming each fold that could not be trained.
    """
    records = [read_record(folder) for folder in runs]
    with tempfile.TemporaryDirectory(prefix="shearbench-verify-") as scratch:
        tasks = []
        for number, record in enumerate(records):
            dataset, out = datasets / record["dataset"], Path(scratch) / str(number)
            config = TrainingConfig.from_record(record)
            tasks.append(fold_task(config, record["fold"], dataset=dataset, out=out))
        new_records = train_folds(tasks, workers=workers, label="verify")
        folders = [task.out for task in tasks]
        return [_compare(*item) for item in zip(runs, records, folders, new_records, strict=True)]


def _compare(folder: Path, record: dict[str, Any], new_folder: Path, new_record: dict[str, Any]) -> Verdict:
    files, changed = (
        tuple(sorted(name for name, each in record[key].items() if each != new_record[key].get(name)))
        for key in ("files", "hashes")
    )
    sets = record["instructions"], new_record["instructions"]
    cause = "" if sets[0] == sets[1] else f"trained with {sets[0]}, here with {sets[1]}"
    stored, again = (read_npz(path / OUT_OF_FOLD) for path in (folder, new_folder))
    same_samples = np.array_equal(stored["ids"], again["ids"])
    distance = float(abs(stored["probabilities"] - again["probabilities"]).max()) if same_samples else 1.0
    if not files:
        return Verdict(folder, "bit-equal", changed, files, distance, cause)
    near = distance <= TOLERANCE
    return Verdict(folder, "within tolerance" if near else "different", changed, files, distance, cause)
