"""``build/comparison/``: the files of every contrast, and the record that vouches for them."""

from pathlib import Path

from shearbench.evaluation.contrasts import CONTRASTS
from shearbench.evaluation.files import Writer
from shearbench.evaluation.suite import Suite
from shearbench.records import hash_of, write_record


def write_comparison(folder: Path, suite: Suite) -> None:
    """Write all files of ``build/comparison/``, its record last."""
    files: dict[str, Writer] = {}
    for name, contrast in CONTRASTS.items():
        made = contrast(suite)
        assert not files.keys() & made.keys(), f"contrast {name} writes a file of another: {files.keys() & made.keys()}"
        files |= made
    cells = {cell.name: cell.digest for cell in suite.cells}
    write_record(folder, {"evaluations": cells, "hashes": {"evaluations": hash_of(cells)}}, files)
