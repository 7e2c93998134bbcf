"""What a stage made is sent to MLflow by a process of its own, which the pipeline does not wait for."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shearbench import stages
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import locked

PROGRAM = (sys.executable, "-m", "shearbench.cli")
RUNS = {"mnist-mlp", "mnist-cnn2", "mechanical-mlp"}


def shearbench(project: Path, *words: str) -> str:
    """Run a command; what it says ends when the processes that it started have ended too."""
    done = subprocess.run((*PROGRAM, *words), cwd=project, capture_output=True, text=True, timeout=3600, check=True)
    assert "did not take" not in done.stderr
    return done.stdout


def sent(project: Path) -> set[str]:
    """Return the names of the finished runs of runs and of the comparison in the project's store."""
    with sqlite3.connect(f"file:{project / 'mlruns' / 'mlflow.db'}?mode=ro", uri=True, timeout=10) as database:
        found = {name for (name,) in database.execute("select name from runs where status = 'FINISHED'")}
    database.close()
    return found & {*RUNS, "comparison"}


def test_a_stage_ends_while_mlflow_is_busy_and_what_it_made_is_sent_later(finished: Path) -> None:
    assert "MLflow has every record" in shearbench(finished, "track", "train", "mnist-mlp")
    assert sent(finished) == {"mnist-mlp"}
    with (finished / "said").open("w") as said, locked(finished / "mlruns" / ".lock"):
        done = subprocess.run((*PROGRAM, "stage", "compare"), cwd=finished, stdout=said, stderr=said, timeout=3600)
        assert done.returncode == 0
        assert sent(finished) == {"mnist-mlp"}
    until = time.monotonic() + 120
    while sent(finished) != {*RUNS, "comparison"} and time.monotonic() < until:
        time.sleep(0.2)
    assert sent(finished) == {*RUNS, "comparison"}
    assert "MLflow has every record" in shearbench(finished, "track")
    assert "did not take" not in (finished / "said").read_text()


def test_stages_that_mlflow_is_told_nothing_of_are_refused(small_params: Params, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"told of \(explore, train, evaluate, .*; got 'prepare'"):
        stages.mirror("prepare", None, params=small_params, root=tmp_path)
