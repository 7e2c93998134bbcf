"""``shearbench join FOLDER``: compare a model trained elsewhere with the runs of its dataset.

The rules are those of the stage ``compare``: the same samples and folds, one family of pairs, the same verdicts. The
result is ``reports/joined/<dataset>-<model>.json`` and ``.csv``, which the stage ``report`` shows.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.comparison.joined import CARD, read_joined, read_joined_card
from shearbench.comparison.pairs import runs_of
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import write_json, write_text
from shearbench.statistics.pairs import compare_all
from shearbench.statistics.pairs import row as pair_row
from shearbench.statistics.runs import Design, Plan


def main(params: Params, root: Path, folder: Path) -> dict[str, Any]:
    """Compare, write and return the result: the card, accuracies, and ``rows`` in the format of ``pairs.json``.

    Raises:
        InputError: if the folder has an error, or the runs of the dataset are not finished.
    """
    card = read_joined_card(folder)
    models = [run.model for run in params.runs.values() if run.dataset == card.dataset]
    if not models:
        datasets = ", ".join(dict.fromkeys(run.dataset for run in params.runs.values()))
        raise InputError(f"{folder / CARD}: dataset must be one that has runs, {datasets}; got {card.dataset!r}")
    if card.model in models:
        raise InputError(f"{folder / CARD}: model must have a name that params.yaml has not; got {card.model!r}")
    declared, build = params.compare, root / "build"
    design = Design(params.cv.folds, params.cv.repeats, alpha=declared.alpha, power=declared.power)
    runs = runs_of(build, [(card.dataset, model) for model in models], design)
    joined = read_joined(folder, card, build / "datasets" / card.dataset, runs[0])
    pairs = compare_all([joined, *runs], Plan(design, declared.rope, declared.detect)).models
    found = {
        "card": dict(card),
        "fold_accuracies": joined.fold_accuracies.tolist(),
        "cv_accuracy": float(joined.fold_accuracies.mean()),
        "test_accuracy": float(joined.test_correct.mean()),
        "rows": [pair_row(pair) for pair in pairs],
        "refused": None,
        "unpaired": [],
    }
    out = root / "reports" / "joined"
    write_json(out / f"{joined.name}.json", found)
    write_text(out / f"{joined.name}.csv", pd.DataFrame(found["rows"]).to_csv(index=False))
    return found
