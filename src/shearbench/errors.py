"""Exceptions for errors that the user can fix, in contrast to bugs, and text that is safe to show.

The command line prints the message of :class:`InputError` without a traceback and exits with status 2. So the message
must be complete: the fault (file or parameter, rule, value) and the next step.
"""

import errno
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LOGIN = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, line separators, and marks that change the reading order."""
_SECRET = re.compile(r"(?i)([?&][^=&\s]*(?:token|password|secret|key)[^=&\s]*=)[^&\s'\")]+")


class InputError(ValueError):
    """Bad input. The message has the file or parameter, the rule, the received value and the next step."""


class NotWritten(OSError, InputError):
    """A file cannot be written: the disk is full, read-only or broken. Also an OSError."""

    def __str__(self) -> str:
        return explain(self)


NEXT_STEPS = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EROFS: "the disk is read-only; run in a folder that can be written",
    errno.EACCES: "check the owner and the permissions of that path",
    errno.EFBIG: "allow larger files (`ulimit -f unlimited`) or use another disk",
    errno.EIO: "the disk does not work as it should; run in a folder on another one",
}


def explain(error: OSError) -> str:
    step = NEXT_STEPS.get(error.errno or 0, "check that path, then run the same command again")
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror or error.args}{where}: {step}. Nothing that was finished is lost."


class HyperparametersFailed(InputError):
    """No model can be trained with these hyperparameters; a search continues without them."""


class OutOfMemory(HyperparametersFailed):
    """Memory ran out; the message names the batch size."""


class Diverged(HyperparametersFailed):
    """A loss was not finite; the message names the epoch, the batch and the learning rate."""


class TasksFailed(RuntimeError):
    """Some tasks of a stage failed; the message names each one. Results of finished tasks stay on disk.

    ``results`` holds the results of finished tasks by index, ``died`` the reasons of dead processes by index.
    """

    def __init__(
        self, message: str, *, results: Mapping[int, Any] | None = None, died: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(message)
        self.results, self.died = dict(results or {}), dict(died or {})


def without_secrets(text: str) -> str:
    """Return a text without logins and tokens in its URLs."""
    return _SECRET.sub(r"\1***", _LOGIN.sub("***", text))


def shown(text: str, *, keep: str = "") -> str:
    """Return a text, such as a file name, with control characters escaped, as ``\\x1b``, except those in ``keep``."""
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else repr(found[0])[1:-1], text)


def few(names: Iterable[object], most: int = 5) -> str:
    """Return the first ``most`` names and the number of the others, as ``a, b and 3 more``."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
