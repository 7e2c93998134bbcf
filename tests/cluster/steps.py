"""``python steps.py PROJECT``: every stage that hands out tasks, a search and a check, in one process.

``make`` writes the project: digits that a network learns at once, an experiment, and a class of two groups with more
files than are read in one task.
"""

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from shearbench.commands.verify import verify
from shearbench.data import class_digits
from shearbench.data.class_digits import encode_png
from shearbench.data.folds import write_part
from shearbench.params import load
from shearbench.stages import handwriting
from small_project import FIELDS, RECIPE, document, write_data

STEPS = ("training_configs", "simulate", "severity", "train@mnist-cnn2", "evaluate@mnist-cnn2", "transfer")
STEPS += ("ablation@normalisation", "ablation_result@normalisation", "tune@cnn2")
FILES = 501


def make(root: Path, execution: dict[str, Any]) -> None:
    """Write a project that works as ``execution`` says."""
    network = {"width": 0.1, "options": {}, "recipe": {**RECIPE, "epochs": 1}}
    question = {
        "question": "Is it the scale?",
        "folds": 2,
        "rope": 0.01,
        "diagnose": True,
        "datasets": {f"mechanical_{kind}": {**FIELDS, "normalise": kind} for kind in ("divide255", "detrend")},
        "models": {"plain": {**network, "architecture": "mlp"}},
    }
    whole = document()
    whole |= {"runs": {"mnist-cnn2": whole["runs"]["mnist-cnn2"]}, "ablations": {"normalisation": question}}
    whole["execution"].update(execution)
    whole["tuning"].update(dataset="mnist", trials=2, reduction=2, rungs=2, finalists=1, folds=2, share=0.5)
    root.mkdir()
    (root / "params.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    write_data(root)
    write_part(root / "build" / "datasets" / "mnist" / "tuning_part.npz", np.arange(30))
    folder = root / "class"
    folder.mkdir()
    for place, drawing in enumerate(itertools.islice(itertools.cycle(class_digits.draw_class()), FILES)):
        (folder / f"{drawing.file.split('-')[0]}-{1 + place % 2}-{place}.png").write_bytes(encode_png(drawing.image))


def take(root: Path) -> None:
    """Take all steps."""
    params, build = load(root / "params.yaml"), root / "build"
    for step in STEPS:
        name, _, of = step.partition("@")
        importlib.import_module(f"shearbench.stages.{name}").main(params, root, *([of] if of else []))
    handwriting.measure(params, root, root / "class", build / "handwriting" / "class", fine_tune=True)
    fold = build / "runs" / "mnist" / "cnn2" / "fold-0"
    (verdict,) = verify([fold], datasets=build / "datasets", workers=params.execution.pool)
    assert verdict.verdict == "bit-equal", verdict


if __name__ == "__main__":
    take(Path(sys.argv[1]))
