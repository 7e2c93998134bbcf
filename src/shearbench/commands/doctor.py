"""``shearbench doctor``: check the machine, the installation and the project, and print a fix for each fault.

A check is a function ``Visit -> Finding`` in ``CHECKS``, by its name. It changes nothing and trains nothing. A *fault*
prevents work or makes results wrong; a *note* is information. Libraries that may be broken (torch, MLflow) are imported
inside their check. ``shearbench check`` is one of them, with every network.
"""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packaging.requirements import Requirement
from rich.console import Console

from shearbench import models
from shearbench.data import raw
from shearbench.data.config import DatasetEntry
from shearbench.errors import InputError, few
from shearbench.execution import memory as memory_of
from shearbench.execution import worker_count
from shearbench.models.interface import Features, Inputs
from shearbench.params import Network, Params
from shearbench.pipeline.configs import check_augmentation

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Status = Literal["ok", "note", "fault"]

_LEAST_DISK, _SCARCE_DISK = 1.0, 4.0  # GB free; the default run leaves 2 GB in build/, DVC's cache and mlruns/
_SCARCE_MEMORY = 1.5  # GB a worker; resnet18 with batches of 100 takes about 1
_FEWER_WORKERS = "set execution.workers in params.yaml lower if"
_NEW_ENVIRONMENT = "rm -rf .venv && make setup"
_SCARCE_GPU_MEMORY = 1.5  # GB a worker; 27 workers took 1.3 each on 60,000 digits, half of it for CUDA itself


@dataclass(frozen=True)
class Finding:
    """The result of a check, with the next step if there is one."""

    status: Status
    text: str
    step: str = ""


@dataclass(frozen=True)
class Visit:
    """The subject of the checks: the project's folder, and its parameters or the error in them."""

    root: Path
    params: Params | None
    fault: str = ""

    @property
    def workers(self) -> int:
        return worker_count("auto" if self.params is None else self.params.execution.workers)


def main(root: Path, read: Callable[[], Params]) -> list[tuple[str, Finding]]:
    """Return the finding of each check, in order; ``read`` reads ``params.yaml``."""
    try:
        visit = Visit(root, read())
    except InputError as error:
        visit = Visit(root, None, str(error))
    return [(name, _look(look, visit)) for name, look in CHECKS.items()]


def _look(look: Callable[[Visit], Finding], visit: Visit) -> Finding:
    try:
        return look(visit)
    except InputError as error:
        return Finding("fault", str(error))
    except (ImportError, OSError, RuntimeError) as error:  # raised by the import of a broken installation
        return Finding("fault", f"{type(error).__name__}: {str(error).splitlines()[0]}", _NEW_ENVIRONMENT)


def print_findings(findings: list[tuple[str, Finding]], *, quiet: bool) -> None:
    """Print a line for each finding and the number of faults; with ``quiet`` only findings that are not ok."""
    console = Console(highlight=False)
    marks = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "fault": "[red]FAULT[/]"}
    for name, finding in findings:
        if not (quiet and finding.status == "ok"):
            console.print(f"{marks[finding.status]} {name:<11}", end=" ")
            console.print(finding.text, markup=False, soft_wrap=True)
            if finding.step:
                console.print(f"{'':17}-> {finding.step}", markup=False, soft_wrap=True)
    faults = sum(finding.status == "fault" for _, finding in findings)
    if not quiet or faults:
        console.print("No fault found." if not faults else f"{faults} fault(s), each with its fix.")


def python(visit: Visit) -> Finding:
    text = f"{sys.version.split()[0]} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("ok", text)
    return Finding("fault", text, "install Python 3.11 to 3.13 and run: make PYTHON=python3.11 setup")


def torch_pair(visit: Visit) -> Finding:
    """Check that torch fits torchvision, and whether torchvision's compiled operators load."""
    from shearbench.torchvision_ops import compiled_ops_load

    needs = [Requirement(each) for each in requires("torchvision") or []]
    built_for = next(each for each in needs if each.name == "torch")
    text = f"torch {version('torch')}, torchvision {version('torchvision')}"
    if not built_for.specifier.contains(version("torch").partition("+")[0]):
        return Finding("fault", f"{text}, which needs {built_for}", _NEW_ENVIRONMENT)
    without = "" if compiled_ops_load() else "; its compiled operators do not load with this torch; none is needed"
    return Finding("ok", text + without)


def packages(visit: Visit) -> Finding:
    """Check the installed versions against requirements.lock."""
    lock = visit.root / "requirements.lock"
    if not lock.is_file():
        return Finding("note", "no requirements.lock in this folder, so versions are not compared")
    lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    differing = [text for line in lines if (text := _differs(Requirement(line)))]
    if not differing:
        return Finding("ok", f"{len(lines)} packages, all in the versions of requirements.lock")
    return Finding("note", f"{len(differing)} of {len(lines)} differ: {few(differing)}", "make setup")


def _differs(pinned: Requirement) -> str:
    try:
        found = version(pinned.name)
    except PackageNotFoundError:
        return f"{pinned.name} is missing"
    return "" if pinned.specifier.contains(found, prereleases=True) else f"{pinned.name} {found} for {pinned.specifier}"


def parameters(visit: Visit) -> Finding:
    """Check params.yaml and build the user's own networks; `shearbench check` builds all networks."""
    if not (visit.root / "params.yaml").is_file():
        return Finding("fault", visit.fault)
    if visit.params is None:
        return Finding("fault", visit.fault, "fix these lines, then run `shearbench check`")
    found = build_networks(visit.params, visit.root, own_alone=True)
    return Finding("ok", f"params.yaml: {found}; `shearbench check` builds every network")


def build_networks(params: Params, root: Path, *, own_alone: bool = False) -> str:
    """Build the network of each run and ablation once; return the numbers of datasets, models, runs and ablations.

    With ``own_alone`` only the user's own networks are built, without torchvision and scikit-learn, which take seconds
    to import.

    Raises:
        InputError: if a network cannot be built; the message names it and the reason.
    """
    pairs: list[tuple[Network, DatasetEntry]] = [
        (params.models[run.model], params.datasets[run.dataset]) for run in params.runs.values()
    ]
    for each in params.ablations.values():
        pairs += [(model, dataset) for model in each.models.values() for dataset in each.datasets.values()]
    known = {name: facts for name in params.sources.images if (facts := raw.facts_of(root / "data" / name))}
    done = set()
    for model, dataset in pairs:
        check_augmentation(model.recipe, dataset, root)
        if own_alone and (model.architecture in models.ARCHITECTURES or model.recipe is None):
            continue
        inputs = Inputs(dataset.channels, *known.get(dataset.origin, (10, (28, 28))))
        network = (model.architecture, inputs, model.width, str(model.features), json.dumps(model.options))
        if network in done:
            continue
        done.add(network)
        if model.recipe is None:
            from shearbench.models import classical  # imports scikit-learn

            made = classical.make(model.architecture, model.features or Features(), model.options, seed=0)
            _check_options(model.architecture, made)
        else:
            models.check(model.architecture, inputs=inputs, width=model.width, options=model.options)
    parts = ("datasets", "models", "runs", "ablations")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)


def _check_options(architecture: str, pipeline: "Pipeline") -> None:
    """Refuse option values of a classifier that scikit-learn itself refuses only when it is fitted."""
    last: Any = pipeline.named_steps["classifier"]
    own = getattr(last, "estimator", last)  # of one that is calibrated
    try:
        if hasattr(own, "_validate_params"):
            own._validate_params()
    except ValueError as error:
        text = f"the options of {architecture} (params.yaml, models.*.options) have a fault"
        raise InputError(f"{text}: {' '.join(str(error).split())}") from None


def disk(visit: Visit) -> Finding:
    if not os.access(visit.root, os.W_OK):
        return Finding("fault", f"{visit.root} cannot be written", "check its owner, or work in a copy")
    free = shutil.disk_usage(visit.root).free / 1e9
    text = f"{free:.1f} GB free; the default run needs 2 GB, full MNIST many times that"
    if free < _LEAST_DISK:
        step = "free some space, or run `make clean` (the pipeline can recreate what it removes)"
        return Finding("fault", text, step)
    return Finding("note" if free < _SCARCE_DISK else "ok", text)


def cores(visit: Visit) -> Finding:
    return Finding("ok", f"{worker_count('auto')} usable; stages use {visit.workers} processes of one thread each")


def memory(visit: Visit) -> Finding:
    free, limit = memory_of.free(), memory_of.limit()
    share = free / 1e9 / visit.workers
    text = f"{free / 1e9:.1f} GB free, {share:.1f} GB a process"
    if limit is not None:
        text += f"; the container's limit is {limit / 1e9:.1f} GB"
    if share < _SCARCE_MEMORY:
        return Finding("note", text, f"{_FEWER_WORKERS} processes are killed")
    return Finding("ok", text)


def precision(visit: Visit) -> Finding:
    """Check device and precision: the meaning of ``auto``, and whether a requested device exists."""
    import torch

    from shearbench.training.hardware import resolve

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "torch finds no usable GPU"
    best = settled = resolve("auto", "auto")
    if visit.params:
        try:
            settled = resolve(visit.params.execution.device, visit.params.execution.precision)
        except InputError as error:
            return Finding("fault", f"{gpu}: {error}", "set execution.device in params.yaml to auto")
    text = f"{gpu}; trains on {settled.device} in {settled.precision}"
    if best.precision == "fp32":
        text += "; bf16 is not fast here"
    elif settled.precision == "bf16":
        text += "; bf16 is fast here"
    else:
        text += "; bf16 would be faster (execution.precision: auto)"
    if settled.device == "cpu":
        return Finding("ok", text)
    free = torch.cuda.mem_get_info()[0] / 1e9
    text += f"; {free:.1f} GB free on it, {free / visit.workers:.1f} GB a process"
    if free / visit.workers < _SCARCE_GPU_MEMORY:
        return Finding("note", text, f"{_FEWER_WORKERS} the GPU's memory runs out")
    return Finding("ok", text)


def data(visit: Visit) -> Finding:
    if visit.params is None:
        return Finding("note", "not checked: params.yaml has faults")
    tree = raw.verify(visit.root / "data", visit.root / "data.dvc", visit.params.sources)
    return Finding("ok", f"data/ has the hash of data.dvc: {tree.hash[:12]}, {len(tree.files)} files")


def mlflow(visit: Visit) -> Finding:
    from shearbench.tracking.store import TrackingFailed, condition

    uri = visit.params.tracking.uri if visit.params else "default"
    try:
        return Finding("ok", condition(visit.root, uri))
    except TrackingFailed as error:
        return Finding("fault", str(error), "results are unaffected; fix it, then run: shearbench track")


def dvc(visit: Visit) -> Finding:
    """Check DVC: installed, in a git repository, and not locked by another process."""
    if shutil.which("dvc") is None:
        return Finding("fault", "dvc is not on the PATH", "activate the environment: . .venv/bin/activate")
    if not (visit.root / ".dvc").is_dir():
        return Finding("fault", f"{visit.root} has no .dvc/", "run in the project's folder, a git clone")
    inside = subprocess.run(["git", "-C", str(visit.root), "rev-parse"], capture_output=True, text=True, check=False)
    if "dubious ownership" in inside.stderr:
        step = f"git config --global --add safe.directory {shlex.quote(str(visit.root))}"
        return Finding("fault", f"git refuses {visit.root}, which belongs to another user", step)
    if inside.returncode:
        return Finding("fault", "DVC needs a git repository here", "git clone the project, or git init it")
    holder = _holder(visit.root / ".dvc" / "tmp" / "lock")
    if holder:
        return Finding("note", f"DVC is at work here ({holder})", "wait for it or stop it, then run your command")
    return _rwlock(visit.root / ".dvc" / "tmp" / "rwlock")


def _holder(lock: Path) -> str:
    """Return the process that holds a lock file, or empty text."""
    if not lock.is_file():
        return ""
    with lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"process {file.read().split()[0] if lock.stat().st_size else 'unknown'}"
    return ""


def _rwlock(path: Path) -> Finding:
    """Check DVC's list of paths in use: a damaged list stops every command; its processes may still run."""
    if not path.is_file():
        return Finding("ok", f"dvc {version('dvc')}, not locked")
    try:
        listed = json.loads(path.read_text() or "{}")
    except json.JSONDecodeError:
        return Finding("fault", f"{path} is damaged, and DVC refuses to work", f"rm {path}")
    users = [*chain(*listed.get("read", {}).values()), *listed.get("write", {}).values()]
    alive = sorted({use["pid"] for use in users if use and _is_alive(use["pid"])})
    if not alive:
        return Finding("ok", f"dvc {version('dvc')}, not locked")
    pids = ", ".join(map(str, alive))
    return Finding("note", f"a stage of DVC is running (process {pids})", "wait for it, or end it")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


CHECKS: dict[str, Callable[[Visit], Finding]] = {
    check.__name__.removesuffix("_pair"): check
    for check in (python, torch_pair, packages, parameters, disk, cores, memory, precision, data, mlflow, dvc)
}
