"""The contract of a network: ``shearbench check`` tests in a second all operations of a training.

The checks are a forward and backward step with a batch and a small last one, two equal evaluations, samples alone
and together, a save and a load. Any exception becomes a message of one sentence with the next step.
"""

import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from shearbench.errors import InputError

Shape = tuple[int, int, int]
_BATCHES = (8, 2)  # a usual batch, and the smallest in a training, where a single last sample joins the batch before
_BYTES = 16  # per float32 weight with its gradient and Adam's two moments
_HINTS = {
    "before Module.__init__() call": "call super().__init__() first in its __init__",
    "Expected more than 1 value per channel": "batch norm must keep running averages (track_running_stats=True)",
}


@contextmanager
def user_code(architecture: str, doing: str, hint: str = "") -> Iterator[None]:
    """Convert any exception of a user's code, including ``sys.exit``, into one sentence with its place in their file.

    Raises:
        InputError: with the exception, its message, file and line.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt):
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{architecture}: {doing} fails: {_described(error)}{hint}") from error


def check(network: nn.Module, architecture: str, again: Callable[[], nn.Module], *, shape: Shape, classes: int) -> None:
    """Test training, storing and evaluation of a network.

    Args:
        network: in training mode; its weights and statistics are changed.
        architecture: its name.
        again: returns a second network with other weights.
        shape: channels, height and width of an input.
        classes: number of logits.

    Raises:
        InputError: with the first failure and its fix.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn((max(_BATCHES), *shape), generator=generator, dtype=torch.float32)
    _check_parameters(network, architecture)
    with user_code(architecture, "a training step"):
        for size in _BATCHES:
            _check_training(network, architecture, inputs[:size], classes)
    with user_code(architecture, "reading in evaluation mode"), torch.no_grad():
        logits = _check_evaluation(network.eval(), architecture, inputs)
    with user_code(architecture, "saving and loading its weights"), torch.no_grad():
        other = again().eval()
        other.load_state_dict(load(save({key: value.contiguous() for key, value in network.state_dict().items()})))
        if not torch.equal(other(inputs), logits):
            raise InputError(
                f"{architecture} gives other logits after its weights were saved and loaded: it keeps something beside "
                "them; use nn.Parameter or register_buffer for all that it learns or draws"
            )
    network.train()


def refuse_too_large(make: Callable[[], nn.Module], architecture: str) -> None:
    """Raise InputError if the training of a network would not fit into memory, before any is allocated.

    Raises:
        InputError: with the required and the available memory.
    """
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):  # shapes without values
            count = float(sum(parameter.numel() for parameter in make().parameters()))
    except (Exception, SystemExit) as error:  # noqa: BLE001  (code that needs values; the real build reports the fault)
        if "overflow" not in str(error):
            return
        count = 2.0**61  # a lower bound, as a single layer overflows
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = count * _BYTES
    if needed > memory:
        raise InputError(
            f"{architecture} has {count:.2g} parameters or more, which take {needed / 1e9:,.0f} GB in training; "
            f"this machine has {memory / 1e9:,.0f} GB; lower its width or its options in params.yaml"
        )


def _check_parameters(network: nn.Module, architecture: str) -> None:
    parameters = dict(network.named_parameters())
    if not parameters:
        raise InputError(
            f"{architecture} has no parameters, so nothing can be trained; make them nn.Parameter or layers"
        )
    wrong = {name: each.dtype for name, each in parameters.items() if each.dtype != torch.float32}
    if wrong:
        name, dtype = next(iter(wrong.items()))
        raise InputError(f"{architecture} must have parameters of float32; {name} is {dtype}")
    frozen = [name for name, each in parameters.items() if not each.requires_grad]
    if frozen:
        raise InputError(
            f"{architecture} has frozen parameters, which no step can move: {_some(frozen)}; use register_buffer for "
            "what must stay as it is"
        )


def _check_training(network: nn.Module, architecture: str, inputs: Tensor, classes: int) -> None:
    network.train()
    network.zero_grad()
    logits = network(inputs)
    if not isinstance(logits, Tensor) or logits.shape != (len(inputs), classes):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(
            f"{architecture} must give logits ({len(inputs)}, {classes}) in training mode too; it gives {got}"
        )
    functional.cross_entropy(logits.float(), torch.arange(len(inputs)) % classes).backward()  # type: ignore[no-untyped-call]
    without = [name for name, each in network.named_parameters() if each.grad is None]
    if without:
        raise InputError(
            f"{architecture} has parameters that its logits do not depend on: {_some(without)}; remove them"
        )
    broken = [
        name for name, each in network.named_parameters() if not (each.grad is None or each.grad.isfinite().all())
    ]
    if broken or not logits.isfinite().all():
        raise InputError(
            f"{architecture} gives values that are not finite in its first step: {_some(broken) or 'its logits'}"
        )


def _check_evaluation(network: nn.Module, architecture: str, inputs: Tensor) -> Tensor:
    """Return the logits of inputs after checks."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    logits: Tensor = network(inputs)
    for _ in range(2):
        if not torch.equal(network(inputs), logits):
            raise InputError(
                f"{architecture} gives other logits each time in evaluation mode; is dropout on? Use nn.Dropout, or "
                "pass training=self.training to functional.dropout"
            )
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, state[name])]
    if changed:
        raise InputError(
            f"{architecture} changes {_some(changed)} while it is evaluated; do that in training mode only"
        )
    alone = torch.cat([network(inputs[:1]), network(inputs[1:2])])
    if not torch.allclose(alone, logits[:2], rtol=1e-3, atol=1e-4):
        raise InputError(
            f"{architecture} gives a sample other logits alone than beside others in evaluation mode; batch norm must "
            "keep running averages (track_running_stats=True)"
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(len(logits)), atol=1e-4):
        raise InputError(
            f"{architecture} gives probabilities, and its loss takes logits: it would learn slowly and look unsure; "
            "remove its softmax"
        )
    return logits


def _described(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    hint = next((f"; {hint}" for sign, hint in _HINTS.items() if sign in str(error)), "")
    return f"{type(error).__name__}: {text or 'no message'}{_place(error)}{hint}"


def _place(error: BaseException) -> str:
    """Return the last line of the traceback that is in a user's file, as in `` (nets.py, line 12)``."""
    libraries = {Path(inspect.getfile(module)).parents[1] for module in (torch, inspect)}
    own = Path(__file__).parents[1]
    frames = [
        each
        for each in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(each.filename).parents for folder in (*libraries, own)) and "<" not in each.filename
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
