"""Decode and prepare files, in several processes if there are many: ``look_at`` -> a :class:`Look` for each.

This module does not import torch, so a worker process starts in half a second.
"""

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.handwritten import Unreadable, read_file
from shearbench.execution import Workers, run_tasks
from shearbench.handwriting.folder import thumbnail_of
from shearbench.handwriting.naming import Named
from shearbench.handwriting.preparation import Prepared, mnist

_FILES_A_TASK = 60


@dataclass(frozen=True, eq=False)
class Look:
    """A file, decoded and prepared; ``unread`` is the reason why it cannot be read, empty if it can."""

    file: Named
    prepared: Prepared | None
    thumbnail: NDArray[np.uint8] | None
    digest: str
    unread: str = ""
    tiles: tuple[str, str] = ("", "")
    """The thumbnail and the prepared image as data URIs of PNGs."""


def look_at(files: Sequence[Named], *, workers: Workers) -> list[Look]:
    """Decode and prepare files, in several processes if there are more than 60."""
    if len(files) <= _FILES_A_TASK:
        return [look(file) for file in files]
    tasks = [tuple(files[first : first + _FILES_A_TASK]) for first in range(0, len(files), _FILES_A_TASK)]
    done = run_tasks(
        _look_at_some,
        tasks,
        workers=workers,
        label="prepare pictures",
        name=lambda task: f"{task[0].shown} and after",
        units=len,
        reads=lambda task: [file.path for file in task],
    )
    return [look for looks in done for look in looks]


def _look_at_some(files: tuple[Named, ...], advance: Callable[[int], None]) -> list[Look]:
    looks = []
    for file in files:
        looks.append(look(file))
        advance(1)
    return looks


def look(file: Named) -> Look:
    """Decode and prepare one file."""
    try:
        picture = read_file(file.path)
        digest = sha256(file.path.read_bytes()).hexdigest()
    except Unreadable as error:
        return Look(file, None, None, "", str(error))
    except OSError as error:
        return Look(file, None, None, "", f"cannot be opened ({error.strerror})")
    prepared = mnist(picture)
    thumbnail = thumbnail_of(picture)
    return Look(file, prepared, thumbnail, digest, prepared.rejected, (data_uri(thumbnail), data_uri(prepared.image)))


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a picture as the data URI of a PNG, for use inside a page."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=3)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()
