"""Predictions of the shipped readers: ``read_pictures`` -> one :class:`Reply` for each file.

The networks process all images in one call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.comparison.champion import Reading
from shearbench.execution import Workers
from shearbench.handwriting.looking import Look, look_at
from shearbench.handwriting.naming import Named
from shearbench.handwriting.preparation import Prepared
from shearbench.handwriting.readers import Readers
from shearbench.predictions.calibration import apply_temperature


@dataclass(frozen=True, eq=False)
class Reply:
    """The prediction for one file: calibrated ``probabilities`` (10,); ``reading`` is None if nothing was read."""

    look: Look
    reading: Reading | None
    probabilities: NDArray[np.float64] | None

    @property
    def digit(self) -> int | None:
        """The predicted digit; None if the readers are not sure or nothing was read."""
        sure = self.reading is not None and self.reading.answered and not self.doubt
        return self.reading.digit if sure and self.reading is not None else None

    @property
    def doubt(self) -> str:
        """The reason to doubt that the picture shows one digit; empty without one."""
        return self.look.prepared.doubt if self.look.prepared is not None else ""

    @property
    def is_wrong(self) -> bool:
        """Whether the predicted digit differs from the file's label."""
        return self.digit is not None and self.look.file.digit is not None and self.digit != self.look.file.digit

    def as_json(self) -> dict[str, Any]:
        """Return the prediction, ready for JSON."""
        file = self.look.file
        known = {"digit": file.digit, "group": file.group, "member": file.member} if file.digit is not None else {}
        row: dict[str, Any] = {"file": str(file.path), **known}
        if self.reading is None or self.probabilities is None or self.look.prepared is None:
            return row | {"unread": self.look.unread}
        return row | prediction_json(self.reading, self.probabilities, self.look.prepared)


def prediction_json(
    predicted: Reading,
    probabilities: NDArray[np.float64],
    prepared: Prepared,
    *,
    name: Callable[[int], int | str] = int,
) -> dict[str, Any]:
    """Return a prediction, ready for JSON; ``class`` is None if it is not sure. ``name`` gives the name of a class."""
    best = name(predicted.digit)
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


def read_pictures(files: Sequence[Named], readers: Readers, *, workers: Workers = "auto") -> list[Reply]:
    """Return a prediction for every file, in order."""
    looks = look_at(files, workers=workers)
    images = [look.prepared.image for look in looks if look.prepared is not None and not look.unread]
    answers = iter(answers_to(np.stack(images), readers) if images else ())
    return [Reply(look, None, None) if look.unread else Reply(look, *next(answers)) for look in looks]


def answers_to(images: NDArray[np.uint8], readers: Readers) -> list[tuple[Reading, NDArray[np.float64]]]:
    """Return the reading and the calibrated probabilities (10,) of each prepared image (n, 28, 28)."""
    raw = readers.probabilities(images)
    calibrated = apply_temperature(raw, readers.trust.temperature)
    return list(zip(readers.readings(raw), calibrated, strict=True))
