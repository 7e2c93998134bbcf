"""The card of a model: data, recipe, scores, weaknesses and how to load it, on one screen (Mitchell et al. 2019)."""

from collections.abc import Mapping
from typing import Any

from shearbench.predictions.evaluated import EvaluatedRun
from shearbench.report.findings import percent

_SHOWN = 3  # of the classes and corruptions that the model is weakest on
_LOAD = """```python
from pathlib import Path
from shearbench.training.weights import load_network
network, normaliser, record = load_network(Path("build/runs/{dataset}/{model}/fold-0"))
```"""


def card(run: EvaluatedRun, row: Mapping[str, Any]) -> str:
    """Return the card as Markdown.

    Args:
        run: an evaluated run.
        row: its row of ``reports/comparison.json``.
    """
    record = run.fold_runs[0].record
    config, training = record["config"], run.record["training"]
    flops = "" if row["flops"] is None else f", {row['flops'] / 1e6:.1f} MFLOPs per prediction"
    recipe = {**(config.get("recipe") or {}), **{f"option {key}": value for key, value in config["options"].items()}}
    parts = [
        f"# {run.model} on {run.dataset}",
        f"{config['architecture']}, {row['parameters']:,} parameters{flops}. "
        f"Trained by shearbench at commit {training['commit'][:12]} on {row['hardware']}.",
        "## Data",
        "\n".join(f"- {key}: {value}" for key, value in config["entry"].items()),
        f"- {row['n_train']:,} training samples in {row['folds']} folds, {row['n_test']:,} held-out test samples\n"
        f"- SHA-256 of the training data: {run.record['hashes']['data'][:16]}",
        "## Recipe",
        "\n".join(f"- {key}: {value}" for key, value in recipe.items() if value is not None),
        "## Scores",
        _scores(row),
        "## Weaknesses",
        _weaknesses(run),
        "## Loading",
        _LOAD.format(dataset=run.dataset, model=run.model),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(row: Mapping[str, Any]) -> str:
    cv, test = ("cv_accuracy", "test_accuracy")
    lines = [
        f"- {name}: {percent(row[f'{key}_mean'])} % "
        f"(95 % interval {percent(row[f'{key}_low'])} to {percent(row[f'{key}_high'])}, n = {row[count]:,})"
        for name, key, count in (("cross-validated accuracy", cv, "n_train"), ("test accuracy", test, "n_test"))
    ]
    lines.append(f"- macro F1 on the test set: {percent(row['macro_f1'])} %, cross-entropy {row['test_loss_mean']:.3f}")
    if row.get("verdict"):
        lines.append(f"- verdict against {row['compared_with']}, the best on this dataset: {row['verdict']}")
    return "\n".join(lines)


def _weaknesses(run: EvaluatedRun) -> str:
    """Return the classes with the lowest F1, and the corruptions that cost most accuracy."""
    classes = run.table("per_class.csv").query("split == 'test'").nsmallest(_SHOWN, "f1")
    corruptions = run.table("corruptions.csv").query("severity > 0").groupby("corruption")["accuracy_mean"].mean()
    weakest = ", ".join(f"{each['class']} (F1 {each['f1']:.2f})" for each in classes.to_dict("records"))
    worst = ", ".join(f"{name} ({percent(mean)} %)" for name, mean in corruptions.nsmallest(_SHOWN).items())
    return f"- classes with the lowest F1 on the test set: {weakest}\n- corruptions with the lowest accuracy: {worst}"
