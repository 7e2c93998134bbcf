"""Measures of a sample's displacement, and of their relation to errors.

Lengths are in pixels, u = (u_x, u_y) at the pixel centres. The *homogeneous block* is the block without a digit under
the same load (:func:`shearbench.data.trend.homogeneous_field`).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri
from scipy.stats import rankdata

Fields = NDArray[np.floating]
Values = NDArray[np.float64]

QUANTILES = 5
_Z = float(ndtri(0.975))


def length(fields: Fields) -> Values:
    """Return |u| of fields (..., 2, h, w), (..., h, w)."""
    u = fields.astype(np.float64)
    return np.hypot(u[..., 0, :, :], u[..., 1, :, :])


def gradient_norm(fields: Fields) -> Values:
    """Return the Frobenius norm of the displacement gradient of fields (..., 2, h, w), without unit, (..., h, w).

    Central differences between pixel centres, one-sided at the edges. (Rows run down and y runs up; this changes the
    sign of a derivative, but no norm.)
    """
    by_row, by_column = np.gradient(fields.astype(np.float64), axis=(-2, -1))
    norm: Values = np.sqrt((by_row**2 + by_column**2).sum(axis=-3))
    return norm


def measures(fields: Fields, images: NDArray[np.uint8], homogeneous: Values) -> dict[str, Values]:
    """Return the measures of each sample's displacement, (n,) each, from ``fields`` (n, 2, h, w).

    ``overall``, the mean of |u| over all pixels; ``stroke``, that weighted by the grey value (NaN for an image without
    ink); ``disturbance``, the mean of \\|u - u of the homogeneous block\\|, in pixels; ``gradient``, the mean norm of
    the displacement gradient. The fields were computed from ``images`` (n, h, w); ``homogeneous`` (2, h, w) is the
    field of the block without a digit.
    """
    size, ink = length(fields), images.astype(np.float64)
    total = ink.sum(axis=(1, 2))
    stroke = np.divide((size * ink).sum(axis=(1, 2)), total, out=np.full(len(ink), np.nan), where=total > 0)
    return {
        "overall": size.mean(axis=(1, 2)),
        "stroke": stroke,
        "disturbance": length(fields - homogeneous).mean(axis=(1, 2)),
        "gradient": gradient_norm(fields).mean(axis=(1, 2)),
    }


def class_means(values: Values, labels: NDArray[np.int64], classes: int) -> Values:
    """Return the mean of ``values`` (n, ...) over each class, (classes, ...); NaN for a class without samples."""
    means = np.full((classes, *values.shape[1:]), np.nan)
    for label in np.unique(labels):
        means[label] = values[labels == label].mean(axis=0)
    return means


def within(values: Values, labels: NDArray[np.int64]) -> Values:
    """Return the rank of each value within its class, as a share of the class, above 0 and below 1.

    Ranks within classes remove the differences between classes.
    """
    ranks = np.empty(len(values))
    for label in np.unique(labels):
        of_class = labels == label
        ranks[of_class] = (rankdata(values[of_class], method="ordinal") - 0.5) / of_class.sum()
    return ranks


def oddness(values: Values) -> Values:
    """Return the distance of each value's rank from the median, as a share: 0 at the median, 0.5 at both ends."""
    return np.abs(within(values, np.zeros(len(values), np.int64)) - 0.5)


def quantile_of(values: Values) -> NDArray[np.int64]:
    """Return the group of each value, 0 (smallest) to ``QUANTILES`` - 1; the groups have nearly equal size."""
    ranks: NDArray[np.int64] = rankdata(values, method="ordinal").astype(np.int64) - 1
    return ranks * QUANTILES // len(values)


def area_with_interval(values: Values, wrong: Values) -> tuple[float, float, float]:
    """Return the area under the ROC curve of ``values`` (n,) as a predictor of errors, and its 95 % interval.

    The area is the probability that an error has a larger value than a correct prediction, with ties counted half.
    ``wrong`` (n,) is the share of networks that misclassify a sample.

    The standard error is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988), generalised to fractional
    errors. The interval is symmetric on the logit scale, so it stays within 0 and 1. The area is NaN without an error
    or without a correct sample; the interval is NaN for a single error and for an area of 0 or 1.
    """
    right, errors, rest = 1 - wrong, wrong.sum(), (1 - wrong).sum()
    if errors == 0 or rest == 0:
        return (np.nan,) * 3
    over = _below(values, right) / rest  # for each sample as an error: the share of correct ones with smaller values
    under = _below(-values, wrong) / errors  # for each sample as a correct one: the share of errors with larger values
    area = float((wrong * over).sum() / errors)
    if errors <= 1 or not 0 < area < 1:
        return area, np.nan, np.nan
    influence = wrong * (over - area) / errors + right * (under - area) / rest
    error = np.sqrt((influence**2).sum() * errors / (errors - 1))
    reach = _Z * error / (area * (1 - area))  # of the logit, by the delta method
    return area, float(expit(logit(area) - reach)), float(expit(logit(area) + reach))


def _below(values: Values, weights: Values) -> Values:
    """Return for each value the total weight of smaller values plus half the weight of equal ones."""
    _, group = np.unique(values, return_inverse=True)
    total = np.bincount(group, weights=weights)
    below: Values = (np.cumsum(total) - total / 2)[group]
    return below
