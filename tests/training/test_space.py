"""Search spaces: the long form and the short one, faults with their rule, and what a point makes of a config."""

import pytest

from patterns import config_with
from shearbench.training.recipe import Range, Recipe, as_json, including, needs_no_less_memory, space_faults, space_of

RECIPE = Recipe(epochs=2, batch=10, learning_rate=0.01, weight_decay=0.0)


def test_the_short_form_is_a_log_scale_and_lists_of_choices():
    short = space_of({"width": [0.5, 1.0], "batch": [32, 64], "learning_rate": [1e-4, 1e-2]})
    assert short == {"learning_rate": Range(1e-4, 1e-2, log=True), "batch": (32, 64), "width": (0.5, 1.0)}
    assert list(short) == ["learning_rate", "batch", "width"], "the order in which Optuna draws"


def test_any_option_has_bounds_or_choices():
    space = space_of({"C": {"log": [1e-2, 1e3]}, "kernel": ["rbf", "poly"], "depth": {"range": [2, 9]}, "p": [None, 1]})
    assert space == {
        "C": Range(1e-2, 1e3, log=True),
        "kernel": ("rbf", "poly"),
        "depth": Range(2, 9, log=False),
        "p": (None, 1),
    }
    assert as_json(space)["C"] == {"low": 1e-2, "high": 1e3, "log": True}


def test_the_present_point_is_taken_in():
    space = space_of({"C": {"log": [0.1, 10.0]}, "kernel": ["rbf", "poly"], "flag": [True, False], "n": [1, 5]})
    taken = including(space, {"C": 100.0, "kernel": "linear", "flag": True, "n": 3})
    assert taken["C"] == Range(0.1, 100.0, log=True)
    assert taken["kernel"] == ("rbf", "poly", "linear")
    assert (taken["flag"], taken["n"]) == ((True, False), (1, 3, 5))


@pytest.mark.parametrize(
    ("search", "rule"),
    [
        ({"C": {"log": [0, 10]}}, "0 < low <= high; got 0, 10"),
        ({"C": {"range": [5, 1]}}, "low <= high; got 5, 1"),
        ({"C": {"logarithm": [1, 10]}}, r"must be \{log: \[low, high\]\} or"),
        ({"C": {"log": [1]}}, "with two numbers"),
        ({"C": 3}, "must be a list of choices"),
        ({"C": []}, "must be a list of choices"),
        ({"C": [[1], [2]]}, "must be a list of choices"),
        ({"C": [1.0, 1.0]}, "must hold each choice once"),
        ({"gamma": [1.0, 2.0]}, "must have its present value"),
        ({"epochs": [1, 2]}, "cannot be searched"),
        ({"batch": {"range": [1, 64]}}, "greater than or equal to 2; got 1"),
        ({"width": [-1.0]}, "must be greater than 0"),
        ({"schedule": ["cosine", "sine"]}, "'sine'"),
    ],
)
def test_a_fault_has_its_rule(search, rule):
    ((name, told),) = space_faults(search, RECIPE, {"C": 1.0})
    assert name in search
    with pytest.raises(AssertionError, match=rule):
        raise AssertionError(told)


def test_a_point_changes_recipe_width_and_options():
    config = config_with()
    varied = config.varied({"learning_rate": 0.5, "weight_decay": 0.25, "width": 2, "dropout": 0.75})
    assert (varied.training.learning_rate, varied.training.weight_decay) == (0.5, 0.25)
    assert (varied.width, varied.options["dropout"]) == (2.0, 0.75)
    assert (varied.training.batch, varied.training.epochs) == (config.training.batch, config.training.epochs)
    assert varied.values_of(["dropout", "width", "learning_rate"]) == {
        "dropout": 0.75,
        "width": 2.0,
        "learning_rate": 0.5,
    }


def test_other_options_may_need_other_memory_and_a_rate_none():
    failed = {"learning_rate": 0.1, "batch": 64, "width": 1.0, "kernel": 3}
    assert needs_no_less_memory({**failed, "learning_rate": 9.0, "batch": 128}, failed)
    assert not needs_no_less_memory({**failed, "batch": 32}, failed)
    assert not needs_no_less_memory({**failed, "kernel": 5}, failed)
