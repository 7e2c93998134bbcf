"""The recipe that leads from MNIST to a class's digits, step by step, and the trained networks that it takes.

The networks are those of the ablation ``handwriting`` of ``params.yaml``, ``<network>_<training>``, and beside them
those that the runs of ``mnist`` trained. A step is a training, a preparation and whether the preparation's rejections
are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Literal

from shearbench.errors import InputError
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.records import is_finished

ABLATION = "handwriting"
RUN = "run"
"""The training of a network that a run of ``params.yaml`` trained, with the recipe that stands there."""

Training = Literal["plain", "affine", "stopped", "strong"]
TRAININGS: Mapping[Training, str] = {
    "plain": "MNIST as it is",
    "affine": "with affine augmentation",
    "stopped": "with affine augmentation, a validation split and early stopping",
    "strong": "with strong augmentation, a validation split and early stopping",
}


@dataclass(frozen=True)
class Step:
    """A step of the recipe: 1 to 5 are the study's, of which 5 is 4 looked at group by group."""

    number: int
    title: str
    training: Training
    preparation: str
    filtered: bool


STEPS = (
    Step(1, "plain MNIST", "plain", "study", False),
    Step(2, "affine augmentation", "affine", "study", False),
    Step(3, "validation split, early stopping", "stopped", "study", False),
    Step(4, "filtering", "stopped", "study", True),
    Step(5, "per group", "stopped", "study", True),
    Step(6, "mnist preparation", "stopped", "mnist", True),
    Step(7, "stronger augmentation", "strong", "mnist", True),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """A network at hand, one for each fold: ``network`` its family (``mlp``), ``training`` how it was trained."""

    network: str
    training: str
    fold_runs: Sequence[FoldRun]

    @property
    def name(self) -> str:
        """What it is called in files."""
        return f"{self.network}_{self.training}"

    @property
    def mnist_accuracy(self) -> float:
        """Accuracy on the MNIST digits that each fold held out, mean over folds."""
        return mean(float(fold_run.record["metrics"]["validation_accuracy"]) for fold_run in self.fold_runs)

    @property
    def channels(self) -> int:
        """How often an image is repeated as its input."""
        return int(self.fold_runs[0].record["config"]["entry"]["channels"])


def at_hand(
    build: Path, *, is_current: Callable[[Path, Sequence[FoldRun]], bool] = lambda _folder, _runs: True
) -> list[Trained]:
    """Return the networks that have been trained on MNIST's images, all folds of each that are finished.

    Args:
        build: the folder ``build/``.
        is_current: whether the folds in a folder belong to the present parameters, code and data; others are left
            out, as those of an entry that was renamed.

    Raises:
        InputError: if there is none, or a record is damaged.
    """
    found = []
    for parent, is_run in ((build / "ablations" / ABLATION, False), (build / "runs", True)):
        for folder in sorted(parent.glob("*/*")):
            folds = 0
            while is_finished(folder / f"fold-{folds}"):
                folds += 1
            fold_runs = read_fold_runs(folder, folds)
            if not fold_runs or fold_runs[0].record["config"]["entry"]["source"] != "mnist":
                continue
            if not is_current(folder, fold_runs):
                continue
            found.append(_named(folder, fold_runs, is_run=is_run))
    if not found:
        raise InputError(
            f"no trained network is at hand under {build}: run `dvc repro ablation@{ABLATION}`, which trains those "
            "of the recipe, then the same command again"
        )
    return found


def _named(folder: Path, fold_runs: Sequence[FoldRun], *, is_run: bool) -> Trained:
    """Name a network by its folder: ``mlp_strong`` is ``mlp`` with the training ``strong``; another one is itself."""
    if is_run:
        name = folder.name if folder.parent.name == "mnist" else f"{folder.parent.name}-{folder.name}"
        return Trained(name, RUN, fold_runs)
    network, _, training = folder.name.rpartition("_")
    if network and training in TRAININGS:
        return Trained(network, training, fold_runs)
    return Trained(folder.name, "grid", fold_runs)


def chosen(networks: Sequence[Trained]) -> Trained:
    """Return the network that is looked at more closely: the best on MNIST of those with the strongest training.

    What it makes of the class has no say in it.
    """
    order = [*TRAININGS, RUN, "grid"]
    ranked = [one for training in ("strong", "stopped", *order) for one in networks if one.training == training]
    first = [one for one in networks if one.training == ranked[0].training]
    return max(first, key=lambda one: one.mnist_accuracy)
