"""Every pair of networks on a dataset, and every pair of datasets for a network: evidence, Holm and verdict.

Input: :class:`runs.Run` of each, and the :class:`runs.Plan`. Output: a :class:`Comparison` a pair, which
:func:`row` makes flat for a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from shearbench.errors import InputError
from shearbench.statistics.bayesian import RopeProbabilities, correlated_t
from shearbench.statistics.bootstrap import BootstrapInterval, bootstrap_cases, bootstrap_folds_and_cases
from shearbench.statistics.design import Design, detectable_difference, needed_repeats
from shearbench.statistics.mcnemar import McNemarOverFolds, mcnemar_over_folds
from shearbench.statistics.multiplicity import holm
from shearbench.statistics.resampled_t import CorrectedT, corrected_t
from shearbench.statistics.runs import Plan, Run, refuse_seen, refuse_unplanned, why_not_paired
from shearbench.statistics.verdict import Verdict, decide


@dataclass(frozen=True)
class Comparison:
    """The evidence on ``a`` against ``b``: two networks within a dataset, or two datasets within a network."""

    kind: Literal["models", "datasets"]
    within: str
    a: str
    b: str
    mean_a: float
    mean_b: float
    cross_validation: CorrectedT
    p_holm: float
    probabilities: RopeProbabilities
    planned: float | None
    """The difference that the design was meant to detect; None if none was declared."""
    detectable: float
    """The smallest difference that it does detect at the spread seen, at Holm's first step: what was achieved."""
    needed_repeats: int | None
    """The fewest repeats that detect what was planned at the spread seen; None if a thousand do not, or no plan."""
    mcnemar: McNemarOverFolds
    mcnemar_p_holm: float
    test_cases: BootstrapInterval
    test_folds_and_cases: BootstrapInterval
    verdict: Verdict


@dataclass(frozen=True)
class Refused:
    """A pair of datasets that cannot be compared sample by sample, and why."""

    within: str
    a: str
    b: str
    reason: str


@dataclass(frozen=True)
class Comparisons:
    """All pairs; Holm's family is all pairs of networks, and all pairs of datasets."""

    networks: tuple[Comparison, ...]
    datasets: tuple[Comparison, ...]
    refused: tuple[Refused, ...]


def compare_all(runs: Sequence[Run], plan: Plan) -> Comparisons:
    """Compare every pair of networks on each dataset and every pair of datasets for each network.

    Datasets of other samples (class digits beside MNIST) cannot be paired: those pairs are listed as refused.

    Args:
        runs: each (dataset, network) once, in the order of the table.
        plan: declared before the run.

    Raises:
        InputError: as :func:`compare_pair` does, for networks on one dataset.
    """
    for run in runs:
        _refuse(run, plan)
    on_dataset = [(a, b) for a, b in combinations(runs, 2) if a.dataset == b.dataset]
    of_network = [(a, b) for a, b in combinations(runs, 2) if a.model == b.model and a.dataset != b.dataset]
    reasons = [why_not_paired(a, b) for a, b in of_network]
    refused = (
        Refused(a.model, a.dataset, b.dataset, reason)
        for (a, b), reason in zip(of_network, reasons, strict=True)
        if reason
    )
    paired = [pair for pair, reason in zip(of_network, reasons, strict=True) if not reason]
    return Comparisons(
        as_family([_compare(a, b, plan) for a, b in on_dataset], plan.design),
        as_family([_compare(a, b, plan) for a, b in paired], plan.design),
        tuple(refused),
    )


def compare_pair(a: Run, b: Run, plan: Plan) -> Comparison:
    """Compare two runs of one dataset or of one network; Holm's family is this one pair.

    Raises:
        InputError: if folds are fewer than planned, fold tables, samples or data differ, a test sample was trained
            on, or the two differ in both dataset and network.
    """
    for run in (a, b):
        _refuse(run, plan)
    return _compare(a, b, plan)


def as_family(comparisons: Sequence[Comparison], design: Design) -> tuple[Comparison, ...]:
    """Return the comparisons as one family: p values adjusted by Holm over all, verdicts and power accordingly."""
    family = replace(design, comparisons=max(1, len(comparisons)))
    p_holm = holm([each.cross_validation.p for each in comparisons])
    mcnemar_p_holm = holm([each.mcnemar.p for each in comparisons])
    return tuple(
        replace(
            each,
            p_holm=p,
            mcnemar_p_holm=q,
            verdict=decide(p, each.probabilities, alpha=design.alpha),
            detectable=detectable_difference(family, sd=each.cross_validation.sd),
            needed_repeats=_needed(family, each.planned, each.cross_validation),
        )
        for each, p, q in zip(comparisons, p_holm, mcnemar_p_holm, strict=True)
    )


def row(comparison: Comparison) -> dict[str, str | int | float | None]:
    """Return a comparison as one flat row; differences are fractions, a - b."""
    each, t, probabilities = comparison, comparison.cross_validation, comparison.probabilities
    return {
        **{field: getattr(each, field) for field in ("kind", "within", "a", "b", "mean_a", "mean_b")},
        **{field: getattr(t, field) for field in ("difference", "low", "high", "sd", "p")},
        "p_holm": each.p_holm,
        "p_worse": probabilities.worse,
        "p_equivalent": probabilities.equivalent,
        "p_better": probabilities.better,
        "rope": probabilities.rope,
        "verdict": each.verdict.word,
        "rule": each.verdict.rule,
        "planned": each.planned,
        "detectable": each.detectable,
        "needed_repeats": each.needed_repeats,
        "folds": t.folds,
        "repeats": t.repeats,
        "test_difference": each.test_cases.difference,
        "test_low": each.test_cases.low,
        "test_high": each.test_cases.high,
        "test_folds_low": each.test_folds_and_cases.low,
        "test_folds_high": each.test_folds_and_cases.high,
        "mcnemar_p": each.mcnemar.p,
        "mcnemar_p_holm": each.mcnemar_p_holm,
    }


def _refuse(run: Run, plan: Plan) -> None:
    refuse_unplanned(run, plan.design)
    refuse_seen(run)


def _compare(a: Run, b: Run, plan: Plan) -> Comparison:
    kind, within = _what(a, b)
    reason = why_not_paired(a, b)
    if reason:
        raise InputError(f"{a.name} and {b.name} cannot be compared: {reason}; run `dvc repro` for both")
    design, rope, planned = plan.design, plan.rope_of(a.dataset, b.dataset), plan.detect_of(a.dataset, b.dataset)
    scores_a, scores_b = a.fold_accuracies, b.fold_accuracies
    level = 1 - design.alpha
    t = corrected_t(scores_a, scores_b, level=level)
    probabilities = correlated_t(scores_a, scores_b, rope=rope)
    flat_a, flat_b = (run.test_correct.reshape(-1, len(run.test_ids)) for run in (a, b))
    mcnemar = mcnemar_over_folds(flat_a, flat_b)
    return Comparison(
        kind=kind,
        within=within,
        a=a.model if kind == "models" else a.dataset,
        b=b.model if kind == "models" else b.dataset,
        mean_a=float(scores_a.mean()),
        mean_b=float(scores_b.mean()),
        cross_validation=t,
        p_holm=t.p,
        probabilities=probabilities,
        planned=planned,
        detectable=detectable_difference(design, sd=t.sd),
        needed_repeats=_needed(design, planned, t),
        mcnemar=mcnemar,
        mcnemar_p_holm=mcnemar.p,
        test_cases=bootstrap_cases(flat_a, flat_b, level=level),
        test_folds_and_cases=bootstrap_folds_and_cases(a.test_correct, b.test_correct, level=level),
        verdict=decide(t.p, probabilities, alpha=design.alpha),
    )


def _needed(design: Design, planned: float | None, t: CorrectedT) -> int | None:
    return None if planned is None else needed_repeats(design, planned, sd=t.sd)


def _what(a: Run, b: Run) -> tuple[Literal["models", "datasets"], str]:
    if a.dataset == b.dataset:
        return "models", a.dataset
    if a.model == b.model:
        return "datasets", a.model
    raise InputError(
        f"{a.name} and {b.name} differ in dataset and network, so a difference has no single cause; "
        "compare networks on one dataset or one network on two"
    )
