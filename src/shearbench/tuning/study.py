"""Storage of a study: Optuna's journal file, or a database by its URL. Draws hyperparameters and stores results.

Each draw is a function of the study's seed, the trial's number and the trials before it. Optuna's states mean: COMPLETE
reached the last rung, PRUNED was stopped at a rung, FAIL has its reason under ``failure``, RUNNING is unfinished. The
intermediate values are the accuracy on the inner part after each epoch.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from shearbench.errors import InputError, without_secrets
from shearbench.seeds import seed_for
from shearbench.training.recipe import Hyperparameters, Range, Space, described, needs_no_less_memory
from shearbench.tuning.trial import Halving, Point, TrialResult

State = Literal["complete", "stopped", "failed", "unfinished"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
_DRAWS = 20  # most attempts to draw hyperparameters that fit into memory


@dataclass(frozen=True)
class Study:
    """Storage, seed, space and resources of a study. ``present``, a point of the space, is the baseline: trial 0.

    ``storage`` is a journal file or the URL of a database. ``label`` names the random streams of the draws; ``name`` is
    the name of the study in its storage, which differs for other data, code or training configs.
    """

    storage: Path | str
    name: str
    label: str
    seed: int
    space: Space
    present: Hyperparameters
    halving: Halving


@dataclass(frozen=True)
class Trial:
    """Hyperparameters and their result: the epochs, or the reason of a failure."""

    number: int
    hyperparameters: Hyperparameters
    state: State
    curve: tuple[Point, ...] = ()
    over: bool = False
    failure: str | None = None
    out_of_memory: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Accuracy on the inner part after the last trained epoch, of the weights that the training would return."""
        return self.curve[-1].stored if self.curve and self.state != "failed" else None

    def score_after(self, epochs: int) -> float:
        """Return the accuracy after ``epochs``, or after the last epoch of a training that ended earlier."""
        return self.curve[min(epochs, len(self.curve)) - 1].stored

    def has_trained(self, epochs: int) -> bool:
        """Return True if ``epochs`` are done, or the training ended earlier."""
        return self.over or len(self.curve) >= epochs


class Ledger:
    def __init__(self, study: Study) -> None:
        """Open a study, or create it.

        Raises:
            InputError: if its database cannot be reached, or its journal is damaged.
        """
        self.study = study
        self._ended: dict[int, Trial] = {}  # an ended trial does not change, and is read once
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._copy = optuna.create_study(direction="maximize")
        try:
            with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
                self.optuna = optuna.create_study(
                    study_name=study.name,
                    storage=_storage(study.storage),
                    direction="maximize",
                    load_if_exists=True,
                    sampler=optuna.samplers.RandomSampler(seed=0),  # never used: every draw is enqueued
                )
        except (SQLAlchemyError, StorageInternalError, ImportError) as error:
            raise InputError(f"tuning.storage cannot be opened ({_cause(error)})") from None
        except ValueError as error:
            place = without_secrets(str(study.storage))
            raise InputError(f"{place} is damaged ({error}); remove it and search again") from None

    def trials(self) -> list[Trial]:
        """Return all trials with drawn hyperparameters, in the order of their numbers."""
        return [self._read(frozen) for frozen in self._stored() if frozen.params.keys() >= self.study.space.keys()]

    def draw(self, number: int) -> Trial:
        """Return trial ``number``, drawn if necessary; hyperparameters that cannot fit into memory fail at once."""
        if number == len(self._stored()):
            self.optuna.enqueue_trial(self._suggestion(number) if number else self.study.present)
        self._take(number)
        trial = self.trials()[number]
        reason = self.why_not(trial)
        if trial.state == "unfinished" and reason:
            self.fail(number, reason)
        return self.trials()[number]

    def why_not(self, trial: Trial) -> str | None:
        """Return why a trial is not trained: an earlier one that needs no more memory did not fit."""
        for other in self.trials()[: trial.number]:
            if other.out_of_memory and needs_no_less_memory(trial.hyperparameters, other.hyperparameters):
                return f"not tried: trial {other.number} ({described(other.hyperparameters)}) did not fit into memory"
        return None

    def record(self, number: int, result: TrialResult) -> None:
        """Store the epochs of a trial so far; the trial stays unfinished unless it failed."""
        frozen = self._stored()[number]
        trial = optuna.trial.Trial(self.optuna, frozen._trial_id)
        for step, point in enumerate(result.curve, start=1):
            if step not in frozen.intermediate_values:
                trial.report(point.stored, step)
        attributes = {
            **result.facts,
            "epochs": len(result.curve),
            "out_of_memory": result.out_of_memory,
            "curve": [astuple(point) for point in result.curve],
            "over": result.over,  # last: a trial that is over counts as trained, so its curve must be there
        }
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        if result.failure is not None:
            self.fail(number, result.failure)

    def fail(self, number: int, reason: str) -> None:
        """End a trial that has no result."""
        optuna.trial.Trial(self.optuna, self._stored()[number]._trial_id).set_user_attr("failure", reason)
        self.optuna.tell(number, state=TrialState.FAIL)

    def stop(self, number: int) -> None:
        """End a trial that was not among the best of its rung."""
        self.optuna.tell(number, state=TrialState.PRUNED)

    def finish(self, number: int) -> None:
        """End a trial that has reached the last rung."""
        self.optuna.tell(number, self.trials()[number].score)

    def _stored(self) -> list[FrozenTrial]:
        return self.optuna.get_trials(deepcopy=False)

    def _read(self, frozen: FrozenTrial) -> Trial:
        trial = self._ended.get(frozen.number) or _trial(frozen)
        if trial.state != "unfinished":
            self._ended[frozen.number] = trial
        return trial

    def _suggestion(self, number: int) -> Hyperparameters:
        """Draw hyperparameters from the earlier trials, again while the draw would not fit into memory."""
        before = self._stored()[:number]
        failed = [trial.hyperparameters for trial in self.trials() if trial.out_of_memory]
        for attempt in range(_DRAWS):
            seed = seed_for(self.study.seed, "tune", self.study.label, number, attempt) % 2**32
            startup = max(1, self.study.halving.size // 2)
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)
            hyperparameters = _suggest(self._copy_of(before, sampler).ask(), self.study.space)
            if not any(needs_no_less_memory(hyperparameters, other) for other in failed):
                break
        return hyperparameters

    def _copy_of(self, trials: Sequence[FrozenTrial], sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        """Return an in-memory study with these trials, so that a draw leaves no trace; it is rebuilt once per bracket.

        The last draw on the copy is the next trial of the study, so the copy is complete for the next draw. An ended
        trial does not change and hyperparameters are drawn before the state changes, so equal states mean equal trials.
        """
        if [trial.state for trial in self._copy.get_trials(deepcopy=False)] != [trial.state for trial in trials]:
            self._copy = optuna.create_study(direction="maximize")
            self._copy.add_trials(trials)
        self._copy.sampler = sampler
        return self._copy

    def _take(self, number: int) -> None:
        """Give an enqueued trial its hyperparameters.

        A trial that a killed process left RUNNING, with only some of them, gets the rest.
        """
        frozen = self._stored()[number]
        if frozen.state == TrialState.WAITING:
            _suggest(self.optuna.ask(), self.study.space)
        elif frozen.state == TrialState.RUNNING:
            _suggest(optuna.trial.Trial(self.optuna, frozen._trial_id), self.study.space)


@contextmanager
def naming_the_storage() -> Iterator[None]:
    """Turn errors of the storage into InputError: the database is gone, or another process searches the study.

    Raises:
        InputError: in place of the database's own error.
    """
    try:
        yield
    except UpdateFinishedTrialError:
        raise InputError(
            "another process searches the same study and has ended a trial first; let one of them finish. The trials "
            "are kept, and the same command goes on"
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        raise InputError(
            f"tuning.storage does not answer any more ({_cause(error)}); the trials that it has are kept, and the same "
            "command goes on"
        ) from None


def _cause(error: Exception) -> str:
    """Return the first line of the first cause, without any login."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    first = (str(error).splitlines() or [""])[0]
    return without_secrets(f"{type(error).__name__}: {first:.300}")


def _storage(place: Path | str) -> BaseStorage:
    if isinstance(place, str):
        with create_engine(place).connect() as connection:
            if inspect(connection).has_table("experiments"):  # both keep their version in a table of the same name
                raise InputError("tuning.storage is MLflow's database; make one more, for Optuna alone")
        return optuna.storages.RDBStorage(place)
    path = place.resolve()  # the lock of a relative path is not found again
    path.parent.mkdir(parents=True, exist_ok=True)
    _mend(path)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))


def _mend(journal: Path) -> None:
    """Remove the line that a killed process did not finish: Optuna would append the next entry to it."""
    if journal.is_file() and (content := journal.read_bytes()) and not content.endswith(b"\n"):
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _suggest(trial: optuna.trial.Trial, space: Space) -> Hyperparameters:
    for name, axis in space.items():
        if not isinstance(axis, Range):
            trial.suggest_categorical(name, axis)
        elif isinstance(axis.low, int) and isinstance(axis.high, int):
            trial.suggest_int(name, axis.low, axis.high, log=axis.log)
        else:
            trial.suggest_float(name, axis.low, axis.high, log=axis.log)
    return trial.params


def _trial(frozen: FrozenTrial) -> Trial:
    attributes = frozen.user_attrs
    return Trial(
        frozen.number,
        dict(frozen.params),
        _STATES.get(frozen.state, "unfinished"),
        tuple(Point(*values) for values in attributes.get("curve", ())),
        attributes.get("over", False),
        attributes.get("failure"),
        attributes.get("out_of_memory", False),
        {name: attributes[name] for name in ("parameters", "seconds", "reserved") if name in attributes},
    )
