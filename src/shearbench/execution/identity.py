"""The identity of a machine: everything that affects its numbers. All machines of a run must have the same."""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from shearbench.code import NETWORKS, PACKAGE, hash_of_folder
from shearbench.records import hash_of

GPU = "GPU"
"""dask's resource of a worker with a GPU of its own."""
_PREFIX = "shearbench-"
_VERSIONS = ("torch", "numpy", "scipy", "numba")


@cache
def identity() -> dict[str, str]:
    """Return the hashes of shearbench's and the user's code at the first call, and the versions."""
    code = {"code of shearbench": hash_of_folder(PACKAGE)[:12], "code of networks/": hash_of_folder(NETWORKS)[:12]}
    major, minor, _ = platform.python_version_tuple()
    return code | {"Python": f"{major}.{minor}"} | {name: version(name) for name in _VERSIONS}


def resource() -> str:
    """Return the name of the dask resource of workers with this identity; each offers one."""
    return _PREFIX + hash_of(identity())[:12]


def is_ours(resources: Mapping[str, float]) -> bool:
    """Return True if a worker was started by ``shearbench worker``, in any version."""
    return any(name.startswith(_PREFIX) for name in resources)


def differences(theirs: Mapping[str, str]) -> str:
    """Return the differences between a worker's identity and this machine's."""
    ours = identity()
    other = {name: theirs.get(name, "none") for name in ours if theirs.get(name) != ours[name]}
    return ", ".join(f"{name} {value} (here {ours[name]})" for name, value in other.items())
