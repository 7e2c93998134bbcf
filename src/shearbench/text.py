"""Escape untrusted text for display; file names may contain escape sequences, line breaks and markup."""

import re

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)  # and marks that change the reading order


def shown(text: str, *, keep: str = "") -> str:
    """Return a text with control characters escaped, as ``\\x1b``, except those in ``keep``."""
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _written(found[0]), text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
