"""The champion in MLflow's own server answers a real request as ``shearbench predict`` does."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of mlflow's and its libraries' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]

PROGRAM = (sys.executable, "-m", "shearbench.cli")


@pytest.fixture(scope="module")
def project(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, sent to MLflow, with a digit on paper."""
    root = tmp_path_factory.mktemp("served") / "project"
    shutil.copytree(finished_once, root)
    subprocess.run([*PROGRAM, "track"], cwd=root, check=True)
    paper = np.full((100, 100), 235, np.uint8)
    paper[20:80, 48:56] = 30
    Image.fromarray(paper).save(root / "one.png")
    return root


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    """Where the champion on ``mnist`` answers."""
    with _served(project, "shearbench-mnist") as found:
        yield found


@contextmanager
def _served(project: Path, model: str) -> Iterator[str]:
    """``mlflow models serve`` of a registered model, as docs/use-your-own-digits.md starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*(sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{model}@champion")]
    command += ["--env-manager", "local", "--port", str(port)]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # MLflow starts `uvicorn` by its name
        "MLFLOW_TRACKING_URI": "sqlite:///mlruns/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    server = subprocess.Popen(command, cwd=project, env=environment, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):  # it has ended itself
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(3600)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(7200):
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


def _ask(address: str, body: str) -> Any:
    asked = urllib.request.Request(address, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=3600) as answer:
        return json.load(answer)


def _predict(project: Path, *words: str) -> str:
    done = subprocess.run([*PROGRAM, "predict", *words], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_server_answers_as_predict_does(project: Path, address: str) -> None:
    (answer,) = _ask(address, _predict(project, "one.png", "--request"))["predictions"]
    (image,) = json.loads(_predict(project, "one.png", "--dataset", "mnist", "--json"))["images"]
    np.testing.assert_allclose(answer, image["probabilities"], atol=1e-6)
    assert len(set(np.round(answer, 6))) > 5, "probabilities that say something"


def test_the_readers_are_registered_once_and_answer_as_predict_does(project: Path) -> None:
    for _ in range(2):
        subprocess.run([*PROGRAM, "track", "--readers", "--quiet"], cwd=project, check=True)
    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    (version,) = client.search_model_versions("name = 'shearbench-readers'")
    assert "cnn3" in version.description
    assert version.tags["shearbench.demanded"] == "0.99"
    logged = client.get_logged_model(version.source.split("/")[-1])
    assert client.get_registered_model("shearbench-readers").description == "The readers that ship with shearbench."
    assert (Path(str(logged.artifact_location).removeprefix("file://")) / "input_example.json").is_file()
    with _served(project, "shearbench-readers") as address:
        (answer,) = _ask(address, _predict(project, "one.png", "--request"))["predictions"]
        (image,) = json.loads(_predict(project, "one.png", "--json"))["images"]
        np.testing.assert_allclose(answer, image["probabilities"], atol=1e-5)
        assert len(set(np.round(answer, 6))) > 3, "probabilities that say something"


def test_a_request_of_another_shape_is_refused(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _ask(address, json.dumps({"inputs": np.zeros((1, 3, 5, 5)).tolist()}))
    assert caught.value.code == 400
    caught.value.close()


def test_a_number_that_is_none_is_refused_as_json_has_no_word_for_it(address: str) -> None:
    shape = np.zeros((1, 1, 28, 28))
    with pytest.raises(urllib.error.HTTPError) as caught:
        _ask(address, json.dumps({"inputs": (shape + np.nan).tolist()}))  # NaN, as Python and JavaScript write it
    assert caught.value.code in (400, 500)
    assert "every input must be a finite number" in caught.value.read().decode()
    assert np.isfinite(_ask(address, json.dumps({"inputs": shape.tolist()}))["predictions"]).all()
