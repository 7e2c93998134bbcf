"""Wilson's interval and Holm's correction against statsmodels."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from shearbench.errors import InputError
from shearbench.statistics.proportions import wilson
from shearbench.statistics.verdict import holm


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (7, 7), (1, 2), (995, 1000), (59800, 60000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_that_of_statsmodels_and_scipy(successes, n, level):
    expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    interval = wilson(successes / n, n, level=level)
    assert interval == pytest.approx(expected, abs=1e-10)
    assert interval == pytest.approx(tuple(binomtest(successes, n).proportion_ci(level, "wilson")), abs=1e-10)


@pytest.mark.parametrize(("share", "n"), [(0.5, 0), (1.5, 10), (-0.1, 10), (float("nan"), 10)])
def test_no_interval_without_a_share_of_cases(share, n):
    with pytest.raises(InputError, match="share"):
        wilson(share, n)


@pytest.mark.parametrize("m", [1, 2, 6, 30])
def test_holm_is_that_of_statsmodels(m):
    p = np.random.default_rng(m).random(m) ** 3
    p[m // 2] = p[0]  # a tie
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.0, 1.0, 1.0]) == [0.0, 1.0, 1.0]
    assert holm([]) == []
