"""Is accuracy paid for speed? The cells of a project in bf16, as trained, against the same folds and seeds in fp32.

    python benchmarks/precision.py --project FOLDER --cells mnist-mlp mnist-cnn2 [--output precision.csv]

The project's cells must have been trained in bf16 (`dvc repro train`). The fp32 folds are trained into
``build/precision/``; stopped, the same command goes on. Weights start the same, samples come in the same order and
dropout draws the same bits, so a fold's difference is that of the arithmetic alone.
"""

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

from shearbench.errors import InputError
from shearbench.params import Params, load
from shearbench.records import provenance, read_record
from shearbench.stages.train import experiment_of
from shearbench.statistics.resampled_t import corrected_t
from shearbench.training.crossval import cross_validate


def compare(params: Params, root: Path, name: str) -> dict[str, object]:
    """Return accuracy out of fold in both precisions and the corrected t interval of their paired difference."""
    cell, build = params.cells[name], root / "build"
    trained = build / "runs" / cell.dataset / cell.model
    bf16 = [read_record(trained / f"fold-{fold}") for fold in range(params.cv.folds)]
    if bf16[0]["config"]["precision"] != "bf16":
        raise InputError(f"{trained} was trained in {bf16[0]['config']['precision']}, not in bf16")
    experiment = experiment_of(params, dataset=cell.dataset, model=cell.model)
    fp32 = cross_validate(
        experiment.model_copy(update={"precision": "fp32"}),
        dataset=build / "datasets" / cell.dataset,
        folds=build / "folds.npz",
        out=build / "precision" / cell.dataset / cell.model,
        workers=params.execution.pool,
    )
    a, b = ([record["metrics"]["validation_accuracy"] for record in records] for records in (bf16, fp32))
    paired = corrected_t(a, b)
    return {
        "cell": name,
        "folds": params.cv.folds,
        "n": sum(record["sizes"]["validation"] for record in bf16),
        "epochs": bf16[0]["epochs"],
        "bf16": sum(a) / len(a),
        "fp32": sum(b) / len(b),
        "difference": paired.difference,
        "low": paired.low,
        "high": paired.high,
        "p": paired.p,
        "seconds_bf16": sum(record["seconds"] for record in bf16),
        "seconds_fp32": sum(record["seconds"] for record in fp32),
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--cells", nargs="+", required=True)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    params = load(asked.project / "params.yaml")
    made_by = provenance()
    console = Console(width=160)
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    rows = []
    for name in asked.cells:
        rows.append(compare(params, asked.project, name))
        console.print(rows[-1])
        if asked.output:
            pd.DataFrame(rows).to_csv(asked.output, index=False)


if __name__ == "__main__":
    main()
