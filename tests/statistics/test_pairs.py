"""Runs -> comparisons: the numbers are those of the single tests, swapping flips them, and bad runs are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from shearbench.errors import InputError
from shearbench.statistics.crossed import joined, parts_of
from shearbench.statistics.paired import bootstrap_cases, mcnemar_p
from shearbench.statistics.pairs import as_family, compare_all, evidence_of, row
from shearbench.statistics.power import needed_repeats, power_of, with_networks
from shearbench.statistics.resampled_t import corrected_t
from shearbench.statistics.runs import Design, Plan, Run
from shearbench.statistics.verdict import holm

FOLDS, TRAIN, TEST = 5, 500, 200
PLAN = Plan(Design(FOLDS), rope={"mnist": 0.01, "mechanical": 0.02})


def _run(dataset="mnist", model="cnn", *, accuracy=0.9, seed=0, repeats=1, folds=FOLDS):
    rng = np.random.default_rng(seed)
    table = np.array([np.random.default_rng(99 + r).permutation(np.arange(TRAIN) % folds) for r in range(repeats)])
    return Run(
        dataset=dataset,
        model=model,
        data_hash=f"hash of {dataset}",
        ids=np.arange(TRAIN),
        folds=table,
        correct=rng.random((repeats, TRAIN)) < accuracy,
        test_ids=np.arange(TRAIN, TRAIN + TEST),
        test_correct=rng.random((repeats, folds, TEST)) < accuracy,
        content=np.arange(TRAIN).astype("S8"),
        test_content=np.arange(TRAIN, TRAIN + TEST).astype("S8"),
        groups=np.full(TRAIN, -1),
        test_groups=np.full(TEST, -1),
    )


def compare_pair(a, b, plan):
    return as_family([evidence_of(a, b, plan)], plan.design)[0]


def test_fold_accuracies_are_counted_from_the_cases():
    run = _run(repeats=2)
    for repeat in range(2):
        for fold in range(FOLDS):
            expected = run.correct[repeat, run.folds[repeat] == fold].mean()
            assert run.fold_accuracies[repeat, fold] == pytest.approx(expected)


def test_a_pair_carries_the_numbers_of_the_single_tests():
    plan = replace(PLAN, design=Design(FOLDS, 2))
    a, b = _run(repeats=2), _run(model="mlp", seed=1, accuracy=0.8, repeats=2)
    pair = compare_pair(a, b, plan)
    assert (pair.kind, pair.within, pair.a, pair.b) == ("models", "mnist", "cnn", "mlp")
    assert pair.cross_validation == corrected_t(a.fold_accuracies, b.fold_accuracies, step=0.01)
    assert pair.crossed == joined([parts_of(a, b)], alpha=0.05)[0]
    flat_a, flat_b = a.test_correct.reshape(10, -1), b.test_correct.reshape(10, -1)
    assert pair.mcnemar_p == mcnemar_p(flat_a, flat_b)
    assert pair.test_cases == bootstrap_cases(flat_a, flat_b)
    assert pair.mean_a - pair.mean_b == pytest.approx(pair.crossed.difference)
    every = np.concatenate([a.correct.mean(axis=0), a.test_correct.reshape(10, -1).mean(axis=0)])
    assert pair.mean_a == pytest.approx(every.mean())
    assert pair.crossed.p_adjusted == pair.crossed.p
    assert pair.verdict.word == "better"


def test_a_pair_of_datasets_takes_the_wider_region():
    pair = compare_pair(_run(), _run("mechanical", seed=1), PLAN)
    assert (pair.kind, pair.within, pair.a, pair.b) == ("datasets", "cnn", "mnist", "mechanical")
    assert pair.rope == 0.02


def test_swapping_the_networks_flips_every_number():
    a, b = _run(), _run(model="mlp", seed=1, accuracy=0.6)
    one, other = row(compare_pair(a, b, PLAN)), row(compare_pair(b, a, PLAN))
    assert one["verdict"] == "better"
    assert other["verdict"] == "worse"
    for name in ("difference", "test_difference"):
        assert one[name] == pytest.approx(-other[name])
    for low, high in (("low", "high"), ("test_low", "test_high"), ("test_folds_low", "test_folds_high")):
        assert (one[low], one[high]) == pytest.approx((-other[high], -other[low]))
    for name in ("p", "p_adjusted", "mcnemar_p", "sd", "detectable", "equivalence_needs", "fold_p"):
        assert one[name] == pytest.approx(other[name])


def test_all_pairs_are_one_family_a_kind():
    runs = [
        _run(dataset, model, seed=10 * i + j, accuracy=0.9 - 0.05 * j)
        for i, dataset in enumerate(["mnist", "mechanical"])
        for j, model in enumerate(["cnn", "mlp", "resnet"])
    ]
    table = compare_all(runs, PLAN)
    assert [(pair.within, pair.a, pair.b) for pair in table.models] == [
        (dataset, *pair)
        for dataset in ("mnist", "mechanical")
        for pair in (("cnn", "mlp"), ("cnn", "resnet"), ("mlp", "resnet"))
    ]
    assert [(pair.within, pair.a, pair.b) for pair in table.datasets] == [
        (model, "mnist", "mechanical") for model in ("cnn", "mlp", "resnet")
    ]
    by_name = {(run.dataset, run.model): run for run in runs}
    for dataset in ("mnist", "mechanical"):
        mine = [pair for pair in table.models if pair.within == dataset]
        asked = [(by_name[dataset, pair.a], by_name[dataset, pair.b]) for pair in mine]
        assert tuple(pair.crossed for pair in mine) == joined([parts_of(a, b) for a, b in asked], alpha=0.05)
        assert [pair.mcnemar_p_holm for pair in mine] == holm([pair.mcnemar_p for pair in mine])
    assert [pair.mcnemar_p_holm for pair in table.datasets] == holm([pair.mcnemar_p for pair in table.datasets])
    assert table.unpaired == ()
    json.dumps([row(pair) for pair in table.models], allow_nan=False)


def test_power_is_that_of_the_family_and_the_plan_is_the_wider_one():
    plan = replace(PLAN, detect={"mnist": 0.03, "mechanical": 0.05})
    runs = [_run(d, m, seed=10 * i + j) for i, d in enumerate(PLAN.rope) for j, m in enumerate("abc")]
    table = compare_all(runs, plan)
    assert {pair.planned for pair in table.models} == {0.03, 0.05}
    assert {pair.planned for pair in table.datasets} == {0.05}
    for pair in (*table.models, *table.datasets):
        assert pair.crossed.family == 3
        assert power_of(pair.crossed, pair.detectable, rope=pair.rope) == pytest.approx(0.8, abs=1e-6)
        assert pair.detectable_range[0] < pair.detectable < pair.detectable_range[1]
        assert pair.needed_repeats == needed_repeats(
            lambda repeats, of=pair.crossed: with_networks(of, FOLDS * repeats), pair.planned, rope=pair.rope, power=0.8
        )
    undeclared = compare_all(runs, replace(plan, detect={"mnist": 0.03}))
    assert {(pair.planned, pair.needed_repeats) for pair in undeclared.datasets} == {(None, None)}


def test_datasets_of_other_samples_are_listed_as_refused():
    other = _run("mechanical", seed=1)
    table = compare_all([_run(), replace(other, ids=other.ids + 1000, test_ids=other.test_ids + 1000)], PLAN)
    assert table.datasets == ()
    (unpaired,) = table.unpaired
    assert (unpaired["within"], unpaired["a"], unpaired["b"]) == ("cnn", "mnist", "mechanical")
    assert "training samples are not the same" in unpaired["reason"]


@pytest.mark.parametrize(("right", "model"), [(None, "twin"), (True, "twin"), (False, "twin"), (None, "cnn")])
def test_identical_networks_are_equivalent(right, model):
    run = _run()
    if right is not None:
        run = replace(run, correct=np.full_like(run.correct, right), test_correct=np.full_like(run.test_correct, right))
    flat = row(compare_pair(run, replace(run, model=model), PLAN))
    assert flat["verdict"] == "equivalent"
    assert (flat["p"], flat["mcnemar_p"], flat["fold_p"]) == (1, 1, 1)
    assert -0.003 < flat["low"] < 0 < flat["high"] < 0.003, "one sample in 700 is the least that could be seen"
    names = ("difference", "test_low", "test_high", "test_folds_low", "test_folds_high")
    assert {name: flat[name] for name in names} == dict.fromkeys(names, 0)


def test_always_right_against_always_wrong():
    run = _run()
    a, b = (
        replace(run, correct=np.full_like(run.correct, r), test_correct=np.full_like(run.test_correct, r))
        for r in (True, False)
    )
    flat = row(compare_pair(a, b, PLAN))
    assert (flat["verdict"], flat["difference"], flat["high"]) == ("better", 1, 1)
    assert (flat["p"] < 1e-12, 0.99 < flat["low"] < 1) == (True, True)
    json.dumps(flat, allow_nan=False)


def test_two_folds_are_enough_to_compare():
    plan = replace(PLAN, design=Design(2))
    flat = row(compare_pair(_run(folds=2), _run(model="mlp", seed=3, folds=2), plan))
    assert flat["folds"] == 2
    json.dumps(flat, allow_nan=False)


def test_one_sample_more_in_every_fold_of_a_run_is_no_certainty():
    a = replace(_run(folds=2), correct=np.ones((1, TRAIN), bool))
    wrong = np.ones((1, TRAIN), bool)
    wrong[0, [int(np.flatnonzero(a.folds[0] == fold)[0]) for fold in range(2)]] = False
    b = replace(_run(model="mlp", folds=2), correct=wrong)
    found = compare_pair(a, b, replace(PLAN, design=Design(2))).cross_validation
    assert found.difference == pytest.approx(1 / 250)
    assert found.sd == pytest.approx(1 / 250), "no spread is a step, not certainty"
    assert found.p > 0.3


def _other(**changes):
    return replace(_run(model="mlp", seed=1), **changes)


@pytest.mark.parametrize(
    ("b", "message"),
    [
        (_run(model="mlp", folds=4), r"mnist-mlp: 4 folds x 1 repeats are there, but 5 x 1 are planned"),
        (_run(model="mlp", repeats=2), r"5 folds x 2 repeats"),
        (_other(data_hash="another"), "predictions of other data"),
        (_other(ids=np.arange(TRAIN)[::-1]), "training samples are not the same"),
        (_other(folds=np.roll(_run().folds, 1, axis=1)), "fold tables differ"),
        (_other(test_ids=np.arange(TEST) + 9000), "test samples are not the same"),
        (_other(test_ids=np.arange(TEST) + TRAIN - 2), r"2 of 200 test samples have the id .* \(ids 498, 499\)"),
        (_other(test_content=np.arange(TEST).astype("S8")), "200 of 200 test samples have the content"),
    ],
)
def test_what_cannot_be_compared_is_refused(b, message):
    with pytest.raises(InputError, match=message):
        compare_all([_run(), b], PLAN)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correct": np.ones((1, TRAIN - 1), bool)}, "do not fit"),
        ({"test_correct": np.ones((1, FOLDS - 1, TEST), bool)}, "do not fit"),
        ({"ids": np.zeros(TRAIN, np.int64)}, "predicted twice"),
        ({"folds": np.where(_run().folds == 2, 3, _run().folds)}, "a fold has no predictions"),
    ],
)
def test_a_run_must_fit_itself(changes, message):
    with pytest.raises(InputError, match=message):
        _other(**changes)
