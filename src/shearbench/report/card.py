"""The card of a model: data, recipe, scores, weaknesses and how to load it, on one screen (Mitchell et al. 2019)."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from shearbench.predictions.evaluated import read_table
from shearbench.records import RECORD, read_json
from shearbench.report.blocks import Block, Facts, Heading, Prose, Section
from shearbench.report.comparison import evaluations, missing
from shearbench.report.findings import Row, Rows, percent, span

_TEXT = """A card has what a user of one model needs: data, recipe, scores, weaknesses and how to load it.
`shearbench export FOLDER` writes each as `MODEL_CARD.md`."""
_SHOWN = 3  # number of weakest classes and corruptions
_LOAD = '`shearbench.training.weights.load_network(Path("build/runs/{dataset}/{model}/fold-0"))`'


def read(root: Path, rows: Rows) -> Section:
    """Return the section with the card of every evaluated run."""
    evaluated = {(record["dataset"], record["model"]) for _, record in evaluations(root, rows)}
    blocks: list[Block] = [Prose(_TEXT)]
    for row in rows:
        if (row["dataset"], row["model"]) in evaluated:
            facts = [pair for of_heading in facts_of(root, row).values() for pair in of_heading.items()]
            blocks += [Heading(f"{row['model']} on {row['dataset']}"), Facts(facts)]
    return Section("cards", "Model cards", blocks, missing(root, rows))


def card(root: Path, row: Row) -> str:
    """Return the card of an evaluated run as Markdown; ``row`` is that of ``reports/comparison.json``."""
    parts = [f"# {row['model']} on {row['dataset']}"]
    for heading, facts in facts_of(root, row).items():
        parts += [f"## {heading}", "\n".join(f"- {name}: {value}" for name, value in facts.items())]
    return "\n\n".join(parts) + "\n"


def facts_of(root: Path, row: Row) -> dict[str, dict[str, str]]:
    """Return heading -> name -> value of the card of a run."""
    run = Path(row["dataset"]) / row["model"]
    folder = root / "build" / "evaluation" / run
    record, trained = (read_json(each / RECORD) for each in (folder, root / "build" / "runs" / run / "fold-0"))
    return {
        "Data": dict(_data(row, record)),
        "Model and recipe": dict(_recipe(row, record, trained["config"])),
        "Scores": dict(_scores(row)),
        "Weaknesses": _weaknesses(folder),
        "Loading": {"Python": f"{_LOAD.format(**row)} returns network, normaliser and record"},
    }


def _data(row: Row, record: Row) -> Iterator[tuple[str, str]]:
    yield "dataset", ", ".join(f"{key} {value}" for key, value in record["entry"].items())
    yield "samples", f"{row['n_train']:,} for training in {row['folds']} folds, {row['n_test']:,} for the test"
    yield "SHA-256 of the training data", record["hashes"]["data"][:16]


def _recipe(row: Row, record: Row, config: Row) -> Iterator[tuple[str, str]]:
    flops = "" if row["flops"] is None else f", {row['flops'] / 1e6:.1f} MFLOPs per prediction"
    yield "architecture", f"{config['architecture']}, {row['parameters']:,} parameters{flops}"
    for name in ("options", "recipe"):
        chosen = {key: value for key, value in (config.get(name) or {}).items() if value is not None}
        if chosen:
            yield name, ", ".join(f"{key} {value}" for key, value in chosen.items())
    yield "trained", f"by shearbench at commit {record['training']['commit'][:12]} on {row['hardware']}"


def _scores(row: Row) -> Iterator[tuple[str, str]]:
    interval = span(row["cv_accuracy_low"], row["cv_accuracy_high"])
    mean = percent(row["cv_accuracy_mean"])
    yield "cross-validated accuracy", f"{mean} % (95 % CI {interval}, n = {row['n_train']:,})"
    test = f"accuracy {percent(row['test_accuracy_mean'])} %, macro F1 {percent(row['macro_f1'])} %"
    yield "test set", f"{test}, cross-entropy {row['test_loss_mean']:.3f} (n = {row['n_test']:,})"
    if row.get("verdict"):
        yield "verdict", f"{row['verdict']}, against {row['compared_with']}, the best on this dataset"


def _weaknesses(folder: Path) -> dict[str, str]:
    """Return the classes with the lowest F1, and the corruptions with the lowest accuracy."""
    classes = read_table(folder / "per_class.csv").query("split == 'test'").nsmallest(_SHOWN, "f1")
    rows = pd.read_csv(folder / "corruptions.csv").query("severity > 0")
    worst = rows.groupby("corruption")["accuracy_mean"].mean().nsmallest(_SHOWN)
    hardest = [f"class {each['class']} ({percent(each['f1'])} %)" for each in classes.to_dict("records")]
    return {
        "lowest F1": ", ".join(hardest),
        "lowest accuracy under corruption": ", ".join(f"{name} ({percent(mean)} %)" for name, mean in worst.items()),
    }
