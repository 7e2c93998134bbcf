"""The claim, tested: what the study concluded, the ablation it did not do, and each published number with ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.claim import AblationResult, read_ablation_result, rows_of_file, said, sentences, setting
from shearbench.report.findings import p_value, percent, points
from shearbench.report.published import lines

_CLAIM = """The first study trains a CNN and ResNet-18 on MNIST and on Mechanical MNIST, reports 98.17 ± 0.21 % for
the CNN and 83.46 ± 0.34 % for ResNet-18 on the latter, with “p < 0.01, t-test” from five folds, and concludes that
depth is fragile under mechanical distortion. It says that inputs are rescaled by 1/255, displacement fields too, and
“normalized to a stable range” elsewhere. The ablation below changes the scaling alone, and reads the same weights
with three sorts of statistics in batch normalisation: the running averages of training, those of the batch, and running
averages measured anew on training digits (recalibrated)."""
_SIZES = (("build/ablation_results", "At the size of this run"), ("reports/full", "At full size"))
_OTHERS = {"cures": "Cures", "channels": "Input channels", "regularisation": "Dropout and L2 regularisation"}
_PICTURES = {
    "accuracies": ("Accuracy of each network on each dataset, in each way that it was read", ""),
    "lags": (
        "How far the running averages of each layer are from the statistics of training digits, after each epoch",
        "Above the mean, in standard deviations, below the standard deviation, as log2 of running over present: 0 is "
        "no difference. Mean over the folds.",
    ),
    "gradients": (
        "Norm of the gradient at each step",
        "Mean over the folds; the scale is logarithmic.",
    ),
}
_WAYS = (
    ("train", "during_training", "training digits, training mode"),
    ("train", "as_trained", "training digits, evaluation mode"),
    ("test", "as_trained", "test"),
    ("test", "batch_statistics", "test, batch statistics"),
    ("test", "recalibrated", "test, recalibrated"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    blocks: list[Block] = [Prose(_CLAIM), *_compared(root)]
    for folder, heading in _SIZES:
        normalisation = read_ablation_result(root / folder / "normalisation")
        if normalisation:
            blocks += [Heading(heading), *_tested(normalisation)]
        for name, title in _OTHERS.items():
            other = read_ablation_result(root / folder / name)
            blocks += [Heading(f"{title} ({heading.lower()})"), *_asked(other)] if other else []
    blocks += _runs(root, rows)
    missing = [
        f"the ablation {name} (`dvc repro ablation_result@{name}`)"
        for name in ("normalisation", *_OTHERS)
        if not read_ablation_result(root / "build" / "ablation_results" / name)
    ]
    blocks += _published(root, rows)
    return Section("claim", "The claim, tested", blocks, missing)


def _compared(root: Path) -> list[Block]:
    """Return the verdict on the study's two networks in the comparison of all runs, of this run and at full size."""
    found = []
    for folder, name in ((root / "reports", "this run"), (root / "reports" / "full", "the full-size run")):
        rows = read_json(folder / "pairs.json")["rows"] if (folder / "pairs.json").is_file() else []
        found += [
            Prose(f"In the comparison of {name}: {said(pair)}")
            for pair in rows
            if pair["within"] == "mechanical" and {pair["a"], pair["b"]} == {"cnn3", "resnet18"}
        ]
    return list(found)


def _tested(ablation_result: AblationResult) -> list[Block]:
    """Return what the ablation on scalings says of the claim."""
    first = ablation_result.record["plan"]["question"]
    return [
        Prose(f"{first} {setting(ablation_result)}"),
        *(Prose(text) for text in sentences(ablation_result)),
        *_figures(ablation_result),
        _accuracies(ablation_result),
        _verdicts(ablation_result),
    ]


def _asked(ablation_result: AblationResult) -> list[Block]:
    """Return what another ablation says: its question, and each verdict in words."""
    verdicts = [said(pair) for family in ("models", "datasets") for pair in ablation_result.of_family(family)]
    return [
        Prose(f"{ablation_result.record['plan']['question']} {setting(ablation_result)} {' '.join(verdicts)}"),
        *_figures(ablation_result),
        _accuracies(ablation_result),
    ]


def _figures(ablation_result: AblationResult) -> list[Block]:
    shown = [
        Picture.of(path, text, f"{text}. {more}".strip(), data=[ablation_result.folder / f"{name}.csv"])
        for name, (text, more) in _PICTURES.items()
        if (path := ablation_result.folder / "figures" / f"{name}.png").is_file()
    ]
    return [Pictures(shown, wide=True)]


def _accuracies(ablation_result: AblationResult) -> Table:
    """Return the table of accuracies: mean ± standard deviation over the folds, and the interval to point at."""
    measured = [
        bn_statistics
        for bn_statistics in _WAYS
        if any((row["split"], row["bn_statistics"]) == bn_statistics[:2] for row in ablation_result.accuracies)
    ]
    columns = [Column("dataset"), Column("model"), *(Column(title, True) for _, _, title in measured)]
    body: list[list[Cell | str]] = [
        [
            dataset,
            model,
            *(
                _accuracy(ablation_result.accuracy(dataset, model, split, bn_statistics))
                for split, bn_statistics, _ in measured
            ),
        ]
        for dataset in ablation_result.datasets
        for model in ablation_result.networks
    ]
    caption = (
        f"Accuracy in %: mean ± standard deviation over the networks of {ablation_result.record['folds']} folds. "
        "Training mode is the running mean of the last epoch."
    )
    return Table(columns, body, caption, [Data.of(ablation_result.folder / "accuracies.csv")])


def _accuracy(row: Mapping[str, Any] | None) -> Cell:
    if row is None:
        return Cell("")
    help_text = f"95 % interval {percent(row['low'])} to {percent(row['high'])}; {row['n']:,} digits"
    return Cell(f"{percent(row['mean'])} ± {percent(row['sd'])}", row["mean"], help=help_text)


def _verdicts(ablation_result: AblationResult) -> Table:
    columns = [
        *(Column(title) for title in ("family", "within", "a", "b")),
        *(Column(title, True) for title in ("a − b", "interval", "p (Holm)")),
        Column("a is"),
    ]
    body: list[list[Cell | str]] = [
        [
            *(pair[key] for key in ("family", "within", "a", "b")),
            Cell(points(pair["difference"]), pair["difference"]),
            Cell(f"{points(pair['low'])} to {points(pair['high'])}", pair["low"]),
            Cell(p_value(pair["p_holm"]), pair["p_holm"]),
            Cell(pair["verdict"], strong=True, help=pair["rule"]),
        ]
        for pair in ablation_result.pairs
    ]
    caption = (
        "Differences in out-of-fold accuracy, in points, with the interval of the corrected resampled t over "
        f"{ablation_result.record['folds']} folds; it counts the overlap of as many folds, which is too wide rather "
        "than too narrow where they are some of more. Holm over each family."
    )
    return Table(columns, body, caption, [Data.of(ablation_result.folder / "pairs.csv")])


def _runs(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return the same ways of reading for the networks of this run that have batch normalisation."""
    body = []
    for row in rows:
        folder = root / "build" / "evaluation" / row["dataset"] / row["model"]
        path = folder / "running_averages.csv"
        if not path.is_file():
            continue
        read_in = pd.read_csv(path).groupby("bn_statistics")["accuracy"].agg(["mean", "std"])
        if len(read_in) > 1:
            dynamics = pd.read_csv(folder / "training_dynamics.csv")
            modes = [dynamics[f"train_accuracy_{when}"] for when in ("while_training", "when_evaluated")]
            moments = [(each.mean(), each.std()) for each in modes]
            moments += [
                tuple(read_in.loc[bn_statistics])
                for bn_statistics in ("as_trained", "batch_statistics", "recalibrated")
            ]
            body.append([row["dataset"], row["model"], *(_moments(mean, sd) for mean, sd in moments)])
    if not body:
        return []
    columns = [Column("dataset"), Column("model"), *(Column(title, True) for _, _, title in _WAYS)]
    caption = (
        "Accuracy in %: mean ± standard deviation over the networks of the folds. Training mode is the running mean of "
        "the kept epoch. Recalibrated averages are measured on at most 1,000 training digits."
    )
    return [Heading("The networks of this run with batch normalisation"), Table(columns, body, caption)]


def _moments(mean: float, sd: float) -> Cell:
    return Cell(f"{percent(mean)} ± {percent(sd)}", mean)


def _published(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return the table of published numbers, with those of the full-size run where it is there."""
    columns = [
        *(Column(title) for title in ("what", "published")),
        Column("ours"),
        Column("95 % interval", help="of the mean over the networks of the folds, by the corrected resampled t"),
        *(Column(title) for title in ("verdict", "why")),
    ]
    full = root / "reports" / "full"
    build = root / "build"
    sources = [(root / "reports", build / "comparison", build / "ablation_results", "this run", rows)]
    if (full / "comparison.json").is_file():
        sources.append((full, full, full, "the full-size run", read_json(full / "comparison.json")))
    blocks: list[Block] = [Heading("Published against ours")]
    for folder, comparisons, ablation_results, name, compared in sources:
        pairs = read_json(folder / "pairs.json")["rows"] if (folder / "pairs.json").is_file() else []
        path = comparisons / "confused_pairs.csv"
        confused = rows_of_file(path) if path.is_file() else []
        made = lines(compared, pairs, confused, read_ablation_result(ablation_results / "regularisation"))
        body: list[list[Cell | str]] = [
            [each.what, each.published, each.ours, each.interval, Cell(each.agrees, strong=True), each.remark]
            for each in made
        ]
        caption = (
            f"Ours of {name}: mean ± standard deviation over its networks. The study does not say what its ± is; it is "
            "taken for the standard deviation over its five folds."
        )
        blocks.append(Table(columns, body, caption))
    return blocks
