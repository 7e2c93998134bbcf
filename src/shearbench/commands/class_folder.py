"""``shearbench handwriting DIR --study``: the stage ``handwriting`` for a folder of the user.

Writes the record ``build/handwriting/<name>-<digest>/`` and a report with these results beside it.
"""

from pathlib import Path
from typing import Any

from shearbench.handwriting.folder import output_of
from shearbench.handwriting.tables import print_results
from shearbench.params import Params
from shearbench.stages import handwriting, report, track


def main(params: Params, root: Path, folder: Path, *, fine_tune: bool) -> dict[str, Any]:
    """Predict a folder with every available network, print the results, and track them.

    Returns:
        The content of ``results.json``.
    """
    out = output_of(root, folder)
    results = handwriting.measure(params, root, folder, out, fine_tune=fine_tune)
    print_results(results)
    track.main(params, root)
    print(f"Tables and pictures: {out}")
    if (root / "reports" / "comparison.json").is_file():
        page = out.with_suffix(".html")
        report.main(params, root, page)
        print(f"Report with this class: {page}")
    else:
        print("No report yet: run `dvc repro`, then this command again")
    return results
