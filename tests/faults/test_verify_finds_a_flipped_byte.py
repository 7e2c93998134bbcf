"""One byte flipped anywhere is found by ``shearbench verify``, with the command that makes the file again.

The project is a folder that DVC's files describe as ``dvc repro`` would have: outputs, lock and write-protected cache.
``test_pipeline.py`` asks the same of what the real DVC leaves, and runs the commands.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from shearbench.commands import verify
from shearbench.data import raw
from shearbench.data.mechanical import simulate_dataset
from shearbench.errors import InputError
from shearbench.params import Params, load

CACHE = verify.CACHE / "files" / "md5"
STAGE_OF = {
    "build/samples/train": "prepare",
    "build/datasets": "datasets",
    "build/folds": "prepare",
    "build/runs/mnist/mlp": "train@mnist-mlp",
    "build/evaluation/mnist/mlp": "evaluate@mnist-mlp",
    "build/plots/mnist/mlp": "evaluate@mnist-mlp",
    "build/comparison": "compare",
    "reports/comparison.csv": "compare",
}


def _keep(root: Path, path: Path, md5: str) -> None:
    place = root / CACHE / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)
    place.chmod(0o444)


def _lock(root: Path, out: str) -> dict[str, str]:
    """Put an output into the cache, as DVC does, and return its entry in the lock file."""
    place = root / out
    if place.is_file():
        _keep(root, place, raw.md5_of(place))
        return {"path": out, "md5": raw.md5_of(place)}
    tree = raw.tree_of(place)
    for name, md5 in tree.files.items():
        _keep(root, place / name, md5)
    listing = root / "listing"
    listing.write_text(json.dumps([{"md5": tree.files[name], "relpath": name} for name in sorted(tree.files)]))
    _keep(root, listing, tree.hash)
    listing.unlink()
    return {"path": out, "md5": tree.hash}


@pytest.fixture(scope="module")
def locked(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with raw data, a shard, a lock file and a cache; tests put back what they change."""
    finished = tmp_path_factory.mktemp("locked") / "project"
    shutil.copytree(finished_once, finished)
    mnist = finished / "data" / "mnist"
    mnist.mkdir(parents=True)
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(bytes(range(40)))
    raw.write_adopted(
        finished / "data.dvc", "data", raw.tree_of(finished / "data"), load(finished / "params.yaml").sources
    )
    shards = finished / "build" / "shards"
    blank, output = np.zeros((1, 28, 28), np.uint8), tmp_path_factory.mktemp("fields") / "fields.npz"
    simulate_dataset(blank, output, load="shear", steps=[1], shard_folder=shards, workers=1)
    stages: dict[str, dict[str, list[dict[str, str]]]] = {}
    for out, stage in STAGE_OF.items():
        stages.setdefault(stage, {"outs": []})["outs"].append(_lock(finished, out))
    stages["train@mnist-gone"] = {
        "outs": [{"path": "build/runs/mnist/gone", "md5": "0.dir"}]
    }  # of an older params.yaml
    (finished / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return finished


@contextmanager
def changed(path: Path, content: bytes | None = None) -> Iterator[None]:
    """Give a file other content, or none, for the time of a block; its mode stays as it was, write-protected or not."""
    mode, before = path.stat().st_mode, path.read_bytes()
    path.chmod(0o644)
    path.unlink() if content is None else path.write_bytes(content)
    if content is not None:
        path.chmod(mode)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(before)
        path.chmod(mode)


def flipped(path: Path, place: int = -2) -> AbstractContextManager[None]:
    """Flip one bit of a file for the time of a block."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    return changed(path, bytes(content))


@pytest.fixture(scope="module")
def params(locked: Path) -> Params:
    """The parameters of the project."""
    return load(locked / "params.yaml")


def test_what_is_whole_has_no_fault(locked: Path, params: Params) -> None:
    verify.check_bytes(params, locked)


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("build/samples/train/mnist.npz", "dvc repro prepare"),
        ("build/folds/mnist.npz", "dvc repro prepare"),
        ("build/datasets/mnist/test.npz", "dvc repro datasets"),
        ("build/datasets/mnist/card.json", "dvc repro datasets"),
        ("build/runs/mnist/mlp/fold-1/weights.safetensors", "dvc repro train@mnist-mlp"),
        ("build/runs/mnist/mlp/fold-1/out_of_fold.npz", "dvc repro train@mnist-mlp"),
        ("build/runs/mnist/mlp/fold-0/record.json", "dvc repro train@mnist-mlp"),
        ("build/evaluation/mnist/mlp/test_predictions.npz", "dvc repro evaluate@mnist-mlp"),
        ("build/evaluation/mnist/mlp/confusion_test.csv", "dvc repro evaluate@mnist-mlp"),
        ("build/evaluation/mnist/mlp/record.json", "dvc repro evaluate@mnist-mlp"),
        ("build/plots/mnist/mlp/learning_curves.csv", "dvc repro evaluate@mnist-mlp"),
        ("build/comparison/figures/calibration.png", "dvc repro compare"),
        ("reports/comparison.csv", "dvc repro compare"),
    ],
)
@pytest.mark.parametrize("place", [0, -2])
def test_a_flipped_byte_is_found_with_the_command_that_makes_the_file_again(
    locked: Path, params: Params, file: str, command: str, place: int
) -> None:
    with flipped(locked / file, place), pytest.raises(InputError) as caught:
        verify.check_bytes(params, locked)
    assert str(caught.value).startswith("1 file(s)")
    assert f"- {file} is not the file that the pipeline wrote; remove it and run `{command}`" in str(caught.value)


def test_what_was_never_made_is_told_from_what_changed(locked: Path, params: Params, tmp_path: Path) -> None:
    shutil.copy(locked / "dvc.lock", tmp_path)
    with pytest.raises(InputError, match=r"none of the results in dvc\.lock exists in .*; run `dvc repro`"):
        list(verify.faults(params, tmp_path))
    (tmp_path / "build").mkdir()
    shutil.copytree(locked / "build" / "folds", tmp_path / "build" / "folds")
    found = list(verify.faults(params, tmp_path))
    assert "build/samples/train is missing; run `dvc repro prepare`" in found
    assert not any("folds" in each for each in found)


def test_a_cache_set_elsewhere_is_read_there(
    locked: Path, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    root, cache = tmp_path / "project", tmp_path / "elsewhere"
    shutil.copytree(locked, root)
    shutil.move(root / verify.CACHE, cache)
    subprocess.run(["dvc", "init", "--no-scm", "-q", "-f"], cwd=root, check=True, timeout=3600)
    subprocess.run(["dvc", "cache", "dir", "-q", "--local", cache], cwd=root, check=True, timeout=3600)
    assert not list(verify.faults(params, root))
    damaged = next(path for path in sorted((cache / "files" / "md5").glob("??/*")) if path.suffix != ".dir")
    with flipped(damaged):
        (fault,) = verify.faults(params, root)
    assert fault.startswith(f"{damaged} in DVC's cache is damaged; remove it (`rm -f`), then run `dvc commit --force ")


def test_raw_data_that_changed_names_the_command_that_restores_it(locked: Path, params: Params) -> None:
    labels, message = (
        locked / "data" / "mnist" / "t10k-labels-idx1-ubyte",
        "To restore the recorded data: `shearbench data`",
    )
    with flipped(labels), pytest.raises(InputError, match=message):
        verify.check_bytes(params, locked)


def test_a_shard_and_its_leakage_are_found(locked: Path, params: Params) -> None:
    (shard,) = (locked / "build" / "shards").glob("*.npz")
    for file in (shard, shard.with_suffix(".json")):
        with flipped(file, 20):
            found = list(verify.faults(params, locked))
        assert found == [
            f"build/shards/{shard.name} is not the simulated file; remove it and run `dvc repro --force simulate`"
        ]
    with changed(shard):
        assert len(list(verify.faults(params, locked))) == 1


def test_a_write_protected_object_of_the_cache_is_found(locked: Path, params: Params) -> None:
    """DVC believes such an object without reading it, and would restore the bad bytes."""
    objects = sorted((locked / CACHE).glob("??/*"))
    assert len(objects) > 30
    assert {path.stat().st_mode & 0o777 for path in objects} == {0o444}
    files, listings = ([each for each in objects if (each.suffix == ".dir") is wanted] for wanted in (False, True))
    # Each is found, and no other. A damaged listing hides the files of its folder, so listings come one at a time.
    for damaged in (files[::2], files[1::2], *([listing] for listing in listings)):
        with ExitStack() as stack:
            for path in damaged:
                stack.enter_context(flipped(path, path.stat().st_size // 2))
            assert {path.stat().st_mode & 0o777 for path in damaged} == {0o444}
            found = list(verify.faults(params, locked))
        advice = " in DVC's cache is damaged; remove it (`rm -f`), then run "
        assert all(advice in fault for fault in found)
        assert sorted(fault.split(advice)[0] for fault in found) == [str(path.relative_to(locked)) for path in damaged]


def test_the_cached_copy_of_weights_names_their_stage(locked: Path, params: Params) -> None:
    md5 = raw.md5_of(locked / "build/runs/mnist/mlp/fold-1/weights.safetensors")
    with flipped(locked / CACHE / md5[:2] / md5[2:]):
        (found,) = verify.faults(params, locked)
    assert "`dvc commit --force train@mnist-mlp`" in found


def test_where_an_output_and_its_cached_copy_are_damaged_both_go_before_the_stage_runs(
    locked: Path, params: Params
) -> None:
    """`dvc commit` would keep the damaged output, and `dvc repro` alone would restore it from the damaged copy."""
    weights = locked / "build/runs/mnist/mlp/fold-1/weights.safetensors"
    md5 = raw.md5_of(weights)
    with flipped(locked / CACHE / md5[:2] / md5[2:]), flipped(weights):
        cached, output = verify.faults(params, locked)
    assert "in DVC's cache is damaged; remove it (`rm -f`), then run `dvc repro train@mnist-mlp`, as its" in cached
    assert output.endswith(
        "weights.safetensors is not the file that the pipeline wrote; remove it and run `dvc repro train@mnist-mlp`"
    )


def test_a_file_too_many_and_one_too_few_are_found(locked: Path, params: Params) -> None:
    runs = locked / "build" / "runs" / "mnist" / "mlp"
    (runs / "fold-0" / "extra").touch()
    with changed(runs / "fold-1" / "history.csv"), changed(locked / "build" / "folds" / "mnist.npz"):
        found = [re.split(" is (?:not|missing)", line)[0] for line in verify.faults(params, locked)]
    (runs / "fold-0" / "extra").unlink()
    mlp = "build/runs/mnist/mlp"
    assert sorted(found) == ["build/folds/mnist.npz", f"{mlp}/fold-0/extra", f"{mlp}/fold-1/history.csv"]


def test_what_git_keeps_and_was_changed_is_said(tmp_path: Path) -> None:
    """A flipped byte in it cannot be told from a change on purpose."""
    kept = ("params.yaml", "dvc.lock", "reports/calibration.csv", "reports/full/a b.csv", "tuned/mlp.yaml", "README.md")
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("kept\n")
    assert verify.uncommitted(tmp_path) == [], "no repository"
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
        subprocess.run(("git", "-C", tmp_path, *words), check=True)
    assert verify.uncommitted(tmp_path) == []
    for name in ("dvc.lock", "reports/full/a b.csv", "tuned/mlp.yaml", "README.md"):
        (tmp_path / name).write_text("kepu\n")
    assert verify.uncommitted(tmp_path) == ["dvc.lock", "reports/full/a b.csv", "tuned/mlp.yaml"]


def test_without_a_lock_nothing_can_be_said(locked: Path, params: Params) -> None:
    lock = locked / "dvc.lock"
    with changed(lock, b"stages: ["), pytest.raises(InputError, match=r"dvc\.lock is not a lock file of DVC "):
        list(verify.faults(params, locked))
    with changed(lock), pytest.raises(InputError, match="run `dvc repro`"):
        list(verify.faults(params, locked))
