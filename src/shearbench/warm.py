"""The command ``shearbench``, and a server with all imports done that runs stages for it.

`shearbench repro` starts :func:`serve`, which imports torch, SciPy and the rest once. Each ``shearbench stage`` of that
run sends its arguments, environment and open files over a socket, and the server forks: a stage starts in milliseconds
instead of seconds. Without a server, or if a source has changed since the server started, a stage runs in its own
process. A stage ends with the command that sent it; Ctrl-C and SIGTERM are passed on.

The client imports only the standard library.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

SOCKET = "SHEARBENCH_WARM"
"""The environment variable with the path of the socket of the server."""
FORKED = "SHEARBENCH_FORKED"
"""The environment variable of a forked stage; its workers are forked too and need no imports."""
_REFUSED = b"R"
_LIMIT = 1 << 20  # bytes of a request
_POLL_SECONDS = 0.5
_PRELOADED = (
    *("torch", "scipy.stats", "scipy.sparse.linalg", "pandas", "numba", "PIL.Image", "safetensors.torch", "jinja2"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.manifold", "captum.attr", "joblib", "pydantic"),
    # Workers import these when needed. Without preloading, each worker of a stage would spend 1 to 3 CPU seconds.
    *("shearbench.cli", "shearbench.analysis.summaries", "shearbench.models.resnet18", "torch._dynamo", "skops.io"),
    "sklearn.svm",
)


def main() -> None:
    """Run a command of shearbench, a stage in the server if one is up to date."""
    path = os.environ.get(SOCKET)
    if path and sys.argv[1:2] in (["stage"], ["beside"]):
        status = _handed_over(path, sys.argv)
        if status is not None:
            sys.exit(status)
    try:
        from shearbench.cli import app

        app()
    except KeyboardInterrupt:  # before a command starts; commands print a message of their own
        print("shearbench: stopped", file=sys.stderr)
        sys.exit(130)


def _handed_over(path: str, arguments: list[str]) -> int | None:
    """Run a command in the server and return its exit status; None without a server that is up to date."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(path)
        except OSError:
            return None
        request = json.dumps({"words": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        server.sendall(len(request).to_bytes(4, "big"))
        socket.send_fds(server, [b"F"], [0, 1, 2])
        server.sendall(request)

        def pass_on(number: int, frame: FrameType | None) -> None:
            server.sendall(bytes([number]))

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pass_on)
        response, parent = None, os.getppid()
        server.settimeout(_POLL_SECONDS)
        while response is None and os.getppid() == parent:  # ends with DVC, and the stage with it
            with contextlib.suppress(TimeoutError):
                response = server.recv(1)
    if response == _REFUSED:
        return None
    return response[0] if response else 1  # no status: the stage was killed


def serve(path: Path) -> None:
    """Import everything, then fork for each received command, until the parent process ends."""
    package = Path(__file__).parent
    sources = _sources(package)
    preload(package)
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(_POLL_SECONDS)
        while os.getppid() == parent:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                _reap()
                continue
            with client:
                size = int.from_bytes(_read(client, 4), "big")
                _, files, _, _ = socket.recv_fds(client, 1, 3)
                request = _read(client, min(size, _LIMIT))
                # A fork runs the imported modules. After an edit, only a new process has the new code.
                if size > _LIMIT or _sources(package) != sources:
                    client.sendall(_REFUSED)
                elif os.fork() == 0:
                    listener.close()
                    _run(client, files, json.loads(request))
                for file in files:
                    os.close(file)
            _reap()


def preload(package: Path) -> None:
    """Import all modules that stages and their workers need."""
    from importlib import import_module

    for name in _PRELOADED:
        import_module(name)
    for stage in sorted((package / "stages").glob("*.py")):
        import_module(f"{package.name}.stages.{stage.stem}".removesuffix(".__init__"))


def _run(client: socket.socket, files: list[int], request: dict[str, Any]) -> None:
    """Run the stage of a client with its arguments, folder, environment and files; then exit."""
    status = 1
    try:
        os.setsid()  # signals of the terminal reach only the client, which passes them on
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = os.fdopen(0, closefd=False)  # replace the streams of the server
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        os.environ.clear()
        os.environ.update(request["environment"] | {FORKED: "1"})
        os.chdir(request["folder"])
        sys.argv = request["words"]
        threading.Thread(target=_forward_signals, args=(client,), daemon=True).start()
        from shearbench.cli import app

        app()  # ends with SystemExit
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  the fork must not continue as the server
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            client.sendall(bytes([status]))
        finally:
            # Skip the clean-up, because atexit handlers, sockets and threads belong to the parent.
            os._exit(status)


def _forward_signals(client: socket.socket) -> None:
    """Raise the signals that the client passes on; end the stage if the client is gone."""
    while number := client.recv(1):
        os.kill(os.getpid(), number[0])
    os.kill(os.getpid(), signal.SIGTERM)


def _read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := client.recv(size - len(found))):
        found += more
    return found


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _sources(package: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in package.rglob("*.py")}


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
