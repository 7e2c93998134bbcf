"""The newcomer's path: the wheel in its own environment, then the commands of the README's "Your own pictures"."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, whose dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY)]
    subprocess.run(wheel, check=True, capture_output=True)
    (made,) = folder.glob("shearbench-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n" + "\n".join(_added()))
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(made)], check=True, capture_output=True)
    for name in ("dvc", "mlflow"):
        script = folder / "env" / "bin" / name
        script.write_text(f'#!/bin/sh\nexec "{python}" -m {name} "$@"\n')
        script.chmod(0o755)
    return folder / "env"


def _added() -> list[str]:
    """Return folders that this environment's own ``.pth`` files add, but for the sources of this repository."""
    return [path for path in sys.path if "site-packages" in path]


def _pictures(folder: Path, *, classes: int, each: int, side: int) -> Path:
    """Write bars of ``classes`` directions on noise, which a classifier can tell apart."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:side, 0:side]
    for label in range(classes):
        angle = np.pi * label / classes
        (folder / f"bar {label}").mkdir(parents=True)
        for number in range(each):
            shift = rng.uniform(0.35, 0.65, 2) * side
            away = (rows - shift[0]) * np.cos(angle) + (columns - shift[1]) * np.sin(angle)
            image = rng.normal(60, 20, (side, side)) + 120 * (np.abs(away) < side / 12)
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"bar {label}" / f"{number}.png")
    return folder


def _run(environment: Path, folder: Path, *command: str) -> str:
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": path, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def _commands() -> list[str]:
    """Return the README's commands for own pictures, from ``shearbench init`` to ``make repro``."""
    text = (REPOSITORY / "README.md").read_text()
    (block,) = re.findall(r"^## Your own pictures\n.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = block.splitlines()
    return lines[lines.index("shearbench init my-benchmark --images pictures") : lines.index("make repro") + 1]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_newcomer_comes_from_pictures_to_a_report(environment: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Bilder für alle"
    _pictures(folder / "pictures", classes=3, each=60, side=20)
    where = _run(environment, folder, "python", "-c", "import shearbench; print(shearbench.__file__)")
    assert str(environment) in where
    printed = _run(environment, folder, "sh", "-ec", "\n".join(_commands()))
    assert all(model in printed for model in ("svm", "mlp", "cnn2"))
    project = folder / "my-benchmark"
    table = pd.read_csv(project / "reports" / "comparison.csv").set_index("model")
    assert (table["test_accuracy_mean"] > 0.8).all(), table["test_accuracy_mean"]  # 0.33 by chance
    assert (project / "reports" / "index.html").stat().st_size > 100_000
    assert (project / "mlruns" / "mlflow.db").is_file()
