"""Real workers killed with SIGKILL, and the whole search with them: the trials are those of an undisturbed search."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shearbench.seeds import generator_for

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
KILLS = 6


def _start(build, workers):
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(HERE / "searching.py"), str(build), str(workers)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _finish(process):
    out, err = process.communicate(timeout=3600)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.fixture(scope="module")
def undisturbed(build, tmp_path_factory):
    """What the search comes to with one worker, and the seconds it takes."""
    folder = tmp_path_factory.mktemp("undisturbed") / "build"
    shutil.copytree(build, folder)
    started = time.monotonic()
    return _finish(_start(folder, 1)), time.monotonic() - started


def _workers(process):
    """The processes that train: children that were given a pipe by loky."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "LokyProcess" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def test_two_workers_give_the_same_trials(undisturbed, build, tmp_path):
    shutil.copytree(build, tmp_path / "build")
    assert _finish(_start(tmp_path / "build", 2)) == undisturbed[0]


def test_killed_workers_lose_no_trial(undisturbed, build, tmp_path):
    """Every other worker is spared: what is lost is tried twice alone, and to kill both tries is that task's end."""
    expected, seconds = undisturbed
    shutil.copytree(build, tmp_path / "build")
    process, random = _start(tmp_path / "build", 2), generator_for("tests", "kill workers")
    killed, spared, spare_next = 0, set(), False
    while process.poll() is None:
        time.sleep(float(random.uniform(0.02, seconds / 8)))
        workers = [worker for worker in _workers(process) if worker.pid not in spared]
        if workers and spare_next:
            spared |= {worker.pid for worker in workers}
            spare_next = False
        elif workers and killed < KILLS:
            chosen = workers[int(random.integers(len(workers)))]
            try:
                chosen.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:  # it has ended by itself
                continue
            spared.add(chosen.pid)  # it is there until it is waited for
            killed, spare_next = killed + 1, True
    found = _finish(process)
    assert killed >= 1
    died = [trial for trial in found["trials"] if trial["failure"] and "died twice" in trial["failure"]]
    assert not died
    assert found == expected


def test_a_search_killed_again_and_again_comes_to_the_same_trials(undisturbed, build, tmp_path):
    expected, seconds = undisturbed
    shutil.copytree(build, tmp_path / "build")
    random = generator_for("tests", "kill searches")
    for kill in range(KILLS):
        process = _start(tmp_path / "build", 1 + kill % 2)
        try:
            process.communicate(timeout=float(random.uniform(seconds / 4, seconds)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert _finish(_start(tmp_path / "build", 2)) == expected


def test_ctrl_c_keeps_what_is_done(undisturbed, build, tmp_path):
    expected, seconds = undisturbed
    shutil.copytree(build, tmp_path / "build")
    process = _start(tmp_path / "build", 2)
    time.sleep(seconds / 2)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=3600)
    assert process.returncode != 0
    assert not _workers(process)
    assert _finish(_start(tmp_path / "build", 1)) == expected
