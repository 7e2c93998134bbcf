"""The report: one HTML file that needs nothing beside it.

Template ``page.html``, style ``page.css``, sorting of tables ``page.js``; all go into the page, with every picture.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from shearbench.report.contents import Contents
from shearbench.report.findings import chart, p_value, percent, points, sentences, verdicts

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
    environment.filters.update(percent=percent, points=points, p_value=p_value)
    return environment.get_template("page.html").render(
        contents=contents,
        chart=chart(contents.rows),
        sentences=sentences(contents.rows, contents.pairs["rows"]),
        verdicts=verdicts(contents.pairs["rows"]),
        style=(_FOLDER / "page.css").read_text(),
        script=(_FOLDER / "page.js").read_text(),
    )
