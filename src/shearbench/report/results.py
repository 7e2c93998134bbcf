"""Read the results of one size for the table of published numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import RECORD
from shearbench.report.claim import pairs_of_file, read_ablation_result, rows_of_file
from shearbench.report.published import Results


@dataclass(frozen=True)
class Sources:
    """The folders of ``pairs.json``, of ``confused_pairs.csv``, of the ablations, and of the evaluations."""

    reports: Path
    comparison: Path
    ablations: Path
    evaluations: Path

    def results(self, rows: Sequence[Mapping[str, Any]]) -> Results:
        """Return the available results; ``rows`` are those of ``comparison.json``."""
        pairs, confused = self.reports / "pairs.json", self.comparison / "confused_pairs.csv"
        found = {
            path.parent.name: read_ablation_result(path.parent)
            for path in self.ablations.glob(f"*/{RECORD}")
            if (path.parent / "pairs.csv").is_file()
        }
        return Results(
            rows=rows,
            pairs=pairs_of_file(pairs),
            confused=rows_of_file(confused) if confused.is_file() else (),
            ablations={name: ablation_result for name, ablation_result in found.items() if ablation_result},
            losses={
                (row["dataset"], row["model"]): _losses(path)
                for row in rows
                if (path := self.evaluations / row["dataset"] / row["model"] / "training_dynamics.csv").is_file()
            },
        )


def _losses(path: Path) -> list[tuple[float, float]]:
    table = pd.read_csv(path)
    return list(zip(table["first_train_loss"], table["last_train_loss"], strict=True))
