"""The files that an analysis returns, each as a name and a writer."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import png
from shearbench.records import write_bytes, write_json, write_npz, write_text

_SAVE: ContextVar[Callable[[Figure], bytes]] = ContextVar("save", default=png)
Writer = Callable[[Path], None]
Files = Mapping[str, Writer]
"""Name below the folder of the evaluation (``calibration.csv``, ``figures/calibration.png``) -> its writer."""


def merged(parts: Iterable[tuple[str, Files]]) -> dict[str, Writer]:
    """Return the files of analyses, given as (name, files); each has names of its own."""
    files: dict[str, Writer] = {}
    for name, own in parts:
        assert not files.keys() & own.keys(), (
            f"{name} writes files that another analysis writes: {files.keys() & own.keys()}"
        )
        files |= own
    return files


def table(frame: pd.DataFrame) -> Writer:
    """Return the writer of a CSV file."""
    return partial(write_text, content=frame.to_csv(index=False, lineterminator="\n"))


def picture(made: Figure) -> Writer:
    """Return the writer of a PNG file; the figure is drawn at once and can be discarded."""
    return partial(write_bytes, content=_SAVE.get()(made))


@contextmanager
def saved_as(save: Callable[[Figure], bytes]) -> Iterator[None]:
    """Let :func:`picture` save figures with ``save`` (such as ``canvas.pdf``) instead of as PNG in this context."""
    token = _SAVE.set(save)
    try:
        yield
    finally:
        _SAVE.reset(token)


def arrays(values: Mapping[str, NDArray[Any]]) -> Writer:
    """Return the writer of an NPZ file."""
    return partial(write_npz, arrays=values)


def numbers(value: Any) -> Writer:
    """Return the writer of a JSON file."""
    return partial(write_json, value=value)
