"""A search: brackets of trials by successive halving, and the ranking of the trials.

Neither the draw of a trial nor the choice at a rung depends on which trial finished first. A study therefore has the
same trials with one worker or many, in one go or resumed. One process searches a study; others may search other studies
in the same database. A bracket that has started is finished, and brackets are whole, so a longer study starts with the
trials of a shorter one.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shearbench.errors import InputError
from shearbench.tuning.study import Ledger, Study, Trial, naming_the_storage
from shearbench.tuning.trial import Halving, Rung, TrialResult, best_of

Run = Callable[[Sequence[Trial], "Standing"], Sequence[TrialResult]]
"""Trains trials up to the epochs of the standing's rung; returns the results in the order of the trials."""
Forget = Callable[[int], object]
"""Called with the number of a trial that has ended, possibly more than once."""


@dataclass(frozen=True)
class Standing:
    """The state of a search at a rung; ``text`` has the bracket, the rung and the best value so far."""

    rung: Rung
    epochs_done: int
    epochs_planned: int
    text: str


def search(
    study: Study, run: Run, *, trials: int, timeout: float, reserve: int = 0, forget: Forget = lambda _: None
) -> list[Trial]:
    """Search in whole brackets; resume where an earlier search stopped. One bracket always runs.

    There are at least ``trials`` trials, and no bracket starts that would end later than ``timeout`` seconds, which
    include the ``reserve`` epochs of the trainings after the search. Return every trial of the brackets that have
    ended, in the order of their numbers.

    Raises:
        InputError: if the storage cannot be opened, or stops responding.
    """
    ledger = Ledger(study)
    with naming_the_storage():
        started, spent = time.monotonic(), 0
        size, cost = study.halving.size, study.halving.cost
        brackets = math.ceil(trials / size)
        for bracket in range(brackets):
            before = ledger.trials()
            if _is_done(before, bracket, size):
                continue
            elapsed, begun = time.monotonic() - started, len(before) > bracket * size
            if spent and not begun and elapsed + elapsed / spent * (cost + reserve) > timeout:
                break
            _run_bracket(ledger, run, bracket, brackets, forget)
            spent += _epochs(ledger.trials()) - _epochs(before)
        found = ledger.trials()
    ended = next(bracket for bracket in itertools.count() if not _is_done(found, bracket, size))
    return found[: ended * size]


def ranked(trials: Sequence[Trial], halving: Halving) -> list[Trial]:
    """Return the trials with a score, best first: by the number of rungs passed, then by the score.

    A rung compares trials at the same epoch, so the trials that passed it were better there than the others.

    Raises:
        InputError: if none has a score.
    """
    scored = [trial for trial in trials if trial.score is not None]
    if not scored:
        reasons = "; ".join(sorted({trial.failure or "no reason given" for trial in trials}))
        raise InputError(f"none of {len(trials)} trials has a score ({reasons}); move the search space in params.yaml")

    def place(trial: Trial) -> tuple[int, float, int]:
        passed = sum(rung.epochs < len(trial.curve) for rung in halving.plan)
        return -len(halving.plan) if trial.state == "complete" else -passed, -(trial.score or 0.0), trial.number

    return sorted(scored, key=place)


def _is_done(trials: Sequence[Trial], bracket: int, size: int) -> bool:
    own = trials[bracket * size : (bracket + 1) * size]
    return len(own) == size and all(trial.state != "unfinished" for trial in own)


def _run_bracket(ledger: Ledger, run: Run, bracket: int, brackets: int, forget: Forget) -> None:
    """Run or resume a bracket, rung by rung; decisions follow from the stored epochs, so a resumed run repeats them."""
    halving = ledger.study.halving
    numbers = [ledger.draw(bracket * halving.size + place).number for place in range(halving.size)]
    for rung, after in zip(halving.plan, (*halving.plan[1:], None), strict=True):
        own = [trial for trial in ledger.trials() if trial.number in numbers]
        due = [trial for trial in own if trial.state == "unfinished" and not trial.has_trained(rung.epochs)]
        if due:
            results = run(due, _standing(ledger, bracket, brackets, rung))
            for trial, result in zip(due, results, strict=True):
                ledger.record(trial.number, _explained(ledger, trial, result))
        own = [trial for trial in ledger.trials() if trial.number in numbers]
        passed = [trial for trial in own if trial.has_trained(rung.epochs)]  # the others failed
        scores = {trial.number: trial.score_after(rung.epochs) for trial in passed}
        numbers = best_of(scores, after.trials) if after else []
        for trial in passed:
            if trial.state == "unfinished" and trial.number not in numbers:
                (ledger.stop if after else ledger.finish)(trial.number)
        for trial in ledger.trials():
            if trial.state != "unfinished":
                forget(trial.number)


def _standing(ledger: Ledger, bracket: int, brackets: int, rung: Rung) -> Standing:
    trials, halving = ledger.trials(), ledger.study.halving
    best = "nothing yet"
    if any(trial.score is not None for trial in trials):
        first = ranked(trials, halving)[0]
        best = f"{first.score:.4f} in epoch {len(first.curve)}"
    text = f"bracket {bracket + 1} of {brackets}, to epoch {rung.epochs}; best so far {best}"
    return Standing(rung, _epochs(trials), brackets * halving.cost, text)


def _explained(ledger: Ledger, trial: Trial, result: TrialResult) -> TrialResult:
    """Return a result with a reason that does not depend on which of two trials at once was earlier."""
    reason = ledger.why_not(trial) if result.out_of_memory else None
    return replace(result, failure=reason or result.failure, curve=max(trial.curve, result.curve, key=len))


def _epochs(trials: Sequence[Trial]) -> int:
    return sum(len(trial.curve) for trial in trials)
