"""Train with checkpoints: an unfinished training is stored on disk, atomically, as one safetensors file.

A checkpoint holds the network, the optimiser, the best weights, the history and the early-stopping state. Random
generators are not stored: each epoch seeds its own from the seed of the config and the number of the epoch. A
checkpoint is ignored if it was made by another config, other data, folds or code, or if it is damaged.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from shearbench.execution import Advance
from shearbench.records import write_bytes
from shearbench.training.config import TrainingState
from shearbench.training.hardware import instructions
from shearbench.training.loop import fit
from shearbench.training.optimiser import Adam
from shearbench.training.state import Epoch, EpochCost, Meter, Progress

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 15.0  # between checkpoints; writing resnet18's takes about half a second
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


class _Reached(Exception):
    """Raised after the last wanted epoch, to end the training."""


class Training:
    """A training from its checkpoint, if there is one. ``progress`` and ``costs`` are current even after an error."""

    def __init__(self, state: TrainingState, path: Path, *, hashes: Mapping[str, str], seconds: float) -> None:
        """Restore the checkpoint at ``path``; a new one is written every ``seconds``, with the ``hashes`` of inputs."""
        self._state, self._path, self._seconds = state, path, seconds
        self._hashes = {**hashes, "instructions": instructions()}  # other processors round differently
        self.progress, self.costs = Progress(), list[EpochCost]()
        found = read_checkpoint(path, hashes=self._hashes, device=state.fit_config.hardware.device)
        if found:
            found.restore(state.network, state.optimiser)
            self.progress, self.costs = found.progress, list(found.costs)

    def run(self, advance: Advance, *, until: int | None = None) -> None:
        """Train until the recipe is over, or with a checkpoint at the end, until ``until`` epochs are done."""
        if self._has_reached(until):
            return
        network, optimiser = self._state.network, self._state.optimiser
        meter, last_checkpoint = Meter(), time.monotonic()

        def on_epoch_end(progress: Progress) -> None:
            nonlocal last_checkpoint
            self.progress = progress
            self.costs.append(meter.cost())
            if self._has_reached(until) or time.monotonic() - last_checkpoint >= self._seconds:
                state = Checkpoint.of(network, optimiser, progress=progress, costs=self.costs)
                write_checkpoint(self._path, state, hashes=self._hashes)
                last_checkpoint = time.monotonic()
            meter.restart()
            advance(1)
            if self._has_reached(until):
                raise _Reached

        with suppress(_Reached):
            splits, fit_config = self._state.splits, self._state.fit_config
            fit(network, optimiser, splits, fit_config, start=self.progress, on_epoch_end=on_epoch_end)

    def _has_reached(self, until: int | None) -> bool:
        recipe = self._state.fit_config.recipe
        return until is not None and (len(self.progress.history) >= until or self.progress.is_over(recipe))


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
