"""Cards: of a dataset its entry in ``params.yaml``, counts, duplicates and example samples; of a model data, recipe,
scores, weaknesses and how to load it, on one screen (Mitchell et al. 2019).
"""

from collections.abc import Iterator
from pathlib import Path

from shearbench.predictions.evaluated import read_table
from shearbench.records import RECORD, read_json
from shearbench.report.blocks import Block, Cell, Column, Facts, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.comparison import evaluations, missing
from shearbench.report.findings import Row, Rows, percent, span

_TEXT = """A card has what a user of one model needs: data, recipe, scores, weaknesses and how to load it.
`shearbench export FOLDER` writes each as `MODEL_CARD.md`."""
_SHOWN = 3  # number of weakest classes and corruptions
_LOAD = '`shearbench.training.results.load_network(Path("build/runs/{dataset}/{model}/fold-0"))`'


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
    rows = read_table(folder / "corruptions.csv").query("severity > 0")
    worst = rows.groupby("corruption")["accuracy_mean"].mean().nsmallest(_SHOWN)
    hardest = [f"class {each['class']} ({percent(each['f1'])} %)" for each in classes.to_dict("records")]
    return {
        "lowest F1": ", ".join(hardest),
        "lowest accuracy under corruption": ", ".join(f"{name} ({percent(mean)} %)" for name, mean in worst.items()),
    }


_OF_TRAINING = "Figures and counts of duplicates are those of the training samples."
_FIELDS = "A sample and its displacement field have the same id, and one table of folds serves both."
_EXPLORED = {
    "samples.png": "Eight samples of each class.",
    "samples_u_x.png": "Displacement along x of eight samples of each class.",
    "samples_u_y.png": "Displacement along y of eight samples of each class.",
    "samples_length.png": "Length of the displacement of eight samples of each class.",
    "displacement.png": "One sample of each class and its displacement.",
    "duplicates.png": "The most similar pairs of samples on this dataset.",
    "class_balance.png": "Number of samples by class and fold.",
}
_ROWS = ("displacement.png", "duplicates.png")
_SPLITS = {"out_of_fold": "training", "test": "test"}


def datasets(root: Path, rows: Rows) -> Section:
    """Return the section."""
    entries = {record["dataset"]: record["entry"] for _, record in evaluations(root, rows)}
    has_fields = any("load" in entry for entry in entries.values())
    blocks: list[Block] = [Prose(f"{_OF_TRAINING} {_FIELDS}" if has_fields else _OF_TRAINING)]
    missing = []
    for name in dict.fromkeys(row["dataset"] for row in rows):
        facts = [(key.replace("_", " "), str(value)) for key, value in entries.get(name, {}).items()]
        folder = root / "build" / "explore" / name
        if (folder / "summary.json").is_file():
            facts += _summary(read_json(folder / "summary.json"))
        else:
            missing.append(f"the exploration of {name} (`dvc repro explore@{name}`)")
        blocks += [Heading(name), Facts(facts), *_balance(root, rows, name), *_explored(folder)]
    return Section("datasets", "Datasets", blocks, missing)


def _explored(folder: Path) -> list[Pictures]:
    """Return the figures that exist: squares side by side, and below them the rows of samples."""
    shown: dict[bool, list[Picture]] = {False: [], True: []}
    for file, text in _EXPLORED.items():
        if (folder / file).is_file():
            data = folder.glob(Path(file).with_suffix(".csv").name)
            shown[file in _ROWS].append(Picture.of(folder / file, f"{folder.name}: {text}", text, data))
    return [Pictures(pictures, wide) for wide, pictures in shown.items() if pictures]


def _balance(root: Path, rows: Rows, name: str) -> list[Table]:
    """Return the number of samples per class and split, if a run of the dataset was evaluated."""
    folders = [folder for folder, record in evaluations(root, rows) if record["dataset"] == name]
    if not folders:
        return []
    counts = read_table(folders[0] / "per_class.csv")
    classes = sorted(set(counts["class"]))
    columns = [Column("samples of class"), *(Column(str(label), True) for label in classes)]
    numbers = {title: counts[counts["split"] == split].sort_values("class")["n"] for split, title in _SPLITS.items()}
    return [Table(columns, [[title, *(Cell(f"{n:,}", n) for n in found)] for title, found in numbers.items()])]


def _summary(summary: Row) -> list[tuple[str, str]]:
    exact, near = summary["duplicates"]["exact"], summary["duplicates"]["near"]
    least, most = min(summary["per_class"]), max(summary["per_class"])
    return [
        ("training samples", f"{summary['samples']:,}"),
        ("samples a class", f"{least:,}" if least == most else f"{least:,} to {most:,}"),
        ("identical pairs", f"{exact['pairs']:,}, of them {exact['across_folds']:,} across folds"),
        (
            "near-duplicates (pairs that link each group)",
            f"{near['pairs']:,} (correlation at least {near['least_correlation']}), of them {near['across_folds']:,} "
            "across folds",
        ),
    ]
