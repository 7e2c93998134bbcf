"""The memory of a container bounds the workers, and a process that was killed for want of it is named as such."""

from pathlib import Path

import joblib
import pytest

from shearbench.execution import Cluster, local, memory, spare_workers, worker_count

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8 cores and 64 GB, of which 40 GB are free, as the kernel tells of it."""
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: {64 * GB // 1024} kB\nMemAvailable: {40 * GB // 1024} kB\n")
    (tmp_path / "proc" / "vmstat").write_text("pgfault 12\noom_kill 3\n")
    monkeypatch.setattr(memory, "_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    return tmp_path


def group(machine: Path, place: str, most: str | int, used: int = 0, inactive: int = 0) -> None:
    folder = machine / "cgroup" / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")


def test_without_a_container_every_core_has_a_worker(machine: Path) -> None:
    assert memory.limit() is None
    assert memory.free() == pytest.approx(40 * GB, rel=1e-6)
    assert worker_count("auto") == 8


def test_a_container_bounds_the_workers(machine: Path) -> None:
    (machine / "proc/self/cgroup").write_text("0::/user/job\n")
    group(machine, "user", 4 * GB)
    group(machine, "user/job", "max", used=GB)
    assert memory.limit() == 4 * GB
    assert worker_count("auto") == 3
    assert worker_count(5) == 5, "a number of the user's is his"


def test_what_a_container_has_left_counts_its_cache_as_free(machine: Path) -> None:
    group(machine, "", 8 * GB, used=5 * GB, inactive=2 * GB)  # as a container sees itself
    assert memory.free() == 5 * GB


def test_half_as_many_processes_run_beside_a_stage_if_memory_suffices_for_both(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_GPU", machine / "nvidiactl")
    assert spare_workers("auto") == 4
    assert spare_workers(1) == 1
    assert spare_workers(Cluster("tcp://host:8786")) == 0
    group(machine, "", 14 * GB)  # 12 processes of 1.2 GB
    assert worker_count("auto") == 8
    assert spare_workers("auto") == 0
    (machine / "nvidiactl").touch()
    assert spare_workers(1) == 0


def test_a_tiny_container_has_one_worker(machine: Path) -> None:
    group(machine, "", GB // 2)
    assert worker_count("auto") == 1


def test_version_1_of_cgroups(machine: Path) -> None:
    folder = machine / "cgroup/memory/docker/abc"
    folder.mkdir(parents=True)
    (machine / "proc/self/cgroup").write_text("12:cpuset:/x\n5:memory:/docker/abc\n")
    (machine / "cgroup/memory/memory.limit_in_bytes").write_text(str(2**63 - 4096))
    (folder / "memory.limit_in_bytes").write_text(str(3 * GB))
    assert memory.limit() == 3 * GB


def test_a_kill_for_want_of_memory_is_named(machine: Path) -> None:
    group(machine, "", 2 * GB)
    assert "no lack of memory" in local._cause_of_death(3)
    assert "the memory of its container, 2.0 GB, ran out; lower execution.workers" in local._cause_of_death(2)


def test_the_memory_of_a_container_is_its_limit(machine: Path) -> None:
    group(machine, "", GB // 4, used=0, inactive=0)
    assert memory.total() == GB // 4
    (machine / "proc" / "meminfo").unlink(missing_ok=True)
    assert memory.free() <= GB // 4
