"""MLflow's server with its store in PostgreSQL and its files in S3, as docs/cluster.md sets it up."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_servers import PASSWORD, SECRETS, Bucket, Postgres, holding, mlflow_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

PROGRAM = (sys.executable, "-m", "shearbench.cli")
RUNS = ("mnist-mlp", "mnist-cnn2", "mechanical-mlp")
BENEATH = {f"{one_run} {part}" for one_run in RUNS for part in ("fold 0", "fold 1", "evaluation")}
DATABASE = "mlflow"


@pytest.fixture
def store(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.make(DATABASE)


@pytest.fixture
def server(store: str, bucket: Bucket, tmp_path: Path) -> Iterator[str]:
    """The address of MLflow's server before both."""
    folder = tmp_path / "server"
    folder.mkdir()
    artifacts = f"s3://{bucket.name}/{tmp_path.name}"
    with mlflow_server(folder, store=store, artifacts=artifacts, environment=bucket.environment) as address:
        yield address
    assert not holding(folder, *SECRETS), "the server's own log"


@pytest.fixture
def project(finished: Path) -> Path:
    """The small project, of which a fold has yet to be trained."""
    for path in (finished / "build" / "runs" / "mnist" / "mlp" / "fold-0").iterdir():
        path.unlink()
    return finished


def _track_to(root: Path, uri: str) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["tracking"]["uri"] = uri
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def _run(root: Path, *words: str, status: int = 0) -> str:
    """Run a command of the suite; it has no login of S3's, as the server alone needs one."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [*PROGRAM, *words], cwd=root, env=own, capture_output=True, text=True, timeout=3600, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, output
    assert "Traceback" not in output
    assert not [secret for secret in SECRETS if secret in output]
    return output


def _runs(address: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("shearbench")
    found = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {run.info.status for run in found} == {"FINISHED"}
    return client, {run.info.run_name: run for run in found}, Counter(run.info.run_name for run in found)


def test_a_fold_is_trained_and_all_is_sent_once(
    project: Path, server: str, postgres: Postgres, bucket: Bucket, tmp_path: Path
) -> None:
    _track_to(project, server)
    _run(project, "stage", "train", "mnist-mlp")
    for _ in range(2):
        _run(project, "track")
    client, runs, names = _runs(server)
    expected = {*RUNS, *BENEATH, "comparison"} - {"mnist-mlp evaluation"}  # it is of the fold that was replaced
    assert names == Counter(expected)
    assert postgres.ask(DATABASE, "select count(*) from runs where status = 'FINISHED'") == [(len(expected),)]
    run = runs["mnist-mlp fold 0"].info.run_id
    for name in ("record.json", "history.csv", "batches.csv"):
        content = (project / "build" / "runs" / "mnist" / "mlp" / "fold-0" / name).read_bytes()
        (key,) = [key for key in bucket.keys(tmp_path.name) if key.endswith(f"{run}/artifacts/{name}")]
        assert bucket.read(key) == content
        assert Path(client.download_artifacts(run, name, str(tmp_path))).read_bytes() == content
    assert not holding(project, *SECRETS)


def test_a_database_that_stops_in_the_middle_costs_nothing(
    project: Path, server: str, postgres: Postgres, bucket: Bucket
) -> None:
    _track_to(project, server)
    postgres.stop()
    try:
        _run(project, "stage", "train", "mnist-mlp")
        assert "`shearbench track` sends them later" in _run(project, "track", status=1)
    finally:
        postgres.start()
    _run(project, "track")
    assert set(_runs(server)[2].values()) == {1}


def test_a_login_of_the_database_itself_is_in_no_output_file_or_run(finished: Path, store: str) -> None:
    """``tracking.uri`` may be the database: its files then stay on this machine."""
    _track_to(finished, store)
    _run(finished, "track")
    _, runs, _ = _runs(store)
    assert set(runs) == {*RUNS, *BENEATH, "comparison"}
    _run(finished, "stage", "report")
    assert "***@127.0.0.1" in _run(finished, "doctor", status=1)  # no git and no raw data in the small project
    assert holding(finished, *SECRETS) == [finished / "params.yaml"]
    for run in runs.values():
        assert not [secret for secret in SECRETS if secret in str(run.to_dictionary())]


@pytest.mark.parametrize("fault", ["password", "database", "server"])
def test_a_database_that_cannot_be_opened_is_named_without_its_login(
    finished: Path, postgres: Postgres, fault: str
) -> None:
    url = postgres.url("mlflow" if fault != "database" else "none", PASSWORD if fault != "password" else SECRETS[2])
    _track_to(finished, url if fault != "server" else url.replace(str(postgres.port), "9"))
    assert "MLflow did not take the results" in _run(finished, "track", status=1)
    _run(finished, "doctor", status=1)
    assert holding(finished, *SECRETS) == [finished / "params.yaml"]
