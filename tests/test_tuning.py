"""Studies find the best setting, have the same trials resumed or not, and keep reasons of failure."""

import math

import pytest

from shearbench.errors import InputError
from shearbench.training.trial import TrialResult
from shearbench.tuning import GENERATION, Setting, Space, Study, best, read, search

PRESENT = Setting(1e-3, 100, 1.0)
SPACE = Space((1e-4, 1e-2), (32, 64, 128), (0.5, 2.0))


def _study(folder, seed=1):
    return Study(folder / "study.journal", "mnist-cnn2", seed, SPACE.including(PRESENT), PRESENT)


def _score(setting):
    """Best at a learning rate of 10^-3.5, batch 128, width 2; no network of batch 64."""
    if setting.batch == 64:
        return TrialResult(None, "batch 64 does not fit")
    return TrialResult(setting.batch / 128 + setting.width / 2 - abs(math.log10(setting.learning_rate) + 3.5))


def _evaluate(settings):
    return [_score(setting) for setting in settings]


def test_the_space_takes_in_the_present_setting():
    space = SPACE.including(Setting(0.1, 100, 1.0))
    assert space == Space((1e-4, 0.1), (32, 64, 100, 128), (0.5, 1.0, 2.0))


def test_it_beats_the_present_setting_and_stays_inside_the_space(tmp_path):
    trials = search(_study(tmp_path), _evaluate, trials=40, timeout=600)
    assert [trial.number for trial in trials] == list(range(40))
    assert trials[0].setting == PRESENT
    assert all(1e-4 <= trial.setting.learning_rate <= 1e-2 for trial in trials)
    found = best(trials)
    assert (found.setting.batch, found.setting.width) == (128, 2.0)
    assert found.score == pytest.approx(2, abs=0.15)
    assert found.score == max(trial.score for trial in trials if trial.score is not None)


def test_failed_trials_keep_their_reason_and_never_win(tmp_path):
    trials = search(_study(tmp_path), _evaluate, trials=12, timeout=600)
    failed = [trial for trial in trials if trial.score is None]
    assert {trial.setting.batch for trial in failed} == {64}
    assert {trial.failure for trial in failed} == {"batch 64 does not fit"}
    with pytest.raises(InputError, match="batch 64 does not fit"):
        best(failed)


@pytest.mark.parametrize("stop_at", [(1,), (2, 4), (1, 3, 5)])
def test_an_interrupted_study_goes_on_to_the_same_trials(tmp_path, stop_at):
    straight = search(_study(tmp_path / "straight"), _evaluate, trials=14, timeout=600)
    calls = 0

    def interrupted(settings):
        nonlocal calls
        calls += 1
        if calls in stop_at:
            raise KeyboardInterrupt
        return _evaluate(settings)

    for _ in stop_at:
        with pytest.raises(KeyboardInterrupt):
            search(_study(tmp_path / "resumed"), interrupted, trials=14, timeout=600)
    assert search(_study(tmp_path / "resumed"), interrupted, trials=14, timeout=600) == straight


def test_another_seed_draws_other_trials(tmp_path):
    one, two = (search(_study(tmp_path / str(seed), seed), _evaluate, trials=6, timeout=600) for seed in (1, 2))
    assert [trial.setting for trial in one[1:]] != [trial.setting for trial in two[1:]]


def test_time_out_lets_the_first_generation_finish(tmp_path):
    assert len(search(_study(tmp_path), _evaluate, trials=40, timeout=0)) == GENERATION


def test_a_finished_study_runs_nothing_more(tmp_path):
    trials = search(_study(tmp_path), _evaluate, trials=5, timeout=600)
    assert search(_study(tmp_path), None, trials=5, timeout=600) == trials == read(_study(tmp_path))
