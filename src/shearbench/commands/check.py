"""``shearbench check``: every network that ``params.yaml`` asks for can be built, before any long work starts."""

from itertools import chain, product

from shearbench import models
from shearbench.params import Params


def main(params: Params) -> str:
    """Build the network of each run and ablation; return how much there is of what.

    Raises:
        InputError: naming the network that cannot be built, and why.
    """
    of_runs = [(params.models[run.model], params.datasets[run.dataset]) for run in params.runs.values()]
    of_ablations = [product(each.models.values(), each.datasets.values()) for each in params.ablations.values()]
    for model, dataset in chain(of_runs, *of_ablations):
        models.check(model.architecture, channels=dataset.channels, width=model.width, options=model.options)
    parts = ("datasets", "models", "runs", "ablations")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)
