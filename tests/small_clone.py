"""A clone of this repository made small: digits that a network learns at once, two folds, few and narrow networks.

For tests that run the real commands, ``dvc repro`` among them, as a user does.
"""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from shearbench.data import idx
from shearbench.seeds import generator_for

REPOSITORY = Path(__file__).parents[1]
MODELS = ("mlp", "cnn2")
RUNS = ("mnist-mlp", "mnist-cnn2", "mechanical-cnn2")
TRAIN, TEST = 240, 80


def environment(clone: Path | None = None) -> dict[str, str]:
    """Return the environment of a user who has activated that of the tests, and runs the code of a clone."""
    own = {"PYTHONPATH": str(clone / "src")} if clone and (clone / "src").is_dir() else {}
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        **own,
    }


def run(folder: Path, *command: str | Path, status: int = 0, seconds: int = 7200) -> str:
    """Run a command in a folder as a user with the environment active would; return what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=seconds)
    assert done.returncode == status, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def repro(folder: Path) -> str:
    """Run `shearbench repro`, whose stages need no imports of their own; return the output of DVC and the stages."""
    run(folder, "shearbench", "repro")
    return (folder / "build" / "repro.log").read_text()


def copy_repository(folder: Path) -> None:
    """Copy what git lists, and what it would list once added, but for ``dvc.lock``."""
    listed = subprocess.run(
        ["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file() and name not in ("dvc.lock",):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    for compiled in (REPOSITORY / "src").rglob("*.nb[ci]"):  # numba's cache: valid while its source has the same time
        place = folder / compiled.relative_to(REPOSITORY)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(compiled, place)


def write_samples(folder: Path) -> None:
    """Ten shapes that a network learns at once: a bar whose place says the class, with noise, as IDX files."""
    generator = generator_for("tests", "pipeline", "digits")
    for prefix, count in (("train", TRAIN), ("t10k", TEST)):
        labels = np.arange(count) % 10
        images = generator.integers(0, 60, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[4:24, 2 + 2 * label : 5 + 2 * label] = 220 + generator.integers(0, 30)
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx.encode(images.astype(np.uint8)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx.encode(labels.astype(np.uint8)))


def shrink(params: dict[str, Any], digits: Path) -> None:
    """Make the project's own parameters small, with digits from the folder ``digits``."""
    params["sources"]["mnist"] = {"kind": "path", "path": str(digits)}
    params["models"] = {name: params["models"][name] for name in MODELS}
    for model in params["models"].values():
        model["width"] = 0.25
        model["recipe"].update(epochs=2, batch=20)
    params["runs"] = {name: params["runs"][name] for name in RUNS}
    params["cv"]["folds"] = 2
    params["evaluate"].update(samples=10, explained=1, embedded=40)
    question = params["ablations"]["channels"]
    question["folds"] = 2
    network = copy.deepcopy(params["models"]["cnn2"])  # its own: a change of the model must not reach the ablation
    del network["search"]
    question["models"] = {"cnn2": {**network, "width": 0.1}}
    params["ablations"] = {"channels": question}


def make_clone(folder: Path, digits: Path) -> None:
    """Make a small clone in ``folder``, committed, whose data has yet to be adopted; its digits go to ``digits``."""
    copy_repository(folder)
    for found in set((folder / "tuned").glob("*.yaml")) - {folder / "tuned" / "dvc.yaml"}:
        found.unlink()  # on other digits than these
    write_samples(digits)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    shrink(params, digits)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(folder, "git", "init", "-q")
    commit(folder, "start")


def commit(folder: Path, message: str) -> None:
    """Commit all that there is."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", message)
