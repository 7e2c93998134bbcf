"""The blocks of a report section. A block is plain data; ``page.html`` renders each kind.

Text is escaped; text between backticks is code.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pandas as pd
from PIL import Image, ImageChops, ImageStat

from shearbench.errors import InputError

_SPOILT = 6.0  # root mean square of what fewer colours change, of 255: drawings and maps 1 to 5.7, photographs more
_PLAIN = ",;:()[]{}+=/*|"  # what a data URI may hold as it is, and numbers and words in a table do hold


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    pairs: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Data:
    """A small file that goes into the page, to be saved from there: its name and its content as a data URI."""

    name: str
    source: str

    @classmethod
    def of(cls, path: Path) -> "Data":
        """Read a CSV or JSON file."""
        kinds = {".csv": "text/csv", ".json": "application/json"}
        return cls(path.name, _uri(kinds[path.suffix], path.read_bytes()))

    @classmethod
    def table(cls, name: str, table: pd.DataFrame) -> "Data":
        """Return a table as a CSV file."""
        return cls(name, _uri("text/csv", table.to_csv(index=False).encode()))


def _uri(kind: str, content: bytes) -> str:
    """Return a file as a data URI, as text or in base64, whichever is shorter: numbers are shorter as text."""
    text = f"data:{kind};charset=utf-8,{quote(content, safe=_PLAIN)}"
    return min(text, f"data:{kind};base64,{base64.b64encode(content).decode()}", key=len)


@dataclass(frozen=True)
class Picture:
    """An image in the page itself: a data URI, what it shows in words, its caption and the data behind it, if any."""

    source: str
    text: str
    caption: str = ""
    data: Sequence[Data] = ()
    size: tuple[int, int] | None = None
    """Width and height in pixels: a page that knows them keeps its place while pictures load."""

    @classmethod
    def of(cls, path: Path, text: str, caption: str = "", data: Iterable[Path] = ()) -> "Picture":
        """Read a PNG file; ``data`` are the CSV or JSON files that it was drawn from.

        Raises:
            InputError: if the file is missing.
        """
        if not path.is_file():
            raise InputError(f"{path} is missing, which the report shows; run `dvc repro`")
        return cls.drawn(path.read_bytes(), text, caption, [Data.of(each) for each in data])

    @classmethod
    def drawn(cls, png: bytes, text: str, caption: str = "", data: Sequence[Data] = ()) -> "Picture":
        """Return a picture that was drawn for the page."""
        with Image.open(io.BytesIO(png)) as image:
            size = image.size
        return cls(f"data:image/webp;base64,{base64.b64encode(_lighter(png)).decode()}", text, caption, data, size)


def _lighter(png: bytes) -> bytes:
    """Return a picture as WebP, as small as it looks the same: the page of a hundred opens at once.

    A drawing or a map keeps 256 colours, without loss. A photograph, which they would spoil, is stored with loss.
    """
    with Image.open(io.BytesIO(png)) as image:
        drawn, buffer = image.convert("RGBA"), io.BytesIO()
    few = drawn.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGBA")
    if max(ImageStat.Stat(ImageChops.difference(drawn, few)).rms) > _SPOILT:
        drawn.save(buffer, format="WEBP", quality=80, method=2)
    else:
        few.save(buffer, format="WEBP", lossless=True, method=1, quality=20)
    return buffer.getvalue()


@dataclass(frozen=True)
class Pictures:
    """Pictures beside one another where there is room; ``wide`` ones below one another."""

    images: Sequence[Picture]
    wide: bool = False
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True)
class Column:
    """The head of a column; ``help`` is shown when a reader points at it, ``group`` above neighbours that share it."""

    title: str
    numeric: bool = False
    help: str = ""
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what is printed, and the number it is sorted by, if that is another.

    ``note`` is printed small on a line of its own.
    """

    text: str
    value: float | None = None
    strong: bool = False
    help: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table; a row has a cell, or a plain text, for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    caption: str = ""
    data: Sequence[Data] = ()
    kind: ClassVar[str] = "table"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Return what stands above the columns and above how many; nothing if no column has a group."""
        found = [(name, len(list(columns))) for name, columns in groupby(self.columns, lambda column: column.group)]
        return found if any(name for name, _ in found) else []

    @property
    def cells(self) -> list[list[Cell]]:
        """Every row, with plain texts made cells."""
        return [[Cell(each) if isinstance(each, str) else each for each in row] for row in self.rows]


Block = Prose | Heading | Facts | Pictures | Table


@dataclass(frozen=True)
class Section:
    """A part of the report: its anchor, its title, its blocks, and what is missing with the command that makes it."""

    id: str
    title: str
    blocks: Sequence[Block]
    missing: Sequence[str] = ()
