"""Every pair of models on a dataset, and every pair of datasets for a model: evidence, family and verdict.

Input: a :class:`runs.Run` per run, and the :class:`runs.Plan`. Output: a :class:`Comparison` per pair, which
:func:`row` flattens for a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from shearbench.errors import InputError
from shearbench.statistics import power
from shearbench.statistics.crossed import Crossed, VarianceComponents, joined, parts_of
from shearbench.statistics.paired import BootstrapInterval, bootstrap_cases, bootstrap_folds_and_cases, mcnemar_p
from shearbench.statistics.resampled_t import CorrectedT, corrected_t
from shearbench.statistics.runs import Design, Plan, Run, check_run, why_not_paired
from shearbench.statistics.verdict import Verdict, decide_by_interval, holm

_CROSSED = (
    *("difference", "low", "high", "low_alone", "high_alone", "standard_error", "samples_error", "training_error"),
    *("df", "p", "p_adjusted", "samples", "groups", "networks"),
)
"""Columns of :func:`row` from :class:`Crossed`."""


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
    level: float
    """Probability with which the intervals of the family hold, 1 - alpha."""
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
    """The fewest repeats that detect ``planned`` at the observed spread.

    None if 1000 do not, without a plan, and for disjoint training sets, which have no repeats.
    """
    parts: VarianceComponents
    mcnemar_p: float
    mcnemar_p_holm: float
    test_cases: BootstrapInterval
    test_folds_and_cases: BootstrapInterval
    verdict: Verdict


@dataclass(frozen=True)
class Comparisons:
    """All pairs. A family is all pairs of models on one dataset, or all pairs of datasets."""

    models: tuple[Comparison, ...]
    datasets: tuple[Comparison, ...]
    unpaired: tuple[dict[str, str], ...]
    """``within, a, b, reason`` of the pairs of datasets that cannot be compared sample by sample."""


def compare_all(runs: Sequence[Run], plan: Plan) -> Comparisons:
    """Compare every pair of models on each dataset and every pair of datasets for each model.

    Datasets of other samples (class digits beside MNIST) cannot be paired: those pairs are ``unpaired``.

    Raises:
        InputError: if folds are fewer than planned, a test sample was trained on, or fold tables, samples or data of
            two models on one dataset differ.
    """
    for run in runs:
        check_run(run, plan.design)
    on_dataset: dict[str, list[Mapping[str, Any]]] = {}
    of_model, unpaired = [], []
    for a, b in combinations(runs, 2):
        if a.dataset == b.dataset:
            on_dataset.setdefault(a.dataset, []).append(evidence_of(a, b, plan))
        elif a.model == b.model and (reason := why_not_paired(a, b)):
            unpaired.append({"within": a.model, "a": a.dataset, "b": b.dataset, "reason": reason})
        elif a.model == b.model:
            of_model.append(evidence_of(a, b, plan))
    return Comparisons(
        tuple(pair for family in on_dataset.values() for pair in as_family(family, plan.design)),
        as_family(of_model, plan.design),
        tuple(unpaired),
    )


def as_family(evidence: Sequence[Mapping[str, Any]], design: Design) -> tuple[Comparison, ...]:
    """Return the pairs of one family, with simultaneous intervals and the verdicts and power that follow.

    ``evidence`` is from :func:`evidence_of`.
    """
    crossed = joined([each["parts"] for each in evidence], alpha=design.alpha)
    mcnemar_p_holm = holm([each["mcnemar_p"] for each in evidence])
    return tuple(
        Comparison(**each, mcnemar_p_holm=q, **_decided(found, each["rope"], each["planned"], design))
        for each, found, q in zip(evidence, crossed, mcnemar_p_holm, strict=True)
    )


def row(comparison: Comparison) -> dict[str, str | int | float | None]:
    """Return a comparison as one flat row; differences are fractions, a - b.

    ``low`` to ``high`` holds for all pairs of the family at once, ``low_alone`` to ``high_alone`` for this pair: both
    for other samples and another training. ``test_low`` to ``test_high`` is for other test samples and these networks.
    ``fold_p`` is the p value of the corrected resampled t over the folds, ``sd`` the deviation of the fold differences.
    """
    each = comparison
    least, most = each.detectable_range
    return {
        **{field: getattr(each, field) for field in ("kind", "within", "a", "b", "mean_a", "mean_b")},
        **{field: getattr(each.crossed, field) for field in _CROSSED},
        "level": each.level,
        "family_size": each.crossed.family,
        "verdict": each.verdict.word,
        "rule": each.verdict.rule,
        **{field: getattr(each, field) for field in ("rope", "planned", "detectable")},
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
        "mcnemar_p": each.mcnemar_p,
        "mcnemar_p_holm": each.mcnemar_p_holm,
    }


def evidence_of(a: Run, b: Run, plan: Plan) -> dict[str, Any]:
    """Return the fields of a :class:`Comparison` that do not depend on its family.

    Raises:
        InputError: if fold tables, samples or data of the two runs differ.
    """
    reason = why_not_paired(a, b)
    if reason:
        raise InputError(f"{a.name} and {b.name} cannot be compared: {reason}; run `dvc repro` for both")
    of_models, level = a.dataset == b.dataset, 1 - plan.design.alpha
    return {
        "kind": "models" if of_models else "datasets",
        "within": a.dataset if of_models else a.model,
        "a": a.model if of_models else a.dataset,
        "b": b.model if of_models else b.dataset,
        "mean_a": parts_of(a).mean,
        "mean_b": parts_of(b).mean,
        "cross_validation": corrected_t(
            a.fold_accuracies, b.fold_accuracies, level=level, test_to_train=a.test_to_train, step=a.step
        ),
        "rope": plan.rope_of(a.dataset, b.dataset),
        "planned": plan.detect_of(a.dataset, b.dataset),
        "parts": parts_of(a, b),
        "mcnemar_p": mcnemar_p(a.test_table, b.test_table),
        "test_cases": bootstrap_cases(a.test_table, b.test_table, level=level),
        "test_folds_and_cases": bootstrap_folds_and_cases(a.test_correct, b.test_correct, level=level),
    }


def _decided(crossed: Crossed, rope: float, planned: float | None, design: Design) -> dict[str, Any]:
    """Return the fields of a comparison that depend on its family: verdict, detectable differences, repeats."""
    spread = [crossed, *(replace(crossed, standard_error=error) for error in power.error_range(crossed))]
    return {
        "crossed": crossed,
        "level": 1 - design.alpha,
        "detectable": power.detectable(crossed, rope=rope, power=design.power),
        "detectable_range": power.detectable_range(spread, rope=rope, power=design.power),
        "equivalence_needs": power.equivalence_needs(crossed, power=design.power),
        "needed_repeats": None
        if planned is None or design.disjoint  # more sets are smaller sets: `shearbench design --sets` plans them
        else power.needed_repeats(
            lambda repeats: power.with_networks(crossed, design.folds * repeats), planned, rope=rope, power=design.power
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
