"""Stage ``report``: write one self-contained page with all results.

Reads ``reports/comparison.json`` and ``pairs.json``, ``build/evaluation/`` and ``build/explore/``; writes
``reports/index.html``.
"""

from pathlib import Path

from shearbench.params import Params
from shearbench.records import write_text
from shearbench.report.page import read, render


def main(params: Params, root: Path, page: Path | None = None) -> None:
    """Write the report to ``reports/index.html``, or to ``page``.

    Raises:
        InputError: if the comparison is missing, or a record is damaged.
    """
    write_text(page or root / "reports" / "index.html", render(read(root, params.seed)))
