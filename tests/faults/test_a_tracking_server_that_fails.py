"""MLflow's server down, slow or answering 500: results go on, and what was missed is sent later, once each.

A real MLflow server stands behind a proxy that can refuse, stall, or do so after some requests.
"""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from local_servers import mlflow_server
from shearbench.errors import without_secrets

pytestmark = pytest.mark.slow

PROGRAM = (sys.executable, "-m", "shearbench.cli")
SECRET = "s3cret-w0rd"
RUNS = ("mnist-mlp", "mnist-cnn2", "mechanical-mlp")
RUNS = {*RUNS, "comparison", *(f"{one_run} {part}" for one_run in RUNS for part in ("fold 0", "fold 1", "evaluation"))}


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to ``target`` while ``allowed`` lasts; then answers 500, or not at all for a while."""

    target = 0
    allowed: float = float("inf")
    stall = 0.0
    logins: ClassVar[set[str | None]] = set()
    protocol_version = "HTTP/1.0"

    def _serve(self) -> None:
        kind = type(self)
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind.logins.add(self.headers.get("Authorization"))
        kind.allowed -= 1
        if kind.allowed < 0:
            time.sleep(kind.stall)
            self.send_error(500)
            return
        passed_on = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        server = http.client.HTTPConnection("127.0.0.1", kind.target, timeout=3600)
        server.request(self.command, self.path, content, passed_on)
        answer = server.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name in ("Content-Type", "Content-Disposition"):
            if answer.getheader(name):
                self.send_header(name, str(answer.getheader(name)))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        server.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a real server of MLflow."""
    with mlflow_server(tmp_path, store=f"sqlite:///{tmp_path}/server.db", artifacts=f"{tmp_path}/files") as address:
        yield address


@pytest.fixture
def proxy(server: str) -> Iterator[ThreadingHTTPServer]:
    """The proxy before it; its class holds what it is to do."""
    handler = type("OneProxy", (Proxy,), {"target": int(server.rpartition(":")[2]), "logins": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def project(finished: Path, proxy: ThreadingHTTPServer) -> Path:
    """The small project, whose tracking goes through the proxy, with a login in the URL."""
    params = yaml.safe_load((finished / "params.yaml").read_text())
    params["tracking"]["uri"] = f"http://user:{SECRET}@127.0.0.1:{proxy.server_port}"
    (finished / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    return finished


def _run(root: Path, *words: str, status: int) -> str:
    patience = "3" if status else "60"  # seconds for a request: little where it is to fail
    environment = {**os.environ, "MLFLOW_HTTP_REQUEST_TIMEOUT": patience, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    done = subprocess.run(
        [*PROGRAM, *words], cwd=root, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == status, output
    assert "Traceback" not in output
    assert SECRET not in output
    return output


def _sent(server: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(server)
    config = client.get_experiment_by_name("shearbench")
    return client.search_runs([config.experiment_id], max_results=1000)


def _networks(server: str) -> set[str]:
    """Return the runs that have a network, each one."""
    from mlflow import MlflowClient

    client = MlflowClient(server)
    found = client.search_logged_models([client.get_experiment_by_name("shearbench").experiment_id])
    runs = [model.source_run_id for model in found]
    assert len(set(runs)) == len(runs)
    return set(runs)


def _bytes_of(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (root / "build").rglob("*") if path.is_file()}


def test_what_a_failing_server_missed_is_sent_later_once_each(
    project: Path, proxy: ThreadingHTTPServer, server: str
) -> None:
    handler: Any = proxy.RequestHandlerClass
    before = _bytes_of(project)
    for allowed, stall in ((0, 0.0), (25, 0.0), (90, 0.0), (60, 20.0), (220, 0.0)):  # down, broken off, stalling
        handler.allowed, handler.stall = allowed, stall
        began = time.monotonic()
        assert "`shearbench track` sends them later" in _run(project, "track", status=1)
        assert time.monotonic() - began < 3600, "it does not wait for ever"
    assert _bytes_of(project) == before, "no result depends on MLflow"
    handler.allowed = float("inf")
    for _ in range(2):
        _run(project, "track", status=0)
        runs = _sent(server)
        assert Counter(run.info.run_name for run in runs) == Counter(RUNS)
        assert {run.info.status for run in runs} == {"FINISHED"}
        assert _networks(server) == {run.info.run_id for run in runs if " fold " in run.info.run_name}
    assert any(login and login.startswith("Basic ") for login in handler.logins), "the login was used"


def test_training_goes_on_while_the_server_is_down(project: Path, proxy: ThreadingHTTPServer, server: str) -> None:
    handler: Any = proxy.RequestHandlerClass
    handler.allowed, handler.stall = 0, 60.0
    weights = project / "build" / "runs" / "mnist" / "mlp" / "fold-0" / "weights.safetensors"
    before = weights.read_bytes()
    for path in weights.parent.iterdir():
        path.unlink()
    _run(project, "stage", "train", "mnist-mlp", status=0)
    assert weights.read_bytes() == before
    handler.allowed, handler.stall = float("inf"), 0.0
    _run(project, "track", status=0)
    expected = RUNS - {"mnist-mlp evaluation"}  # that is of the folds before, until `evaluate` has run
    assert Counter(run.info.run_name for run in _sent(server)) == Counter(expected)


def test_a_login_in_the_url_reaches_no_output_no_file_and_no_record(project: Path, server: str) -> None:
    _run(project, "track", status=0)
    _run(project, "stage", "report", status=0)
    output = _run(project, "doctor", status=1)  # no git and no raw data in the small project
    assert "***@127.0.0.1" in output
    secret = SECRET.encode()
    found = [path for path in project.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert found == [project / "params.yaml"]
    for run in _sent(server):
        assert SECRET not in str(run.to_dictionary())


def test_a_server_that_is_down_is_named_without_its_login(finished: Path) -> None:
    params = yaml.safe_load((finished / "params.yaml").read_text())
    params["tracking"]["uri"] = f"http://user:{SECRET}@127.0.0.1:9"
    (finished / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert "127.0.0.1" in _run(finished, "track", status=1)
    _run(finished, "doctor", status=1)
    url = f"postgresql://user:{SECRET}@127.0.0.1:9/db?sslpassword={SECRET}&x=1"
    assert without_secrets(url) == "postgresql://***@127.0.0.1:9/db?sslpassword=***&x=1"
