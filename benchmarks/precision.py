"""Is accuracy paid for speed? Each network cross-validated in bf16, as it is trained where bf16 is fast, and in fp32.

    python benchmarks/precision.py --mnist FOLDER --work FOLDER [--models mlp cnn2] [--epochs 3] [--output FILE]

Folds and seeds are the same: weights start the same, samples come in the same order and dropout draws the same bits,
so that a fold's difference is that of the arithmetic alone. The folds are trained into ``--work``; stopped, the same
command goes on. ``low`` and ``high`` bound the 95 % interval of the mean difference (Nadeau and Bengio's corrected t);
``sd_bf16`` is how much the folds of one precision differ among themselves.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from shearbench.execution import worker_count
from shearbench.records import provenance
from shearbench.statistics.resampled_t import corrected_t
from shearbench.training.crossval import cross_validate
from training import RECIPES, ablation_for, write_data


def compare(model: str, work: Path, *, epochs: int) -> dict[str, Any]:
    """Return the held-out accuracy in both precisions and the interval of their paired difference."""
    records = {
        precision: cross_validate(
            ablation_for(model, epochs=epochs, precision=precision),
            dataset=work / "mnist",
            out=work / precision / model,
            workers="auto",
        )
        for precision in ("bf16", "fp32")
    }
    a, b = ([record["metrics"]["validation_accuracy"] for record in of_one] for of_one in records.values())
    paired = corrected_t(a, b)
    return {
        "model": model,
        "folds": len(a),
        "n": sum(record["sizes"]["validation"] for record in records["bf16"]),
        "epochs": epochs,
        "bf16": statistics.mean(a),
        "sd_bf16": statistics.stdev(a),
        "fp32": statistics.mean(b),
        "sd_fp32": statistics.stdev(b),
        "difference": paired.difference,
        "low": paired.low,
        "high": paired.high,
        "p": paired.p,
        **{f"seconds_{precision}": sum(r["seconds"] for r in of_one) for precision, of_one in records.items()},
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST; without it the bundled digits")
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps the trained folds")
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--output", type=Path, help="table of the results, CSV")
    asked = parser.parse_args()
    made_by = provenance()
    console = Console(width=160)
    console.print(made_by["machine"], made_by["versions"], made_by["commit"], worker_count("auto"), "workers")
    write_data(asked.mnist, None, asked.work)
    rows = []
    for model in asked.models:
        rows.append(compare(model, asked.work, epochs=asked.epochs))
        console.print(rows[-1])
        if asked.output:
            pd.DataFrame(rows).to_csv(asked.output, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
