"""Finalists: trained in full on digits that scored no trial; the winner against the present setting by hand."""

import errno
from dataclasses import replace

import numpy as np
import pytest
from searching import job_in

from patterns import config_with, point
from shearbench.data.dataset import FOLDS, load
from shearbench.data.folds import read_folds
from shearbench.errors import InputError, NotWritten
from shearbench.records import read_npz
from shearbench.statistics.resampled_t import corrected_t, correlated_t
from shearbench.training.config import select
from shearbench.training.crossval import fold_task
from shearbench.tuning import job as jobs
from shearbench.tuning.job import Finalist, cross_validate_trials, decide_winner
from shearbench.tuning.study import Trial
from shearbench.tuning.trial import rows_of_trials

PRESENT = (0.90, 0.91, 0.92, 0.90, 0.91)


def _finalist(trial, accuracies, reason=None):
    return Finalist(trial, point(0.1 * (trial + 1), 32, 1.0), accuracies, 10, 1.0, 8, 100, reason)


def _decide(*finalists):
    return decide_winner(finalists, rope=0.002, alpha=0.05)


def test_the_winner_has_the_highest_mean_and_its_p_is_adjusted_for_all_finalists():
    better = tuple(value + 0.05 + 0.001 * fold for fold, value in enumerate(PRESENT))
    worse = tuple(value - 0.03 for value in PRESENT[::-1])
    final = _decide(_finalist(3, better), _finalist(5, worse), _finalist(0, PRESENT))
    assert (final.winner.trial, final.present.trial) == (3, 0)
    t = corrected_t(better, PRESENT)
    other = corrected_t(worse, PRESENT).p
    found = final.difference
    assert [found.mean, found.low, found.high] == pytest.approx([t.difference, t.low, t.high], abs=1e-6)
    assert found.p_holm == pytest.approx(2 * t.p if t.p < other else max(t.p, 2 * other), abs=1e-6)
    assert found.verdict == "better"
    assert correlated_t(better, PRESENT, rope=0.002).better > 0.95


def test_a_difference_within_noise_is_not_called_real():
    noisy = (0.95, 0.89, 0.94, 0.88, 0.92)
    final = _decide(_finalist(3, noisy), _finalist(0, PRESENT))
    assert final.winner.trial == 3
    assert final.difference.verdict == "undecided"


def test_the_present_setting_can_win_and_the_earlier_of_equals_does():
    final = _decide(_finalist(3, PRESENT), _finalist(0, PRESENT))
    assert final.winner is final.present
    assert final.difference is None


def test_a_finalist_that_failed_never_wins():
    final = _decide(_finalist(3, (), "diverged"), _finalist(4, PRESENT), _finalist(0, (), "out of memory"))
    assert final.winner.trial == 4
    assert final.difference is None, "there is nothing to compare with"
    with pytest.raises(InputError, match="diverged"):
        _decide(_finalist(3, (), "diverged"), _finalist(0, (), "diverged"))


@pytest.fixture(scope="module")
def trained(build, part, tmp_path_factory):
    """A good setting, one that diverges, and the present one, cross-validated by two workers."""
    out = tmp_path_factory.mktemp("finalists")
    settings = [point(0.02, 10, 0.1), point(1e30, 10, 0.1), point(0.01, 20, 0.05)]
    trials = [Trial(number, hyperparameters, "complete") for number, hyperparameters in enumerate(settings)]
    job = replace(job_in(build, workers=2), config=config_with(epochs=2))
    found = cross_validate_trials(job, trials, out=out, label="finalists")
    return out, found


def test_finalists_are_scored_on_digits_that_scored_no_trial(part, trained):
    out, found = trained
    inside, table = load(part, "train"), read_folds(part / FOLDS)
    inner = inside.ids[rows_of_trials(table, config_with()).validation]
    scored = [read_npz(out / "trial-000" / f"fold-{fold}" / "out_of_fold.npz")["ids"] for fold in range(2)]
    assert not set(np.concatenate(scored)) & set(inner)
    np.testing.assert_array_equal(np.sort(np.concatenate([*scored, inner])), inside.ids)
    for fold in range(2):
        rows = select(table, inside.labels, fold=fold, config=config_with())
        assert set(inner) <= set(inside.ids[rows.train]), "the inner part trains in every fold"
    assert found[0].samples == 160
    assert found[0].epochs == 4


def test_a_setting_that_diverges_says_so_and_the_others_are_scored(trained):
    out, found = trained
    assert "the loss is" in found[1].reason
    assert [finalist.reason for finalist in found if finalist.trial != 1] == [None, None]
    for trial in (0, 2):
        for fold, accuracy in enumerate(found[trial].accuracies):
            arrays = read_npz(out / f"trial-{trial:03d}" / f"fold-{fold}" / "out_of_fold.npz")
            assert accuracy == np.mean(arrays["probabilities"].argmax(axis=1) == arrays["labels"])


def test_a_disk_that_does_not_take_a_fold_is_no_failure_of_the_setting(part, tmp_path, monkeypatch):
    def refused(task, advance):
        raise NotWritten(errno.ENOSPC, "No space left on device", str(task.out))

    monkeypatch.setattr(jobs, "train_fold", refused)
    task = fold_task(config_with(), 0, dataset=part, out=tmp_path / "fold-0")
    with pytest.raises(NotWritten, match="No space left"):
        jobs._train_or_reason(task, lambda units: None)
