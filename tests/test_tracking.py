"""What MLflow is told, that it is told once, and that nothing depends on it."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest

import made
from shearbench.comparison.champion import trust_of
from shearbench.params import Params, Tracking, load
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.contents import Content, Node
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import locked, read_json, read_npz, write_sealed
from shearbench.report.card import card
from shearbench.stages import explore
from shearbench.tracking import mirror, store

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

RUNS = ("mnist-mlp", "mnist-cnn2", "mechanical-mlp")
PARENT_OF = {f"{one_run} {part}": one_run for one_run in RUNS for part in ("fold 0", "fold 1", "evaluation")}


@pytest.fixture(scope="module")
def tracked(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, sent to MLflow."""
    root = tmp_path_factory.mktemp("tracked") / "project"
    shutil.copytree(finished_once, root)
    assert mirror.track_all(root, load(root / "params.yaml"))
    return root


def client_of(root: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")


def runs_of(root: Path, name: str = store.EXPERIMENT) -> dict[str, Any]:
    return made.current_runs(client_of(root), name)


def only(params: Params, name: str) -> Params:
    """Return parameters with one run."""
    return params.model_copy(update={"runs": {name: params.runs[name]}})


def with_uri(params: Params, uri: str) -> Params:
    return params.model_copy(update={"tracking": Tracking(uri=uri)})


def test_a_run_for_each_run_with_folds_and_evaluation_beneath(tracked: Path) -> None:
    runs = runs_of(tracked)
    assert set(runs) == {*RUNS, *PARENT_OF, "comparison"}
    for name, run in runs.items():
        expected = runs[PARENT_OF[name]].info.run_id if name in PARENT_OF else None
        assert run.data.tags.get("mlflow.parentRunId") == expected
        assert run.info.status == "FINISHED"


def test_run_run_holds_what_the_compare_page_needs(tracked: Path) -> None:
    run = runs_of(tracked)["mechanical-mlp"]
    row = next(row for row in read_json(tracked / "reports/comparison.json") if row["dataset"] == "mechanical")
    for split in ("cv", "test"):
        for name in ("mean", "sd", "low", "high"):
            assert run.data.metrics[f"{split}_accuracy_{name}"] == pytest.approx(row[f"{split}_accuracy_{name}"])
    assert not [name for name in run.data.metrics if "/" in name]
    assert run.data.params["batch"] == "20"
    assert run.data.params["entry.load"] == "shear"
    assert run.data.tags["dvc.stage"] == "train@mechanical-mlp"
    assert {"hash.data", "hash.folds", "hash.config", "git.commit"} <= set(run.data.tags)
    assert run.inputs.dataset_inputs[0].dataset.digest == run.data.tags["hash.data"][:36]


def test_fold_run_holds_every_epoch_and_its_files(tracked: Path) -> None:
    run, client = runs_of(tracked)["mnist-mlp fold 1"], client_of(tracked)
    epochs = client.get_metric_history(run.info.run_id, "validation_loss")
    assert [metric.step for metric in epochs] == [1, 2]
    assert "inner_loss" not in run.data.metrics
    record = read_json(tracked / "build/runs/mnist/mlp/fold-1/record.json")
    assert run.data.metrics["final_validation_loss"] == record["metrics"]["validation_loss"]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"record.json", "history.csv", "batches.csv"}
    memory = client.get_metric_history(run.info.run_id, "system/peak_memory_megabytes")
    assert [metric.value for metric in memory] == [pytest.approx(each / 1e6) for each in record["epoch_memory"]]
    assert run.info.start_time < memory[0].timestamp < memory[1].timestamp <= run.info.end_time + 1
    assert 0 < run.data.metrics["system/cpu_utilization_percentage"] < 1000


def test_evaluation_run_holds_pictures_and_numbers(tracked: Path) -> None:
    run, client = runs_of(tracked)["mnist-cnn2 evaluation"], client_of(tracked)
    pictures = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
    record = read_json(tracked / "build/evaluation/mnist/cnn2/record.json")
    assert pictures == {name for name in record["files"] if name.endswith(".png")}
    assert "confusion_test.csv" in {file.path for file in client.list_artifacts(run.info.run_id)}
    assert run.data.metrics["test_n"] == 20
    assert run.data.metrics["cv_accuracy_mean"] == runs_of(tracked)["mnist-cnn2"].data.metrics["cv_accuracy_mean"]
    assert not [name for name in run.data.metrics if "out_of_fold" in name]
    assert "class_f1_test/3" in run.data.metrics


def test_a_run_itself_shows_confusion_matrix_maps_and_card(tracked: Path) -> None:
    run, client = runs_of(tracked)["mnist-cnn2"], client_of(tracked)
    shown = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
    assert shown == {"figures/confusion.png", "figures/gradcam.png"}
    (row,) = (row for row in read_json(tracked / "reports/comparison.json") if row["model"] == "cnn2")
    assert run.data.tags["mlflow.note.content"] == card(tracked, row)
    runs = runs_of(tracked)
    models = {output.model_id for output in run.outputs.model_outputs}
    folds = [client.get_run(runs[f"mnist-cnn2 fold {number}"].info.run_id) for number in (0, 1)]
    assert models == {output.model_id for fold in folds for output in fold.outputs.model_outputs}
    assert len(models) == 2
    champion = client.get_model_version_by_alias("shearbench-mechanical", "champion")
    assert "# mlp on mechanical" in champion.description


def test_a_run_of_a_dvc_experiment_has_its_name(
    tmp_path: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "wider")
    assert mirror.track_all(tmp_path, small_params, [Node("one", "digest", Content({}, {}, {}, [], []))])
    assert runs_of(tmp_path)["one"].data.tags["dvc.experiment"] == "wider"


def test_comparison_run_holds_what_is_side_by_side(tracked: Path) -> None:
    run, client = runs_of(tracked)["comparison"], client_of(tracked)
    files = {file.path for folder in (None, "figures") for file in client.list_artifacts(run.info.run_id, folder)}
    assert files - {"figures"} == {"record.json", *read_json(tracked / "build/comparison/record.json")["files"]}
    (row,) = (row for row in read_json(tracked / "reports/comparison.json") if row["model"] == "cnn2")
    assert run.data.metrics["test_accuracy_mean/mnist-cnn2"] == pytest.approx(row["test_accuracy_mean"])
    assert run.data.tags["dvc.stage"] == "compare"


def test_every_network_has_the_name_of_its_model_and_lies_in_the_experiment_of_its_run(tracked: Path) -> None:
    client = client_of(tracked)
    found = client.search_logged_models([client.get_experiment_by_name(store.EXPERIMENT).experiment_id])
    folds = {run.info.run_id: name.split(" fold ")[0] for name, run in runs_of(tracked).items() if " fold " in name}
    assert {model.source_run_id: model.name for model in found} == folds
    assert len(found) == len(folds)


def test_champion_is_the_exported_network_and_answers_like_ours(tracked: Path) -> None:
    import mlflow
    import torch

    from shearbench.training.results import load_network, predict

    mlflow.set_tracking_uri(f"sqlite:///{tracked}/mlruns/mlflow.db")
    found = client_of(tracked).get_model_version_by_alias("shearbench-mechanical", "champion")
    fold = int(client_of(tracked).get_run(found.run_id).data.params["fold"])
    network, normaliser, _ = load_network(tracked / f"build/runs/mechanical/mlp/fold-{fold}")
    inputs = read_npz(tracked / "build/datasets/mechanical/test.npz")["inputs"]
    params = load(tracked / "params.yaml")
    trust = trust_of(read_fold_runs(tracked / "build/runs/mechanical/mlp", 2), params.predict.accuracy)
    assert found.tags["shearbench.temperature"] == str(trust.temperature)
    assert found.tags["shearbench.threshold"] == str(trust.threshold)
    assert trust.temperature != 1
    expected = apply_temperature(predict(network, inputs, normaliser=normaliser), trust.temperature)
    served = mlflow.pytorch.load_model("models:/shearbench-mechanical@champion")
    np.testing.assert_allclose(served(torch.from_numpy(inputs)).detach().numpy(), expected, atol=1e-6)
    folder = Path(mlflow.artifacts.download_artifacts("models:/shearbench-mechanical@champion"))
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pth")]


def test_nothing_is_sent_twice(finished: Path, small_params: Params, tracked: Path) -> None:
    before = {run.info.run_id for run in runs_of(tracked).values()}
    assert mirror.track_all(tracked, small_params)
    assert {run.info.run_id for run in runs_of(tracked).values()} == before
    assert client_of(tracked).get_model_version_by_alias("shearbench-mnist", "champion").version == 1


def test_changed_record_makes_a_new_run_and_marks_the_old(finished: Path, small_params: Params) -> None:
    assert mirror.track_all(finished, only(small_params, "mnist-mlp"))
    before = runs_of(finished)
    for fold in range(2):
        path = finished / f"build/runs/mnist/mlp/fold-{fold}/record.json"
        write_sealed(path, {**read_json(path), "seconds": 1.0})
    assert mirror.track_all(finished, only(small_params, "mnist-mlp"))
    client = client_of(finished)
    old = client.get_run(before["mnist-mlp"].info.run_id)
    assert old.data.tags["shearbench.superseded"] == "yes"
    after = runs_of(finished)["mnist-mlp"]
    assert after.info.run_id != old.info.run_id
    assert "test_accuracy_mean" not in after.data.metrics  # its evaluation is of the old folds


def test_unfinished_run_is_sent_again(finished: Path, small_params: Params) -> None:
    assert mirror.track_all(finished, only(small_params, "mnist-mlp"))
    client, before = client_of(finished), runs_of(finished)
    for name in ("mnist-mlp", "mnist-mlp fold 1"):
        client.update_run(before[name].info.run_id, status="RUNNING")
    assert mirror.track_all(finished, only(small_params, "mnist-mlp"))
    after = runs_of(finished)
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    sent = [{run.info.run_id for name, run in runs.items() if name.startswith("mnist-mlp")} for runs in (before, after)]
    assert all(sent)
    assert not sent[0] & sent[1]


def test_network_that_cannot_be_exported_is_a_recorded_skip(
    finished: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shearbench.handwriting.readers import Served

    follow = Served.forward
    monkeypatch.setattr(Served, "forward", lambda self, x: follow(self, x if x.sum() > 0 else -x))
    assert mirror.track_all(finished, small_params)
    runs = runs_of(finished)
    assert runs["mnist-mlp fold 0"].data.tags["shearbench.model_skipped"].startswith("torch.export: ")
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert not client_of(finished).search_registered_models()


def test_server_that_is_down_is_a_warning_after_one_more_try(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    callers = []

    def hang_up_on_all() -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while True:
                caller, address = listener.accept()
                callers.append(address)
                caller.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up_on_all, daemon=True).start()
        assert not mirror.track_all(finished, with_uri(small_params, f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert len(callers) == 2, "MLflow's own default is seven tries more, which take minutes"
    message = capsys.readouterr().err
    assert "MLflow did not take the results" in message
    assert "`shearbench track` sends them later" in message


def test_run_with_a_missing_fold_waits_and_a_moved_store_goes_on(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (finished / "build/runs/mnist/mlp/fold-1/record.json").unlink()
    assert mirror.track_all(finished, only(small_params, "mnist-mlp"))
    assert runs_of(finished).keys() == {"comparison"}
    moved = finished.rename(tmp_path / "elsewhere")
    assert mirror.track_all(moved, only(small_params, "mnist-mlp"))
    printed = capsys.readouterr().err.splitlines()
    assert {line.partition(" ━")[0] for line in printed} == {"MLflow: records and models"}, "no warning"
    (found,) = runs_of(moved).values()
    assert found.info.artifact_uri.startswith(moved.as_uri())


def test_off_does_not_import_mlflow(finished: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shearbench.tracking import mirror\n"
        "from shearbench.params import load\n"
        "params = load(Path('params.yaml')); off = params.tracking.model_copy(update={'uri': 'off'})\n"
        "assert not mirror.track_all(Path(), params.model_copy(update={'tracking': off}))\n"
        "assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=finished, check=True)
    assert not (finished / "mlruns").exists()


def test_one_sender_waits_for_another(tmp_path: Path) -> None:
    sent: list[store.Store] = []
    assert store.attempt(tmp_path, "default", sent.append)
    with locked(tmp_path / "mlruns" / ".lock"):
        waiting = threading.Thread(target=store.attempt, args=(tmp_path, "default", sent.append))
        waiting.start()
        waiting.join(2)
        assert waiting.is_alive()
        assert len(sent) == 1
    waiting.join(3600)
    assert len(sent) == 2


@pytest.mark.slow
def test_processes_that_start_together_share_one_new_store(finished: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from shearbench.tracking import mirror\n"
        "from shearbench.params import load\n"
        "params = load(Path('params.yaml'))\n"
        "params = params.model_copy(update={'runs': {sys.argv[1]: params.runs[sys.argv[1]]}})\n"
        "assert mirror.track_all(Path(), params)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, one_run], cwd=finished) for one_run in RUNS]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert set(runs_of(finished)) == {*RUNS, *PARENT_OF, "comparison"}


def test_pages_are_for_this_machine_only(tmp_path: Path) -> None:
    command = mirror.ui_command(tmp_path, 5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--allowed-hosts") + 1] == "127.0.0.1:5001,localhost:5001"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    assert "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false" in command


def test_any_tree_of_runs_is_sent_once_and_superseded_by_the_next(tmp_path: Path, small_params: Params) -> None:
    def study(digest: str) -> Node:
        leaf = Content({"batch": 20}, {}, {"accuracy": 0.5}, [("loss", 1, 2.0), ("loss", 2, 1.0)], [])
        children = [Node("study trial 0", f"{digest}0", leaf)]
        return Node("study", digest, Content({}, {"kind": "study"}, {"best": 0.5}, [], []), children)

    for digest in ("a", "a", "b"):
        assert mirror.track_all(tmp_path, small_params, [study(digest)])
    client = client_of(tmp_path)
    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    every = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in every) == ["study", "study", "study trial 0", "study trial 0"]
    latest = runs_of(tmp_path)
    assert latest["study trial 0"].data.tags["mlflow.parentRunId"] == latest["study"].info.run_id
    assert [each.value for each in client.get_metric_history(latest["study trial 0"].info.run_id, "loss")] == [2.0, 1.0]
    superseded = [run for run in every if run.data.tags.get("shearbench.superseded") == "yes"]
    assert [run.data.tags["shearbench.record"] for run in superseded] == ["a"]
    assert not mirror.track_all(tmp_path, with_uri(small_params, "off"), [study("c")])


def test_a_dataset_is_a_run_with_its_samples_balance_and_copies(finished: Path, small_params: Params) -> None:
    explore.main(small_params, finished, "mechanical")
    assert mirror.track_all(finished, small_params)
    runs = runs_of(finished)
    assert set(runs) == {*RUNS, *PARENT_OF, "comparison", "dataset mechanical"}
    run = runs["dataset mechanical"]
    assert run.data.metrics == {"samples": 60, "exact_pairs": 0, "exact_across_folds": 0, **near_pairs_of(finished)}
    assert run.data.params["entry.load"] == "shear"
    assert run.data.tags["dvc.stage"] == "explore@mechanical"
    client = client_of(finished)
    files = {
        Path(file.path).name for folder in (None, "figures") for file in client.list_artifacts(run.info.run_id, folder)
    }
    assert files - {"figures"} == {path.name for path in (finished / "build" / "explore" / "mechanical").iterdir()}


def near_pairs_of(project: Path) -> dict[str, int]:
    found = pd.read_csv(project / "build" / "explore" / "mechanical" / "duplicates.csv")
    return {"near_pairs": len(found), "near_across_folds": int(found["across_folds"].sum())}


def test_an_experiment_is_a_run_with_its_cells_beneath(asked: Path, tmp_path: Path) -> None:
    (tmp_path / "build").symlink_to(asked / "build")
    params = load(asked / "params.yaml")
    assert mirror.track_ablations(tmp_path, params, ["normalisation"])
    runs = runs_of(tmp_path, store.ABLATIONS)
    pairs = product(("plain", "deep"), ("divide255", "detrend"))
    all_runs = {f"normalisation: {model} on mechanical_{kind}" for model, kind in pairs}
    assert set(runs) == {"ablation normalisation", *all_runs}
    one_run = runs["normalisation: deep on mechanical_detrend"]
    assert one_run.data.tags["mlflow.parentRunId"] == runs["ablation normalisation"].info.run_id
    table = pd.read_csv(asked / "build" / "ablation_results" / "normalisation" / "accuracies.csv")
    expected = table.query("dataset == 'mechanical_detrend' and model == 'deep' and split == 'test'").set_index(
        "bn_statistics"
    )
    for bn_statistics in ("as_trained", "batch_statistics", "recalibrated"):
        assert one_run.data.metrics[f"test_{bn_statistics}_mean"] == pytest.approx(expected.loc[bn_statistics, "mean"])
    artifacts = {file.path for file in client_of(tmp_path).list_artifacts(runs["ablation normalisation"].info.run_id)}
    assert {"accuracies.csv", "pairs.csv", "record.json", "figures"} <= artifacts
    assert mirror.track_ablations(tmp_path, params, ["normalisation"])
    assert len(runs_of(tmp_path, store.ABLATIONS)) == 5


def test_the_description_links_the_report_and_the_address_shows_the_latest_networks(
    finished: Path, small_params: Params
) -> None:
    page = finished / "reports" / "index.html"
    page.write_text("<html>first</html>")
    assert mirror.track_all(finished, small_params)
    first = runs_of(finished)["report"]
    page.write_text("<html>second</html>")
    assert mirror.track_all(finished, small_params)
    client = client_of(finished)
    second = runs_of(finished)["report"]
    assert second.info.run_id != first.info.run_id
    assert client.get_run(first.info.run_id).data.tags["shearbench.superseded"] == "yes"
    experiment = client.get_experiment_by_name(store.EXPERIMENT)
    note = experiment.tags["mlflow.note.content"]
    assert f"(#/experiments/{experiment.experiment_id}/runs/{second.info.run_id}/artifacts/index.html)" in note
    assert {file.path for file in client.list_artifacts(second.info.run_id)} >= {"index.html", "comparison.csv"}
    query = parse_qs(mirror.address(finished, 5001).partition("?")[2])
    (shown_filter,) = query["searchFilter"]
    found = client.search_runs([experiment.experiment_id], shown_filter, order_by=[f"{query['orderByKey'][0]} DESC"])
    rows = read_json(finished / "reports" / "comparison.json")
    accuracies = {f"{row['dataset']}-{row['model']}": pytest.approx(row["cv_accuracy_mean"]) for row in rows}
    assert {run.info.run_name: run.data.metrics["cv_accuracy_mean"] for run in found} == accuracies
    shown_first = [run.data.metrics["cv_accuracy_mean"] for run in found]
    assert shown_first == sorted(shown_first, reverse=True)  # by accuracy: names may tie
    expected = f"http://127.0.0.1:5001/#/experiments/{experiment.experiment_id}/runs?"
    assert mirror.address(finished, 5001).startswith(expected)
    assert mirror.address(finished / "elsewhere", 5001) == "http://127.0.0.1:5001/"
