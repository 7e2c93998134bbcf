"""The stages of ``dvc.yaml``: one thin file each, that reads, calls one function and writes.

``run`` is what ``shearbench stage NAME [OF]`` calls. What a stage made is then mirrored to MLflow, which changes none
of it, by a process of its own: most of a stage's beginning and end keeps one core busy, and leaves the others to it.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from shearbench.errors import InputError
from shearbench.pipeline.names import MIRRORED, NAMES, OF_ABLATION, OF_DATASET, OF_RUN, PLAIN

if TYPE_CHECKING:
    from shearbench.params import Params


def run(name: str, of: str | None, *, read: Callable[[], "Params"], root: Path) -> None:
    """Run one stage in the project folder ``root``, then start the process that mirrors what it made.

    ``read`` reads the parameters, which happens after the inputs of the stage have been noted.

    Raises:
        InputError: for an unknown stage, or a run, dataset or ablation that is unknown, missing or superfluous; or
            if an input of the stage changed while it ran.
    """
    from shearbench.pipeline.watch import end_with_dvc, unchanged_inputs

    end_with_dvc()
    with unchanged_inputs(root, name, of):
        params = read()
        _check(name, of, params)
        import_module(f"shearbench.stages.{name}").main(params, root, *([of] if of else []))
    if name in MIRRORED and params.tracking.uri != "off":
        words = ("track", name, *([of] if of else []))
        subprocess.Popen(
            (sys.executable, "-m", "shearbench.cli", *words),
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
    _check(name, of, params)
    if name not in MIRRORED:
        raise InputError(f"stage must be one that MLflow is told of ({', '.join(MIRRORED)}); got {name!r}")
    from shearbench.records import locked

    with locked(root / "mlruns" / ".mirror"):  # stages may be quicker than MLflow: who waits has loaded nothing yet
        return _mirror(name, str(of), params, root)


def _mirror(name: str, of: str, params: "Params", root: Path) -> bool:
    from shearbench import tracking

    if name == "explore":
        return tracking.track_dataset(root, params, of)
    if name == "ablation_result":
        return tracking.track_ablation_result(root, params, of)
    if name == "report":
        return tracking.track_report(root, params)
    if name == "handwriting":
        from shearbench.stages import handwriting

        return handwriting.track(params, root, handwriting.output(root))
    return tracking.track_all(root, params, runs=[of] if name in OF_RUN else None)


def _check(name: str, of: str | None, params: "Params") -> None:
    """Refuse a stage that there is not, or that is not called with what it needs."""
    kinds = ((OF_RUN, params.runs), (OF_DATASET, params.datasets), (OF_ABLATION, params.ablations))
    known = {name: list(of_kind) for names, of_kind in kinds for name in names}
    if name not in NAMES:
        raise InputError(f"stage must be one of {', '.join(NAMES)}; got {name!r}")
    if name in known and of not in known[name]:
        raise InputError(
            f"stage {name} needs one of {', '.join(known[name])}; got {'none' if of is None else repr(of)}"
        )
    if name in PLAIN and of is not None:
        raise InputError(f"stage {name} takes no further name; got {of!r}")


def track_classes(params: "Params", root: Path) -> bool:
    """Send MLflow what was found about folders of strangers' samples and is not there yet; return whether all is."""
    from shearbench import tracking
    from shearbench.handwriting.output import nodes
    from shearbench.records import RECORD

    folders = sorted(path.parent for path in (root / "build" / "handwriting").glob(f"*/{RECORD}"))
    return not folders or tracking.track_nodes(root, params, [node for folder in folders for node in nodes(folder)])


def track_searches(params: "Params", root: Path) -> bool:
    """Send MLflow the searches that it does not have yet; return whether it has them all."""
    if params.tracking.uri == "off":
        return False
    if not (root / "build" / "tuning" / "results").is_dir():
        return True
    from shearbench import tracking
    from shearbench.tuning.contents import nodes

    return tracking.track_nodes(root, params, nodes(root / "build"))
