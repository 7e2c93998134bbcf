"""``shearbench check``: every network that ``params.yaml`` asks for can be built, before any long work starts."""

from itertools import chain, product

from shearbench import models
from shearbench.params import Params


def main(params: Params) -> str:
    """Build the network of each cell and experiment; return how much there is of what.

    Raises:
        InputError: naming the network that cannot be built, and why.
    """
    of_cells = [(params.models[cell.model], params.datasets[cell.dataset]) for cell in params.cells.values()]
    of_experiments = [product(each.models.values(), each.datasets.values()) for each in params.experiments.values()]
    for model, dataset in chain(of_cells, *of_experiments):
        models.check(model.architecture, channels=dataset.channels, width=model.width, options=model.options)
    parts = ("datasets", "models", "cells", "experiments")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)
