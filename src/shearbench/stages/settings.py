"""Stage ``settings``: what each cell is trained with, ``build/settings/<dataset>/<model>.yaml``.

Reads ``tuned/<model>.yaml`` where ``training.use_tuned`` says so. A cell depends on its own file alone, so that a
search for one model, on one dataset, makes one cell train again.
"""

from pathlib import Path

from rich import print

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.tuning.tuned import CellSettings, read_tuned, settings_path, tuned_path, write_settings


def main(params: Params, root: Path) -> None:
    """Write the settings of every cell of ``params``, and print those that are tuned.

    Raises:
        InputError: if tuned settings are asked for and there are none, or their file has a fault.
    """
    found = {name: settings_of(params, root, name) for name in params.cells}
    for name, settings in found.items():
        write_settings(settings_path(root, params.cells[name].dataset, params.cells[name].model), settings)
        if settings.tuned:
            values = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in settings.tuned)
            print(f"{name} is trained as tuned: {values}")


def settings_of(params: Params, root: Path, cell_name: str) -> CellSettings:
    """Return what a cell is trained with; InputError if it is to be tuned and is not."""
    cell = params.cells[cell_name]
    if not params.training.uses_tuned(cell.model):
        return CellSettings()
    path = tuned_path(root, cell.model)
    tuned = read_tuned(path).get(cell.dataset)
    if tuned is None:
        raise InputError(
            f"training.use_tuned asks for tuned settings of {cell_name}, but {path} has none for {cell.dataset}; run "
            f"`make tune MODEL={cell.model} DATASET={cell.dataset}`, or name the models that are tuned in use_tuned"
        )
    return CellSettings(tuned=tuned.setting, saw=tuned.saw)
