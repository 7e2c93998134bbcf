"""Seeds from names: every random stream of the suite is named, and its seed is a hash of that name.

A stream never depends on how many others were drawn before it, so adding a model or running the folds in another
order moves no number. Generators are arguments everywhere; nothing touches a global random state.
"""

import hashlib
import json

import numpy as np


def seed_for(*names: str | int) -> int:
    """Return the seed of the stream called ``names``: the first 63 bits of the SHA-256 of their JSON text.

    ``seed_for(42, "train", "mnist", "cnn3", 0)``; by convention the first name is the ``seed`` of ``params.yaml``.

    Raises:
        ValueError: without a name, or with one that is neither text nor an integer.
    """
    if not names or not all(isinstance(name, str | int) for name in names):
        raise ValueError(f"a seed needs one or more names that are text or integers, got {names!r}")
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def generator_for(*names: str | int) -> np.random.Generator:
    """Return NumPy's default generator, seeded with :func:`seed_for`."""
    return np.random.default_rng(seed_for(*names))
