"""A few rounds of the kill loop: the small pipeline, killed and run again, ends as if nothing had happened.

The loop runs as a program of its own: it forks, which a process with threads must not. ``kill_loop.py`` alone plays as
many rounds as it is asked for.
"""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_few_kills_change_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).with_name("kill_loop.py")), "--folder", str(tmp_path / "kills")]
    done = subprocess.run([*command, "--first", "1000", "--rounds", "6"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": same") == 6
