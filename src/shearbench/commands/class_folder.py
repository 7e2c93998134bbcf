"""``shearbench handwriting DIR``: what the stage ``handwriting`` does, for a folder of the user's.

Writes the record ``build/handwriting/<name>-<digest>/`` and, beside it, a report with these findings.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

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


def output_of(root: Path, folder: Path) -> Path:
    """Return where the findings about a folder go: by its name, told apart from others of that name."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name).strip(".") or "folder"
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]
    return root / "build" / "handwriting" / f"{name}-{digest}"
