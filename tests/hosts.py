"""Machines of a cluster on this one: each has its own address, its own processes and nothing of this one's project.

A machine is a process in network, process and mount namespaces of its own. A cable (a veth pair) joins it to a switch
(a bridge), which is such a process too. The kernel takes all of it down with the process, and the process ends with the
thread that made it, however that ends: nothing is left to clean up.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import shearbench
from small_clone import environment

_TOOLS = ("ip", "nsenter", "setpriv", "unshare")
_SPACES = ("--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child=KILL")
PORT = 8786


def needs_root() -> pytest.MarkDecorator:
    """Return the mark of tests that make network namespaces."""
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    reason = f"needs root and {', '.join(_TOOLS)} (iproute2, util-linux) on Linux"
    return pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0 or bool(lacking), reason=reason)


def until(holds: Callable[[], object], what: str, seconds: float = 3600.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


@dataclass
class Host:
    """A machine: its first process, seen from outside, its address, and where the output of its commands goes."""

    process: subprocess.Popen[bytes]
    pid: str
    address: str
    log: Path
    commands: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, folder: Path = Path("/"), code: Path | None = None) -> subprocess.Popen[bytes]:
        """Run a command there, in a folder. ``code`` holds packages that it finds before those of this environment."""
        paths = [*([code] if code else []), Path(shearbench.__file__).parents[1]]
        there = ("nsenter", "--target", self.pid, "--net", "--pid", "--mount", "env", f"--chdir={folder}")
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [*there, *command],
                env={**environment(), "PYTHONPATH": os.pathsep.join(map(str, paths))},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.commands.append(process)
        return process

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start dask's scheduler there, and wait until it listens."""
        before = self.said("Scheduler at:")
        process = self.start("dask", "scheduler", "--host", self.address, "--port", str(PORT), "--no-dashboard")
        until(lambda: self.said("Scheduler at:") > before, "a scheduler")
        return process

    def start_worker(self, scheduler: str, folder: Path, *, code: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a worker there, with ``folder`` for all it keeps, and wait until it has met the scheduler."""
        before = self.said("worker 0 of")
        process = self.start("shearbench", "worker", scheduler, "--folder", str(folder), code=code)
        until(lambda: self.said("worker 0 of") > before, "a worker")
        return process

    def ip(self, *words: str) -> None:
        """Change its network."""
        subprocess.run(["nsenter", "--target", self.pid, "--net", "ip", *words], check=True)

    @property
    def scheduler(self) -> str:
        """The address of a scheduler that runs there."""
        return f"tcp://{self.address}:{PORT}"

    def said(self, text: str) -> int:
        """Return how often its commands have printed a text."""
        return self.log.read_text().count(text) if self.log.is_file() else 0

    def hide(self, folder: Path) -> None:
        """Let it see an empty folder there, of its own."""
        words = ("nsenter", "--target", self.pid, "--mount", "mount", "-t", "tmpfs", "tmpfs", str(folder))
        subprocess.run(words, check=True)

    def fail(self) -> None:
        """Take its power: no connection is closed, its address just falls silent."""
        self.process.kill()
        for process in (self.process, *self.commands):
            process.wait()


@dataclass
class Network:
    """A switch and the hosts on it, by their names."""

    folder: Path
    running: ExitStack
    switch: Host = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.switch = self._boot("switch", "")
        self.switch.ip("link", "add", "bridge", "type", "bridge")
        self.switch.ip("link", "set", "bridge", "up")

    def host(self, name: str) -> Host:
        """Add a machine to the network."""
        self.count += 1
        host = self._boot(name, f"10.77.0.{self.count}")
        self.switch.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", host.pid)
        self.switch.ip("link", "set", name, "master", "bridge", "up")
        host.ip("link", "set", "lo", "up")
        host.ip("address", "add", f"{host.address}/24", "dev", "eth0")
        host.ip("link", "set", "eth0", "up")
        return host

    def unplug(self, name: str) -> None:
        """Pull a machine's cable."""
        self.switch.ip("link", "set", name, "down")

    def plug(self, name: str) -> None:
        """Put it back."""
        self.switch.ip("link", "set", name, "up")

    def _boot(self, name: str, address: str) -> Host:
        words = ("setpriv", "--pdeathsig", "KILL", "unshare", *_SPACES, "sleep", "infinity")
        process = subprocess.Popen(words)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: _is_asleep(children), f"{name} boots")
        host = Host(process, children.read_text().strip(), address, self.folder / f"{name}.log")
        self.running.callback(host.fail)
        return host


def _is_asleep(children: Path) -> bool:
    """Tell whether a machine is up: its namespaces are made before its first process becomes what it will be."""
    pid = children.read_text().strip()
    return bool(pid) and Path(f"/proc/{pid}/comm").read_text() == "sleep\n"


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Yield a network without hosts; what its hosts print goes to ``folder``."""
    with ExitStack() as running:
        yield Network(folder, running)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
