"""Size and power of the statistical tests on classifiers of equal and of unequal accuracy, really trained.

    python benchmarks/calibration.py FOLDER_OF_MNIST [--draws 500] [--build build/calibration] [--reports reports]

Draws (``calibration_draws``) are made once and kept, so a run that was stopped goes on. Each candidate decides on each
pair of classifiers in each draw. Two rates are counted where the true difference is 0: how often a pair is decided
(``size``), and the same about the mean difference over all draws (``size_exact``), which a tuning to equal accuracy
leaves. Writes ``calibration.csv`` (a row for each candidate and null, and for each candidate's power),
``calibration.json`` and ``calibration.png``. 500 draws take 6 minutes of one core.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import calibration_draws as making
from shearbench.data import mnist
from shearbench.data.config import MnistFolder
from shearbench.plotting.canvas import png
from shearbench.records import provenance, write_bytes, write_json, write_text
from shearbench.report.sections.statistics import ALPHA, TOLERANCE, size_and_power_figure
from shearbench.statistics.crossed import VarianceComponents, joined, mean_squares, parts_from, parts_of, variances
from shearbench.statistics.power import training_factor
from shearbench.statistics.proportions import wilson
from shearbench.statistics.runs import Run
from shearbench.statistics.verdict import holm

EQUAL = 4
"""The first so many classifiers of a draw are equally accurate."""
AGAIN = 4
"""The place after them, of the second one with other seeds."""
Draw = Sequence[Run]


@dataclass(frozen=True)
class Estimate:
    """A difference, its standard error and degrees of freedom, as a candidate sees them."""

    difference: float
    error: float
    df: float

    def rejects(self, truth: float = 0.0) -> bool:
        """Whether ``truth`` is rejected at ``ALPHA``."""
        return bool(abs(self.difference - truth) > stats.t.isf(ALPHA / 2, self.df) * max(self.error, 1e-12))


def runs_of(draws: Mapping[str, NDArray[Any]], number: int) -> list[Run]:
    """Return the runs of a draw, one a classifier."""
    n, m = draws["folds"].shape[1], draws["test_groups"].shape[1]
    ids, test_ids = np.arange(n), np.arange(n, n + m)
    return [
        Run(
            dataset="mnist",
            model=str(place),
            data_hash="",
            ids=ids,
            folds=draws["folds"][number].astype(np.int64)[np.newaxis],
            correct=right[np.newaxis],
            test_ids=test_ids,
            test_correct=tested[np.newaxis],
            content=ids,
            test_content=test_ids,
            groups=draws["groups"][number].astype(np.int64),
            test_groups=draws["test_groups"][number].astype(np.int64),
        )
        for place, (right, tested) in enumerate(
            zip(draws["correct"][number], draws["test_correct"][number], strict=True)
        )
    ]


def candidates(a: Run, b: Run, family: Sequence[VarianceComponents], place: int) -> Iterator[tuple[str, Estimate]]:
    """Yield what each candidate sees of a pair; ``family`` are the parts of all pairs of equal classifiers."""
    d = (a.fold_accuracies - b.fold_accuracies).ravel()
    k, each = len(d), a.correct[0].astype(float) - b.correct[0]
    table = a.test_correct[0].astype(float) - b.test_correct[0]
    overlap, s2 = 1 / k + 1 / (k - 1), float(d.var(ddof=1))
    within = np.mean([each[a.folds[0] == fold].var(ddof=1) / (a.folds[0] == fold).sum() for fold in range(k)])
    yield "corrected resampled t (before)", Estimate(d.mean(), np.sqrt(s2 * overlap), k - 1)
    yield "naive paired t", Estimate(d.mean(), np.sqrt(s2 / k), k - 1)
    part = within / k + overlap * max(0.0, s2 - within)
    yield "correction on the training part", Estimate(each.mean(), np.sqrt(part), k - 1)
    yield "CLT for cross-validation (Bayle 2020)", Estimate(each.mean(), np.sqrt(within / k), np.inf)
    square, interaction = mean_squares(table)
    m = table.shape[1]
    cases = k * float(table.mean(axis=0).var(ddof=1))
    both = square + max(0.0, cases - interaction)
    yield (
        "Obuchowski-Rockette, test set",
        Estimate(table.mean(), np.sqrt(both / (k * m)), (k - 1) * (both / max(square, 1e-12)) ** 2),
    )
    mean = family[place].mean
    factor = training_factor(k, 1 / (k - 1))
    samples, training, df = (float(each[0]) for each in variances([family[place]]))
    yield "samples alone, no training", Estimate(mean, np.sqrt(samples), family[place].samples_df)
    yield "crossed, not moderated", Estimate(mean, np.sqrt(samples + training), df)
    samples, training, df = (float(each[place]) for each in variances(family))
    for name, other in (("trainings independent", 1 / k), ("all of n_test/n_train", overlap)):
        yield f"crossed, moderated, {name}", Estimate(mean, np.sqrt(samples + training * other / factor), df)
    yield "crossed, moderated (the verdict)", Estimate(mean, np.sqrt(samples + training), df)


def moderated_before(pairs: Sequence[tuple[Run, Run]]) -> list[Estimate]:
    """Return the corrected resampled t with variances moderated over the pairs of a family (Smyth 2004)."""
    d = np.array([(a.fold_accuracies - b.fold_accuracies).ravel() for a, b in pairs])
    k = d.shape[1]
    s2, df = d.var(axis=1, ddof=1), k - 1
    prior_df, prior = _smyth(np.maximum(s2, 1e-12), df)
    total = df + min(prior_df, 1e6)
    moderate = (df * s2 + min(prior_df, 1e6) * prior) / total
    return [
        Estimate(float(mean), float(error), total)
        for mean, error in zip(d.mean(axis=1), np.sqrt(moderate * (1 / k + 1 / (k - 1))), strict=True)
    ]


def _smyth(s2: NDArray[np.float64], df: int) -> tuple[float, float]:
    """Return d0 and s0^2 of Smyth (2004), section 6.2: moments of log s^2."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    e = np.log(s2) - digamma(df / 2) + np.log(df / 2)
    spread = float(e.var(ddof=1) - polygamma(1, df / 2))
    if spread <= 0:
        return np.inf, float(np.exp(e.mean()))
    half = brentq(lambda x: float(polygamma(1, x)) - spread, 1e-4, 1e6)
    return 2 * half, float(np.exp(e.mean() + digamma(half) - np.log(half)))


def measure(draws: Mapping[str, NDArray[Any]], names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each draw, pair and candidate: ``draw, a, b, candidate, difference, error, df``."""
    rows = []
    for number in range(len(draws["folds"])):
        runs = runs_of(draws, number)
        pairs = list(combinations(range(len(names)), 2))
        equal = [pair for pair in pairs if max(pair) < EQUAL]
        parts = {pair: parts_of(runs[pair[0]], runs[pair[1]]) for pair in pairs}
        before = dict(zip(equal, moderated_before([(runs[i], runs[j]) for i, j in equal]), strict=True))
        for a, b in pairs:
            others = [pair for pair in equal if pair != (a, b)][: len(equal) - 1]
            family = [parts[a, b], *(parts[pair] for pair in others)]
            found = dict(candidates(runs[a], runs[b], family, 0))
            if (a, b) in before:
                found["corrected t, moderated (Smyth 2004)"] = before[a, b]
            rows += [(number, names[a], names[b], name, e.difference, e.error, e.df) for name, e in found.items()]
    return pd.DataFrame(rows, columns=["draw", "a", "b", "candidate", "difference", "error", "df"])


def families(draws: Mapping[str, NDArray[Any]]) -> list[tuple[str, str, int, int]]:
    """Return (candidate, null, draws, draws with any false claim) of the family of all equal classifiers.

    A claim is false where it denies the mean difference over all draws.
    """
    pairs = list(combinations(range(EQUAL), 2))
    every, before = [], []
    for number in range(len(draws["folds"])):
        runs = runs_of(draws, number)
        every.append([parts_of(runs[a], runs[b]) for a, b in pairs])
        before.append([(runs[a].fold_accuracies - runs[b].fold_accuracies).ravel() for a, b in pairs])
    truths = np.mean([[part.mean for part in parts] for parts in every], axis=0)
    folds = np.array(before)
    k = folds.shape[2]
    t = (folds.mean(axis=2) - folds.mean(axis=(0, 2))) / np.maximum(
        folds.std(axis=2, ddof=1) * np.sqrt(1 / k + 1 / (k - 1)), 1e-12
    )
    wrong = {"max-t (the verdict)": 0, "Holm on the same p values": 0, "Holm on the corrected resampled t (before)": 0}
    for parts, p_before in zip(every, 2 * stats.t.sf(np.abs(t), k - 1), strict=True):
        found = joined(parts, alpha=ALPHA)
        p_now = [
            2 * float(stats.t.sf(abs(each.difference - truth) / each.standard_error, each.df))
            for each, truth in zip(found, truths, strict=True)
        ]
        denied = [not each.low <= truth <= each.high for each, truth in zip(found, truths, strict=True)]
        for name, claim in zip(
            wrong, (any(denied), min(holm(p_now)) < ALPHA, min(holm(p_before)) < ALPHA), strict=True
        ):
            wrong[name] += claim
    return [(name, "family of 4 equal classifiers", len(every), count) for name, count in wrong.items()]


def disjoint(draws: Mapping[str, NDArray[Any]], names: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the design of disjoint training sets, in which only test samples are read."""
    rows = []
    for number in range(len(draws["folds"])):
        groups = draws["test_groups"][number]
        tables = draws["test_correct"][number].astype(float)
        for a, b in combinations(range(len(names)), 2):
            table = tables[a] - tables[b]
            part = parts_from(table.mean(axis=0), table, groups)
            samples, training, df = (float(each[0]) for each in variances([part]))
            error = np.sqrt(samples + training)
            rows.append((number, names[a], names[b], "crossed, 10 disjoint sets, test only", part.mean, error, df))
    return pd.DataFrame(rows, columns=["draw", "a", "b", "candidate", "difference", "error", "df"])


def rates(frame: pd.DataFrame, names: Sequence[str], *, equal: int) -> list[dict[str, Any]]:
    """Return a row for each candidate and pair: share of draws that reject 0, and that reject the mean difference."""
    alike = set(names[:equal])  # the copies with other seeds among them
    rows = []
    for (candidate, a, b), part in frame.groupby(["candidate", "a", "b"], sort=False):
        truth = part["difference"].mean()
        critical = stats.t.isf(ALPHA / 2, part["df"]) * np.maximum(part["error"], 1e-12)
        null = "A/A" if b == f"{a}, other seeds" else "equal" if {a, b} <= alike else "unequal"
        count = len(part)
        decided, exact = (int((np.abs(part["difference"] - t) > critical).sum()) for t in (0.0, truth))
        low, high = wilson(exact / count, count)
        rows.append(
            {"candidate": candidate, "null": null, "a": a, "b": b, "draws": count, "difference": truth}
            | {"decided": decided / count, "size": exact / count, "low": low, "high": high}
        )
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each candidate: mean and worst size over the nulls, and mean power over unequal pairs."""
    made = []
    for candidate, part in rows.groupby("candidate", sort=False):
        null, unequal = part[part["null"] != "unequal"], part[part["null"] == "unequal"]
        size = float(null["size"].mean())
        made.append(
            {
                "candidate": candidate,
                "size": size,
                "least_size": float(null["size"].min()),
                "worst_size": float(null["size"].max()),
                "decided_equal": float(null["decided"].mean()),
                "power": float(unequal["decided"].mean()) if len(unequal) else None,
                "nulls": len(null),
                "draws": int(part["draws"].max()),
                "holds": abs(size - ALPHA) <= TOLERANCE,
            }
        )
    return pd.DataFrame(made)


def main(arguments: Sequence[str] | None = None) -> pd.DataFrame:
    """Make the draws that are not there, count, and write the reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help="folder with the IDX files of MNIST and QMNIST's label files")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--build", type=Path, default=Path("build/calibration"))
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    asked = parser.parse_args(arguments)
    parts = mnist.collect(MnistFolder(kind="path", path=str(asked.mnist.resolve())), Path())
    whole = mnist.Part(*(np.concatenate([part[i] for part in parts.values()]) for i in range(3)))
    made: dict[str, Mapping[str, NDArray[Any]]] = {
        design.name: making.make_draws(whole, design, draws=asked.draws, seed=asked.seed, folder=asked.build)
        for design in (making.FOLDS, making.DISJOINT)
    }
    names = {name: list(making.CLASSIFIERS[name]) for name in made}
    rows = rates(measure(made["folds"], names["folds"]), names["folds"], equal=AGAIN + 1)
    rows += rates(disjoint(made["disjoint"], names["disjoint"]), names["disjoint"], equal=len(names["disjoint"]))
    table = pd.DataFrame(rows)
    overall = summary(table)
    of_families = [
        {"candidate": name, "null": null, "draws": n, "size": count / n}
        | dict(zip(("low", "high"), wilson(count / n, n), strict=True))
        for name, null, n, count in families(made["folds"])
    ]
    write_text(asked.reports / "calibration.csv", pd.concat([table, pd.DataFrame(of_families)]).to_csv(index=False))
    listed = overall.astype(object).where(overall.notna(), None).to_dict("records")
    document = {"candidates": listed, "families": of_families, "provenance": provenance()}
    write_json(asked.reports / "calibration.json", document)
    write_bytes(asked.reports / "calibration.png", png(size_and_power_figure(listed)))
    print(overall.round(3).to_string(index=False))
    print(pd.DataFrame(of_families).round(3).to_string(index=False))
    return overall


if __name__ == "__main__":
    main()
