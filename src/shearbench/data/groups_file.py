"""An NPZ file with the groups (writers, patients, cameras) of images that are given as arrays."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import SPLITS, Split
from shearbench.errors import InputError


def read_group_arrays(key: str, path: Path) -> dict[Split, NDArray[Any]]:
    """Read ``train_groups`` and ``test_groups``; one of them may be missing.

    Raises:
        InputError: if the file cannot be read or has neither.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {split: archive[f"{split}_groups"] for split in SPLITS if f"{split}_groups" in archive.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{key}.groups: {path} cannot be read as an NPZ file ({error}); write it with numpy.savez"
        ) from None
    if not found:
        raise InputError(f"{key}.groups: {path} must hold train_groups or test_groups")
    return found
