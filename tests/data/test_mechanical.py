"""Shards: the same bytes for any number of workers, after a kill, after damage; failures and bad input."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from shearbench.data import idx, mechanical
from shearbench.data.mechanical import read_bitmaps, simulate_dataset, simulate_file
from shearbench.errors import InputError, TasksFailed
from shearbench.mechanics import newton
from shearbench.mechanics.newton import NotConverged
from shearbench.mechanics.simulation import simulate
from shearbench.records import read_json, read_npz, sha256_of, write_npz


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(mechanical, "SHARD", 2)


@pytest.fixture
def inline(monkeypatch):
    """Tasks in this process: quick, and what a test patches is seen. The list holds the first digit of each."""
    solved = []

    def run_tasks(function, tasks, **_):
        for task in tasks:
            solved.append(task.first)
            function(task, lambda _: None)

    monkeypatch.setattr(mechanical, "run_tasks", run_tasks)
    return solved


@pytest.fixture
def bitmaps():
    """Five blots, uint8 (5, 28, 28)."""
    rng = np.random.default_rng(3)
    blots = np.zeros((5, 28, 28), np.uint8)
    blots[:, 6:22, 6:22] = rng.integers(0, 2, (5, 4, 4)).repeat(4, 1).repeat(4, 2) * 255
    return blots


def simulated(bitmaps, folder, **options):
    """The arrays of `simulate_dataset`, with its shards in `folder`."""
    output = folder.parent / "fields.npz"
    simulate_dataset(bitmaps, output, shard_folder=folder, **options)
    return read_npz(output)


def all_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def shards(tmp_path):
    """A folder for shards."""
    return tmp_path / "shards"


def test_fields_are_those_of_the_solver(bitmaps, tmp_path, inline):
    output, ids = tmp_path / "out" / "fields.npz", np.arange(5) + 7
    card = simulate_dataset(bitmaps, output, load="shear", steps=[5, 0], shard_folder=tmp_path, ids=ids)
    direct = simulate(bitmaps, load="shear", displacements=[1.0, 0.0])
    expected = {
        "ids": ids,
        "steps": np.array([5, 0]),
        "displacements": np.array([1.0, 0.0]),
        "displacement": direct.displacement.astype(np.float32),
        "strain_energy": direct.strain_energy,
        "reaction": direct.reaction,
        "converged": direct.converged,
    }
    write_npz(tmp_path / "numpy.npz", expected)
    assert output.read_bytes() == (tmp_path / "numpy.npz").read_bytes()
    assert (card["load"], card["displacements"], card["samples"], card["failed"]) == ("shear", [1.0, 0.0], 5, 0)
    assert "waypoints" in card["solver"]["load_stepping"]


def test_one_worker_or_two_in_any_order(bitmaps, tmp_path):
    for workers in (1, 2):
        simulated(bitmaps, tmp_path / str(workers), load="shear", steps=[4], workers=workers)
    assert all_bytes(tmp_path / "1") == all_bytes(tmp_path / "2")


def test_a_step_has_the_same_bytes_alone_or_with_others(bitmaps, shards, inline):
    alone = simulated(bitmaps, shards, load="shear", steps=[9])["displacement"]
    together = simulated(bitmaps, shards, load="shear", steps=[1, 7, 9])["displacement"]
    assert alone[:, 0].tobytes() == together[:, 2].tobytes()


def test_finished_shards_are_taken_up_and_nothing_else(bitmaps, shards, inline):
    arguments = {"load": "shear", "steps": [4]}
    whole = simulated(bitmaps, shards, **arguments)
    first = all_bytes(shards)
    assert inline == [0, 2, 4]
    simulated(bitmaps, shards, **arguments)
    assert inline == [0, 2, 4]
    simulated(bitmaps, shards, **{**arguments, "load": "confined"})
    changed = bitmaps.copy()
    changed[4, 0, 0] = 1
    simulated(changed, shards, **arguments)
    assert inline == [0, 2, 4, 0, 2, 4, 4]
    assert first.items() <= all_bytes(shards).items()
    assert simulated(bitmaps, shards, **arguments)["displacement"].tobytes() == whole["displacement"].tobytes()


@pytest.mark.parametrize("damage", ["flipped byte", "cut", "emptied", "no seal", "seal cut", "gone", "seal of nothing"])
def test_a_damaged_shard_is_made_again(bitmaps, shards, inline, damage):
    arguments = {"load": "shear", "steps": [4]}
    simulated(bitmaps, shards, **arguments)
    before = all_bytes(shards)
    path = sorted(shards.glob("*.npz"))[1]
    content, leakage = path.read_bytes(), path.with_suffix(".json")
    match damage:
        case "flipped byte":
            path.write_bytes(content[:900] + bytes([content[900] ^ 1]) + content[901:])
        case "cut" | "emptied":
            path.write_bytes(content[: 0 if damage == "emptied" else -1])
        case "no seal":
            leakage.unlink()
        case "seal cut":
            leakage.write_bytes(leakage.read_bytes()[:-20])
        case "seal of nothing":
            leakage.write_text("[]")
        case "gone":
            path.unlink()
    inline.clear()
    simulated(bitmaps, shards, **arguments)
    assert len(inline) == 1
    assert all_bytes(shards) == before


KILLED_RUN = """
import sys
from pathlib import Path
from shearbench.data import mechanical
if __name__ == "__main__":
    mechanical.SHARD = 2
    mechanical.simulate_file(Path(sys.argv[1]), Path(sys.argv[2]), load="uniaxial", steps=[12], workers=1)
"""


def test_a_killed_run_resumes_to_the_same_bytes(bitmaps, tmp_path, inline):
    many = np.concatenate([np.roll(bitmaps, k, axis=2) for k in range(6)])
    source, output, script = tmp_path / "many.npy", tmp_path / "fields.npz", tmp_path / "run.py"
    np.save(source, many)
    script.write_text(KILLED_RUN)
    command = [sys.executable, str(script), str(source), str(output)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("fields.shards/*.json")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(tmp_path.glob("fields.shards/*.json")))
    assert 0 < done < 15
    assert not output.exists()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    again = tmp_path / "again"
    again.mkdir()
    simulate_file(source, again / "fields.npz", load="uniaxial", steps=[12])
    assert output.read_bytes() == (again / "fields.npz").read_bytes()
    assert output.with_suffix(".json").read_bytes() == (again / "fields.json").read_bytes()


@pytest.fixture
def stubborn(monkeypatch, bitmaps):
    """The digit at index 3 finds no equilibrium."""
    solve = newton._newton
    stiffness = float(np.sum(bitmaps[3] / 255.0 * 99 + 1)) / 2.6

    def refuses_one(start, d):
        if start.sample.mu.sum() == pytest.approx(stiffness, rel=1e-12):
            raise NotConverged("it buckles")
        return solve(start, d)

    bitmaps[3, 0, 0] = 7  # no other digit has its sum
    stiffness += 7 / 255 * 99 / 2.6
    monkeypatch.setattr(newton, "_newton", refuses_one)


def test_a_failed_digit_is_named(bitmaps, shards, inline, stubborn):
    with pytest.raises(TasksFailed, match=r"(?s)no equilibrium under load shear.*sample 3 at step 5: it buckles"):
        simulated(bitmaps, shards, load="shear", steps=[5])
    assert not (shards.parent / "fields.npz").exists()


def test_a_failed_digit_is_recorded_when_asked(bitmaps, tmp_path, inline, stubborn):
    output, arguments = tmp_path / "fields.npz", {"load": "shear", "steps": [0, 5], "shard_folder": tmp_path / "shards"}
    card, fields = simulate_dataset(bitmaps, output, keep_failed=True, **arguments), read_npz(output)
    assert np.flatnonzero(~fields["converged"][:, 1]).tolist() == [3]
    assert fields["converged"][:, 0].all()
    assert np.isnan(fields["displacement"][3, 1]).all()
    assert np.isfinite(fields["displacement"][[0, 1, 2, 4]]).all()
    assert card["failed"] == 1
    with pytest.raises(TasksFailed, match="sample 3 at step 5"):
        simulate_dataset(bitmaps, output, **arguments)


@pytest.mark.parametrize("name", ["digits.npy", "digits-idx3-ubyte"])
def test_a_file_becomes_a_file(bitmaps, tmp_path, inline, name):
    source, output = tmp_path / name, tmp_path / "out" / "fields.npz"
    if name.endswith(".npy"):
        np.save(source, bitmaps)
    else:
        source.write_bytes(idx.encode(bitmaps))
    card = simulate_file(source, output, load="confined", steps=[1, 5])
    simulate_dataset(bitmaps, tmp_path / "a.npz", load="confined", steps=[1, 5], shard_folder=tmp_path / "shards")
    assert output.read_bytes() == (tmp_path / "a.npz").read_bytes()
    assert card == read_json(output.with_suffix(".json"))
    assert card["sha256"] == sha256_of(output)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bitmaps": np.zeros((2, 28, 28))}, "bitmaps must be an array of uint8"),
        ({"bitmaps": np.zeros((0, 28, 28), np.uint8)}, "none of them 0"),
        ({"load": "torsion"}, "load must be one of"),
        ({"steps": []}, "steps must be a list of at least one index from 0 to 10 for load shear"),
        ({"steps": [11]}, r"steps must be .* got \[11\]"),
        ({"steps": [-1]}, r"got \[-1\]"),
        ({"steps": 5}, "got 5"),
        ({"steps": [1.5]}, r"got \[1.5\]"),
    ],
)
def test_bad_input_is_named_before_any_work(tmp_path, inline, change, message):
    arguments = {"bitmaps": np.zeros((2, 28, 28), np.uint8), "load": "shear", "steps": [5]} | change
    with pytest.raises(InputError, match=message):
        simulated(arguments.pop("bitmaps"), tmp_path, **arguments)
    assert inline == []


def test_bad_files_are_named(tmp_path):
    broken = tmp_path / "broken.npy"
    broken.write_bytes(b"\x93NUMPY nothing")
    with pytest.raises(InputError, match=r"broken\.npy cannot be read as an array"):
        read_bitmaps(broken)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"objects\.npy cannot be read as an array"):
        read_bitmaps(tmp_path / "objects.npy")
    with pytest.raises(InputError, match=r"output must be a file named \*\.npz"):
        simulate_file(broken, tmp_path / "fields.h5", load="shear", steps=[5])
