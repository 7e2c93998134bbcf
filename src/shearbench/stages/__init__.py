"""The stages of ``dvc.yaml``: one thin file each, that reads, calls one function and writes.

``run`` is what ``shearbench stage NAME [OF]`` calls. What a stage made is then mirrored to MLflow, which changes none
of it, by a process of its own at the lowest priority: it takes what the next stage leaves idle.
"""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from shearbench.errors import InputError

if TYPE_CHECKING:
    from shearbench.params import Params

PLAIN = ("prepare", "simulate", "datasets", "settings", "severity", "transfer", "handwriting", "compare", "report")
OF_DATASET = ("explore",)
OF_CELL = ("train", "evaluate")
OF_EXPERIMENT = ("experiment", "outcome")
MIRRORED = ("train", "evaluate", "outcome", "handwriting", "compare", "report")
NAMES = (*PLAIN, *OF_CELL, *OF_DATASET, *OF_EXPERIMENT)


def run(name: str, of: str | None, *, params: "Params", root: Path) -> None:
    """Run one stage in the project folder ``root``, then start the process that mirrors what it made.

    Raises:
        InputError: for an unknown stage, or a cell, dataset or experiment that is unknown, missing or superfluous.
    """
    _module(name, of, params).main(params, root, *([of] if of else []))
    if name in MIRRORED and params.tracking.uri != "off":
        words = ("track", name, *([of] if of else []))
        subprocess.Popen(
            ("nice", "-n", "19", sys.executable, "-m", "shearbench.cli", *words),
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C stops the pipeline, and what it finished is still sent
        )


def mirror(name: str, of: str | None, *, params: "Params", root: Path) -> bool:
    """Send MLflow what a stage made, unless it has it; return whether it has it now.

    Raises:
        InputError: as :func:`run`, and for a stage of which MLflow is told nothing.
    """
    module = _module(name, of, params)
    if name not in MIRRORED:
        raise InputError(f"stage must be one that MLflow is told of ({', '.join(MIRRORED)}); got {name!r}")
    if name == "handwriting":
        return bool(module.track(params, root, module.output(root)))
    from shearbench import tracking

    if name == "outcome":
        return tracking.track_outcome(root, params, str(of))
    if name == "report":
        return tracking.track_report(root, params)
    return tracking.track_all(root, params, cells=[of] if of else None)


def _module(name: str, of: str | None, params: "Params") -> ModuleType:
    """Return the module of a stage that is rightly called."""
    kinds = ((OF_CELL, params.cells), (OF_DATASET, params.datasets), (OF_EXPERIMENT, params.experiments))
    known = {name: list(of_kind) for names, of_kind in kinds for name in names}
    if name not in NAMES:
        raise InputError(f"stage must be one of {', '.join(NAMES)}; got {name!r}")
    if name in known and of not in known[name]:
        raise InputError(f"stage {name} needs one of {', '.join(known[name])}; got {of!r}")
    if name in PLAIN and of is not None:
        raise InputError(f"stage {name} takes no further name; got {of!r}")
    return import_module(f"shearbench.stages.{name}")


def track_searches(params: "Params", root: Path) -> bool:
    """Send MLflow the searches that it does not have yet; return whether it has them all."""
    if params.tracking.uri == "off":
        return False
    if not (root / "build" / "tuning" / "results").is_dir():
        return True
    from shearbench import tracking
    from shearbench.tuning.contents import nodes

    return tracking.track_nodes(root, params, nodes(root / "build"))
