"""Databases that are locked, damaged, gone or shared, locks of dead processes, and two pipelines in one folder."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from shearbench.errors import InputError
from shearbench.params import Params, load
from shearbench.records import locked
from shearbench.tracking import mirror
from shearbench.tracking.store import EXPERIMENT

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
RUN = "mnist-mlp"
RUNS = {RUN, f"{RUN} fold 0", f"{RUN} fold 1", f"{RUN} evaluation"}


def _names(root: Path) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert {run.info.status for run in found} == {"FINISHED"}
    return Counter(run.info.run_name for run in found)


def _is_begun(folder: Path) -> bool:
    """Return True if a database is being made in a folder, and has the first of its many tables."""
    path = next(folder.glob("mlflow.db.*.partial"), None)
    if path is None:
        return False
    database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        asked = "select count(*) from sqlite_master where name = 'experiments'"
        return database.execute(asked).fetchone() == (1,)
    except sqlite3.OperationalError:  # locked by who makes it
        return False
    finally:
        database.close()


def _only(params: Params, run: str) -> Params:
    """Return parameters with one of the runs."""
    return params.model_copy(update={"runs": {run: params.runs[run]}})


def test_a_database_that_is_locked_for_a_while_is_waited_for(finished: Path, small_params: Params) -> None:
    assert mirror.track_all(finished, _only(small_params, "mechanical-mlp"))
    other = sqlite3.connect(finished / "mlruns" / "mlflow.db", isolation_level=None, check_same_thread=False)
    other.execute("begin exclusive")
    threading.Timer(2.0, lambda: other.execute("rollback")).start()
    assert mirror.track_all(finished, _only(small_params, RUN))
    other.close()
    assert _names(finished) >= Counter(RUNS)


@pytest.mark.slow
def test_a_database_that_stays_locked_is_said_and_all_is_sent_later(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mirror.track_all(finished, _only(small_params, "mechanical-mlp"))
    other = sqlite3.connect(finished / "mlruns" / "mlflow.db", isolation_level=None)
    other.execute("begin exclusive")
    began = time.monotonic()
    assert not mirror.track_all(finished, _only(small_params, RUN))
    assert time.monotonic() - began < 3600
    assert "database is locked" in capsys.readouterr().err
    other.execute("rollback")
    other.close()
    assert mirror.track_all(finished, _only(small_params, RUN))
    assert _names(finished) >= Counter(RUNS)


@pytest.mark.slow
def test_a_store_that_was_deleted_is_filled_again_by_whoever_comes_after_one_that_was_killed(
    finished: Path, small_params: Params
) -> None:
    assert mirror.track_all(finished, _only(small_params, RUN))
    shutil.rmtree(finished / "mlruns")
    program = (
        "from pathlib import Path; from shearbench.tracking import mirror; from shearbench.params import load\n"
        f"params = load(Path('params.yaml')); only = {{'runs': {{'{RUN}': params.runs['{RUN}']}}}}\n"
        "assert mirror.track_all(Path(), params.model_copy(update=only))"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=finished) as first:
        while not _is_begun(finished / "mlruns"):
            assert first.poll() is None
            time.sleep(0.01)
        first.kill()
    assert not (finished / "mlruns" / "mlflow.db").exists(), "no half of a database"
    subprocess.run([sys.executable, "-c", program], cwd=finished, check=True)
    assert not list((finished / "mlruns").glob("*.partial*"))
    with sqlite3.connect(finished / "mlruns" / "mlflow.db") as database:
        names = [name for (name,) in database.execute("select name from runs where status = 'FINISHED'")]
    assert Counter(names) == Counter([*RUNS, "comparison"])


@pytest.mark.parametrize("damage", ["header", "middle", "cut"])
def test_a_damaged_store_is_said_left_alone_and_costs_no_result(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    path = finished / "mlruns" / "mlflow.db"
    path.parent.mkdir()
    content = bytearray(b"SQLite format 3\x00" + bytes(range(256)) * 64)
    if damage == "header":
        content[:16] = b"not a database!!"
    path.write_bytes(content[: len(content) // 2 + 7] if damage == "cut" else content)
    before = path.read_bytes()
    assert not mirror.track_all(finished, _only(small_params, RUN))
    assert "MLflow did not take the results" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("uri", ["default", "sqlite:///elsewhere.db", "postgresql://host/one"])
def test_one_database_for_optuna_and_mlflow_is_refused(finished: Path, uri: str) -> None:
    path = finished / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["tracking"]["uri"] = uri
    params["tuning"]["storage"] = uri if uri != "default" else "sqlite:///mlruns/mlflow.db"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    with pytest.raises(InputError, match=r"tuning\.storage must be another database than MLflow's"):
        load(path)


HOLD = """
import sys, time
from pathlib import Path
from shearbench.records import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(7200)
"""


def test_the_lock_of_a_killed_process_is_free_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="busy"), locked(path, busy="busy"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locked(path, busy="busy"):
            assert path.exists()


def test_two_pipelines_at_once_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    """DVC's own lock: the second one stops with a message while the first runs, whose stage ends once."""
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n  one:\n    outs: [out]\n"
        "    cmd: echo run >> log && until test -e go; do sleep 0.1; done && cp log out\n"
    )
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=tmp_path, env=environment, check=True)
    first = subprocess.Popen([*dvc, "repro"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 3600
    while not (tmp_path / "log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = subprocess.run([*dvc, "repro"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    (tmp_path / "go").touch()
    assert first.wait(3600) == 0
    assert second.returncode != 0
    assert "busy" in second.stderr or "lock" in second.stderr
    assert (tmp_path / "log").read_text() == "run\n"


def test_a_log_left_by_a_killed_process_and_a_deleted_database_does_no_harm(
    finished: Path, small_params: Params, tmp_path: Path
) -> None:
    mlruns, only = finished / "mlruns", _only(small_params, RUN)
    assert mirror.track_all(finished, only)
    assert not list(mlruns.glob("mlflow.db-*")), "a closed database has no log beside it"
    other = sqlite3.connect(mlruns / "mlflow.db")
    other.execute("insert into experiment_tags values ('left', 'behind', 1)")
    other.commit()
    shutil.copy(mlruns / "mlflow.db-wal", tmp_path / "wal")  # as it stands where this process is killed
    other.close()
    (mlruns / "mlflow.db").unlink()
    shutil.copy(tmp_path / "wal", mlruns / "mlflow.db-wal")
    assert mirror.track_all(finished, only)
    with sqlite3.connect(mlruns / "mlflow.db") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from experiment_tags where key = 'left'").fetchone() == (0,)
    assert _names(finished) >= Counter(RUNS)
