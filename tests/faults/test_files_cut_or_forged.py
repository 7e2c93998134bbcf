"""Files that were cut at any length, or made to deceive: refused, never read as less or as something else."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from shearbench.data import idx
from shearbench.data.dataset import load
from shearbench.data.folds import read_folds
from shearbench.data.mechanical import damaged_shards, simulate_dataset
from shearbench.errors import InputError
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import RECORD, read_json, read_record, sha256_of, write_sealed
from shearbench.training.checkpoint import read_checkpoint
from shearbench.training.results import WEIGHTS, load_network

RUN = Path("build/runs/mnist/mlp")
LENGTHS = np.linspace(0, 1, 20, endpoint=False)
READERS: dict[str, Callable[[Path], object]] = {
    "reports/comparison.json": lambda root: read_json(root / "reports/comparison.json"),
    "build/datasets/mnist/train.npz": lambda root: load(root / "build/datasets/mnist", "train"),
    "build/datasets/mnist/card.json": lambda root: load(root / "build/datasets/mnist", "train"),
    "build/folds/mnist.npz": lambda root: read_folds(root / "build/folds/mnist.npz"),
    f"{RUN}/fold-0/{RECORD}": lambda root: read_record(root / RUN / "fold-0"),
    f"{RUN}/fold-0/{WEIGHTS}": lambda root: load_network(root / RUN / "fold-0"),
    f"{RUN}/fold-0/out_of_fold.npz": lambda root: read_fold_runs(root / RUN, 2),
    f"{RUN}/fold-0/history.csv": lambda root: read_fold_runs(root / RUN, 2),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_cut_at_any_of_twenty_lengths_is_refused(finished_once: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(finished_once / Path(name).parent, tmp_path / Path(name).parent)
    if name.startswith(str(RUN)):
        shutil.copytree(finished_once / RUN / "fold-1", tmp_path / RUN / "fold-1")
    content = (tmp_path / name).read_bytes()
    for length in sorted({*(int(share * len(content)) for share in LENGTHS), len(content) - 2}):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(InputError):
            READERS[name](tmp_path)
    (tmp_path / name).write_bytes(content)
    READERS[name](tmp_path)


def test_raw_data_and_shards_cut_at_any_of_twenty_lengths_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "images"
    content = idx.encode(np.ones((20, 28, 28), np.uint8))
    for share in LENGTHS:
        raw.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError):
            idx.read_images(raw)
    shards = tmp_path / "shards"
    blank = np.zeros((1, 28, 28), np.uint8)
    simulate_dataset(blank, tmp_path / "a.npz", load="shear", steps=[1], shard_folder=shards, workers=1)
    (shard,) = shards.glob("*.npz")
    content = shard.read_bytes()
    for share in LENGTHS:
        shard.write_bytes(content[: int(share * len(content))])
        assert damaged_shards(shards) == [shard]
    shard.write_bytes(content)
    assert damaged_shards(shards) == []


def _header(entries: object) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


FORGED = {
    "a header of a terabyte": struct.pack("<Q", 10**12) + b"{}",
    "overlapping tensors": _header({
        name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in ("a", "b")
    }) + b"\0" * 8,
    "a negative offset": _header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}) + b"\0" * 8,
    "more than there is": _header({"a": {"dtype": "U8", "shape": [1 << 42], "data_offsets": [0, 1 << 42]}}) + b"\0" * 8,
    "a hole": _header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}) + b"\0" * 12,
    "100,000 entries": _header({
        f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(100_000)
    }),
    "an unknown type": _header({"a": {"dtype": "PICKLE", "shape": [8], "data_offsets": [0, 8]}}) + b"\0" * 8,
    "nothing": b"",
}  # fmt: skip


def _vouched_for(folder: Path) -> Path:
    """Let the record vouch for the weights that lie there: the forger was thorough."""
    record = read_json(folder / RECORD)
    record["files"][WEIGHTS] = sha256_of(folder / WEIGHTS)
    write_sealed(folder / RECORD, record)
    return folder


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_forged_weights_are_refused_even_where_a_forged_record_vouches_for_them(
    finished_once: Path, tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / "fold-0"
    shutil.copytree(finished_once / RUN / "fold-0", folder)
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load_network(_vouched_for(folder))
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    assert read_checkpoint(tmp_path / "checkpoint.safetensors", hashes={}, device="cpu") is None


@pytest.mark.parametrize("change", ["shape", "missing", "surplus"])
def test_weights_of_another_network_are_refused(finished_once: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "fold-0"
    shutil.copytree(finished_once / RUN / "fold-0", folder)
    tensors = load_file(folder / WEIGHTS)
    name = next(name for name in tensors if name.endswith("weight"))
    if change == "shape":
        tensors[name] = tensors[name][:-1].contiguous()
    elif change == "missing":
        del tensors[name]
    else:
        tensors["extra"] = torch.zeros(1)
    (folder / WEIGHTS).write_bytes(save(tensors))
    with pytest.raises(InputError, match="does not hold the network of its record"):
        load_network(_vouched_for(folder))
