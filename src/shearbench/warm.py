"""The command ``shearbench``, and a process that has imported everything and runs stages for it.

`shearbench repro` starts :func:`serve`, which imports torch, SciPy and the rest once. Each ``shearbench stage`` of that
run hands its words, environment and open files over a socket, and the server forks: a stage starts in milliseconds
instead of seconds. A stage runs in its own process as ever when there is no server, or if a source has changed since
the server started. The stage ends with the command that handed it over; Ctrl-C and SIGTERM are passed on.

The client imports the standard library alone.
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
"""The environment variable that names the socket of the server."""
FORKED = "SHEARBENCH_FORKED"
"""Set in a stage that the server has forked: its workers are forked too, and import nothing."""
_REFUSED = b"R"
_LIMIT = 1 << 20  # bytes of a request
_POLL_SECONDS = 0.5
_PRELOADED = (
    *("torch", "scipy.stats", "scipy.sparse.linalg", "pandas", "numba", "PIL.Image", "safetensors.torch", "jinja2"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.manifold", "captum.attr", "joblib", "pydantic"),
    # Imported by workers where they are needed. Each of a stage's workers would spend 1 to 3 CPU seconds on them.
    *("shearbench.cli", "shearbench.analysis.measurements", "shearbench.models.resnet18", "skops.io"),
    "sklearn.svm",
)


def main() -> None:
    """Run a command of shearbench; a stage in a server that is there and up to date."""
    path = os.environ.get(SOCKET)
    if path and sys.argv[1:2] == ["stage"]:
        status = _handed_over(path, sys.argv)
        if status is not None:
            sys.exit(status)
    try:
        from shearbench.cli import app

        app()
    except KeyboardInterrupt:  # before a command has begun; commands say what is kept
        print("shearbench: stopped", file=sys.stderr)
        sys.exit(130)


def _handed_over(path: str, words: list[str]) -> int | None:
    """Let the server run a command, and return its exit status; None without a server that is up to date."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(path)
        except OSError:
            return None
        request = json.dumps({"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        server.sendall(len(request).to_bytes(4, "big"))
        socket.send_fds(server, [b"F"], [0, 1, 2])
        server.sendall(request)

        def pass_on(number: int, frame: FrameType | None) -> None:
            server.sendall(bytes([number]))

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, pass_on)
        answer, parent = None, os.getppid()
        server.settimeout(_POLL_SECONDS)
        while answer is None and os.getppid() == parent:  # if DVC is gone, this ends, and the stage with it
            with contextlib.suppress(TimeoutError):
                answer = server.recv(1)
    if answer == _REFUSED:
        return None
    return answer[0] if answer else 1  # none: it was killed


def serve(path: Path) -> None:
    """Import everything, then fork for each command that is handed over, until the parent process ends."""
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
                # A fork runs the modules as they were imported. After an edit only a fresh process has the new code.
                if _sources(package) != sources:
                    client.sendall(_REFUSED)
                elif os.fork() == 0:
                    listener.close()
                    _run(client, files, json.loads(request))
                for file in files:
                    os.close(file)
            _reap()


def preload(package: Path) -> None:
    """Import all that stages and their workers need."""
    from importlib import import_module

    for name in _PRELOADED:
        import_module(name)
    for stage in sorted((package / "stages").glob("*.py")):
        import_module(f"{package.name}.stages.{stage.stem}".removesuffix(".__init__"))


def _run(client: socket.socket, files: list[int], request: dict[str, Any]) -> None:
    """Be the stage that a client asks for: with its words, folder, environment and files; then end."""
    status = 1
    try:
        os.setsid()  # the terminal's signals reach the client, which passes them on
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = os.fdopen(0, closefd=False)  # those of the server know the files that it was started with
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        os.environ.clear()
        os.environ.update(request["environment"] | {FORKED: "1"})
        os.chdir(request["folder"])
        sys.argv = request["words"]
        threading.Thread(target=_obey, args=(client,), daemon=True).start()
        status = _call()
    except BaseException:  # noqa: BLE001  it must not go on as the server
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            client.sendall(bytes([status]))
        finally:
            # Without the server's clean-up: its atexit handlers, sockets and threads belong to the parent.
            os._exit(status)


def _call() -> int:
    """Run the command line, and return its exit status."""
    from shearbench.cli import app

    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _obey(client: socket.socket) -> None:
    """Take the signals that the client passes on; if the client is gone, so is who asked for this stage."""
    while number := client.recv(1):
        os.kill(os.getpid(), number[0])
    os.kill(os.getpid(), signal.SIGTERM)


def _read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := client.recv(size - len(found))):
        found += more
    return found


def _reap() -> None:
    """Collect the exit statuses of ended stages."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _sources(package: Path) -> dict[str, int]:
    """Return when each source was last changed."""
    return {str(path): path.stat().st_mtime_ns for path in package.rglob("*.py")}


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
