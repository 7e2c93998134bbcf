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

_SPOILT = 6.0  # largest root mean square change by fewer colours, of 255: drawings and maps reach 5.7
_PLAIN = ",;:()[]{}+=/*|"  # characters of tables that a data URI may hold unescaped


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
    """Pairs of a name and a value."""

    pairs: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Data:
    """A small file in the page, for download: its name and its content as a data URI."""

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
    """An image in the page: a data URI, a description, a caption, and the data behind it, if any."""

    source: str
    text: str
    caption: str = ""
    data: Sequence[Data] = ()
    size: tuple[int, int] | None = None
    """Width and height in pixels; with them the layout does not move while images load."""

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
        """Return an image that was drawn for the page."""
        with Image.open(io.BytesIO(png)) as image:
            size = image.size
        return cls(f"data:image/webp;base64,{base64.b64encode(_lighter(png)).decode()}", text, caption, data, size)


def _lighter(png: bytes) -> bytes:
    """Return an image as the smallest WebP that looks the same, so that a page with a hundred images opens at once.

    A drawing or a map keeps 256 colours, without loss. A photograph, which these would spoil, is stored with loss.
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
    """Images side by side where there is room; ``wide`` ones below one another."""

    images: Sequence[Picture]
    wide: bool = False
    kind: ClassVar[str] = "pictures"


@dataclass(frozen=True)
class Column:
    """The head of a column; ``help`` is a tooltip, ``group`` a title above neighbouring columns that share it."""

    title: str
    numeric: bool = False
    help: str = ""
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: the printed text, and the number to sort by if it differs.

    ``note`` is printed small on a line of its own.
    """

    text: str
    value: float | None = None
    strong: bool = False
    help: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table; a row has a cell, or plain text, for each column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]
    caption: str = ""
    data: Sequence[Data] = ()
    kind: ClassVar[str] = "table"

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Return the titles above the columns with their widths in columns; nothing if no column has a group."""
        found = [(name, len(list(columns))) for name, columns in groupby(self.columns, lambda column: column.group)]
        return found if any(name for name, _ in found) else []

    @property
    def cells(self) -> list[list[Cell]]:
        """All rows, with plain text as cells."""
        return [[Cell(each) if isinstance(each, str) else each for each in row] for row in self.rows]


@dataclass(frozen=True)
class Fold:
    """Blocks that a reader opens by their title."""

    title: str
    blocks: Sequence["Block"]
    kind: ClassVar[str] = "fold"


Block = Prose | Heading | Facts | Pictures | Table | Fold


@dataclass(frozen=True)
class Section:
    """A part of the report: anchor, title, blocks, and the missing inputs with the commands that make them."""

    id: str
    title: str
    blocks: Sequence[Block]
    missing: Sequence[str] = ()
