"""Stage ``training_configs``: write the training config of each run, ``build/training_configs/<dataset>/<model>.yaml``.

Reads ``tuned/<model>.yaml`` if ``training.use_tuned`` selects the model. A run depends only on its own file, so a
search for one model on one dataset retrains only one run.
"""

from pathlib import Path

from rich import print

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.training.recipe import described
from shearbench.tuning.tuned import RunConfig, config_path, read_tuned, tuned_path, write_run_config


def main(params: Params, root: Path) -> None:
    """Write the training config of every run of ``params``, and print tuned hyperparameters.

    Raises:
        InputError: if tuned hyperparameters are requested but missing, or their file is invalid.
    """
    found = {name: run_config_of(params, root, name) for name in params.runs}
    for name, run_config in found.items():
        write_run_config(config_path(root, params.runs[name].dataset, params.runs[name].model), run_config)
        if run_config.tuned:
            print(f"{name} is trained as tuned: {described(run_config.tuned)}")


def run_config_of(params: Params, root: Path, run_name: str) -> RunConfig:
    """Return the tuned hyperparameters of a run and their data; InputError if they are requested but missing."""
    run = params.runs[run_name]
    if not params.training.uses_tuned(run.model, params.models[run.model]):
        return RunConfig()
    path = tuned_path(root, run.model)
    tuned = read_tuned(path).get(run.dataset)
    if tuned is None:
        raise InputError(
            f"training.use_tuned asks for tuned hyperparameters of {run_name}, but {path} has none for {run.dataset}; "
            f"run `shearbench tune {run.model} --dataset {run.dataset}`, or name the models that are tuned in use_tuned"
        )
    return RunConfig(tuned=tuned.hyperparameters, reserved=tuned.reserved)
