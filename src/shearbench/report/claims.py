"""A paper's claim and its published numbers, read from ``claims/<name>.yaml``, and the ablation result that tests it.

The code of the report depends on no paper: each file in ``claims/`` has the quotes with their sources, the ablation
that tests the claim, and the numbers to compare with ours. Every sentence on an ablation follows from its numbers and
verdicts, in ``build/ablation_results/<name>/`` or ``reports/full/<name>/``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator

from shearbench import yaml12
from shearbench.errors import InputError
from shearbench.records import RECORD, read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Fold, Heading, Picture, Pictures, Prose
from shearbench.report.comparison import Columns, Show, rows_of_file, table
from shearbench.report.findings import TOO_FEW, Row, Rows, listed, p_value, percent, points, span
from shearbench.strict import Strict, faults_of

FOLDER = "claims"
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Study(Strict):
    """The published study: its name in sentences, and its size."""

    label: str
    folds: Annotated[int, Field(ge=1)]
    """Number of trainings of each model; a published ± is taken for the standard deviation over them."""
    samples: Annotated[int, Field(ge=1)]
    epochs: Annotated[int, Field(ge=1)] | None = None

    @property
    def heading(self) -> str:
        """The name at the start of a sentence."""
        return self.label[:1].upper() + self.label[1:]


class Quote(Strict):
    """Words of the paper, and their place in it."""

    text: str
    source: str


class ClaimTest(Strict):
    """The ablation that tests the claim, and the published numbers of its two models; accuracies are fractions."""

    ablation: str
    also: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Further ablations of the same models, such as longer trainings, on some of the readings."""
    suspect: str
    """The model that fails, according to the claim."""
    reference: str
    """The model that does not fail, according to the claim."""
    readings: dict[str, str] = Field(min_length=1)
    """Dataset -> how it is made, in words, for each dataset that the paper's text allows."""
    far_above_chance: Share
    """The least lower end of the reference's 95 % interval on a dataset that can show a fall of the suspect."""
    level: Share
    spread: Annotated[float, Field(gt=0)]
    reference_level: Share
    train_loss: Annotated[float, Field(gt=0)] | None = None
    comparison: str | None = None
    """The dataset of the comparison of all runs on which the two models stand for the paper's."""
    note: str = ""
    """What the ablation changes, for the reader of the report."""
    settled_by: str

    def on(self, datasets: Sequence[str]) -> "ClaimTest":
        """Return the test with those readings of the paper that are among ``datasets``."""
        return self.model_copy(update={"readings": {k: v for k, v in self.readings.items() if k in datasets}})


class Entry(Strict):
    """Fields of every published number."""

    label: str
    models: Names
    """Names of our models; each has a line."""
    source: str


class OfTrainings(Entry):
    """Fields of a number that the trainings of some runs give."""

    ablation: str | None = None
    """The ablation with our trainings; by default they are those of the comparison."""


class OfDataset(OfTrainings):
    """Fields of a number of one dataset."""

    dataset: str


class Accuracy(OfDataset):
    """Accuracy in %, with its ± if it has one."""

    kind: Literal["accuracy"]
    value: float
    spread: Annotated[float, Field(gt=0)] | None = None


class Drop(OfTrainings):
    """Percentage points lost from one dataset to another."""

    kind: Literal["drop"]
    before: str
    after: str
    value: float


class TrainLoss(OfDataset):
    """Training loss of the first or the last epoch."""

    kind: Literal["train_loss"]
    epoch: Literal["first", "last"]
    value: float


class Confusion(Entry):
    """Number of samples of one class that are predicted as another, before and after a distortion."""

    kind: Literal["confusion"]
    dataset: str
    true_class: int
    predicted_class: int
    before: int
    after: int


class PValue(OfDataset):
    """A test of two models on one dataset, in the words of the paper."""

    kind: Literal["p_value"]
    text: str


class Parameters(Entry):
    """Millions of parameters."""

    kind: Literal["parameters"]
    dataset: str
    millions: float


class Gain(Strict):
    """Percentage points by which the first model of an ablation is better than another one."""

    kind: Literal["gain"]
    label: str
    ablation: str
    against: str
    value: float
    source: str


Number = Annotated[Accuracy | Drop | TrainLoss | Confusion | PValue | Parameters | Gain, Field(discriminator="kind")]


class Claim(Strict):
    """The content of one file: a paper, and its claim with a test, its published numbers, or both."""

    study: Study
    claim: str = ""
    quotes: Annotated[tuple[Quote, ...], Field(strict=False)] = ()
    test: ClaimTest | None = None
    published: Annotated[tuple[Number, ...], Field(strict=False)] = ()

    @field_validator("test", "published")
    @classmethod
    def _a_spread_needs_trainings(cls, value: Any, info: ValidationInfo) -> Any:
        """Reject a published ± of a single training."""
        spreads = [value] if isinstance(value, ClaimTest) else [one for one in value or () if getattr(one, "spread", 0)]
        if spreads and "study" in info.data and info.data["study"].folds < 2:
            raise ValueError("a spread needs study.folds of at least 2")
        return value


def read_claims(root: Path) -> dict[str, Claim]:
    """Return the claims of a project by the names of their files; empty without a folder ``claims/``.

    Raises:
        InputError: naming the file and every key that breaks its rule.
    """
    return {path.stem: read_claim(path) for path in sorted((root / FOLDER).glob("*.y*ml"))}


def read_claim(path: Path) -> Claim:
    """Read one file; see :func:`read_claims`."""
    try:
        document = yaml12.parse(path.read_text(encoding="utf-8"))
        return Claim.model_validate(document)
    except ValidationError as error:
        lines = [f"- {'.'.join(key)}: {fault['msg']}" for key, fault in faults_of(error, document)]
        raise InputError("\n".join([f"{path} has {len(lines)} fault(s) to mend:", *lines])) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML: {error}; compare it with docs/add-a-claim.md") from None


LEAST_FOLDS = 5
"""Least number of folds for a verdict in words: with 3 folds, five verdicts changed with the precision."""
IS = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
}


@dataclass(frozen=True, eq=False)
class AblationResult:
    """An ablation result: its folder, its record, and its tables as rows."""

    folder: Path
    record: Row
    accuracies: Rows
    pairs: Rows

    @cached_property
    def models(self) -> list[str]:
        """The models, in the order of the ablation."""
        return list(dict.fromkeys(row["model"] for row in self.accuracies))

    @cached_property
    def datasets(self) -> list[str]:
        """The datasets, in the order of the ablation."""
        return list(dict.fromkeys(row["dataset"] for row in self.accuracies))

    @cached_property
    def test_to_train(self) -> float:
        """Held-out samples per training sample of a network; 0 for disjoint training sets."""
        return 0.0 if self.record["plan"].get("train_on") == "fold" else 1 / (self.record["of_folds"] - 1)

    def of_family(self, family: str, **values: str) -> list[Row]:
        """Return the pairs of a family that have the given values."""
        wanted = {"family": family, **values}
        return [pair for pair in self.pairs if all(pair[key] == value for key, value in wanted.items())]

    def accuracy(self, dataset: str, model: str, split: str, bn_statistics: str) -> Row | None:
        """Return the row of an accuracy of a run, or None if it was not measured."""
        wanted = {"dataset": dataset, "model": model, "split": split, "bn_statistics": bn_statistics}
        found = (row for row in self.accuracies if all(row[key] == value for key, value in wanted.items()))
        return next(found, None)


def read_ablation_result(folder: Path) -> AblationResult | None:
    """Return the ablation result in a folder, or None if there is none."""
    if not (folder / RECORD).is_file():
        return None
    accuracies, pairs = (rows_of_file(folder / name) for name in ("accuracies.csv", "pairs.csv"))
    return AblationResult(folder, read_json(folder / RECORD), accuracies, pairs)


def sizes_of(result: AblationResult) -> str:
    """Return the sizes and recipes of an ablation's trainings in one sentence."""
    record, plan = result.record, result.record["plan"]
    models = {name: plan["models"][name] for name in result.models}
    recipes = [each["recipe"] for each in models.values()]
    epochs, rates = (listed(dict.fromkeys(f"{each[key]:g}" for each in recipes)) for key in ("epochs", "learning_rate"))
    widths = listed(f"{each['width']:g} ({name})" for name, each in models.items())
    schedules = listed(dict.fromkeys(each["schedule"] for each in recipes))
    return (
        f"{record['folds']} of {record['of_folds']} folds, {record['sizes']['train']:,} training and "
        f"{record['sizes']['test']:,} test samples, {epochs} {'epoch' if epochs == '1' else 'epochs'}, "
        f"learning rate {rates} ({schedules}), width {widths}; {record['hardware']}."
    )


def verdict_of(pair: Row) -> str:
    """Return the verdict on a pair with its numbers; with fewer than ``LEAST_FOLDS`` folds only the numbers."""
    within = f"on {pair['within']}" if pair["kind"] == "models" else f"for {pair['within']}"
    start = f"{within}, {pair['a']} {IS.get(pair['verdict'])} {pair['b']}"
    if pair["folds"] < LEAST_FOLDS:
        start = f"{within}, {pair['a']} and {pair['b']} have no verdict, which needs {LEAST_FOLDS} folds"
    elif pair["verdict"] not in IS:
        start = f"{within} it is undecided whether {pair['a']} differs from {pair['b']}"
    p, level = p_value(pair["p_adjusted"]), pair.get("level", 0.95)
    return (
        f"{start[0].upper()}{start[1:]}: {percent(pair['mean_a'])} against {percent(pair['mean_b'])} % of the samples "
        f"that a model did not train on ({points(pair['difference'])} points, {100 * level:g} % interval "
        f"{points(pair['low'])} to {points(pair['high'])}, n = {pair['folds']} folds, "
        f"adjusted p {p if p.startswith('<') else f'= {p}'})."
    )


def interval(row: Row) -> str:
    """Return a mean accuracy with its 95 % interval, in %."""
    ends = span(row["low"], row["high"])
    return f"{percent(row['mean'])} % ({ends if ends == TOO_FEW else f'95 % interval {ends}'})"


def hypotheses_blocks(folder: Path, heading: str) -> list[Block]:
    """Return the blocks on the hypotheses that were judged in a folder."""
    path = folder / "hypotheses.csv"
    record, rows = read_json(folder / "record.json"), rows_of_file(path)
    caption = (
        f"Independent trainings on {record['sizes']['train']:,} samples each, {record['hardware']}. A misfit names "
        "the numbers that differ from the published ones at 95 %, uncorrected for the number of hypotheses. Small: the "
        "range that the hypothesis predicts."
    )
    blocks: list[Block] = [
        Heading(f"Hypotheses ({heading.lower()})"),
        Prose(f"{record['plan']['question']} {best_candidate(pd.DataFrame(rows))}"),
    ]
    shown: list[Block] = [table(_HYPOTHESES, rows, caption, [Data.of(path)])]
    modes = folder / "figures" / "modes.png"
    if modes.is_file():
        text = "Held-out accuracy after each epoch by batch-norm statistics"
        more = "Means over the trainings. The three lines are the same weights on the same samples."
        shown.append(Pictures([Picture.of(modes, text, more, [folder / "modes.csv"])], wide=True))
    return [*blocks, Fold("Table and figure", shown)]


def best_candidate(table: pd.DataFrame) -> str:
    """Return a sentence with the hypotheses that fit, or with the least misfit."""
    run = table[table["verdict"] != "not run"]
    if run.empty:
        return "None of the hypotheses has run."
    counts = f"{len(run)} of {len(table)} hypotheses have run."
    fits = run.loc[run["verdict"] == "fits", "hypothesis"]
    if len(fits):
        names = ", ".join(fits)
        return f"{counts} Consistent with all published numbers: {names}. This does not show that it happened."
    missed = run["verdict"].map(lambda verdict: verdict.count(",") + 1 if verdict.startswith("misfit") else 0)
    least = run[missed == missed.min()]
    names, words = ", ".join(least["hypothesis"]), "; ".join(least["verdict"].unique())
    return f"{counts} None fits all published numbers. The least misfit: {names} ({words})."


def _run(row: Row) -> str:
    return ", ".join(str(row[key]) for key in ("dataset", "model", "statistics"))


def _trainings(row: Row) -> Cell:
    trainings = 0 if row["verdict"] == "not run" else row["trainings"]
    return Cell(f"{trainings:.0f}", trainings)


def _measured(name: str, form: str, factor: int, predicted: str) -> Show:
    """Return the cells of a number, empty if it was not measured, with the predicted range below it."""

    def show(row: Row) -> Cell:
        value: float = row[name]
        bounds: str = row[f"predicted_{predicted}"]  # NaN if the hypothesis predicts nothing
        note = "" if pd.isna(bounds) else " to ".join(f"{factor * float(end):g}" for end in bounds.split(" to "))
        if math.isnan(value):
            return Cell("", note=note)
        ends = f" ({span(row['accuracy_low'], row['accuracy_high'])})" if name == "accuracy" else ""
        return Cell(f"{factor * value:{form}}{ends}", value, note=note)

    return show


_HYPOTHESES: Columns = {
    Column("hypothesis"): lambda row: Cell(row["hypothesis"], strong=True, help=row["because"]),
    Column("run", help="dataset, model, batch-norm statistics"): _run,
    Column("n", True, "independent trainings"): _trainings,
    Column("level, %", True, "mean test accuracy with Student's 95 % interval"): (
        _measured("accuracy", ".1f", 100, "level")
    ),
    Column("spread", True, "standard deviation over the trainings, percentage points"): (
        _measured("spread", ".2f", 100, "spread")
    ),
    Column("loss", True, "training loss of the last epoch"): _measured("train_loss", ".3f", 1, "train_loss"),
    Column("control, %", True, "mean test accuracy of the shallow model on the same inputs"): (
        _measured("control_accuracy", ".1f", 100, "control")
    ),
    Column("as predicted"): lambda row: "" if pd.isna(row["as_predicted"]) else row["as_predicted"],
    Column("verdict"): lambda row: Cell(row["verdict"], strong=True),
}
