"""A training step as a CUDA graph: recorded once, and replayed for every batch of the same size.

A step of a small network is a hundred to four hundred kernels of a few microseconds each. Launching them one by one
takes the processor up to twenty times as long as the GPU takes for them; a replay launches them all at once.
Source of the method: the notes on CUDA graphs in PyTorch's documentation (whole-network capture).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shearbench.training.adam import Adam

Step = Callable[[Tensor, Tensor, float | Tensor], Tensor]
"""Takes inputs, labels and a learning rate, moves the weights, and returns loss and hits, (2,)."""
_WARM_UP = 3  # steps before a recording, in which libraries choose kernels and take memory


@dataclass(frozen=True, eq=False)
class _Recording:
    """A graph, the tensors that it reads and those that it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    labels: Tensor
    rate: Tensor
    result: Tensor
    gradients: list[Tensor | None]


class GraphedStep:
    """A step that is recorded at the first batch of ``size``; one of another size is done kernel by kernel.

    So is every one, with a warning, where the network cannot be recorded because its ``forward`` waits for the device.
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
            parameter.grad = gradient  # a batch of another size has left its own there
        # The next replay overwrites `result`, and the loop reads all results at the end of the epoch.
        return recorded.result.clone()

    def _record(self, inputs: Tensor, labels: Tensor) -> _Recording | None:
        """Record the step, or return None; network, optimiser and random generators are then as they were."""
        held = inputs.clone(), labels.clone(), torch.zeros((), device=inputs.device)
        weights, moments = ({key: value.clone() for key, value in state.items()} for state in self._states())
        # Warm-up steps draw dropout masks. The fork undoes that, so the first step draws as it would without them.
        with torch.random.fork_rng(devices=[inputs.device.index]):
            reason = self._warm_up(*held)
            self._network.load_state_dict(weights)
            self._optimiser.restore(moments)
            self._optimiser.zero_grad()  # those of a recording lie in its own memory
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
        """Run some steps on another stream; return the reason if the step cannot be recorded, or nothing.

        A recording that is broken off would leave the random generator unusable, so that it is not tried in vain.
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

    def _states(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return self._network.state_dict(), self._optimiser.state()


@contextmanager
def _waiting_refused() -> Iterator[None]:
    """Make every wait of the processor for the device an error within the block."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
