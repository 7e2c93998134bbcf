"""The one exception that stands for a user's mistake or a user's machine, not for a fault of ours.

The command line prints its message without a traceback and exits with status 2, so the message must be complete:
what is wrong (file or parameter, rule, value) and what to do next.
"""


class InputError(ValueError):
    """Bad input: names the file or parameter, the rule and the value received, and the next step."""


class TasksFailed(RuntimeError):
    """Some of a stage's tasks failed; the message names each one. Finished tasks keep their results on disk."""
