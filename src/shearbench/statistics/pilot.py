"""A pilot: two models on the same few folds -> the differences that any number of folds and repeats can detect.

With w[i] = +1 if only a is right on sample i, -1 if only b is, and 0 otherwise, the difference of a fold is the mean of
w over the samples that it holds out. The variance of the differences over folds has two parts:

    fold_samples = sum_g (sum_{i in g} (w[i] - mean w))^2 / m^2 * G/(G-1)     the choice of held-out samples
    training     = var_f(d[f]) - fold_samples, at least 0                     the training, on all samples alike

The verdict (``crossed``) averages over all samples, including the test part, and over all networks:

    V = fold_samples m / scored + (1/networks + 1/(folds - 1) / 2) training.

Networks of disjoint training sets are scored on the test part alone: V = fold_samples m / tested + training / networks.
The pilot's networks must then have trained on as many samples as one set has. V is an upper bound there, because
random effects that the networks do not share average out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics import power
from shearbench.statistics.crossed import MODERATION, parts_from
from shearbench.statistics.runs import Design

FOLDS, REPEATS, SETS = (2, 3, 5, 10, 20), (1, 2, 3, 5, 10), (3, 5, 10, 15, 30)
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pilot:
    """Variances of the difference of two models, in squares of fractions of accuracy."""

    samples: float
    """Variance of the mean over all scored samples, due to the choice of samples."""
    samples_df: float
    test_share: float
    """Share of the test samples among all scored samples."""
    training: float
    """Variance of the difference of one pair of networks on the same samples."""
    noise: float
    """Upper bound of the variance that chance on single test samples adds to the verdict's ``training``."""
    seen: float
    """Variance of the differences over folds; below ``fold_samples`` if they agree by chance."""
    fold_samples: float
    df: int | None
    """Degrees of freedom of ``seen``; None if it was given, not measured."""

    def expected(self, design: Design) -> power.Precision:
        """Return the expected precision of the verdict of ``design``; each pair is tested at alpha / comparisons."""
        factor = power.training_factor(design.n, design.overlap)
        share = self.test_share if design.disjoint else 1.0
        training_df = (1 + (MODERATION if design.comparisons > 1 else 0)) * (design.n - 1)
        samples, training, square, samples_df, df = np.array(
            [
                self.samples / share,
                factor * self.training,
                factor * (self.training + self.noise),
                max(1.0, (self.samples_df + 1) * share - 1),
                training_df,
            ]
        )
        found = power.satterthwaite(samples, training, square, samples_df=samples_df, training_df=df)
        errors = (sqrt(samples + training), sqrt(samples), sqrt(training))
        return power.Precision(*errors, float(found), design.alpha / design.comparisons, design.n, design.overlap)

    def ends(self) -> tuple["Pilot", ...]:
        """Return the pilot at both ends of the 80 % chi-square interval of ``seen``; () if ``seen`` was given."""
        if self.df is None:
            return ()
        variances = (self.seen * self.df / stats.chi2.isf(each, self.df) for each in power.TAILS)
        return tuple(replace(self, training=max(0.0, each - self.fold_samples)) for each in variances)


def measured(discordance: Sequence[Rows], clusters: Sequence[Rows], *, scored: int, tested: int) -> Pilot:
    """Return the pilot of two models.

    Args:
        discordance: for each trained fold, at least 2, w of its held-out samples, (m,).
        clusters: for each fold, (m,), the writers of these samples, or a number of its own for each; at least 2.
        scored: number of training and test samples that the verdict rests on.
        tested: number of test samples among them.

    Raises:
        InputError: if there are too few folds or samples.
    """
    sizes = [len(np.unique(each)) for each in clusters]
    if len(sizes) < 2 or min(sizes) < 2:
        raise InputError(
            f"a pilot needs at least 2 folds of at least 2 writers or samples, got {sizes} a fold; train more folds of "
            "both runs"
        )
    parts = [
        parts_from(w.astype(np.float64), w[np.newaxis].astype(np.float64), names)
        for w, names in zip(discordance, clusters, strict=True)
    ]
    seen = float(np.var([part.mean for part in parts], ddof=1))
    fold_samples = float(np.mean([(part.sums**2).sum() for part in parts]))
    count = sum(part.samples for part in parts)
    single = float(np.concatenate(discordance).var())
    return Pilot(
        samples=fold_samples * count / len(parts) / scored,
        samples_df=sum(part.samples_df + 1 for part in parts) * scored / count - 1,
        test_share=tested / scored,
        training=max(0.0, seen - fold_samples),
        noise=single / tested,
        seen=seen,
        fold_samples=fold_samples,
        df=len(parts) - 1,
    )


def given(sd: float, *, folds: int) -> Pilot:
    """Return a pilot from a given standard deviation of fold differences, which counts as variance of the samples.

    The test part is assumed to be as large as a fold.

    Raises:
        InputError: if ``sd`` is not a positive number.
    """
    if not 0 < sd < 1:
        raise InputError(
            f"the standard deviation of fold differences must be a fraction between 0 and 1, got {sd}; 0.01 is usual"
        )
    return Pilot(sd**2 / (folds + 1), 1e6, 1 / (folds + 1), 0.0, sd**2, sd**2, sd**2, None)


@dataclass(frozen=True)
class Option:
    """The expected precision of one number of folds and repeats; fractions of accuracy."""

    folds: int
    repeats: int
    networks: int
    """Number of networks to train for each run."""
    standard_error: float
    detectable: float
    equivalence_needs: float


@dataclass(frozen=True)
class Need:
    """The fewest repeats with which ``folds`` folds detect the given difference; None if 1000 do not suffice.

    With disjoint training sets there is one repeat, and ``folds`` is the number of sets.
    """

    folds: int
    repeats: int | None
    least: float
    """The smallest difference that these folds detect with a thousand repeats, or a thousand sets."""


@dataclass(frozen=True)
class Planning:
    """The precision of the planned design and of its alternatives, and the repeats that a given difference needs."""

    design: Design
    rope: float
    planned: Option
    detectable_range: tuple[float, float] | None
    """Least and largest ``planned.detectable`` at the pilot's deviation and its ends; None if it was given."""
    options: tuple[Option, ...]
    difference: float | None
    needs: tuple[Need, ...]


def plan(design: Design, pilot: Pilot, *, rope: float, difference: float | None = None) -> Planning:
    """Return the differences that ``design`` and its alternatives detect, and the repeats that ``difference`` needs.

    Raises:
        InputError: if ``difference`` is not positive.
    """
    if difference is not None and not 0 < difference < 1:
        raise InputError(
            f"the difference to be detected must be a fraction between 0 and 1, got {difference}; 0.01 is one point of "
            "accuracy"
        )
    ends = [each.expected(design) for each in pilot.ends()]
    folds = sorted({*(SETS if design.disjoint else FOLDS), design.folds})
    repeats = [1] if design.disjoint else sorted({*REPEATS, design.repeats})
    return Planning(
        design,
        rope,
        _option(design, pilot, rope),
        power.detectable_range([pilot.expected(design), *ends], rope=rope, power=design.power) if ends else None,
        tuple(_option(replace(design, folds=k, repeats=r), pilot, rope) for k in folds for r in repeats),
        difference,
        () if difference is None else _needs(design, pilot, rope, difference, folds),
    )


def _option(design: Design, pilot: Pilot, rope: float) -> Option:
    found = pilot.expected(design)
    least = power.detectable(found, rope=rope, power=design.power)
    needs = power.equivalence_needs(found, power=design.power)
    return Option(design.folds, design.repeats, design.n, found.standard_error, least, needs)


def _needs(design: Design, pilot: Pilot, rope: float, difference: float, folds: list[int]) -> tuple[Need, ...]:
    if not design.disjoint:
        return tuple(_need(replace(design, folds=number), pilot, rope, difference) for number in folds)
    more = power.needed_repeats(
        lambda number: pilot.expected(replace(design, folds=number + 1)), difference, rope=rope, power=design.power
    )
    least = _option(replace(design, folds=power.MOST_REPEATS), pilot, rope).detectable
    return (Need(power.MOST_REPEATS, None, least) if more is None else Need(more + 1, 1, least),)


def _need(design: Design, pilot: Pilot, rope: float, difference: float) -> Need:
    repeats = power.needed_repeats(
        lambda number: pilot.expected(replace(design, repeats=number)), difference, rope=rope, power=design.power
    )
    return Need(design.folds, repeats, _option(replace(design, repeats=power.MOST_REPEATS), pilot, rope).detectable)
