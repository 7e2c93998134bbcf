"""Training configs of runs, and of any model on any dataset, from ``params.yaml`` and ``tuned/``."""

from pathlib import Path

from shearbench.data.config import DatasetEntry
from shearbench.data.folds import TrainOn
from shearbench.params import Network, Params
from shearbench.training.config import TrainingConfig, applicable
from shearbench.training.hardware import Hardware, settle_hardware
from shearbench.tuning.tuned import config_path, read_run_config


def planned(params: Params, root: Path, run_name: str, *, hardware: Hardware | None = None) -> TrainingConfig:
    """Return the training config of a run in ``params``, with its tuned hyperparameters if it has any."""
    run = params.runs[run_name]
    model, entry = params.models[run.model], params.datasets[run.dataset]
    named = (run.dataset, entry), (run.model, model)
    config = settled(params, *named, train_on=params.cv.train_on, hardware=hardware)
    run_config = read_run_config(config_path(root, run.dataset, run.model))
    return config.varied(run_config.tuned) if run_config.tuned and run_config.reserved else config


def config_of(params: Params, *, dataset: str, model: str) -> TrainingConfig:
    """Return the training config of a model on a dataset in ``params``, with device and precision resolved."""
    named = (dataset, params.datasets[dataset]), (model, params.models[model])
    return settled(params, *named, train_on=params.cv.train_on)


def settled(
    params: Params,
    dataset: tuple[str, DatasetEntry],
    model: tuple[str, Network],
    *,
    diagnose: bool = False,
    train_on: TrainOn = "rest",
    hardware: Hardware | None = None,
) -> TrainingConfig:
    """Return the training config of a named model on a named dataset, with ``hardware`` or resolved hardware."""
    (dataset_name, entry), (model_name, chosen) = dataset, model
    hardware = hardware or settle_hardware(params.execution)
    return TrainingConfig(
        dataset=dataset_name,
        model=model_name,
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
        diagnose=diagnose,
        train_on=train_on,
        train_size=chosen.train_size,
    )
