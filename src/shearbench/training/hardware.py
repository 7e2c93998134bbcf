"""Device and precision; ``resolve`` replaces ``auto`` by those of this machine.

bf16 means autocast: matrix products and convolutions in bfloat16; weights, losses and the optimiser in float32.
"""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from shearbench.errors import InputError, OutOfMemory
from shearbench.execution.settings import Execution
from shearbench.records import processor

_OUT_OF_MEMORY_MESSAGES = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Hardware:
    """The resolved device and precision, as stored in records."""

    device: Device = "cpu"
    precision: Precision = "fp32"

    def autocast(self) -> torch.autocast:
        """Return the context of a forward pass."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")

    @property
    def gpu(self) -> str | None:
        """The name of the GPU, such as ``NVIDIA H100``; None on the CPU."""
        return torch.cuda.get_device_name() if self.device == "cuda" else None

    @property
    def cuda_devices(self) -> list[int]:
        """The CUDA devices with random states that a network uses."""
        return [torch.cuda.current_device()] if self.device == "cuda" else []

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, with convolutions in the channels-last layout, and return it.

        This layout makes small convolutions 1.3 to 2 times faster. The output of a convolution has the layout of its
        weights. Weights of a single input channel fit both layouts, and `Module.to` leaves them with default strides,
        which would make max pooling take ten times as long.
        """
        network.to(device=self.device)
        for weights in network.parameters():
            if weights.ndim == 4:
                weights.data = torch.empty_like(weights, memory_format=torch.channels_last).copy_(weights.detach())
        return network


def resolve(device: Literal["auto", "cpu", "cuda"], precision: Literal["auto", "fp32", "bf16"]) -> Hardware:
    """Resolve device and precision: ``auto`` is CUDA if available, and bf16 if it is fast.

    Raises:
        InputError: if CUDA is requested but not available.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise InputError("execution.device is cuda, but torch finds no CUDA device; use cpu or auto")
    settled: Device = "cuda" if has_cuda and device != "cpu" else "cpu"
    if precision != "auto":
        return Hardware(settled, precision)
    if settled == "cuda":
        is_fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        is_fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return Hardware(settled, "bf16" if is_fast else "fp32")


def instructions() -> str:
    """Return all that decides rounding on this CPU: instruction set, vendor, and environment variables.

    Examples: ``Intel AVX512 bf16 AMX``, ``AMD AVX2 (ATEN_CPU_CAPABILITY=avx2)``. Equal texts give equal bits; different
    ones may not. With AVX-512, sums in bf16 depend on AMX. MKL chooses its kernels by the vendor.
    """
    names = (
        *("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"),
        *("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
    )
    restricted = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    has = {"bf16": torch.cpu._is_avx512_bf16_supported(), "AMX": torch.cpu._is_amx_tile_supported()}
    units = [torch.backends.cpu.get_cpu_capability(), *(unit for unit, there in has.items() if there)]
    maker = processor().partition(" ")[0].partition("(")[0]
    return f"{maker} {' '.join(units)}{f' ({restricted})' if restricted else ''}"


def settle_hardware(execution: Execution) -> Hardware:
    """Resolve device and precision on the machine of the command, so that all workers use the same.

    For a cluster, CUDA need not exist on this machine; a worker without it reports an error. ``auto`` is then the CPU.

    Raises:
        InputError: if CUDA is requested on this machine, which has none.
    """
    if execution.backend == "dask" and execution.device == "cuda":
        assert execution.precision != "auto", "see Execution.faults"
        return Hardware("cuda", execution.precision)
    return resolve(execution.device_of_tasks, execution.precision)


def settle(hardware: Hardware) -> None:
    """Configure this process once: one thread, and on CUDA deterministic kernels.

    Raises:
        InputError: if the device is CUDA but not available.
    """
    torch.set_num_threads(1)
    _keep_freed_memory()
    if hardware.device == "cuda":
        if not torch.cuda.is_available():
            raise InputError("this task needs CUDA, but torch finds none here; use execution.device: cpu")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic cuBLAS
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # fp32 is the reference, so it must be fp32


@contextmanager
def without_denormals() -> Iterator[None]:
    """Compute with numbers below 1e-38 as 0, on the CPU.

    The moments of Adam pass through them wherever a weight has no gradient, and a processor takes many times as long
    for such a number: an epoch of a converged ResNet-18 took twice as long on an Intel Xeon (docs/speed.md).
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def naming_the_batch(batch: int) -> Iterator[None]:
    """Convert out-of-memory errors into one that names the batch size.

    Raises:
        OutOfMemory: if the block runs out of memory of the device or the machine.
    """
    try:
        yield
    except (RuntimeError, MemoryError, InputError) as error:
        cause = error.__cause__ if isinstance(error, InputError) else error  # wraps the exception of the builder
        known = isinstance(cause, torch.OutOfMemoryError | MemoryError)
        if not known and not any(sign in str(cause) for sign in _OUT_OF_MEMORY_MESSAGES):
            raise
        raise OutOfMemory(
            f"out of memory with batches of {batch}; lower recipe.batch, width or execution.workers"
        ) from error


def _keep_freed_memory() -> None:
    """Make glibc's allocator keep up to 2 GiB of freed memory, in pieces of up to 32 MiB, for the next batch.

    Returning each large tensor to the system takes a third of the time of a step, because its pages are zeroed again.
    """
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL(None)
        allocator.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        allocator.mallopt(_M_MMAP_THRESHOLD, 2**25)  # the largest allowed value
