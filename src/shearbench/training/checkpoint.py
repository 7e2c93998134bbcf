"""An unfinished training on disk, whole or absent: one safetensors file that takes its name when it is complete.

It holds the network, the optimiser, the best weights, the history and the early-stopping state. Random generators
need no more than the seed, which is in the configuration, and the number of epochs done: each epoch seeds its own.
A checkpoint is refused if it was made by another configuration, other data, folds or code, or if it is damaged.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from shearbench.records import write_bytes
from shearbench.training.adam import Adam
from shearbench.training.epoch_cost import EpochCost
from shearbench.training.running_averages import Lag, Modes
from shearbench.training.state import Epoch, Progress, Score

CHECKPOINT = "checkpoint.safetensors"
_NETWORK, _BEST, _OPTIMISER = "network.", "best.", "optimiser."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after some epochs: how far it is, what each epoch cost, and all tensors by name."""

    progress: Progress
    costs: tuple[EpochCost, ...]
    tensors: Mapping[str, Tensor]

    @classmethod
    def of(cls, network: nn.Module, optimiser: Adam, *, progress: Progress, costs: Sequence[EpochCost]) -> "Checkpoint":
        """Take the state of a training, its tensors in the memory of the machine."""
        tensors = _prefixed(_NETWORK, network.state_dict()) | _prefixed(_BEST, progress.best_weights or {})
        return cls(progress, tuple(costs), tensors | _prefixed(_OPTIMISER, optimiser.state()))

    def restore(self, network: nn.Module, optimiser: Adam) -> None:
        """Put a network and its optimiser in the state they were in."""
        network.load_state_dict(_part(self.tensors, _NETWORK))
        optimiser.restore(_part(self.tensors, _OPTIMISER))


def write_checkpoint(path: Path, checkpoint: Checkpoint, *, hashes: Mapping[str, str]) -> None:
    """Write the state of a training whose inputs have these ``hashes``."""
    progress = checkpoint.progress
    facts = {
        "hashes": dict(hashes),
        "history": [asdict(epoch) for epoch in progress.history],
        "batch_losses": progress.batch_losses,
        "best_epoch": progress.best_epoch,
        "costs": checkpoint.costs,
    }
    told = json.dumps(facts, sort_keys=True)
    metadata = {"training": told, "digest": _digest(told, checkpoint.tensors)}
    write_bytes(path, save(dict(checkpoint.tensors), metadata=metadata))


def read_checkpoint(path: Path, *, hashes: Mapping[str, str], device: str) -> Checkpoint | None:
    """Read a checkpoint onto a device, or return None if there is none that these ``hashes`` can go on from."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except FileNotFoundError:
        return None
    except SafetensorError:  # cut short by something other than us: no checkpoint
        return None
    told = metadata.get("training", "")
    # A flipped bit in a weight would otherwise be trained on without notice.
    if metadata.get("digest") != _digest(told, tensors):
        return None
    facts = json.loads(told)
    if facts["hashes"] != dict(hashes):
        return None
    tensors = {name: value.to(device) for name, value in tensors.items()}
    progress = Progress(
        tuple(_epoch(line) for line in facts["history"]),
        tuple(tuple(losses) for losses in facts["batch_losses"]),
        facts["best_epoch"],
        _part(tensors, _BEST) or None,
    )
    return Checkpoint(progress, tuple(EpochCost(*cost) for cost in facts["costs"]), tensors)


def _epoch(line: dict[str, Any]) -> Epoch:
    scores = {key: Score(**line[key]) if line[key] else None for key in ("train", "validation", "inner")}
    measured: dict[str, Any] = {
        "gradient_norms": tuple(line["gradient_norms"]),
        "lags": tuple(Lag(**lag) for lag in line["lags"]),
    }
    measured["modes"] = Modes(**line["modes"]) if line["modes"] else None
    return Epoch(**{**line, **scores, **measured})


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _digest(told: str, tensors: Mapping[str, Tensor]) -> str:
    """Return a hash over what is told of the training, and the tensors' names, types, shapes and values."""
    digest = hashlib.sha256(told.encode())
    for name in sorted(tensors):
        array = tensors[name].numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.reshape(-1).view("uint8").data)
    return digest.hexdigest()
