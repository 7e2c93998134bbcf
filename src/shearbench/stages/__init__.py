"""The stages of ``dvc.yaml``: one thin file each, that reads, calls one function and writes.

``run`` is what ``shearbench stage NAME [OF]`` calls. Stages that make results are mirrored to MLflow afterwards, which
changes none of them.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from shearbench.errors import InputError

if TYPE_CHECKING:
    from shearbench.params import Params

PLAIN = ("prepare", "simulate", "datasets", "settings", "severity", "transfer", "handwriting", "compare", "report")
OF_DATASET = ("explore",)
OF_CELL = ("train", "evaluate")
OF_EXPERIMENT = ("experiment", "outcome")


def run(name: str, of: str | None, *, params: "Params", root: Path) -> None:
    """Run one stage in the project folder ``root``, then mirror what it made.

    Raises:
        InputError: for an unknown stage, or a cell, dataset or experiment that is unknown, missing or superfluous.
    """
    kinds = ((OF_CELL, params.cells), (OF_DATASET, params.datasets), (OF_EXPERIMENT, params.experiments))
    known = {name: list(of_kind) for names, of_kind in kinds for name in names}
    if name not in (*PLAIN, *known):
        raise InputError(f"stage must be one of {', '.join((*PLAIN, *known))}; got {name!r}")
    if name in known and of not in known[name]:
        raise InputError(f"stage {name} needs one of {', '.join(known[name])}; got {of!r}")
    if name in PLAIN and of is not None:
        raise InputError(f"stage {name} takes no further name; got {of!r}")
    module = import_module(f"shearbench.stages.{name}")
    module.main(params, root, *([of] if of else []))
    if name in (*OF_CELL, "compare", "outcome", "report") and params.tracking.uri != "off":
        from shearbench import tracking

        if name == "outcome":
            tracking.track_outcome(root, params, str(of))
        elif name == "report":
            tracking.track_report(root, params)
        else:
            tracking.track_all(root, params, cells=[of] if of else None)
    if name == "handwriting":
        module.track(params, root, module.output(root))


def track_searches(params: "Params", root: Path) -> bool:
    """Send MLflow the searches that it does not have yet; return whether it has them all."""
    if params.tracking.uri == "off":
        return False
    if not (root / "build" / "tuning" / "results").is_dir():
        return True
    from shearbench import tracking
    from shearbench.tuning.contents import nodes

    return tracking.track_nodes(root, params, nodes(root / "build"))
