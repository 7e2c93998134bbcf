"""The ``execution`` part of ``params.yaml``. Independent of dask and torch."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from shearbench.errors import InputError
from shearbench.execution.calls import Cluster, Workers
from shearbench.strict import Strict

Chosen = Literal["auto", "cpu", "cuda"]
_SCHEMES = ("tcp://", "tls://")


class Execution(Strict):
    """Execution settings. Only device and precision affect results; both are recorded."""

    backend: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    """The address of dask's scheduler, ``tcp://HOST:PORT``."""
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    """Number of processes on this machine, or of simultaneous tasks on the cluster."""
    device: Chosen
    precision: Literal["auto", "fp32", "bf16"]

    @property
    def pool(self) -> Workers:
        if self.scheduler is None:
            return self.workers
        return Cluster(self.scheduler, self.workers, gpu=self.device == "cuda")

    @property
    def device_of_tasks(self) -> Chosen:
        """The device for tasks. On a cluster ``auto`` is the CPU, so that all workers use the same."""
        return "cpu" if self.backend == "dask" and self.device == "auto" else self.device

    def on(self, scheduler: str) -> "Execution":
        """Return the same settings on a cluster.

        Raises:
            InputError: if settings contradict each other.
        """
        moved = self.model_copy(update={"backend": "dask", "scheduler": scheduler})
        if faults := [f"execution.{field} {rule}" for field, rule in moved.faults()]:
            raise InputError("; ".join(faults))
        return moved

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield contradictions between settings: (field, rule)."""
        if self.backend == "local" and self.scheduler is not None:
            yield "scheduler", f"must be left out where backend is local; got {self.scheduler!r}"
        if self.backend == "dask" and not is_address(self.scheduler):
            yield "scheduler", f"must be tcp://HOST:PORT (or tls://) where backend is dask; got {self.scheduler!r}"
        if self.backend == "dask" and self.device == "cuda" and self.precision == "auto":
            yield "precision", "must be fp32 or bf16 where backend is dask and device is cuda; got auto"


def is_address(text: str | None) -> bool:
    if text is None or not text.startswith(_SCHEMES):
        return False
    host, _, port = text.split("://", 1)[1].rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 1 << 16
