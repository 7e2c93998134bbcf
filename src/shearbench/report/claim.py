"""The published claim, that depth is fragile on sheared digits, against an ablation on how its inputs are scaled.

Every sentence is made of the numbers and verdicts of one ablation result, ``build/ablation_results/normalisation/`` or
``reports/full/normalisation/``; other records give other sentences. The first network of the ablation is the deep
one, the second the plain one, and the first dataset has the scaling that was published.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import RECORD, read_json
from shearbench.report.findings import p_value, percent, points

Row = Mapping[str, Any]
_TO = {"better": "than", "equivalent": "to"}
_IS = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
}


@dataclass(frozen=True, eq=False)
class AblationResult:
    """What an ablation has come to: its folder, its record, and its tables as rows."""

    folder: Path
    record: Mapping[str, Any]
    accuracies: Sequence[Row]
    pairs: Sequence[Row]

    @cached_property
    def networks(self) -> list[str]:
        """The networks, in the order of the ablation."""
        return list(dict.fromkeys(row["model"] for row in self.accuracies))

    @cached_property
    def datasets(self) -> list[str]:
        """The datasets, in the order of the ablation."""
        return list(dict.fromkeys(row["dataset"] for row in self.accuracies))

    def of_family(self, family: str, **values: str) -> list[Row]:
        """Return the pairs of a family, with these values where given."""
        return [
            pair for pair in self.pairs if pair["family"] == family and all(pair[k] == v for k, v in values.items())
        ]

    def accuracy(self, dataset: str, model: str, split: str, bn_statistics: str) -> Row | None:
        """Return the row of a run's accuracy, or None where it was not measured."""
        wanted = {"dataset": dataset, "model": model, "split": split, "bn_statistics": bn_statistics}
        found = [row for row in self.accuracies if all(row[key] == value for key, value in wanted.items())]
        return found[0] if found else None


def read_ablation_result(folder: Path) -> AblationResult | None:
    """Read the ablation result in a folder, or return None where there is none."""
    if not (folder / RECORD).is_file():
        return None
    accuracies, pairs = (rows_of_file(folder / name) for name in ("accuracies.csv", "pairs.csv"))
    return AblationResult(folder, read_json(folder / RECORD), accuracies, pairs)


def setting(ablation_result: AblationResult) -> str:
    """Say on how much an ablation result stands, in one sentence."""
    record, plan = ablation_result.record, ablation_result.record["plan"]
    networks = {name: plan["models"][name] for name in ablation_result.networks}
    recipes = [each["recipe"] for each in networks.values()]
    epochs, rates = (
        _listed(dict.fromkeys(f"{each[key]:g}" for each in recipes)) for key in ("epochs", "learning_rate")
    )
    widths = _listed(f"{each['width']:g} ({name})" for name, each in networks.items())
    schedules = _listed(dict.fromkeys(each["schedule"] for each in recipes))
    return (
        f"{record['folds']} of {record['of_folds']} folds, {record['sizes']['train']:,} training and "
        f"{record['sizes']['test']:,} test digits, {_counted(epochs, 'epoch')}, learning rate {rates} ({schedules}), "
        f"width {widths}; {record['hardware']}."
    )


def said(pair: Row) -> str:
    """Say the verdict on one pair with its numbers."""
    verb = _IS.get(pair["verdict"])
    within = f"on {pair['within']}" if pair["kind"] == "models" else f"for {pair['within']}"
    start = f"{within}, {pair['a']} {verb} {pair['b']}" if verb else _undecided(pair, within)
    return (
        f"{start[0].upper()}{start[1:]}: {percent(pair['mean_a'])} against {percent(pair['mean_b'])} % of the digits "
        f"held out ({points(pair['difference'])} points, 95 % interval {points(pair['low'])} to "
        f"{points(pair['high'])}, n = {pair['folds']} folds, Holm p {_p(pair['p_holm'])})."
    )


def sentences(ablation_result: AblationResult) -> list[str]:
    """Say what the ablation shows of the claim, step by step; the last sentence is the conclusion."""
    deep, published = ablation_result.networks[0], ablation_result.datasets[0]
    steps = [said(pair) for pair in ablation_result.of_family("models", within=published)]
    gap = _gap(ablation_result, published, deep)
    steps += [gap] if gap else []
    steps += [said(pair) for pair in ablation_result.of_family("recalibration", within=published, a=deep)]
    steps += [said(pair) for pair in ablation_result.of_family("recalibrated networks", within=published)]
    steps += _other_scalings(ablation_result)
    return [*steps, conclusion(ablation_result)]


def conclusion(ablation_result: AblationResult) -> str:
    """Say whether the claim holds here; what it says follows from the verdicts alone.

    It *supports* the claim where the deep network is worse than the plain one on every scaling, and still is on the
    published one with its running averages recalibrated. On the published scaling the loss is one of *running averages*
    where recalibration betters the deep network, which is then not worse than the plain one. It *contradicts* the claim
    where moreover the deep network is better or equivalent on another scaling, and worse on no other. All else is
    undecided.
    """
    deep, plain, published = ablation_result.networks[0], ablation_result.networks[1], ablation_result.datasets[0]
    on = {pair["within"]: pair["verdict"] for pair in ablation_result.of_family("models", b=plain)}
    others = {verdict for dataset, verdict in on.items() if dataset != published}
    mended = [pair["verdict"] for pair in ablation_result.of_family("recalibration", within=published, a=deep)]
    best = [pair["verdict"] for pair in ablation_result.of_family("recalibrated networks", within=published)]
    if set(on.values()) == {"worse"} and best == ["worse"]:
        return (
            f"Here the evidence supports the claim: {deep} is worse than {plain} on every scaling of the same fields, "
            "and its running averages do not explain it."
        )
    if mended != ["worse"] or best not in (["better"], ["equivalent"]):
        return "Here the evidence decides neither for the claim nor against it."
    regained = f"what {deep} loses on {published} it regains with recalibrated running averages and no weight changed"
    if "worse" in others or not others & {"better", "equivalent"}:
        rest = "it is worse on another scaling" if "worse" in others else "the other scalings decide nothing"
        return (
            f"Here {regained}, and is then {best[0]} {_TO[best[0]]} {plain}: on the published scaling its failure is "
            f"one of running averages and not of depth. Of the claim as a whole this is no verdict, as {rest}."
        )
    return (
        f"Here the evidence contradicts the claim: {regained}, and on other scalings of the same fields it is not "
        f"worse than {plain}. The failure is one of input scaling and running averages, not of depth. What the "
        "authors' own networks did cannot be told from here."
    )


def _gap(ablation_result: AblationResult, dataset: str, model: str) -> str | None:
    """Say how training mode and evaluation mode differ on training digits."""
    during, after = (
        ablation_result.accuracy(dataset, model, "train", bn_statistics)
        for bn_statistics in ("during_training", "as_trained")
    )
    if during is None or after is None:
        return None
    apart = "their intervals do not meet" if during["low"] > after["high"] else "their intervals meet"
    return (
        f"On training digits of {dataset}, {model} is right for {_interval(during)} in training mode (running mean of "
        f"the last epoch) and for {_interval(after)} in evaluation mode (n = {during['folds']} folds): {apart}."
    )


def _other_scalings(ablation_result: AblationResult) -> list[str]:
    """Say on which of the other scalings the deep network is better, worse, ..., and which of them better it."""
    deep, plain, published = ablation_result.networks[0], ablation_result.networks[1], ablation_result.datasets[0]
    words: dict[str, list[str]] = {}
    for pair in ablation_result.of_family("models", b=plain):
        if pair["within"] != published:
            words.setdefault(pair["verdict"], []).append(pair["within"])
    parts = [f"{_IS[word]} {plain} on {_listed(words[word])}" for word in _IS if word in words]
    if "undecided" in words:
        parts.append(f"cannot be told from {plain} on {_listed(words['undecided'])}")
    first = [f"On the other scalings, {deep} as trained {'; it '.join(parts)}."] if parts else []
    gained = [
        f"{pair['b']} ({percent(pair['mean_b'])} %)"
        for pair in ablation_result.of_family("datasets", within=deep)
        if pair["verdict"] == "worse"
    ]
    if not gained:
        return first
    return [*first, f"{deep} as trained reads better than on {published} on {_listed(gained)}."]


def _undecided(pair: Row, within: str) -> str:
    return f"{within} it is undecided whether {pair['a']} differs from {pair['b']}"


def _interval(row: Row) -> str:
    return f"{percent(row['mean'])} % (95 % interval {percent(row['low'])} to {percent(row['high'])})"


def _p(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _counted(number: str, what: str) -> str:
    return f"{number} {what}" if number == "1" else f"{number} {what}s"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}"


def rows_of_file(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none of an empty one."""
    if path.stat().st_size <= 1:  # a table without rows
        return []
    return [{str(key): value for key, value in row.items()} for row in pd.read_csv(path).to_dict("records")]
