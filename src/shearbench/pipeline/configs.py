"""Training configs of runs, and of any model on any dataset, from ``params.yaml`` and ``tuned/``."""

from pathlib import Path

from shearbench.data import raw
from shearbench.data.config import DatasetEntry, FieldDataset
from shearbench.errors import InputError
from shearbench.params import Ablation, Params
from shearbench.training.config import TrainingConfig, applicable
from shearbench.training.hardware import Hardware, settle_hardware
from shearbench.training.recipe import Recipe
from shearbench.tuning.tuned import config_path, read_run_config


def planned(params: Params, root: Path, run_name: str, *, hardware: Hardware | None = None) -> TrainingConfig:
    """Return the training config of a run in ``params``, with its tuned hyperparameters if it has any.

    Raises:
        InputError: if an augmentation does not fit the images, or the tuned hyperparameters are missing or damaged.
    """
    run = params.runs[run_name]
    check_augmentation(params.models[run.model].recipe, params.datasets[run.dataset], root)
    config = config_of(params, dataset=run.dataset, model=run.model, hardware=hardware)
    run_config = read_run_config(config_path(root, run.dataset, run.model))
    return config.varied(run_config.tuned) if run_config.tuned and run_config.reserved else config


def config_of(
    params: Params, *, dataset: str, model: str, ablation: Ablation | None = None, hardware: Hardware | None = None
) -> TrainingConfig:
    """Return the training config of a model on a dataset, both of ``params`` or of an ablation.

    Without ``hardware``, device and precision are those of ``params``, resolved for this machine.
    """
    part = ablation or params
    entry, chosen = part.datasets[dataset], part.models[model]
    hardware = hardware or settle_hardware(params.execution)
    return TrainingConfig(
        dataset=dataset,
        model=model,
        seed=params.seed,
        architecture=chosen.architecture,
        width=chosen.width,
        options=chosen.options,
        recipe=applicable(chosen.recipe, entry),
        features=chosen.settled_features,
        entry=entry,
        inner_fraction=params.cv.inner_fraction,
        device=hardware.device,
        precision=hardware.precision,
        diagnose=ablation.diagnose if ablation else False,
        train_on=ablation.train_on if ablation else params.cv.train_on,
        train_size=chosen.train_size,
    )


_FOR_BYTES = {"noise", "erasing", "strong", "pens"}
"""Augmentations that work on a grey scale from 0 to 255."""


def check_augmentation(recipe: Recipe | None, dataset: DatasetEntry, root: Path) -> None:
    """Refuse augmentations that are made for bytes or for MNIST's size on other images.

    Raises:
        InputError: naming the augmentation, the source, and what its images are.
    """
    folder = root / "data" / dataset.origin
    facts = None if isinstance(dataset, FieldDataset) else raw.facts_of(folder)  # of MNIST there are none
    if recipe is None or facts is None:
        return
    chosen = {recipe.augment} if isinstance(recipe.augment, str) else {*recipe.augment}
    (height, width), where = facts[1], f"the images of {dataset.origin}"
    if (kind := raw.format_of(folder)[1]) != "uint8" and (bad := chosen & _FOR_BYTES):
        rule = f"is for bytes, 0 to 255, and {where} are {kind}; store them as uint8, or choose another"
        raise InputError(f"augment: {', '.join(sorted(bad))} {rule}")
    if "pens" in chosen and (height, width) != (28, 28):
        raise InputError(f"augment: pens is for 28 x 28 pixels, and {where} have {height} x {width}; choose another")
