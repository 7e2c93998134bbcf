"""What users do to MLflow by hand, and to the folder that its store lies in, is made good by the next ``track``."""

import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking._tracking_service import utils as mlflow_utils

import made
from shearbench.params import Params, load
from shearbench.records import read_json, write_sealed
from shearbench.tracking import mirror, store
from shearbench.tracking.store import home

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]


@pytest.fixture(scope="module")
def tracked_once(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tracked") / "project"
    shutil.copytree(finished_once, root)
    assert mirror.track_all(root, load(root / "params.yaml"))
    return root


@pytest.fixture
def tracked(tracked_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a project whose results MLflow has: the copy is a moved project, too."""
    monkeypatch.setattr(mlflow_utils, "_artifact_repos_cache", OrderedDict())  # keyed by run alone
    root = tmp_path / "a 'moved' %20 project"
    shutil.copytree(tracked_once, root)
    return root


def client_of(root: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(store.default_uri(root))


def runs_of(root: Path) -> dict[str, Any]:
    return made.current_runs(client_of(root), store.EXPERIMENT)


def test_a_moved_project_has_its_files_and_a_copy_leaves_the_original_alone(
    tracked: Path, tracked_once: Path, small_params: Params
) -> None:
    assert "another folder" in store.condition(tracked, "default")
    before = runs_of(tracked_once)
    assert mirror.track_all(tracked, small_params)
    after = runs_of(tracked)
    assert {name: run.info.run_id for name, run in after.items()} == {
        name: run.info.run_id for name, run in before.items()
    }, "nothing is sent again, nothing is lost"
    client = client_of(tracked)
    for run in after.values():
        assert run.info.artifact_uri.startswith(tracked.as_uri())
        client.list_artifacts(run.info.run_id)
    fold = after["mnist-mlp fold 0"]
    copied = Path(client.download_artifacts(fold.info.run_id, "record.json"))
    assert copied.read_bytes() == (tracked / "build/runs/mnist/mlp/fold-0/record.json").read_bytes()
    assert "another folder" not in store.condition(tracked, "default")
    assert all(run.info.artifact_uri.startswith(tracked_once.as_uri()) for run in runs_of(tracked_once).values())


def test_what_was_deleted_in_mlflow_comes_back(tracked: Path, small_params: Params) -> None:
    client, runs = client_of(tracked), runs_of(tracked)
    for name in ("mnist-mlp fold 0", "mnist-cnn2 evaluation", "comparison"):
        client.delete_run(runs[name].info.run_id)
    experiment = client.get_experiment_by_name(store.EXPERIMENT).experiment_id
    models = client.search_logged_models([experiment])
    client.delete_logged_model(models[0].model_id)
    for version in client.search_model_versions("name = 'shearbench-mnist'"):
        client.delete_model_version("shearbench-mnist", version.version)
    client.delete_registered_model("shearbench-mechanical")
    assert mirror.track_all(tracked, small_params)
    shutil.rmtree(next((tracked / "mlruns/artifacts").glob(f"**/{runs['mnist-mlp fold 1'].info.run_id}")))
    assert mirror.track_all(tracked, small_params)
    after = runs_of(tracked)
    assert set(after) == set(runs)
    found = client.search_logged_models([experiment])
    assert len(found) == len(models)
    assert {client.get_run(model.source_run_id).info.lifecycle_stage for model in found} == {"active"}
    assert {file.path for file in client.list_artifacts(after["mnist-mlp fold 1"].info.run_id)} == {
        "record.json",
        "history.csv",
        "batches.csv",
    }
    for name in ("mnist", "mechanical"):
        assert client.get_model_version_by_alias(f"shearbench-{name}", "champion")


def test_an_experiment_that_was_deleted_comes_back(tracked: Path, small_params: Params) -> None:
    client = client_of(tracked)
    client.delete_experiment(client.get_experiment_by_name(store.EXPERIMENT).experiment_id)
    assert mirror.track_all(tracked, small_params)
    assert "mnist-mlp" in runs_of(tracked)


def test_results_that_were_restored_are_the_current_ones_again(tracked: Path, small_params: Params) -> None:
    records = [tracked / f"build/runs/mnist/mlp/fold-{fold}/record.json" for fold in range(2)]
    earlier = [record.read_bytes() for record in records]
    first = runs_of(tracked)["mnist-mlp"].info.run_id
    for record in records:
        write_sealed(record, {**read_json(record), "seconds": 1.0})
    assert mirror.track_all(
        tracked, small_params.model_copy(update={"runs": {"mnist-mlp": small_params.runs["mnist-mlp"]}})
    )
    second = runs_of(tracked)["mnist-mlp"].info.run_id
    for record, content in zip(records, earlier, strict=True):
        record.write_bytes(content)
    assert mirror.track_all(
        tracked, small_params.model_copy(update={"runs": {"mnist-mlp": small_params.runs["mnist-mlp"]}})
    )
    client = client_of(tracked)
    superseded = {run: client.get_run(run).data.tags["shearbench.superseded"] for run in (first, second)}
    assert superseded == {first: "no", second: "yes"}


def test_a_run_lasts_as_long_as_its_training_and_names_its_user_and_source(tracked: Path) -> None:
    for name, run in runs_of(tracked).items():
        assert run.data.tags["mlflow.user"], name
        assert run.data.tags["mlflow.source.name"] == f"shearbench: {name}"
    fold = runs_of(tracked)["mnist-cnn2 fold 1"].info
    record = read_json(tracked / "build/runs/mnist/cnn2/fold-1/record.json")
    assert (fold.end_time - fold.start_time) / 1000 == pytest.approx(record["seconds"], abs=0.01)
    parent = runs_of(tracked)["mnist-cnn2"].info
    assert parent.start_time <= fold.start_time
    assert fold.end_time <= parent.end_time


def test_a_copy_that_dvc_runs_in_sends_to_the_project_itself(tmp_path: Path) -> None:
    copy = tmp_path / "project" / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    copy.mkdir(parents=True)
    assert home(copy) == tmp_path.resolve() / "project"
    assert home(tmp_path) == tmp_path.resolve()


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_a_store_that_is_no_database_is_said_and_left_alone(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns" / "mlflow.db").write_bytes(content)
    assert not store.attempt(tmp_path, "default", lambda _: None)
    assert "MLflow did not take the results" in capsys.readouterr().err
    assert (tmp_path / "mlruns" / "mlflow.db").read_bytes() == content
