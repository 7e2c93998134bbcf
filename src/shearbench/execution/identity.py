"""What a machine computes with. Machines of one run must have the same, or their numbers are not those of one run."""

import platform
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from shearbench.records import hash_of

GPU = "GPU"
"""dask's resource of a worker that has one to itself."""
_PREFIX = "shearbench-"
_VERSIONS = ("torch", "numpy", "scipy", "numba")


@cache
def identity() -> dict[str, str]:
    """Return the hash of shearbench's own code, as it was when first asked for, and the versions beside it."""
    package, digest = Path(__file__).parents[1], sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode() + sha256(path.read_bytes()).digest())
    major, minor, _ = platform.python_version_tuple()
    versions = {name: version(name) for name in _VERSIONS}
    return {"code of shearbench": digest.hexdigest()[:12], "Python": f"{major}.{minor}", **versions}


def resource() -> str:
    """Return the name of dask's resource that a worker of this identity offers, for one task at once."""
    return _PREFIX + hash_of(identity())[:12]


def is_ours(resources: Mapping[str, float]) -> bool:
    """Tell whether a worker was started by ``shearbench worker``, of whatever version."""
    return any(name.startswith(_PREFIX) for name in resources)


def differences(theirs: Mapping[str, str]) -> str:
    """Say in what a worker's identity differs from this machine's."""
    ours = identity()
    other = {name: theirs.get(name, "none") for name in ours if theirs.get(name) != ours[name]}
    return ", ".join(f"{name} {value} (here {ours[name]})" for name, value in other.items())
