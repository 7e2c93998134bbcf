"""The contract of a network: ``shearbench check`` tests in a second all operations of a training.

The checks are a forward and backward step with a batch and a small last one, two equal evaluations, samples alone
and together, a save and a load. Any exception becomes a message of one sentence with the next step.

A network must not change torch's global settings, because later models of the process would get other results:
``restored`` undoes such changes, ``unchanged`` refuses them.
"""

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from shearbench.errors import InputError
from shearbench.execution import memory
from shearbench.models.interface import Inputs

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
        text = (str(error).strip().splitlines() or ["no message"])[0]
        known = "".join(f"; {step}" for sign, step in _HINTS.items() if sign in str(error))
        fault = f"{type(error).__name__}: {text}{_place(error)}{known}{hint}"
        raise InputError(f"{architecture}: {doing} fails: {fault}") from error


def check_logits(network: nn.Module, architecture: str, inputs: Inputs, *, hint: str) -> None:
    """Check that a network in training mode predicts two blank images, without changing it.

    Raises:
        InputError: if the network does not accept such inputs, or does not return logits.
    """
    shape, expected = (2, *inputs.shape), (2, inputs.classes)
    with torch.no_grad(), user_code(architecture, f"predicting inputs {shape}", f"; {hint}"):
        logits = network.eval()(torch.zeros(shape, dtype=torch.float32))
    if _shape(logits) != expected or not logits.is_floating_point():
        raise InputError(
            f"{architecture} must give logits {expected} for inputs {shape}; it gives {_shape(logits)}; {hint}"
        )
    network.train()


def check(network: nn.Module, other: nn.Module, architecture: str, inputs: Inputs) -> None:
    """Test training, evaluation and storing of a network, which changes it; ``other`` has other weights.

    Raises:
        InputError: with the first failure and its fix.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((max(_BATCHES), *inputs.shape), generator=generator, dtype=torch.float32)
    _refuse(architecture, _parameter_faults(network))
    with user_code(architecture, "a training step"):
        for size in _BATCHES:
            _refuse(architecture, _training_faults(network.train(), images[:size], inputs.classes))
    with user_code(architecture, "predicting in evaluation mode"), torch.no_grad():
        _refuse(architecture, _evaluation_faults(network.eval(), images))
    with user_code(architecture, "saving and loading its weights"), torch.no_grad():
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        other.eval().load_state_dict(load(save(state)))
        if not torch.equal(other(images), network(images)):
            raise InputError(
                f"{architecture} gives other logits after its weights were saved and loaded: it keeps something beside "
                "them; use nn.Parameter or register_buffer for all that it learns or draws"
            )


def refuse_too_large(make: Callable[[], nn.Module], architecture: str) -> None:
    """Raise InputError if the training of a network would not fit into memory, before any is allocated."""
    try:
        # Shapes without values. torch warns of each stored weight that is loaded into one.
        with torch.device("meta"), torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
            count = float(sum(parameter.numel() for parameter in make().parameters()))
    except (Exception, SystemExit) as error:  # noqa: BLE001  (code that needs values; the real build reports the fault)
        if "overflow" not in str(error):
            return
        count = 2.0**61  # a lower bound, as a single layer overflows
    most, needed = memory.total(), count * _BYTES
    if needed > most:
        raise InputError(
            f"{architecture} has {count:.2g} parameters or more, which take {needed / 1e9:,.0f} GB in training; "
            f"this machine has {most / 1e9:,.0f} GB; lower its width or its options in params.yaml"
        )


def _refuse(architecture: str, faults: Iterator[str]) -> None:
    """Raise InputError with the first fault; the operations after it are not run."""
    for fault in faults:
        raise InputError(f"{architecture} {fault}")


def _parameter_faults(network: nn.Module) -> Iterator[str]:
    parameters = dict(network.named_parameters())
    if not parameters:
        yield "has no parameters, so nothing can be trained; make them nn.Parameter or layers"
    for name, each in parameters.items():
        if each.dtype != torch.float32:
            yield f"must have parameters of float32; {name} is {each.dtype}"
    if frozen := [name for name, each in parameters.items() if not each.requires_grad]:
        rule = "use register_buffer for what must stay as it is"
        yield f"has frozen parameters, which no step can move: {_some(frozen)}; {rule}"


def _training_faults(network: nn.Module, images: Tensor, classes: int) -> Iterator[str]:
    network.zero_grad()
    logits, expected = network(images), (len(images), classes)
    if _shape(logits) != expected:
        yield f"must give logits {expected} in training mode too; it gives {_shape(logits)}"
    functional.cross_entropy(logits.float(), torch.arange(len(images)) % classes).backward()  # type: ignore[no-untyped-call]
    gradients = {name: each.grad for name, each in network.named_parameters()}
    if without := [name for name, gradient in gradients.items() if gradient is None]:
        yield f"has parameters that its logits do not depend on: {_some(without)}; remove them"
    broken = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    if broken or not logits.isfinite().all():
        yield f"gives values that are not finite in its first step: {_some(broken) or 'its logits'}"


def _evaluation_faults(network: nn.Module, images: Tensor) -> Iterator[str]:
    state = {name: value.clone() for name, value in network.state_dict().items()}
    logits: Tensor = network(images)
    if not all(torch.equal(network(images), logits) for _ in range(2)):
        yield (
            "gives other logits each time in evaluation mode; is dropout on? Use nn.Dropout, or pass "
            "training=self.training to functional.dropout"
        )
    if changed := [name for name, value in network.state_dict().items() if not torch.equal(value, state[name])]:
        yield f"changes {_some(changed)} while it is evaluated; do that in training mode only"
    alone = torch.cat([network(images[:1]), network(images[1:2])])
    if not torch.allclose(alone, logits[:2], rtol=1e-3, atol=1e-4):
        yield (
            "gives a sample other logits alone than beside others in evaluation mode; batch norm must keep running "
            "averages (track_running_stats=True)"
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(dim=1), torch.ones(len(logits)), atol=1e-4):
        yield (
            "gives probabilities, and its loss takes logits: it would learn slowly and look unsure; remove its softmax"
        )


def _shape(logits: object) -> tuple[int, ...] | str:
    return tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__


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


def _flag(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


_BACKENDS: Any = torch.backends
_OF_FLOAT32 = (  # parents before children, which inherit from them
    *(_BACKENDS, _BACKENDS.mkldnn, _BACKENDS.cudnn, _BACKENDS.mkldnn.conv, _BACKENDS.mkldnn.matmul),
    *(_BACKENDS.mkldnn.rnn, _BACKENDS.cuda.matmul, _BACKENDS.cudnn.conv, _BACKENDS.cudnn.rnn),
)


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # raised if backends differ
        return "mixed"


def _set_precisions(values: list[str]) -> None:
    for owner, value in zip(_OF_FLOAT32, values, strict=True):
        owner.fp32_precision = value


def _flushes_denormals() -> bool:
    return not bool(torch.full((1,), 1e-40) * 1 > 0)  # torch has no function for this


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "the precision of matrix products": (_matmul_precision, torch.set_float32_matmul_precision),
    "the precision of float32": (lambda: [owner.fp32_precision for owner in _OF_FLOAT32], _set_precisions),
    "denormal numbers": (_flushes_denormals, torch.set_flush_denormal),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "autocast on the CPU": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda value: torch.set_autocast_enabled("cpu", value),
    ),
    "backends.mkldnn.enabled": (lambda: torch.backends.mkldnn.enabled, torch._C._set_mkldnn_enabled),
    "backends.cudnn.enabled": _flag(torch.backends.cudnn, "enabled"),
    "backends.cudnn.benchmark": _flag(torch.backends.cudnn, "benchmark"),
    "backends.cudnn.deterministic": _flag(torch.backends.cudnn, "deterministic"),
    "backends.cudnn.allow_tf32": _flag(torch.backends.cudnn, "allow_tf32"),
}


@contextmanager
def restored() -> Iterator[list[str]]:
    """Restore every setting after the block; the yielded list then names the changed ones."""
    before = {name: get() for name, (get, _) in _SETTINGS.items()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for name, (get, put) in _SETTINGS.items():
            if get() != before[name]:
                put(before[name])
                changed.append(name)


@contextmanager
def unchanged(architecture: str) -> Iterator[None]:
    """Raise InputError with the names of the settings that the block changes."""
    with restored() as changed:
        yield
    if changed:
        raise InputError(
            f"{architecture} changes {', '.join(changed)} of torch for the whole process, so that other models would "
            "get other numbers; remove that from its code"
        )
