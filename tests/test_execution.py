"""Tasks run in single-threaded processes; order, errors and dead workers are accounted for."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from shearbench.errors import InputError, TasksFailed
from shearbench.execution import calls, run_tasks, worker_count
from shearbench.execution.local import ForkedPool


def square(number, advance):
    advance(1)
    return number**2


def environment(_, advance):
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def odd_ones_fail(number, advance):
    if number % 2:
        raise InputError(f"{number} is odd")
    return number


def die_if_asked(path, advance):
    if path.name.startswith("fatal"):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name.startswith("once") and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name.startswith("twice") and path.stat().st_size < 2:  # with the others, and once alone
        with path.open("ab") as file:
            file.write(b".")
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert run_tasks(square, range(7), workers=workers, label="squares") == [n**2 for n in range(7)]


def test_no_tasks_no_processes():
    assert run_tasks(square, [], workers=2, label="none") == []


def test_a_worker_is_another_process_with_one_thread():
    for pid, threads in run_tasks(environment, range(2), workers=1, label="where"):
        assert pid != os.getpid()
        assert threads == "1"


def test_a_failing_task_is_named_and_the_others_finish(tmp_path):
    with pytest.raises(TasksFailed, match=r"2 of 4 tasks failed") as caught:
        run_tasks(odd_ones_fail, range(4), workers=2, label="even", name=lambda n: f"number {n}")
    assert "- number 1: 1 is odd" in str(caught.value)
    assert "- number 3: 3 is odd" in str(caught.value)
    assert "number 2:" not in str(caught.value)


def test_a_worker_that_dies_once_costs_nothing(tmp_path):
    tasks = [tmp_path / name for name in ("a", "once", "b")]
    assert run_tasks(die_if_asked, tasks, workers=2, label="dying") == ["a", "once", "b"]


def test_a_task_that_dies_with_the_others_has_two_tries_alone(tmp_path):
    tasks = [tmp_path / name for name in ("a", "twice", "b")]
    tasks[1].touch()
    assert run_tasks(die_if_asked, tasks, workers=2, label="dying") == ["a", "twice", "b"]


def test_a_task_that_kills_its_worker_twice_is_named(tmp_path):
    tasks = [tmp_path / name for name in ("a", "fatal", "b")]
    with pytest.raises(TasksFailed, match="1 of 3 tasks failed") as caught:
        run_tasks(die_if_asked, tasks, workers=2, label="dying", name=lambda path: path.name)
    assert "- fatal: its process " in str(caught.value)


def test_the_time_left_is_at_the_speed_since_the_start():
    now = 1000.0
    shown = Progress(get_time=lambda: now, console=Console(file=io.StringIO()))
    bar = shown.add_task("train", total=30, completed=10, before=10)
    (task,) = shown.tasks
    assert calls._LeftColumn().render(task).plain == "left -:--:--"
    now = 1200.0  # two workers end an epoch of 200 seconds together
    shown.update(bar, completed=11)
    shown.update(bar, completed=12)
    assert calls.speed_of(task) == 2 / 200
    assert calls._RateColumn().render(task).plain == "100.0 s each"
    assert calls._LeftColumn().render(task).plain == "left 0:30:00"


SLEEPERS = """
import os, sys, time
from pathlib import Path
from shearbench.execution import run_tasks
def sleep(path, advance):
    path.write_text(str(os.getpid()))
    time.sleep(7200)
if __name__ == "__main__":
    run_tasks(sleep, [Path(sys.argv[1]) / str(number) for number in range(20)], workers=2, label="sleepers")
"""


def _heed_signals():
    """Undo what a shell does to a job in the background, and `nohup`: the job, and its children, ignore signals."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the state of processes from /proc")
@pytest.mark.parametrize(
    ("stop", "status"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_stop_ends_the_workers_within_seconds(tmp_path, stop, status):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([sys.executable, script, tmp_path], stderr=said, preexec_fn=_heed_signals)
    notes = [tmp_path / "0", tmp_path / "1"]
    _until(lambda: all(note.exists() and note.read_text() for note in notes))
    process.send_signal(stop)  # to it alone: no worker gets the signal
    assert process.wait(timeout=3600) == status
    _until(lambda: not any(_alive(note.read_text()) for note in notes))
    assert "Exception in thread" not in (tmp_path / "said").read_text()


UNDER_DVC = """
import os, sys, time
from pathlib import Path
from shearbench.execution.calls import terminate_as_interrupt
from shearbench.pipeline.dvc import end_with_dvc
if len(sys.argv) == 3:
    os.environ["DVC_STAGE"] = "train@mnist-mlp"
end_with_dvc()
Path(sys.argv[1]).write_text(str(os.getpid()))
with terminate_as_interrupt():
    time.sleep(7200 if len(sys.argv) == 3 else 5)
Path(sys.argv[1]).with_suffix(".end").touch()
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the state of processes from /proc")
def test_a_stage_of_dvc_ends_with_it_and_one_of_a_shell_does_not(tmp_path):
    (tmp_path / "stage.py").write_text(UNDER_DVC)
    started = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    notes = tmp_path / "dvc", tmp_path / "shell"
    parents = [
        subprocess.Popen([sys.executable, "-c", started, tmp_path / "stage.py", note, *more])
        for note, more in zip(notes, (["dvc"], []), strict=True)
    ]
    _until(lambda: all(note.exists() and note.read_text() for note in notes))
    for parent in parents:
        parent.kill()
        parent.wait()
    _until(lambda: not _alive(notes[0].read_text()))
    _until(lambda: (tmp_path / "shell.end").exists())
    assert not (tmp_path / "dvc.end").exists()


def _until(true):
    deadline = time.monotonic() + 3600
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _write_own_id_and_wait(path):
    path.write_text(str(os.getpid()))
    time.sleep(600)


@pytest.mark.skipif(sys.platform != "linux", reason="stages are forked on Linux")
def test_a_stopped_pool_of_forked_workers_has_no_worker_left_that_could_hold_a_lock(tmp_path):
    pool = ForkedPool(1)
    pool.submit(_write_own_id_and_wait, tmp_path / "id")
    _until(lambda: (tmp_path / "id").is_file() and (tmp_path / "id").read_text())
    pool.shutdown(wait=False, kill_workers=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)


def test_auto_is_every_core():
    assert worker_count("auto") >= 1
    assert worker_count(3) == 3


def test_a_narrow_terminal_shortens_the_bar_and_no_number(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with calls.progress_bar("sources.sky: headers", 0, 1_000_000) as show:
        show(17_713)
    shown = capsys.readouterr().err
    assert "17713/1000000" in shown
    assert "…" not in shown
