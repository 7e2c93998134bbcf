"""Import torchvision with any build of torch: ``from shearbench.torchvision_ops import torchvision``.

PyPI's torchvision is compiled against the CUDA build of torch. With a CPU-only torch its compiled
operators cannot load, and the import fails with "operator torchvision::nms does not exist", although models,
transforms and datasets do not need them. After an import of this module, ``import torchvision`` works
elsewhere, so it is imported before any code of a user. If the operators cannot load, this module declares the two
that the import of torchvision refers to, without an implementation: calling one
(``torchvision.ops.nms``) still raises.
"""

import importlib
import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _declare_missing_ops() -> torch.library.Library | None:
    """Declare the operators unless the compiled ones load; they exist as long as the returned library."""
    if compiled_ops_load():
        return None
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    return library


def compiled_ops_load() -> bool:
    """Load torchvision's extension like torchvision does; return True on success."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.submodule_search_locations is None:
        raise ModuleNotFoundError("torchvision is not installed; run `make setup`", name="torchvision")
    finder = FileFinder(package.submodule_search_locations[0], (ExtensionFileLoader, EXTENSION_SUFFIXES))
    extension = finder.find_spec("_C")
    if extension is None or extension.origin is None:
        return False
    try:
        torch.ops.load_library(extension.origin)  # type: ignore[no-untyped-call]
    except OSError:  # built for another torch, or for libraries that this machine lacks
        return False
    return True


_library = _declare_missing_ops()


def __getattr__(name: str) -> Any:
    """Import torchvision on first use, because a user's code may need only the operators."""
    if name == "torchvision":
        return importlib.import_module("torchvision")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
