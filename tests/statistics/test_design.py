"""Designs that are impossible are refused."""

import pytest

from shearbench.errors import InputError
from shearbench.statistics.runs import Design


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"repeats": 0}, {"alpha": 0.0}, {"alpha": 0.9}, {"power": 0.01}, {"comparisons": 0}]
)
def test_impossible_designs_are_refused(wrong):
    with pytest.raises(InputError, match="a design needs"):
        Design(**{"folds": 5, **wrong})


def test_disjoint_sets_are_dealt_once():
    with pytest.raises(InputError, match="have 1 repeat"):
        Design(15, 2, disjoint=True)
