"""The one exception that stands for a user's mistake or a user's machine, not for a fault of ours.

The command line prints its message without a traceback and exits with status 2, so the message must be complete:
what is wrong (file or parameter, rule, value) and what to do next.
"""

import errno
import re
from collections.abc import Mapping
from typing import Any

_LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
_SECRET = re.compile(r"(?i)([?&][^=&\s]*(?:token|password|secret|key)[^=&\s]*=)[^&\s'\")]+")


class InputError(ValueError):
    """Bad input: names the file or parameter, the rule and the value received, and the next step."""


class NotWritten(OSError, InputError):
    """The system did not take a file: the disk is full, read-only or broken. Raised as other errors of the system."""

    def __str__(self) -> str:
        """Return what was refused and what to do about it."""
        return explain(self)


_NEXT_STEPS = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EROFS: "the disk is read-only; run in a folder that can be written",
    errno.EACCES: "check the owner and the permissions of that path",
    errno.EIO: "the disk does not work as it should; run in a folder on another one",
}


def explain(error: OSError) -> str:
    """Return what the operating system refused, and what to do about it."""
    step = _NEXT_STEPS.get(error.errno or 0, "check that path, then run the same command again")
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror or error.args}{where}: {step}. Nothing that was finished is lost."


class HyperparametersFailed(InputError):
    """Hyperparameters that no model can be trained with here: a search goes on without them."""


class OutOfMemory(HyperparametersFailed):
    """Memory ran out; the message names the batch size."""


class Diverged(HyperparametersFailed):
    """A loss was not finite; the message names the epoch, the batch and the learning rate."""


class TasksFailed(RuntimeError):
    """Some of a stage's tasks failed; the message names each one. Finished tasks keep their results on disk.

    ``results`` are those of the finished tasks by their index, ``died`` why a process of others died, by theirs.
    """

    def __init__(
        self, message: str, *, results: Mapping[int, Any] | None = None, died: Mapping[int, str] | None = None
    ) -> None:
        """Keep what came of the tasks beside the message."""
        super().__init__(message)
        self.results, self.died = dict(results or {}), dict(died or {})


def without_secrets(text: str) -> str:
    """Return a text in which no URL has a name and password, or a token among its parameters, any more."""
    return _SECRET.sub(r"\1***", _LOGIN.sub("***", text))
