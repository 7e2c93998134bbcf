"""``build/comparison/``: the files of every contrast, and the record that vouches for them."""

from pathlib import Path

from shearbench.analysis.comparisons import COMPARISONS, OF_NETWORKS
from shearbench.plotting.files import Writer
from shearbench.predictions.evaluated import EvaluatedRuns
from shearbench.records import hash_of, write_record


def write_comparison(folder: Path, evaluated: EvaluatedRuns) -> None:
    """Write all files of ``build/comparison/``, its record last."""
    files: dict[str, Writer] = {}
    for name, comparison in COMPARISONS.items():
        of_contrast = evaluated.of_networks() if name in OF_NETWORKS else evaluated
        made = comparison(of_contrast) if of_contrast.runs else {}
        assert not files.keys() & made.keys(), f"contrast {name} writes a file of another: {files.keys() & made.keys()}"
        files |= made
    runs = {run.name: run.digest for run in evaluated.runs}
    write_record(folder, {"evaluations": runs, "hashes": {"evaluations": hash_of(runs)}}, files)
