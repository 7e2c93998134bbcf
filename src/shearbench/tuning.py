"""Studies: the search for a model's learning rate, batch size and width. The only file that imports optuna.

Trials are asked for in generations of fixed size, run side by side, and told in order; each draw is seeded by its
trial's number. So a study has the same trials with one worker or many, in one go or resumed: what is known when a
trial is drawn never depends on which of its neighbours finished first. Studies live in a journal file.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from shearbench.errors import InputError
from shearbench.seeds import seed_for
from shearbench.training.trial import TrialResult

GENERATION = 4  # trials asked for at once; a constant, so that it does not follow the number of cores
_STARTUP = 8  # trials drawn at random before the sampler models anything


@dataclass(frozen=True)
class Setting:
    """What is searched: one point of the space."""

    learning_rate: float
    batch: int
    width: float


@dataclass(frozen=True)
class Space:
    """Bounds of the learning rate (drawn on a log scale) and the choices of batch size and width."""

    learning_rate: tuple[float, float]
    batch: tuple[int, ...]
    width: tuple[float, ...]

    def including(self, setting: Setting) -> "Space":
        """Return the space with a setting taken into it."""
        rates = (*self.learning_rate, setting.learning_rate)
        return Space(
            (min(rates), max(rates)),
            tuple(sorted({*self.batch, setting.batch})),
            tuple(sorted({*self.width, setting.width})),
        )


@dataclass(frozen=True)
class Trial:
    """A finished trial: its setting and score (accuracy, higher is better), or why it failed."""

    number: int
    setting: Setting
    score: float | None
    failure: str | None


Evaluate = Callable[[Sequence[Setting]], Sequence[TrialResult]]


@dataclass(frozen=True)
class Study:
    """A study's place (journal file), name, seed and space. ``present``, a point of it, is what to beat: trial 0.

    One journal holds one study over one space; whoever changes what is searched, or on what, gives it another file.
    """

    journal: Path
    name: str
    seed: int
    space: Space
    present: Setting


def search(study: Study, evaluate: Evaluate, *, trials: int, timeout: float) -> list[Trial]:
    """Run a study until it has ``trials`` finished trials or ``timeout`` seconds have gone; resume it if it exists.

    Args:
        study: where and what to search.
        evaluate: runs a generation of settings; its outcomes come in their order.
        trials: number of trials in all, failed ones included, those of earlier runs too.
        timeout: seconds after which no new generation begins; the first one always runs.

    Returns:
        Every finished trial, in the order of their numbers.
    """
    started = time.monotonic()
    opened = _open(study)
    while _count(opened) < trials and (_count(opened) == 0 or time.monotonic() - started < timeout):
        generation = _ask(opened, study, trials)
        outcomes = evaluate([_setting(trial.params) for trial in generation])
        for trial, outcome in zip(generation, outcomes, strict=True):
            _tell(opened, trial, outcome)
    return read(study)


def read(study: Study) -> list[Trial]:
    """Return the finished trials of a study, in the order of their numbers."""
    return [_trial(frozen) for frozen in _open(study).get_trials(deepcopy=False) if frozen.state.is_finished()]


def best(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the highest score, the earlier one of equals.

    Raises:
        InputError: if none has a score.
    """
    scored = [trial for trial in trials if trial.score is not None]
    if not scored:
        reasons = "; ".join(sorted({trial.failure or "no reason given" for trial in trials}))
        raise InputError(f"none of {len(trials)} trials has a score ({reasons}); move the search space in params.yaml")
    return max(scored, key=lambda trial: (trial.score, -trial.number))


def _open(study: Study) -> optuna.Study:
    study.journal.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(study.journal)))
    return optuna.create_study(study_name=study.name, storage=storage, direction="maximize", load_if_exists=True)


def _count(opened: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in opened.get_trials(deepcopy=False))


def _ask(opened: optuna.Study, study: Study, trials: int) -> list[optuna.trial.FrozenTrial]:
    """Return what is unfinished of the present generation; generations begin at multiples of their size."""
    finished = _count(opened)
    end = min(finished - finished % GENERATION + GENERATION, trials)
    for number in range(finished, end):
        _draw(opened, study, number)
    return opened.get_trials(deepcopy=False)[finished:end]


def _draw(opened: optuna.Study, study: Study, number: int) -> None:
    """Draw trial ``number``, or what a killed run left undrawn of it."""
    seed = seed_for(study.seed, "tune", study.name, number) % 2**32
    opened.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, constant_liar=True)
    drawn = opened.get_trials(deepcopy=False)
    if number < len(drawn):
        trial = optuna.trial.Trial(opened, drawn[number]._trial_id)
    else:
        if number == 0:
            opened.enqueue_trial(vars(study.present))
        trial = opened.ask()
    low, high = study.space.learning_rate
    trial.suggest_float("learning_rate", low, high, log=True)
    trial.suggest_categorical("batch", study.space.batch)
    trial.suggest_categorical("width", study.space.width)


def _tell(opened: optuna.Study, trial: optuna.trial.FrozenTrial, outcome: TrialResult) -> None:
    if outcome.accuracy is None:
        opened._storage.set_trial_user_attr(trial._trial_id, "failure", outcome.failure)
        opened.tell(trial.number, state=TrialState.FAIL)
    else:
        opened.tell(trial.number, outcome.accuracy)


def _setting(values: dict[str, float]) -> Setting:
    return Setting(float(values["learning_rate"]), int(values["batch"]), float(values["width"]))


def _trial(frozen: optuna.trial.FrozenTrial) -> Trial:
    score = frozen.value if frozen.state == TrialState.COMPLETE else None
    return Trial(frozen.number, _setting(frozen.params), score, frozen.user_attrs.get("failure"))
