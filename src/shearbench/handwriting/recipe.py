"""The recipe from MNIST to a class's digits, step by step, and the trained networks that it uses.

The networks come from the ablation ``handwriting`` of ``params.yaml``, where they are named ``<network>_<training>``,
and from the runs on ``mnist``. A step is a training, a preparation, and whether samples that the preparation rejects
are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Literal, get_args

from shearbench.errors import InputError
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.records import is_finished

ABLATION = "handwriting"
RUN = "run"
"""The training of a network of a run, with the recipe of ``params.yaml``."""

Training = Literal["plain", "affine", "stopped", "strong"]
"""MNIST as it is; with affine augmentation; also with early stopping on a validation split; with strong augmentation.
"""
TRAININGS: tuple[Training, ...] = get_args(Training)


@dataclass(frozen=True)
class Step:
    """A step of the recipe. Steps 1 to 5 are the study's; step 5 shows step 4 by group."""

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
    """An available network with its folds: ``network`` is its family (``mlp``), ``training`` its training."""

    network: str
    training: str
    fold_runs: Sequence[FoldRun]

    @property
    def name(self) -> str:
        return f"{self.network}_{self.training}"

    @property
    def mnist_accuracy(self) -> float:
        """Accuracy on the held-out MNIST digits, the mean over folds."""
        return mean(float(fold_run.record["metrics"]["validation_accuracy"]) for fold_run in self.fold_runs)

    @property
    def channels(self) -> int:
        """The number of input channels; each holds the same image."""
        return int(self.fold_runs[0].record["config"]["entry"]["channels"])


def available(
    build: Path, *, is_current: Callable[[Path, Sequence[FoldRun]], bool] = lambda _folder, _runs: True
) -> list[Trained]:
    """Return the networks in ``build/`` that were trained on MNIST's images, each with its finished folds.

    Folds are left out if ``is_current(folder, folds)`` is False, such as those of a renamed entry.

    Raises:
        InputError: if no network is found, or a record is damaged.
    """
    found = []
    of_ablation = sorted((build / "ablations" / ABLATION).glob("*/*"))
    for folder in (*of_ablation, *sorted((build / "runs").glob("*/*"))):
        folds = next(fold for fold in count() if not is_finished(folder / f"fold-{fold}"))
        fold_runs = read_fold_runs(folder, folds)
        is_of_mnist = bool(fold_runs) and fold_runs[0].record["config"]["entry"]["source"] == "mnist"
        if is_of_mnist and is_current(folder, fold_runs):
            name = _of_ablation(folder) if folder in of_ablation else _of_run(folder)
            found.append(Trained(*name, fold_runs))
    if not found:
        raise InputError(
            f"{build} has no trained network: run `dvc repro ablation@{ABLATION}`, which trains those of the recipe, "
            "then the same command again"
        )
    return found


def _of_ablation(folder: Path) -> tuple[str, str]:
    """Return network and training by the name of a folder: ``mlp_strong``; other names get the training ``grid``."""
    network, _, training = folder.name.rpartition("_")
    return (network, training) if network and training in TRAININGS else (folder.name, "grid")


def _of_run(folder: Path) -> tuple[str, str]:
    return folder.name if folder.parent.name == "mnist" else f"{folder.parent.name}-{folder.name}", RUN


def chosen(networks: Sequence[Trained]) -> Trained:
    """Return the network for detailed analyses: the best on MNIST among those with the strongest training.

    The choice does not depend on the class's digits.
    """
    order = ["strong", "stopped", "plain", "affine", RUN, "grid"]
    strongest = min((one.training for one in networks), key=order.index)
    return max((one for one in networks if one.training == strongest), key=lambda one: one.mnist_accuracy)
