"""Studies: who is drawn, who goes on, who is stopped; the same trials however a search was interrupted."""

import math
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from patterns import point, space_of_three
from shearbench.errors import InputError
from shearbench.training.recipe import including, needs_no_less_memory
from shearbench.tuning.search import ranked, search
from shearbench.tuning.study import Ledger, Study
from shearbench.tuning.trial import Halving, Point, Rung, TrialResult, best_of

PRESENT = point(1e-3, 100, 1.0)
SPACE = space_of_three((1e-4, 1e-2), (32, 64, 128), (0.5, 2.0))
HALVING = Halving(epochs=8, reduction=3, rungs=3)
HOUR = 3600.0


def _study(folder, *, seed=1, halving=HALVING, storage=None):
    return Study(
        storage or folder / "journal.log", "s", "mnist-cnn2", seed, including(SPACE, PRESENT), PRESENT, halving
    )


def _accuracy(hyperparameters, epoch):
    """Best at a learning rate of 10^-3.5, batch 128, width 2."""
    limit = (
        0.5
        + hyperparameters["batch"] / 1280
        + hyperparameters["width"] / 20
        - abs(math.log10(hyperparameters["learning_rate"]) + 3.5) / 10
    )
    return limit * (1 - 0.5**epoch)


def _curve(hyperparameters, epochs):
    return tuple(
        Point(1.0, 0.5, 1.0, _accuracy(hyperparameters, e), _accuracy(hyperparameters, e)) for e in range(1, epochs + 1)
    )


class _Trainer:
    """Trains as a formula says, and remembers how many epochs of which trial were asked for."""

    def __init__(
        self, fails=lambda hyperparameters: None, stop_at=(), over_after=lambda hyperparameters: HALVING.epochs
    ):
        self.fails, self.stop_at, self.over_after = fails, stop_at, over_after
        self.calls, self.tried, self.epochs = 0, [], 0

    def __call__(self, trials, standing):
        self.calls += 1
        if self.calls in self.stop_at:
            raise KeyboardInterrupt
        return [self._train(trial, standing.rung.epochs) for trial in trials]

    def _train(self, trial, epochs):
        self.tried.append((trial.number, trial.hyperparameters))
        reason = self.fails(trial.hyperparameters)
        if reason:
            return TrialResult(failure=reason, out_of_memory="memory" in reason)
        self.epochs += epochs - len(trial.curve)
        patience = self.over_after(trial.hyperparameters)
        curve = _curve(trial.hyperparameters, min(epochs, patience))
        return TrialResult(curve, over=epochs >= patience, facts={"parameters": 7, "seconds": 0.5})


def _search(folder, trainer=None, *, trials=18, timeout=HOUR, **study):
    return search(_study(folder, **study), trainer or _Trainer(), trials=trials, timeout=timeout)


@pytest.mark.parametrize(
    ("halving", "plan", "cost"),
    [
        (Halving(8, 3, 3), (Rung(1, 9), Rung(3, 3), Rung(8, 1)), 9 * 1 + 3 * 2 + 1 * 5),
        (Halving(27, 3, 4), (Rung(1, 27), Rung(3, 9), Rung(9, 3), Rung(27, 1)), 27 + 9 * 2 + 3 * 6 + 18),
        (Halving(20, 2, 3), (Rung(5, 4), Rung(10, 2), Rung(20, 1)), 4 * 5 + 2 * 5 + 10),
        (Halving(2, 3, 3), (Rung(1, 9), Rung(2, 1)), 9 + 1),
        (Halving(1, 3, 3), (Rung(1, 9),), 9),
        (Halving(6, 3, 1), (Rung(6, 1),), 6),
    ],
)
def test_the_rungs_and_what_they_cost(halving, plan, cost):
    assert halving.plan == plan
    assert halving.cost == cost
    assert halving.size == plan[0].trials


def test_the_best_go_on_the_earlier_of_equals():
    assert best_of({4: 0.5, 1: 0.7, 2: 0.5, 3: 0.1}, 2) == [1, 2]
    assert best_of({4: 0.5}, 3) == [4]


def test_the_space_takes_in_the_present_setting():
    taken = including(SPACE, point(0.1, 100, 1.0))
    assert taken == space_of_three((1e-4, 0.1), (32, 64, 100, 128), (0.5, 1.0, 2.0))


def test_who_goes_on_was_better_at_the_same_epoch(tmp_path):
    trainer = _Trainer()
    trials = _search(tmp_path, trainer)
    assert [trial.number for trial in trials] == list(range(18))
    assert trials[0].hyperparameters == PRESENT
    for bracket in (trials[:9], trials[9:]):
        lengths = sorted(len(trial.curve) for trial in bracket)
        assert lengths == [1] * 6 + [3] * 2 + [8]
        for rung in (1, 3):
            stopped = [_accuracy(trial.hyperparameters, rung) for trial in bracket if len(trial.curve) == rung]
            went_on = [_accuracy(trial.hyperparameters, rung) for trial in bracket if len(trial.curve) > rung]
            assert min(went_on) >= max(stopped)
    assert trainer.epochs == 2 * HALVING.cost, "no epoch is trained twice"


def test_optuna_knows_who_was_pruned_and_every_epoch(tmp_path):
    trials = _search(tmp_path)
    frozen = Ledger(_study(tmp_path)).optuna.get_trials()
    for ours, theirs in zip(trials, frozen, strict=True):
        expected = optuna.trial.TrialState.COMPLETE if len(ours.curve) == 8 else optuna.trial.TrialState.PRUNED
        assert theirs.state == expected
        curve = {step: _accuracy(ours.hyperparameters, step) for step in range(1, len(ours.curve) + 1)}
        assert theirs.intermediate_values == curve
        assert theirs.value == curve[len(curve)]
        assert theirs.user_attrs["parameters"] == 7


def test_it_comes_near_the_best_and_stays_inside_the_space(tmp_path):
    trials = _search(tmp_path, trials=54)
    assert all(1e-4 <= trial.hyperparameters["learning_rate"] <= 1e-2 for trial in trials)
    assert {trial.hyperparameters["batch"] for trial in trials[1:]} <= {32, 64, 100, 128}
    best = ranked(trials, HALVING)[0]
    assert best.state == "complete"
    assert best.score == pytest.approx(_accuracy(point(10**-3.5, 128, 2.0), 8), abs=0.02)


def test_complete_trials_rank_before_stopped_ones_and_failed_not_at_all(tmp_path):
    trials = _search(tmp_path)
    order = ranked(trials, HALVING)
    assert [trial.state for trial in order] == ["complete"] * 2 + ["stopped"] * 16
    assert [len(trial.curve) for trial in order] == [8] * 2 + [3] * 4 + [1] * 12
    assert order[0].score >= order[1].score
    failed = [replace(trial, state="failed", failure="too hot") for trial in trials]
    with pytest.raises(InputError, match="too hot"):
        ranked(failed, HALVING)


@pytest.mark.parametrize("stop_at", [(1,), (2,), (3, 5), (1, 3, 5, 7)])
def test_an_interrupted_search_goes_on_to_the_same_trials(tmp_path, stop_at):
    straight = _search(tmp_path / "straight")
    trainer = _Trainer(stop_at=stop_at)
    for _ in stop_at:
        with pytest.raises(KeyboardInterrupt):
            _search(tmp_path / "resumed", trainer)
    assert _search(tmp_path / "resumed", trainer) == straight
    assert trainer.epochs == 2 * HALVING.cost


class _Killed(BaseException):
    pass


def test_a_search_killed_at_any_write_goes_on_to_the_same_trials(tmp_path, monkeypatch):
    small = {"trials": 6, "halving": Halving(4, 2, 2)}
    fails = {
        "fails": lambda hyperparameters: "diverged" if hyperparameters["batch"] == 32 else None,
        "over_after": lambda hyperparameters: (
            1 if hyperparameters["width"] < 1 else 8
        ),  # of patience, before the last rung
    }
    straight = _search(tmp_path / "straight", _Trainer(**fails), **small)
    assert {trial.state for trial in straight} == {"complete", "stopped", "failed"}
    append, left = JournalFileBackend.append_logs, 0

    def append_and_die(self, logs):
        nonlocal left
        left -= 1
        if left == 0:
            path = Path(self._file_path)
            append(self, logs)
            path.write_bytes(path.read_bytes()[:-9])  # killed within the line
            raise _Killed
        append(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", append_and_die)
    for write in range(1, 200, 6):
        left, folder = write, tmp_path / str(write)
        try:
            _search(folder, _Trainer(**fails), **small)
        except _Killed:
            left = 0
            assert _search(folder, _Trainer(**fails), **small) == straight, f"killed in write {write}"
        else:
            break
    assert write > 50, "it was killed at many places"


def test_a_longer_study_begins_with_the_trials_of_a_shorter_one(tmp_path):
    straight = _search(tmp_path / "straight")
    short = _search(tmp_path / "grown", trials=5)
    assert short == straight[:9], "brackets are whole"
    trainer = _Trainer()
    assert _search(tmp_path / "grown", trainer) == straight
    assert {number for number, _ in trainer.tried} == set(range(9, 18))
    assert _search(tmp_path / "grown", None) == straight, "a finished study runs nothing more"


def test_another_seed_draws_other_trials_and_the_same_seed_the_same(tmp_path):
    one, again, other = (_search(tmp_path / str(k), seed=seed, trials=9) for k, seed in enumerate((1, 1, 2)))
    assert one == again
    assert [trial.hyperparameters for trial in one[1:]] != [trial.hyperparameters for trial in other[1:]]


def test_failed_trials_keep_their_reason_and_the_others_go_on(tmp_path):
    trainer = _Trainer(fails=lambda hyperparameters: "the loss is nan" if hyperparameters["width"] == 2.0 else None)
    trials = _search(tmp_path, trainer)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert failed
    assert {trial.hyperparameters["width"] for trial in failed} == {2.0}
    assert {trial.failure for trial in failed} == {"the loss is nan"}
    assert all(trial.score is None for trial in failed)
    for bracket in (trials[:9], trials[9:]):
        assert [trial.state for trial in bracket].count("complete") == 1


def test_what_did_not_fit_into_memory_is_not_tried_again(tmp_path):
    trainer = _Trainer(fails=lambda s: "out of memory" if s["batch"] >= 100 and s["width"] >= 1 else None)
    trials = _search(tmp_path, trainer, trials=27)
    refused = [trial for trial in trials if trial.out_of_memory]
    assert refused[0].number == 0, "the present setting does not fit here"
    assert refused[0].failure == "out of memory"
    tried_later = [hyperparameters for number, hyperparameters in trainer.tried if number >= 9]
    assert tried_later
    assert not [hyperparameters for hyperparameters in tried_later if needs_no_less_memory(hyperparameters, PRESENT)]
    for trial in refused[1:]:
        assert trial.failure == "not tried: trial 0 (learning rate 0.001, batch 100, width 1) did not fit into memory"


def test_the_search_ends_with_a_whole_bracket_when_another_would_take_too_long(tmp_path):
    assert len(_search(tmp_path, trials=90, timeout=1e-6)) == 9
    assert len(_search(tmp_path, trials=90, timeout=1e-6)) == 18, "each run gets on by a bracket"


def test_a_database_by_url_gives_the_same_trials(tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    assert _search(tmp_path, trials=9, storage=url) == _search(tmp_path / "journal", trials=9)


def test_of_two_processes_on_one_study_the_second_is_told_and_loses_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'studies.db'}"

    class Overtaken(_Trainer):
        def __call__(self, trials, standing):
            _search(tmp_path, trials=9, storage=url)
            return super().__call__(trials, standing)

    with pytest.raises(InputError, match="another process searches the same study"):
        _search(tmp_path, Overtaken(), trials=9, storage=url)
    assert _search(tmp_path, trials=9, storage=url) == _search(tmp_path / "journal", trials=9)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense://host/name"])
def test_a_database_that_cannot_be_opened_is_named(url):
    with pytest.raises(InputError, match=r"tuning\.storage cannot be opened"):
        _search(None, storage=url)


def test_a_damaged_journal_is_named(tmp_path):
    _search(tmp_path, trials=9)
    path = tmp_path / "journal.log"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{broken\n", *lines[3:]]))
    with pytest.raises(InputError, match=r"journal\.log is damaged"):
        Ledger(_study(tmp_path))
