"""Seeds from names: every random stream has a name, and its seed is the hash of that name.

A stream does not depend on earlier streams, so results do not change if a model is added or folds run in another
order. Generators are always passed as arguments; the global random state is not used.
"""

import hashlib
import json

import numpy as np


def seed_for(*names: str | int) -> int:
    """Return the seed of the stream called ``names``: the first 63 bits of the SHA-256 of their JSON text.

    Example: ``seed_for(42, "train", "mnist", "cnn3", 0)``. The first name is the ``seed`` of ``params.yaml``.

    Raises:
        ValueError: without a name, or if a name is neither text nor an integer.
    """
    if not names or not all(isinstance(name, str | int) for name in names):
        raise ValueError(f"a seed needs one or more names that are text or integers, got {names!r}")
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def generator_for(*names: str | int) -> np.random.Generator:
    """Return NumPy's default generator, seeded with :func:`seed_for`."""
    return np.random.default_rng(seed_for(*names))
