"""The stages of ``dvc.yaml``: one thin module each, which reads, calls one function and writes.

``shearbench stage NAME [OF]`` calls ``run``.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from shearbench.errors import InputError
from shearbench.pipeline.dvc import NAMES, OF_ABLATION, OF_DATASET, OF_RUN, PLAIN

if TYPE_CHECKING:
    from shearbench.params import Params


def run(name: str, of: str | None, *, read: Callable[[], "Params"], root: Path) -> None:
    """Run one stage in the project folder ``root``.

    ``read`` returns the parameters. It is called after the inputs of the stage have been recorded.

    Raises:
        InputError: for an unknown stage; for an unknown, missing or superfluous run, dataset or ablation; or if an
            input of the stage changed while it ran.
    """
    from shearbench.pipeline.dvc import end_with_dvc, unchanged_inputs

    end_with_dvc()
    with unchanged_inputs(root, name, of):
        params = read()
        _check(name, of, params)
        import_module(f"shearbench.stages.{name}").main(params, root, *([of] if of else []))


def _check(name: str, of: str | None, params: "Params") -> None:
    """Raise InputError for an unknown stage or a wrong argument."""
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
