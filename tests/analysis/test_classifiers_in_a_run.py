"""A classifier of scikit-learn beside a network: the same folds and files, what needs layers skipped in a sentence."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import small_project
from shearbench.commands import predict
from shearbench.commands.doctor import build_networks
from shearbench.commands.verify import verify
from shearbench.errors import InputError
from shearbench.params import load
from shearbench.predictions.folds import hardware_of, read_fold_runs
from shearbench.records import read_npz, read_record
from shearbench.report.page import read, render
from shearbench.stages import compare, training_configs
from shearbench.tracking import mirror
from shearbench.tracking.store import EXPERIMENT
from shearbench.training import classifier
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, is_up_to_date
from shearbench.training.results import load_network
from shearbench.training.results import predict as probabilities_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
RUNS = ("mnist-mlp", "mnist-svm")
SVM = {"architecture": "sklearn.svm.SVC", "options": {"C": 10.0}, "features": {"kind": "pca", "components": 20}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small project with a network and a support vector machine on one dataset, evaluated and compared."""
    root = tmp_path_factory.mktemp("classifier") / "project"
    root.mkdir()
    document = small_project.document(runs=["mnist-mlp"])
    document["models"]["svm"] = SVM
    document["runs"]["mnist-svm"] = {"dataset": "mnist", "model": "svm"}
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    params = load(root / "params.yaml")
    small_project.write_data(root)
    training_configs.main(params, root)
    for run in RUNS:
        small_project.train_run(params, root, run)
        small_project.evaluate_run(params, root, run)
    small_project.transfer_runs(params, root)
    compare.main(params, root)
    return root


def test_a_fold_is_fitted_to_its_training_rows_and_read_like_a_network(project: Path) -> None:
    for run in read_fold_runs(project / "build" / "runs" / "mnist" / "svm", 2):
        assert run.record["config"]["recipe"] is None
        assert hardware_of([run]) == "cpu"  # no precision
        assert run.record["config"]["features"]["kind"] == "pca"
        assert sorted(run.record["files"]) == ["batches.csv", "estimator.skops", "history.csv", "out_of_fold.npz"]
        assert (len(run.history), len(run.batches), run.record["epochs"]) == (0, 0, 0)
        network, normaliser, _ = load_network(run.folder)
        stored = run.out_of_fold
        data = read_npz(project / "build" / "datasets" / "mnist" / "train.npz")
        rows = np.searchsorted(data["ids"], stored.ids)
        again = probabilities_of(network, data["inputs"][rows], normaliser=normaliser)
        np.testing.assert_allclose(again, stored.probabilities, atol=1e-6)
        assert run.record["metrics"]["validation_accuracy"] == (stored.classes == stored.labels).mean() > 0.5


def test_a_finished_fold_is_kept_and_another_option_is_another_fold(project: Path) -> None:
    folder = project / "build" / "runs" / "mnist" / "svm" / "fold-0"
    dataset = project / "build" / "datasets" / "mnist"
    same = TrainingConfig.from_record(read_record(folder))
    assert is_up_to_date(fold_task(same, 0, dataset=dataset, out=folder))
    other = same.model_copy(update={"options": {"C": 1.0}})
    assert not is_up_to_date(fold_task(other, 0, dataset=dataset, out=folder))


def test_verify_finds_the_same_bits(project: Path) -> None:
    folder = project / "build" / "runs" / "mnist" / "svm" / "fold-1"
    (verdict,) = verify([folder], datasets=project / "build" / "datasets", workers=1)
    assert (verdict.verdict, verdict.changed) == ("bit-equal", ())


def test_what_needs_layers_is_skipped_and_the_report_says_so(project: Path) -> None:
    folder = project / "build" / "evaluation" / "mnist" / "svm"
    record = read_record(folder)
    assert record["kind"] == "classifier"
    assert record["measurements"]["gradcam"] == {"skipped": "a classifier of scikit-learn has no layers"}
    assert {"noise.csv", "corruptions.csv", "metrics.json", "calibration.csv"} <= record["files"].keys()
    assert not {"learning_curves.csv", "gradcam.npz", "embedding.csv", "running_averages.csv"} & record["files"].keys()
    page = render(read(project, load(project / "params.yaml").seed))
    sentence = "Without svm on mnist: scikit-learn classifiers have no epochs and no layers."
    assert page.count(sentence) == 4
    rows = json.loads((project / "reports" / "comparison.json").read_text())
    assert [row["model"] for row in rows] == ["mlp", "svm"]


def test_check_makes_every_classifier(project: Path) -> None:
    params = load(project / "params.yaml")
    assert "2 runs" in build_networks(params, project)
    wrong = params.models["svm"].model_copy(update={"options": {"gama": 1.0}})
    with pytest.raises(InputError, match="'gama'"):
        build_networks(params.model_copy(update={"models": {**params.models, "svm": wrong}}), project)


def test_it_predicts_and_refuses_to_explain(project: Path, tmp_path: Path) -> None:
    from PIL import Image

    image = np.full((28, 28), 255, np.uint8)
    image[6:22, 12:16] = 0
    Image.fromarray(image).save(tmp_path / "one.png")
    params = load(project / "params.yaml")
    ask = {"dataset": "mnist", "model": "svm"}
    result = predict.main(params, project, [tmp_path / "one.png"], **ask, explain=False)
    assert len(result["images"][0]["probabilities"]) == 10
    with pytest.raises(InputError, match="svm is a classifier of scikit-learn; leave --explain out"):
        predict.main(params, project, [tmp_path / "one.png"], **ask, explain=True)


def test_a_file_that_is_not_its_classifier_is_refused(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "build" / "runs" / "mnist" / "svm" / "fold-0", tmp_path / "fold-0")
    (tmp_path / "fold-0" / "estimator.skops").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"estimator\.skops is not the file that its record was written with"):
        load_network(tmp_path / "fold-0")
    with pytest.raises(InputError, match=r"does not hold the classifier of its record .*run `dvc repro`"):
        classifier.load_pipeline(tmp_path / "fold-0", "sklearn.svm.SVC")


def test_mlflow_gets_the_pipeline_by_skops_and_serves_it(project: Path, tmp_path: Path) -> None:
    import mlflow

    root = tmp_path / "project"
    shutil.copytree(project, root)
    assert mirror.track_all(root, load(root / "params.yaml"))
    client = mlflow.MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    (experiment,) = [each for each in client.search_experiments() if each.name == EXPERIMENT]
    found = {}
    for model in client.search_logged_models([experiment.experiment_id]):
        run = client.get_run(model.source_run_id)
        found[run.data.params["model"], run.data.params["fold"]] = model
    assert sorted(found) == [("mlp", "0"), ("mlp", "1"), ("svm", "0"), ("svm", "1")]
    path = Path(mlflow.artifacts.download_artifacts(found["svm", "0"].artifact_location))
    assert "model.skops" in {each.name for each in path.iterdir()}
    assert not list(path.rglob("*.pkl"))
    served = mlflow.pyfunc.load_model(str(path))
    inputs = read_npz(root / "build" / "datasets" / "mnist" / "test.npz")["inputs"].astype(np.float32)
    network, normaliser, _ = load_network(root / "build" / "runs" / "mnist" / "svm" / "fold-0")
    expected = probabilities_of(network, inputs, normaliser=normaliser)
    np.testing.assert_allclose(served.predict(inputs), expected, atol=1e-5)
