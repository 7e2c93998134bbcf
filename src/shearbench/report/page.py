"""The report: one HTML file that needs nothing beside it.

Template ``page.html``, style ``page.css``, behaviour ``page.js``; the library in ``vendor/`` sorts tables. All go into
the page, with every picture.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from shearbench.report.answer import answer
from shearbench.report.contents import Contents
from shearbench.report.findings import chart, counted, percent

_FOLDER = Path(__file__).parent


def render(contents: Contents) -> str:
    """Return the page; every text in it is escaped."""
    environment = Environment(
        loader=PackageLoader("shearbench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, code=code, counts=counts, slug=slug)
    return environment.get_template("page.html").render(
        contents=contents,
        chart=chart(contents.rows),
        folds=" or ".join(dict.fromkeys(counted(row) for row in contents.rows)),
        sentences=answer(contents.rows, contents.pairs),
        style=(_FOLDER / "page.css").read_text(),
        script="\n".join((_FOLDER / name).read_text() for name in ("vendor/sortable.js", "page.js")),
    )


def counts(numbers: Iterable[int]) -> str:
    """Return the different numbers, each once."""
    return " or ".join(f"{number:,}" for number in dict.fromkeys(numbers))


def slug(text: str) -> str:
    """Return a heading as an anchor: lower-case letters and digits with hyphens between."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def code(text: str) -> Markup:
    """Return escaped text with what stands between backticks set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
