"""Every pair of models on a dataset, and every pair of datasets for a model: evidence, family and verdict.

Input: a :class:`runs.Run` per run, and the :class:`runs.Plan`. Output: a :class:`Comparison` per pair, which
:func:`row` flattens for a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from shearbench.errors import InputError
from shearbench.statistics.bootstrap import BootstrapInterval, bootstrap_cases, bootstrap_folds_and_cases
from shearbench.statistics.crossed import Crossed, Parts, joined, parts_of
from shearbench.statistics.design import Design
from shearbench.statistics.mcnemar import McNemarOverFolds, mcnemar_over_folds
from shearbench.statistics.multiplicity import holm
from shearbench.statistics.power import (
    detectable,
    detectable_range,
    equivalence_needs,
    error_range,
    needed_repeats,
    with_networks,
)
from shearbench.statistics.resampled_t import CorrectedT, corrected_t
from shearbench.statistics.runs import Plan, Run, refuse_seen, refuse_unplanned, why_not_paired
from shearbench.statistics.verdict import Verdict, decide_by_interval


@dataclass(frozen=True)
class Comparison:
    """The evidence on ``a`` against ``b``: two models on a dataset, or two datasets for a model."""

    kind: Literal["models", "datasets"]
    within: str
    a: str
    b: str
    mean_a: float
    mean_b: float
    crossed: Crossed
    """Difference, interval and p value that the verdict rests on."""
    cross_validation: CorrectedT
    """The corrected resampled t over the folds, which the verdict does not use."""
    rope: float
    planned: float | None
    """The declared difference that the design should detect; None if none was declared."""
    detectable: float
    """The smallest difference that is called better or worse with the declared power, at the observed spread."""
    detectable_range: tuple[float, float]
    """The least and the largest ``detectable`` at that spread and at both ends of its 80 % interval."""
    equivalence_needs: float
    """The least region of equivalence in which equal runs are called equivalent with the declared power."""
    needed_repeats: int | None
    """The fewest repeats that detect ``planned`` at the observed spread; None if 1000 do not, or without a plan."""
    parts: Parts
    mcnemar: McNemarOverFolds
    mcnemar_p_holm: float
    test_cases: BootstrapInterval
    test_folds_and_cases: BootstrapInterval
    verdict: Verdict


@dataclass(frozen=True)
class Refused:
    """A pair of datasets that cannot be compared sample by sample, and the reason."""

    within: str
    a: str
    b: str
    reason: str


@dataclass(frozen=True)
class Comparisons:
    """All pairs. A family is all pairs of models on one dataset, or all pairs of datasets."""

    networks: tuple[Comparison, ...]
    datasets: tuple[Comparison, ...]
    refused: tuple[Refused, ...]


def compare_all(runs: Sequence[Run], plan: Plan) -> Comparisons:
    """Compare every pair of models on each dataset and every pair of datasets for each model.

    Datasets of other samples (class digits beside MNIST) cannot be paired: those pairs are listed as refused.

    Args:
        runs: each (dataset, model) once, in the order of the table.
        plan: declared before the run.

    Raises:
        InputError: if :func:`compare_pair` refuses two models on one dataset.
    """
    for run in runs:
        _refuse(run, plan)
    on_dataset = [(a, b) for a, b in combinations(runs, 2) if a.dataset == b.dataset]
    of_model = [(a, b) for a, b in combinations(runs, 2) if a.model == b.model and a.dataset != b.dataset]
    reasons = [why_not_paired(a, b) for a, b in of_model]
    refused = (
        Refused(a.model, a.dataset, b.dataset, reason)
        for (a, b), reason in zip(of_model, reasons, strict=True)
        if reason
    )
    paired = [pair for pair, reason in zip(of_model, reasons, strict=True) if not reason]
    dataset_names = dict.fromkeys(a.dataset for a, _ in on_dataset)
    families = [[_compare(a, b, plan) for a, b in on_dataset if a.dataset == dataset] for dataset in dataset_names]
    return Comparisons(
        tuple(pair for family in families for pair in as_family(family, plan.design)),
        as_family([_compare(a, b, plan) for a, b in paired], plan.design),
        tuple(refused),
    )


def compare_pair(a: Run, b: Run, plan: Plan) -> Comparison:
    """Compare two runs on one dataset or of one model, as a family of one pair.

    Raises:
        InputError: if folds are fewer than planned; if fold tables, samples or data differ; if a test sample was
            trained on; or if the runs differ in both dataset and model.
    """
    for run in (a, b):
        _refuse(run, plan)
    return _compare(a, b, plan)


def as_family(comparisons: Sequence[Comparison], design: Design) -> tuple[Comparison, ...]:
    """Return the comparisons as one family, with simultaneous intervals and the verdicts and power that follow."""
    crossed = joined([each.parts for each in comparisons], alpha=design.alpha)
    mcnemar_p_holm = holm([each.mcnemar.p for each in comparisons])
    return tuple(
        replace(each, mcnemar_p_holm=q, **_decided(found, each.rope, each.planned, design))
        for each, found, q in zip(comparisons, crossed, mcnemar_p_holm, strict=True)
    )


def row(comparison: Comparison) -> dict[str, str | int | float | None]:
    """Return a comparison as one flat row; differences are fractions, a - b.

    ``low`` to ``high`` holds for all pairs of the family at once, ``low_alone`` to ``high_alone`` for this pair: both
    for other samples and another training. ``test_low`` to ``test_high`` is for other test samples and these networks.
    ``fold_p`` is the p value of the corrected resampled t over the folds, ``sd`` the deviation of the fold differences.
    """
    each, found = comparison, comparison.crossed
    least, most = each.detectable_range
    return {
        **{field: getattr(each, field) for field in ("kind", "within", "a", "b", "mean_a", "mean_b")},
        **{field: getattr(found, field) for field in _CROSSED},
        "family_size": found.family,
        "verdict": each.verdict.word,
        "rule": each.verdict.rule,
        "rope": each.rope,
        "planned": each.planned,
        "detectable": each.detectable,
        "detectable_low": least,
        "detectable_high": most,
        "equivalence_needs": each.equivalence_needs,
        "needed_repeats": each.needed_repeats,
        "folds": each.cross_validation.folds,
        "repeats": each.cross_validation.repeats,
        "sd": each.cross_validation.sd,
        "fold_p": each.cross_validation.p,
        "test_difference": each.test_cases.difference,
        "test_low": each.test_cases.low,
        "test_high": each.test_cases.high,
        "test_folds_low": each.test_folds_and_cases.low,
        "test_folds_high": each.test_folds_and_cases.high,
        "mcnemar_p": each.mcnemar.p,
        "mcnemar_p_holm": each.mcnemar_p_holm,
    }


_CROSSED = (
    "difference",
    "low",
    "high",
    "low_alone",
    "high_alone",
    "standard_error",
    "samples_error",
    "training_error",
    "df",
    "p",
    "p_adjusted",
    "samples",
    "groups",
    "networks",
)


def _refuse(run: Run, plan: Plan) -> None:
    refuse_unplanned(run, plan.design)
    refuse_seen(run)


def _compare(a: Run, b: Run, plan: Plan) -> Comparison:
    kind, within = _kind_and_within(a, b)
    reason = why_not_paired(a, b)
    if reason:
        raise InputError(f"{a.name} and {b.name} cannot be compared: {reason}; run `dvc repro` for both")
    design, rope, planned = plan.design, plan.rope_of(a.dataset, b.dataset), plan.detect_of(a.dataset, b.dataset)
    level = 1 - design.alpha
    parts = parts_of(a, b)
    crossed = joined([parts], alpha=design.alpha)[0]
    flat_a, flat_b = (run.test_correct.reshape(-1, len(run.test_ids)) for run in (a, b))
    mcnemar = mcnemar_over_folds(flat_a, flat_b)
    return Comparison(
        kind=kind,
        within=within,
        a=a.model if kind == "models" else a.dataset,
        b=b.model if kind == "models" else b.dataset,
        mean_a=parts_of(a).mean,
        mean_b=parts_of(b).mean,
        cross_validation=corrected_t(
            a.fold_accuracies, b.fold_accuracies, level=level, test_to_train=a.test_to_train, step=a.step
        ),
        rope=rope,
        planned=planned,
        parts=parts,
        mcnemar=mcnemar,
        mcnemar_p_holm=mcnemar.p,
        test_cases=bootstrap_cases(flat_a, flat_b, level=level),
        test_folds_and_cases=bootstrap_folds_and_cases(a.test_correct, b.test_correct, level=level),
        **_decided(crossed, rope, planned, design),
    )


def _decided(crossed: Crossed, rope: float, planned: float | None, design: Design) -> dict[str, Any]:
    """Return the fields of a comparison that depend on its family: verdict, detectable differences, repeats."""
    spread = [crossed, *(replace(crossed, standard_error=error) for error in error_range(crossed))]
    return {
        "crossed": crossed,
        "detectable": detectable(crossed, rope=rope, power=design.power),
        "detectable_range": detectable_range(spread, rope=rope, power=design.power),
        "equivalence_needs": equivalence_needs(crossed, power=design.power),
        "needed_repeats": None
        if planned is None
        else needed_repeats(
            lambda repeats: with_networks(crossed, design.folds * repeats), planned, rope=rope, power=design.power
        ),
        "verdict": decide_by_interval(
            crossed.low,
            crossed.high,
            rope=rope,
            p_adjusted=crossed.p_adjusted,
            alpha=design.alpha,
            family=crossed.family,
        ),
    }


def _kind_and_within(a: Run, b: Run) -> tuple[Literal["models", "datasets"], str]:
    if a.dataset == b.dataset:
        return "models", a.dataset
    if a.model == b.model:
        return "datasets", a.model
    raise InputError(
        f"{a.name} and {b.name} differ in dataset and network, so a difference has no single cause; "
        "compare networks on one dataset or one network on two"
    )
