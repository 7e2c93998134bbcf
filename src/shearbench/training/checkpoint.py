"""Store an unfinished training on disk, atomically, as one safetensors file.

It holds the network, the optimiser, the best weights, the history and the early-stopping state. Random generators
are not stored: each epoch seeds its own from the seed of the config and the number of the epoch.
A checkpoint is ignored if it was made by another config, other data, folds or code, or if it is damaged.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from shearbench.records import write_bytes
from shearbench.training.adam import Adam
from shearbench.training.state import Epoch, EpochCost, Progress

CHECKPOINT = "checkpoint.safetensors"
_NETWORK, _BEST, _OPTIMISER = "network.", "best.", "optimiser."
_HISTORY = TypeAdapter(tuple[Epoch, ...])


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after some epochs: its progress, the cost of each epoch, and all tensors by name."""

    progress: Progress
    costs: tuple[EpochCost, ...]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, network: nn.Module, optimiser: Adam, *, progress: Progress, costs: Sequence[EpochCost]) -> "Checkpoint":
        """Return a checkpoint of a training, with its tensors on the CPU."""
        tensors = _prefixed(_NETWORK, network.state_dict()) | _prefixed(_BEST, progress.best_weights or {})
        return cls(progress, tuple(costs), tensors | _prefixed(_OPTIMISER, optimiser.state()))

    def restore(self, network: nn.Module, optimiser: Adam) -> None:
        """Load the stored state into a network and its optimiser."""
        network.load_state_dict(_part(self.tensors, _NETWORK))
        optimiser.restore(_part(self.tensors, _OPTIMISER))


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, hashes: Mapping[str, str]) -> None:
    """Write a checkpoint with the ``hashes`` of the inputs of the training."""
    progress = checkpoint.progress
    facts = {
        "hashes": dict(hashes),
        "history": [asdict(epoch) for epoch in progress.history],
        "batch_losses": progress.batch_losses,
        "best_epoch": progress.best_epoch,
        "costs": checkpoint.costs,
    }
    metadata_json = json.dumps(facts, sort_keys=True)
    metadata = {"training": metadata_json, "digest": _digest(metadata_json, checkpoint.tensors)}
    write_bytes(path, save(dict(checkpoint.tensors), metadata=metadata))


def read_checkpoint(path: Path, *, hashes: Mapping[str, str], device: str) -> Checkpoint | None:
    """Read a checkpoint onto a device; return None if it is missing, damaged or has other ``hashes``."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (FileNotFoundError, SafetensorError):  # missing, or truncated by another program
        return None
    metadata_json = metadata.get("training", "")
    # Without this check, training would continue from a weight with a flipped bit.
    if metadata.get("digest") != _digest(metadata_json, tensors):
        return None
    facts = json.loads(metadata_json)
    if facts["hashes"] != dict(hashes):
        return None
    tensors = {name: value.to(device) for name, value in tensors.items()}
    progress = Progress(
        _HISTORY.validate_python(facts["history"]),
        tuple(tuple(losses) for losses in facts["batch_losses"]),
        facts["best_epoch"],
        _part(tensors, _BEST) or None,
    )
    return Checkpoint(progress, tuple(EpochCost(*cost) for cost in facts["costs"]), tensors)


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _digest(metadata_json: str, tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of the metadata and of the names, types, shapes and values of the tensors."""
    digest = hashlib.sha256(metadata_json.encode())
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.reshape(-1).view("uint8").data)
    return digest.hexdigest()
