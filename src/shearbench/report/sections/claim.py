"""Published claims: a paper's conclusion, the ablation that tests it, and each published number with ours."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path

import pandas as pd

from shearbench.analysis.batch_norm.statistics import mode_warning
from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Fold, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.claims import (
    LEAST_FOLDS,
    AblationResult,
    Accuracy,
    Claim,
    ClaimTest,
    Study,
    hypotheses_blocks,
    read_ablation_result,
    read_claims,
    sizes_of,
    verdict_of,
)
from shearbench.report.comparison import Columns, pairs_of_file, table
from shearbench.report.conclusion import conclusion, steps
from shearbench.report.findings import TOO_FEW, Row, Rows, percent, span
from shearbench.report.published import Results, lines, read_results
from shearbench.report.sections.statistics import PAIR, difference, interval, p_adjusted, verdict

_SIZES = (("build/ablation_results", "At the size of this run"), ("reports/full", "At full size"))
_TITLES = {"cures": "Cures", "channels": "Input channels", "regularisation": "Dropout and L2 regularisation"}
_ELSEWHERE = {"hypotheses", "train_size", "handwriting"}  # ablations that other parts of the report show
_MOST_SENTENCES = 4
_PICTURES = {
    "accuracies": ("Accuracy of each model on each dataset, by batch-norm statistics", ""),
    "lags": (
        "Lag of the running averages of each layer behind the statistics of training samples, after each epoch",
        "The mean, in standard deviations. The standard deviation, as log2 of running over present (0 is no "
        "difference), has panels below if any layer differs by more than a factor of 1.4. Mean over the folds.",
    ),
    "modes": (
        "Held-out accuracy after each epoch by batch-norm statistics",
        "The lines are the same weights on the same samples. Mean over the folds.",
    ),
    "gradients": (
        "Norm of the gradient at each step",
        "Mean over the folds; the scale is logarithmic.",
    ),
}
_SHOWN = (
    ("train", "during_training", "training samples, training mode"),
    ("train", "as_trained", "training samples, evaluation mode"),
    ("test", "as_trained", "test"),
    ("test", "batch_statistics", "test, batch statistics"),
    ("test", "recalibrated", "test, recalibrated"),
)


def read(root: Path, rows: Rows) -> Section:
    """Return each claim against its ablation, the other ablations, the published numbers.

    The section is empty if there is none of them.
    """
    claims = read_claims(root)
    blocks: list[Block] = []
    sizes = _results_of_sizes(root, rows) if any(claim.published for claim in claims.values()) else {}
    tests = [(claim.test, claim.study) for claim in claims.values() if claim.test]
    for claim in claims.values():
        blocks += [Prose(_quoted(claim)), *(_compared(root, claim.test) if claim.test else [])]
        blocks += _published(sizes, claim) if claim.published else []
    for folder, heading in _SIZES:
        for test, study in tests:
            for name in (test.ablation, *test.also):
                tested = read_ablation_result(root / folder / name)
                title = heading if name == test.ablation else f"{heading}: {name}"
                blocks += [Heading(title), *_tested(tested, test.on(tested.datasets), study)] if tested else []
        judged = root / folder / "hypotheses"
        blocks += hypotheses_blocks(judged, heading) if (judged / "hypotheses.csv").is_file() else []
        for other in _others(root / folder, {name for test, _ in tests for name in (test.ablation, *test.also)}):
            title = _TITLES.get(other.folder.name, f"Ablation {other.folder.name}")
            blocks += [Heading(f"{title} ({heading.lower()})"), *_other_ablation(other)]
    blocks += _runs(root, rows)
    missing = [
        f"the ablation {name} (`dvc repro ablation_result@{name}`)"
        for name in dict.fromkeys(test.ablation for test, _ in tests)
        if not read_ablation_result(root / "build" / "ablation_results" / name)
    ]
    return Section(
        "claim", "Published claims and ablations" if claims else "Ablations and batch normalisation", blocks, missing
    )


def _quoted(claim: Claim) -> str:
    """Return the claim with the numbers of its test and its quotes; without a claim, the paper's name."""
    test, heading = claim.test, claim.study.heading
    quotes = "; ".join(
        f"\N{LEFT DOUBLE QUOTATION MARK}{each.text}\N{RIGHT DOUBLE QUOTATION MARK} ({each.source})"
        for each in claim.quotes
    )
    sentences = [
        f"{heading} claims: {claim.claim}" if claim.claim else f"{heading}:",
        f"It reports {100 * test.reference_level:.2f} % for its counterpart of {test.reference} and "
        f"{100 * test.level:.2f} ± {100 * test.spread:.2f} % for {test.suspect}."
        if test
        else "its published numbers stand below, beside ours.",
        f"It says: {quotes}." if quotes else "",
        test.note if test else "",
    ]
    return " ".join(filter(None, sentences))


def _compared(root: Path, test: ClaimTest) -> list[Block]:
    """Return the verdict on the claim's two models in the comparison of all runs, of this run and at full size."""
    models = {test.suspect, test.reference}
    return [
        Prose(f"In the comparison of {name}: {verdict_of(pair)}")
        for folder, name in (("reports", "this run"), ("reports/full", "the full-size run"))
        for pair in pairs_of_file(root / folder / "pairs.json")
        if pair["within"] == test.comparison and {pair["a"], pair["b"]} == models
    ]


def _tested(result: AblationResult, test: ClaimTest, study: Study) -> list[Block]:
    """Return the conclusion of the ablation that tests the claim, and folded what it follows from."""
    words = [Prose(text) for text in steps(result, test)]
    return [
        Prose(_question(result)),
        *(Prose(text) for text in conclusion(result, test, study)),
        Fold("Verdicts, figures and tables", [*words, *_figures(result), _accuracies(result), _verdicts(result)]),
    ]


def _others(folder: Path, tested: set[str]) -> list[AblationResult]:
    """Return the ablation results in a folder that no claim names, by name."""
    names = {path.parent.name for path in folder.glob("*/pairs.csv")} - tested - _ELSEWHERE
    return [result for name in sorted(names) if (result := read_ablation_result(folder / name))]


def _other_ablation(result: AblationResult) -> list[Block]:
    """Return the results of another ablation: its question, and each verdict in words or, if they are many, a table."""
    pairs = [pair for family in ("models", "datasets") for pair in result.of_family(family)]
    many = len(pairs) > _MOST_SENTENCES
    return [
        Prose(" ".join([_question(result), *([] if many else map(verdict_of, pairs))])),
        *([_verdicts(result)] if many else []),
        Fold("Figures and table", [*_figures(result), _accuracies(result)]),
    ]


def _question(result: AblationResult) -> str:
    return f"{result.record['plan']['question']} {sizes_of(result)}"


def _figures(result: AblationResult) -> list[Block]:
    shown = [
        Picture.of(path, text, f"{text}. {more}".strip(), data=[result.folder / f"{name}.csv"])
        for name, (text, more) in _PICTURES.items()
        if (path := result.folder / "figures" / f"{name}.png").is_file()
    ]
    return [Pictures(shown, wide=True)]


def _accuracies(result: AblationResult) -> Table:
    """Return the table of accuracies: mean ± standard deviation over the folds, and the interval as a tooltip."""
    found = {(row["split"], row["bn_statistics"]) for row in result.accuracies}
    measured = [each for each in _SHOWN if each[:2] in found]
    columns = [Column("dataset"), Column("model"), *(Column(title, True) for _, _, title in measured)]
    body: list[list[Cell | str]] = [
        [dataset, model, *(_accuracy(result.accuracy(dataset, model, *each[:2])) for each in measured)]
        for dataset in result.datasets
        for model in result.models
    ]
    caption = (
        f"Accuracy in %: mean ± standard deviation over the models of {result.record['folds']} folds. "
        "Training mode is the running mean of the last epoch."
    )
    return Table(columns, body, caption, [Data.of(result.folder / "accuracies.csv")])


def _accuracy(row: Row | None) -> Cell:
    if row is None:
        return Cell("")
    help_text = f"95 % interval: {span(row['low'], row['high'])}; {row['n']:,} samples"
    return Cell(f"{percent(row['mean'])} ± {percent(row['sd'])}", row["mean"], help=help_text)


def _verdicts(result: AblationResult) -> Table:
    columns: Columns = {
        Column("family"): itemgetter("family"),
        **PAIR,
        **{Column("a − b", True): difference, Column("interval", True): interval},
        **{Column("p (adjusted)", True): p_adjusted, Column("a is"): _verdict},
    }
    caption = (
        "Differences in accuracy on all samples that a model did not train on, in percentage points, with intervals "
        "for other samples and another training that hold for all pairs of a family at once; "
        f"{result.record['folds']} trainings of each model. A verdict needs {LEAST_FOLDS} folds."
    )
    return table(columns, result.pairs, caption, [Data.of(result.folder / "pairs.csv")])


def _verdict(pair: Row) -> Cell:
    """Return the verdict on a pair, or that it has too few folds for one, as the sentences say."""
    if pair["folds"] < LEAST_FOLDS:
        return Cell(TOO_FEW, help=f"a verdict needs {LEAST_FOLDS} folds")
    return verdict(pair)


def _runs(root: Path, rows: Rows) -> list[Block]:
    """Return the accuracies by batch-norm statistics for the networks of this run with batch normalisation."""
    body: list[list[Cell | str]] = []
    notes: list[Block] = []
    for row in rows:
        folder = root / "build" / "evaluation" / row["dataset"] / row["model"]
        if not (folder / "running_averages.csv").is_file():
            continue
        averages = pd.read_csv(folder / "running_averages.csv")
        test = {name: part["accuracy"] for name, part in averages.groupby("bn_statistics")}
        if len(test) > 1:
            dynamics = pd.read_csv(folder / "training_dynamics.csv")
            train = [dynamics[f"train_accuracy_{when}"] for when in ("while_training", "when_evaluated")]
            found = [*train, *(test[bn_statistics] for _, bn_statistics, _ in _SHOWN[len(train) :])]
            body.append([row["dataset"], row["model"], *(_moments(each.mean(), each.std()) for each in found)])
            trained, batch = (float(test[each].mean()) for each in ("as_trained", "batch_statistics"))
            if warning := mode_warning(f"{row['model']} on {row['dataset']}", trained, batch, row["n_test"]):
                notes.append(Prose(f"Warning: {warning}"))
    if not body:
        return []
    columns = [Column("dataset"), Column("model"), *(Column(title, True) for _, _, title in _SHOWN)]
    caption = (
        "Accuracy in %: mean ± standard deviation over the networks of the folds. Training mode is the running mean of "
        "the best epoch. Recalibrated averages are measured on at most 1,000 training samples."
    )
    return [Heading("The networks of this run with batch normalisation"), Table(columns, body, caption), *notes]


def _moments(mean: float, sd: float) -> Cell:
    return Cell(f"{percent(mean)} ± {percent(sd)}", mean)


def _results_of_sizes(root: Path, rows: Rows) -> dict[str, Results]:
    """Return the results of this run and, if it exists, of the full-size run, by name."""
    full, build = root / "reports" / "full", root / "build"
    folders = {"comparison": build / "comparison", "ablations": build / "ablation_results"}
    sizes = {"this run": read_results(rows, reports=root / "reports", **folders, evaluations=build / "evaluation")}
    if (full / "comparison.json").is_file():
        sizes["the full-size run"] = read_results(
            read_json(full / "comparison.json"), reports=full, comparison=full, ablations=full, evaluations=full
        )
    return sizes


def _published(sizes: Mapping[str, Results], claim: Claim) -> list[Block]:
    """Return the tables of published numbers against ours of each size."""
    columns = [
        *(Column(title) for title in ("what", "published", "source", "ours")),
        Column("95 % interval", help="of the mean over the models of the folds, by the corrected resampled t"),
        *(Column(title) for title in ("verdict", "why")),
    ]
    tables: dict[str, Block] = {}
    for name, results in sizes.items():
        body: list[list[Cell | str]] = [
            [one.what, one.published, one.source, one.ours, one.interval, Cell(one.agrees, strong=True), one.remark]
            for one in lines(claim, results)
        ]
        caption = f"Ours of {name}: mean ± standard deviation over its models."
        if any(isinstance(one, Accuracy) and one.spread for one in claim.published):
            caption += (
                f" {claim.study.heading} does not say what its ± is; it is taken for the standard deviation over its "
                f"{claim.study.folds} folds."
            )
        tables[name] = Table(columns, body, caption)
    (_, first), *others = reversed(tables.items())  # the full-size run, if it exists
    folded = [Fold(f"The same of {name}", [other]) for name, other in others]
    return [Heading(f"Published against ours: {claim.study.label}"), first, *folded]
