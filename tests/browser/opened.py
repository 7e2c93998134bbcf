"""Chromium, and MLflow's pages as ``shearbench ui`` serves them, for tests and for the pictures of the front page."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

PROGRAM = (sys.executable, "-m", "shearbench.cli")
SECONDS = 3_600_000  # milliseconds: the page may be slow on a busy machine
RUN_LINKS = ".ag-row a[href*='/runs/']"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = f"none of {', '.join(_NAMES)} is installed; on Debian: apt install chromium"


def where() -> str | None:
    """Return the path of this machine's Chromium, if it has one."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Yield a Chromium without a window."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=[*sandbox, "--disable-gpu"])
        yield found
        found.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(project: Path) -> Iterator[str]:
    """Yield the address that ``shearbench ui`` says to open in a project, once it answers.

    A clone of the repository runs only its own package, so its own environment is used where it has one.
    """
    port, own = free_port(), project / ".venv" / "bin" / "python"
    program = (str(own), *PROGRAM[1:]) if own.is_file() else PROGRAM
    command = [*program, "ui", "--port", str(port)]
    server = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert server.stdout is not None
    line = server.stdout.readline()
    said = re.search(r"http://\S+", line)
    try:
        assert said is not None, f"`{' '.join(command)}` in {project} names no address, but says: {line!r}"
        for _ in range(7200):
            assert server.poll() is None, "the server has ended"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.5)
        else:
            raise AssertionError(f"the server on port {port} did not answer within ten minutes")
        yield said.group()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(3600)
        server.stdout.close()


def compare_all(page: Page, count: int) -> None:
    """Tick every run that the experiment's page lists, and press *Compare*."""
    expect(page.locator(RUN_LINKS)).to_have_count(count, timeout=SECONDS)
    for box in page.locator(".ag-row .ag-selection-checkbox input").all():
        box.check()
    button, link = (page.get_by_role(role, name="Compare", exact=True) for role in ("button", "link"))
    button.or_(link).first.click()
    expect(page.get_by_role("heading", name=f"Comparing {count} Runs")).to_be_visible(timeout=SECONDS)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SECONDS)
