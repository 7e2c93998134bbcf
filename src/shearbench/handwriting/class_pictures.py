"""The pictures of a class with the readers' predictions: ``predict_pictures`` -> a :class:`ClassPicture` for each file.

Many files are decoded and prepared in several processes. This module does not import torch, so a worker process starts
in half a second. The networks process all images in one call.
"""

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.handwritten import Unreadable, read_file
from shearbench.execution import Workers, run_tasks
from shearbench.handwriting.folder import thumbnail_of
from shearbench.handwriting.naming import Named
from shearbench.handwriting.preparation import Prepared, mnist

if TYPE_CHECKING:
    from shearbench.comparison.champion import Prediction
    from shearbench.handwriting.readers import Readers

_FILES_A_TASK = 60


@dataclass(frozen=True, eq=False)
class ClassPicture:
    """A file, decoded and prepared, with its prediction: calibrated ``probabilities`` (10,).

    ``unread`` is the reason why a file has no prediction, empty if it has one.
    """

    file: Named
    unread: str
    prepared: Prepared | None = None
    thumbnail: NDArray[np.uint8] | None = None
    digest: str = ""
    tiles: tuple[str, str] = ("", "")  # thumbnail and prepared image as data URIs of PNGs
    predicted: "Prediction | None" = None
    probabilities: NDArray[np.float64] | None = None

    @property
    def digit(self) -> int | None:
        """The predicted digit; None if the readers are not sure or nothing was predicted."""
        sure = self.predicted is not None and self.predicted.answered and not self.doubt
        return self.predicted.label if self.predicted is not None and sure else None

    @property
    def doubt(self) -> str:
        """The reason to doubt that the picture shows one digit; empty without one."""
        return self.prepared.doubt if self.prepared is not None else ""

    @property
    def is_wrong(self) -> bool:
        """Whether the predicted digit differs from the file's label."""
        return self.digit is not None and self.file.digit is not None and self.digit != self.file.digit

    def as_json(self) -> dict[str, Any]:
        """Return label and prediction, ready for JSON."""
        file = self.file
        known = {"digit": file.digit, "group": file.group, "member": file.member} if file.digit is not None else {}
        row: dict[str, Any] = {"file": str(file.path), **known}
        if self.predicted is None or self.probabilities is None or self.prepared is None:
            return row | {"unread": self.unread}
        return row | prediction_json(self.predicted, self.probabilities, self.prepared)


def prediction_json(
    predicted: "Prediction",
    probabilities: NDArray[np.float64],
    prepared: Prepared,
    *,
    name: Callable[[int], int | str] = int,
) -> dict[str, Any]:
    """Return a prediction, ready for JSON; ``class`` is None if it is not sure. ``name`` gives the name of a class."""
    best = name(predicted.label)
    return {
        "class": best if predicted.answered and not prepared.doubt else None,
        "best": best,
        "confidence": predicted.confidence,
        "runner_up": name(predicted.runner_up),
        "runner_up_confidence": predicted.runner_up_confidence,
        "doubt": prepared.doubt,
        "probabilities": probabilities.tolist(),
        "prepared": dict(prepared.done),
    }


def predict_pictures(files: Sequence[Named], readers: "Readers", *, workers: Workers = "auto") -> list[ClassPicture]:
    """Return a prediction for every file, in order; more than 60 files are prepared in several processes."""
    shares = [tuple(files[first : first + _FILES_A_TASK]) for first in range(0, len(files), _FILES_A_TASK)]
    if len(shares) == 1:
        done = [[_prepared(file) for file in files]]
    else:
        done = run_tasks(
            _prepare_some,
            shares,
            workers=workers,
            label="prepare pictures",
            name=lambda share: f"{share[0].shown} and after",
            units=len,
            reads=lambda share: [file.path for file in share],
        )
    pictures = [picture for some in done for picture in some]
    images = [each.prepared.image for each in pictures if each.prepared is not None and not each.unread]
    predicted = iter(readers.predict(np.stack(images)) if images else ())
    for place, picture in enumerate(pictures):
        if not picture.unread:
            best, probabilities = next(predicted)
            pictures[place] = replace(picture, predicted=best, probabilities=probabilities)
    return pictures


def _prepare_some(files: Sequence[Named], advance: Callable[[int], None]) -> list[ClassPicture]:
    pictures = [_prepared(file) for file in files]
    advance(len(files))
    return pictures


def _prepared(file: Named) -> ClassPicture:
    try:
        picture = read_file(file.path)
        digest = sha256(file.path.read_bytes()).hexdigest()
    except Unreadable as error:
        return ClassPicture(file, str(error))
    except OSError as error:
        return ClassPicture(file, f"cannot be opened ({error.strerror})")
    prepared, thumbnail = mnist(picture), thumbnail_of(picture)
    tiles = data_uri(thumbnail), data_uri(prepared.image)
    return ClassPicture(file, prepared.rejected, prepared, thumbnail, digest, tiles)


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a picture as the data URI of a PNG, for use inside a page."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=3)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()
