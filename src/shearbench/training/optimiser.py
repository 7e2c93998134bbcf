"""Adam with a state that a checkpoint can store, computed by torch's fused kernel.

The constructor of ``torch.optim.Adam`` imports torch's compiler, which takes as long as importing torch. The
functional form needs no compiler and computes the same bits.

On CUDA, :class:`GraphedStep` records a training step as a graph once, and replays it for every batch of the same size.
A step of a small network has 100 to 400 kernels of a few microseconds each. Launching them one by one takes the CPU up
to twenty times as long as the GPU needs to run them. A replay launches all kernels at once. Source of the method: the
notes on CUDA graphs in PyTorch's documentation (whole-network capture).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from shearbench.training.recipe import Recipe

Step = Callable[[Tensor, Tensor, float | Tensor], Tensor]
"""Takes inputs, labels and a learning rate, updates the weights, and returns loss and hits, (2,)."""
_WARM_UP = 3  # steps before a recording, in which libraries choose kernels and allocate memory


class Adam:
    """Parameters of a network with the moments of their gradients (Kingma & Ba, 2015, arXiv 1412.6980).

    Moments are laid out in memory like their parameters. Weight decay is added to the gradient, or with the recipe's
    ``decay: decoupled`` subtracted from the weights.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        """Start at the parameters of a network that is already on its device."""
        self._recipe = recipe
        self._names, parameters = zip(*network.named_parameters(), strict=True)
        self.parameters: list[Tensor] = list(parameters)
        self._first = [torch.zeros_like(parameter) for parameter in parameters]
        self._second = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float | Tensor) -> None:
        """Update every parameter from its gradient; the rate may be a float32 scalar on the device."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        adam(
            _in_order_of_memory(self.parameters),
            _in_order_of_memory(gradients),
            _in_order_of_memory(self._first),
            _in_order_of_memory(self._second),
            [],
            self._steps,
            fused=True,
            decoupled_weight_decay=self._recipe.decay == "decoupled",
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self._recipe.weight_decay,
            eps=self._recipe.adam_epsilon,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the moments and steps, named after their parameters."""
        parts = {"first": self._first, "second": self._second, "steps": self._steps}
        return {
            f"{part}.{name}": value
            for part, values in parts.items()
            for name, value in zip(self._names, values, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load moments and steps returned by :meth:`state`."""
        own = self.state()
        assert own.keys() == state.keys(), "the state is that of another network"
        for name, value in state.items():
            # In place, because a CUDA graph holds the addresses of these tensors.
            own[name].copy_(value)


def _in_order_of_memory(tensors: list[Tensor]) -> list[Tensor]:
    """Return views with the densest dimension last, because the kernel copies other layouts back and forth."""

    def by_stride(tensor: Tensor) -> list[int]:
        return sorted(range(tensor.ndim), key=lambda dimension: -tensor.stride()[dimension])

    return [tensor if tensor.is_contiguous() else tensor.permute(by_stride(tensor)) for tensor in tensors]


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph with its input and output tensors."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    labels: Tensor
    rate: Tensor
    result: Tensor
    gradients: list[Tensor | None]


class GraphedStep:
    """A step that is recorded at the first batch of ``size``; batches of other sizes run kernel by kernel.

    If the network cannot be recorded because its ``forward`` waits for the device, all do, with a warning.
    """

    def __init__(self, step: Step, network: nn.Module, optimiser: Adam, *, size: int) -> None:
        self._step, self._network, self._optimiser, self._size = step, network, optimiser, size
        self._recording: _Recording | None = None
        self._can_record = True

    def __call__(self, inputs: Tensor, labels: Tensor, rate: float | Tensor) -> Tensor:
        """Run the step."""
        if self._recording is None and self._can_record and len(inputs) == self._size:
            self._recording = self._record(inputs, labels)
            self._can_record = self._recording is not None
        recorded = self._recording
        if recorded is None or len(inputs) != self._size:
            return self._step(inputs, labels, rate)
        recorded.inputs.copy_(inputs)
        recorded.labels.copy_(labels)
        recorded.rate.fill_(rate)
        recorded.graph.replay()
        for parameter, gradient in zip(self._optimiser.parameters, recorded.gradients, strict=True):
            parameter.grad = gradient  # replace the gradient of a batch of another size
        # The next replay overwrites `result`, but the loop reads all results at the end of the epoch.
        return recorded.result.clone()

    def _record(self, inputs: Tensor, labels: Tensor) -> _Recording | None:
        """Record the step, or return None if that fails. Network, optimiser and random generators are restored."""
        held = inputs.clone(), labels.clone(), torch.zeros((), device=inputs.device)
        weights, moments = (
            {key: value.clone() for key, value in state.items()}
            for state in (self._network.state_dict(), self._optimiser.state())
        )
        # Warm-up steps draw dropout masks. The fork restores the generator, so the first step draws the same numbers.
        with torch.random.fork_rng(devices=[inputs.device.index]):
            reason = self._warm_up(*held)
            self._network.load_state_dict(weights)
            self._optimiser.restore(moments)
            self._optimiser.zero_grad()  # a recording has gradients in its own memory
            if reason:
                warnings.warn(
                    f"this network trains several times more slowly than it could, as its step is no CUDA graph "
                    f"({reason:.200}): keep .item(), .cpu() and `if tensor:` out of its forward()",
                    stacklevel=2,
                )
                return None
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                result = self._step(*held)
        return _Recording(graph, *held, result, [parameter.grad for parameter in self._optimiser.parameters])

    def _warm_up(self, inputs: Tensor, labels: Tensor, rate: Tensor) -> str:
        """Run some steps on another stream; return the reason if the step cannot be recorded, or "".

        A failed recording would leave the random generator unusable, so this is checked before recording.
        """
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(beside), _waiting_refused():
                for _ in range(_WARM_UP):
                    self._step(inputs, labels, rate)
        except RuntimeError as error:
            if "synchronizing" not in str(error):
                raise
            return str(error).splitlines()[0]
        finally:
            torch.cuda.current_stream().wait_stream(beside)
        return ""


@contextmanager
def _waiting_refused() -> Iterator[None]:
    """Raise an error whenever the CPU waits for the device within the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
