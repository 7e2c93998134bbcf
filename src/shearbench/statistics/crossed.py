"""The difference of two models and its variance over other samples and other trainings, which are crossed.

Every sample i has u[i], the share of networks of ``a`` that predict it correctly minus that of ``b``. Networks count if
they trained neither on the sample nor on its group: one per repeat if a fold holds it out, all for a test sample. The
difference is the mean of u over all N samples. Its variance over other samples and other trainings is

    V = V_samples + V_training
    V_samples  = sum_g (sum_{i in g} (u[i] - mean u))^2 / N^2 * G / (G - 1)       clusters g: writers, or samples
    V_training = (1/K + n_test/n_train / 2) max(0, T) / m,   T = (D + S D') / (1 + S),   D = MS_T - MS_TC

MS_T and MS_TC are the mean squares of K trainings and of their interaction with samples in the K x m table of the test
part, as in the multi-reader multi-case analysis of radiology with networks as readers. A few trainings estimate D
poorly, so D is moderated by D', its mean over the pairs of the family (S = 1: equal weights). The degrees of freedom
are Satterthwaite's, with G_e = N^2 / sum_g n_g^2 clusters of equal weight,

    df = V^2 / (V_samples^2 / (G_e - 1) + ((1/K + n_test/n_train / 2) MS_T / m)^2 / ((1 + S) (K - 1))),

and at least (1 + S) (K - 1). Half of n_test/n_train is measured, not derived (``docs/statistics.md``); it is 0 for
disjoint training sets. V is at least 1/N^2: accuracies move in such steps, so an observed spread of 0 is not certainty.

Sources: Obuchowski and Rockette, Communications in Statistics 24 (1995); Hillis, Statistics in Medicine 26 (2007);
Nadeau and Bengio, Machine Learning 52 (2003); Smyth, Statistical Applications in Genetics and Molecular Biology 3
(2004), for moderation; Cameron and Miller, Journal of Human Resources 50 (2015), for clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.seeds import generator_for
from shearbench.statistics.power import Precision, satterthwaite, training_factor
from shearbench.statistics.proportions import wilson
from shearbench.statistics.runs import UNKNOWN, Run

Floats = NDArray[np.float64]
DRAWS = 50_000
"""Number of draws from the joint distribution of a family's statistics."""
MODERATION = 1
"""S: the weight of D', the mean over the family, relative to the D of a pair."""
_EXACT_BELOW = 1e-3
"""Adjusted p values below this bound are Bonferroni's, which is nearly exact; too few draws lie there."""


@dataclass(frozen=True)
class Crossed(Precision):
    """A difference a - b with its precision, p values and intervals; fractions of accuracy.

    ``low`` to ``high`` holds for all pairs of the family at once; it excludes 0 if ``p_adjusted`` < alpha.
    """

    difference: float
    p: float
    p_adjusted: float
    low: float
    high: float
    low_alone: float
    high_alone: float
    """``low_alone`` to ``high_alone`` is the interval for this pair alone."""
    family: int
    """Number of pairs in the family."""
    samples: int
    groups: int | None
    """Number of known writers; None if all are unknown, and samples then count as independent."""


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    """Mean and variance components of one pair, before they are combined with those of its family."""

    mean: float
    samples: int
    clusters: NDArray[np.int64]
    """(c,) numbers of the writers; negative numbers for samples with an unknown writer."""
    sums: Floats
    """(c,) contribution of each cluster to the mean, scaled so that the squares sum to V_samples."""
    samples_df: float
    deviations: Floats
    """(K,) deviations of the trainings from their mean, on the test part."""
    square: float
    """(1/K + n_test/n_train / 2) MS_T / m."""
    interaction: float
    """(1/K + n_test/n_train / 2) MS_TC / m."""
    overlap: float
    """n_test/n_train, or 0 if the trainings share no samples."""


def parts_of(a: Run, b: Run | None = None) -> VarianceComponents:
    """Return mean and variance components of the difference of two runs on the same samples, or of one accuracy.

    ``b`` is None for the accuracy of ``a``. Networks of disjoint training sets are compared on the test part alone.
    """
    held_out, table = a.correct.mean(axis=0), a.test_table.astype(np.float64)
    if b is not None:
        held_out, table = held_out - b.correct.mean(axis=0), table - b.test_table
    # Only the networks of its own fold predict a training sample, all networks predict a test sample. Both shares
    # estimate the same: the probability that a network which did not train on the sample predicts it correctly.
    tested, test_clusters = table.mean(axis=0), clusters_of(a.test_groups, a.test_ids)
    if a.disjoint:
        return parts_from(tested, table, test_clusters)
    clusters = np.concatenate([clusters_of(a.groups, a.ids), test_clusters])
    return parts_from(np.concatenate([held_out, tested]), table, clusters, overlap=a.test_to_train)


def parts_from(u: Floats, table: Floats, clusters: NDArray[np.int64], *, overlap: float = 0.0) -> VarianceComponents:
    """Return the mean of ``u`` with its variance components.

    Args:
        u: (N,), value of each sample.
        table: (K, m), value of each training on each test sample.
        clusters: (N,), number of each sample's cluster, from :func:`clusters_of`.
        overlap: n_test/n_train, or 0 if the trainings share no samples.
    """
    names, of_sample = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(of_sample, weights=u - u.mean()), np.bincount(of_sample).astype(np.float64)
    count, n = len(names), len(u)
    trainings, samples = table.shape
    square, interaction = (training_factor(trainings, overlap) * each / samples for each in mean_squares(table))
    return VarianceComponents(
        mean=float(u.mean()),
        samples=n,
        clusters=names,
        # Scaled here, so that the covariance of two pairs is a plain product of their sums (`_least_p`).
        sums=sums * sqrt(count / max(1, count - 1)) / n,
        samples_df=max(1.0, n**2 / float((sizes**2).sum()) - 1),
        deviations=table.mean(axis=1) - table.mean(),
        square=square,
        interaction=interaction,
        overlap=overlap,
    )


def mean_squares(table: Floats) -> tuple[float, float]:
    """Return MS_T (trainings) and MS_TC (interaction) of a table (trainings, samples); both are 0 with one training."""
    trainings, samples = table.shape
    if trainings < 2:
        return 0.0, 0.0
    rows, columns, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = ((table - rows[:, np.newaxis] - columns + mean) ** 2).sum()
    return samples * float(rows.var(ddof=1)), float(rest) / ((trainings - 1) * (samples - 1))


def accuracy_interval(u: Floats, table: Floats, clusters: NDArray[np.int64], *, overlap: float) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy for other samples and another training, within 0 to 1.

    The interval is Wilson's, with p (1 - p) / V as the number of samples (at most K times n) and Student's t with the
    degrees of freedom of V instead of the normal quantile. Source: Dean and Pagano, Journal of Survey Statistics and
    Methodology 3 (2015). At p = 0 or 1, V has no part of the samples, and p (1 - p) is that of two more samples of
    either kind (Agresti and Coull 1998), for at most n samples.

    Args:
        u: (n,), share of networks that predict each sample correctly.
        table: (K, m), whether each network predicts each test sample correctly.
        clusters: (n,), from :func:`clusters_of`.
        overlap: n_test/n_train, or 0 if the trainings share no samples.
    """
    part = parts_from(u, table, clusters, overlap=overlap)
    samples, training, df = (float(each[0]) for each in variances([part]))
    share, variance = min(1.0, max(0.0, part.mean)), samples + training
    spread, most = share * (1 - share), len(u) * len(table)
    if spread == 0:
        near, most = (len(u) * share + 2) / (len(u) + 4), len(u)
        spread = near * (1 - near)
        if most * variance <= spread:
            return wilson(share, most, df=part.samples_df)
    effective = min(float(most), max(1.0, spread / variance)) if variance > 0 else float(most)
    return wilson(share, effective, df=df)


def joined(parts: Sequence[VarianceComponents], *, alpha: float) -> tuple[Crossed, ...]:
    """Return the pairs of a family, with adjusted p values and simultaneous intervals at level 1 - alpha.

    The method is single-step max-t: the joint distribution of the statistics is normal, and pairs are correlated by the
    samples and trainings that they share. Each statistic is brought to that scale by its own degrees of freedom.
    Sources: Hothorn, Bretz and Westfall (2008), Biom. Journal 50; Romano and Wolf (2005), Econometrica 73, step one.
    """
    if not parts:
        return ()
    samples, training, df = variances(parts)
    # Accuracies move in steps of one sample, so an observed spread of 0 is not certainty.
    errors = np.sqrt(np.maximum(samples + training, [1 / each.samples**2 for each in parts]))
    means = np.array([each.mean for each in parts])
    p = np.asarray(2 * stats.t.sf(np.abs(means) / errors, df), np.float64)
    # `point` is the alpha quantile of the least p value of a family without differences.
    least = _least_p(parts, training) if len(parts) > 1 else np.array([alpha])
    point = float(least[max(0, int(np.ceil(alpha * len(least))) - 1)])
    adjusted = _adjusted(p, least, len(parts))
    reach, alone = (stats.t.isf(level / 2, df) * errors for level in (point, alpha))
    return tuple(
        Crossed(
            difference=one.mean,
            standard_error=float(errors[i]),
            samples_error=sqrt(samples[i]),
            training_error=sqrt(training[i]),
            df=float(df[i]),
            p=float(p[i]),
            p_adjusted=float(adjusted[i]),
            low=max(-1.0, one.mean - float(reach[i])),
            high=min(1.0, one.mean + float(reach[i])),
            low_alone=max(-1.0, one.mean - float(alone[i])),
            high_alone=min(1.0, one.mean + float(alone[i])),
            family=len(parts),
            point=point,
            samples=one.samples,
            groups=int((one.clusters >= 0).sum()) or None,
            networks=len(one.deviations),
            overlap=one.overlap,
        )
        for i, one in enumerate(parts)
    )


def variances(parts: Sequence[VarianceComponents]) -> tuple[Floats, Floats, Floats]:
    """Return V_samples, V_training and the degrees of freedom of each pair of a family, (pairs,) each."""
    squares = np.array([each.square for each in parts])
    own = squares - np.array([each.interaction for each in parts])
    trainings = np.array([len(each.deviations) for each in parts]) - 1
    weight = MODERATION if len(parts) > 1 else 0
    shared = (1 + weight) * np.maximum(trainings, 1)
    training = np.maximum(0.0, (own + weight * own.mean()) / (1 + weight))
    square = (squares + weight * squares.mean()) / (1 + weight)
    samples = np.array([float((each.sums**2).sum()) for each in parts])
    samples_df = np.array([each.samples_df for each in parts])
    return samples, training, satterthwaite(samples, training, square, samples_df=samples_df, training_df=shared)


def clusters_of(groups: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cluster of each sample, (n,): its group, or a number of its own below -1 if the group is unknown."""
    return np.where(groups != UNKNOWN, groups, -2 - ids)


def _least_p(parts: Sequence[VarianceComponents], training: Floats) -> Floats:
    """Return sorted draws of the least p value of a family without differences, (draws,)."""
    names = np.unique(np.concatenate([each.clusters for each in parts]))
    sums = np.zeros((len(parts), len(names)))
    for row, each in zip(sums, parts, strict=True):
        row[np.searchsorted(names, each.clusters)] = each.sums
    covariance = sums @ sums.T + _training_covariance(parts, training)
    scale = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), 1))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    # An eigendecomposition instead of Cholesky: pairs that share models are linearly dependent (a-b, b-c, a-c).
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = generator_for("max-t", len(parts)).normal(size=(DRAWS, len(parts)))
    return np.asarray(np.sort(2 * stats.norm.sf(np.abs(normal @ root.T).max(axis=1))))


def _training_covariance(parts: Sequence[VarianceComponents], training: Floats) -> Floats:
    """Return the covariance between pairs due to trainings: correlations of deviations, scaled to V_training."""
    # Independent if the numbers of trainings differ.
    if len({len(each.deviations) for each in parts}) > 1:
        return np.diag(training)
    deviations = np.stack([each.deviations for each in parts])
    norm = np.linalg.norm(deviations, axis=1)
    unit = deviations / np.where(norm > 0, norm, 1)[:, np.newaxis] * np.sqrt(training)[:, np.newaxis]
    return np.asarray(unit @ unit.T)


def _adjusted(p: Floats, least: Floats, count: int) -> Floats:
    """Return P(least p of the family <= p), or Bonferroni's bound if that is too rare to be drawn."""
    if count == 1:
        return p
    drawn = np.searchsorted(least, p, side="right") / len(least)
    bound = np.minimum(1.0, count * p)
    return np.where(bound < _EXACT_BELOW, bound, np.maximum(drawn, p))
