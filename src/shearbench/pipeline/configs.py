"""Training configs of runs, and of any model on any dataset, from ``params.yaml`` and ``tuned/``."""

from pathlib import Path

from shearbench.params import Ablation, Params
from shearbench.training.config import TrainingConfig, applicable
from shearbench.training.hardware import Hardware, settle_hardware
from shearbench.tuning.tuned import config_path, read_run_config


def planned(params: Params, root: Path, run_name: str, *, hardware: Hardware | None = None) -> TrainingConfig:
    """Return the training config of a run in ``params``, with its tuned hyperparameters if it has any."""
    run = params.runs[run_name]
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
