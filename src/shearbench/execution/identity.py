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
_NETWORKS = Path("networks")  # of the project, which is the present folder; a user's networks may be there
_VERSIONS = ("torch", "numpy", "scipy", "numba")


@cache
def identity() -> dict[str, str]:
    """Return the hashes of shearbench's and the user's code, as they were when first asked for, and the versions."""
    code = {"code of shearbench": _hash_of(Path(__file__).parents[1]), "code of networks/": _hash_of(_NETWORKS)}
    major, minor, _ = platform.python_version_tuple()
    return code | {"Python": f"{major}.{minor}"} | {name: version(name) for name in _VERSIONS}


def _hash_of(package: Path) -> str:
    digest = sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


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
