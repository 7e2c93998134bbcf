"""shearbench: a tracked, cross-validated benchmark of image classifiers.

The names below are the Python API (``docs/python-api.md``); each is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shearbench.api import PairedDifference, Project, ProjectRun, compare, load_project
    from shearbench.mechanics.simulation import simulate

_API = {
    **dict.fromkeys(("PairedDifference", "Project", "ProjectRun", "compare", "load_project"), "shearbench.api"),
    "simulate": "shearbench.mechanics.simulation",
}
__all__ = ["PairedDifference", "Project", "ProjectRun", "compare", "load_project", "simulate"]


def __getattr__(name: str) -> Any:
    """Return a name of the API."""
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_API[name]), name)
