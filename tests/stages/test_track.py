"""The stage ``track`` sends MLflow all that is finished, once, and fails no pipeline."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shearbench.params import Params, Tracking
from shearbench.pipeline import sent as marks
from shearbench.stages import compare, track
from shearbench.tracking import store

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
RUNS = {"mnist-mlp", "mnist-cnn2", "mechanical-mlp"}


@pytest.fixture(autouse=True)
def without_comparison(finished: Path) -> None:
    """The project as it is before its comparison is made."""
    (finished / "build" / "comparison" / "record.json").unlink()


def sent(project: Path) -> set[str]:
    """Return the names of the finished runs of runs and of the comparison in the project's store."""
    if not (project / "mlruns" / "mlflow.db").exists():
        return set()
    with sqlite3.connect(f"file:{project / 'mlruns' / 'mlflow.db'}?mode=ro", uri=True, timeout=10) as database:
        found = {name for (name,) in database.execute("select name from runs where status = 'FINISHED'")}
    database.close()
    return found & {*RUNS, "comparison"}


def test_all_is_sent_once_and_again_what_is_new(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    monkeypatch.setattr(store, "_open", lambda *args, original=store._open: opened.append(args) or original(*args))
    track.main(small_params, finished)
    assert sent(finished) == RUNS
    done, total = re.findall(r"MLflow: records and models .* (\d+)/(\d+)", capsys.readouterr().err)[-1]
    assert int(done) == int(total) >= 2 * len(RUNS), "every run is counted twice, for its record and its models"
    track.main(small_params, finished)
    assert len(opened) == 1, "nothing is new"
    assert _is_skipped(finished)
    compare.main(small_params, finished)
    assert not _is_skipped(finished), "a record is new"
    track.main(small_params, finished)
    assert sent(finished) == {*RUNS, "comparison"}
    assert _is_skipped(finished)
    (finished / "mlruns" / "mlflow.db").unlink()
    assert not _is_skipped(finished), "the store is gone"
    track.main(small_params, finished)
    assert sent(finished) == {*RUNS, "comparison"}, "the store is another"


def test_a_store_that_fails_is_tried_again(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_open", fail)
        track.main(small_params, finished)
    assert "the store is away" in capsys.readouterr().err
    assert marks.tracked(finished).is_file(), "DVC fails a stage without its output"
    assert not _is_skipped(finished)
    track.main(small_params, finished)
    assert sent(finished) == RUNS


def test_a_folder_where_the_note_of_what_was_sent_belongs_costs_only_a_look(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "mlruns" / "sent").mkdir(parents=True)
    track.main(small_params, finished)
    assert sent(finished) == RUNS
    said = "".join(capsys.readouterr().out.split())  # a long path is folded
    assert "/mlruns/sentcannotbewritten(Isadirectory)" in said


def test_a_long_run_is_followed_until_ctrl_c(finished: Path, small_params: Params) -> None:
    program = [sys.executable, "-m", "shearbench.cli", "track", "--follow"]
    follower = subprocess.Popen(program, cwd=finished, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(finished, RUNS)
        compare.main(small_params, finished)
        _wait_for(finished, {*RUNS, "comparison"})
    finally:
        os.kill(follower.pid, signal.SIGINT)
    assert "stopped" in follower.communicate(timeout=3600)[1]
    assert follower.returncode == 130


def test_without_tracking_the_stage_is_done_and_with_it_again_it_runs(finished: Path, small_params: Params) -> None:
    off = small_params.model_copy(update={"tracking": Tracking(uri="off")})
    track.main(off, finished)
    assert not (finished / "mlruns" / "mlflow.db").exists()
    assert not _is_skipped(finished), "params.yaml says default"
    track.main(off, finished)
    path = finished / "params.yaml"
    path.write_text(path.read_text().replace("uri: default", "uri: off"))
    assert _is_skipped(finished)


def _is_skipped(project: Path) -> bool:
    """Return True if the stage `code` leaves the output of `track`, so that DVC skips that stage."""
    marks.remove_if_outdated(project)
    return marks.tracked(project).is_file()


def _wait_for(project: Path, names: set[str]) -> None:
    until = time.monotonic() + 3600
    while sent(project) != names and time.monotonic() < until:
        time.sleep(0.5)
    assert sent(project) == names
