"""``shearbench check``: every network that ``params.yaml`` asks for can be built, before any long work starts."""

from itertools import chain, product
from pathlib import Path

from shearbench import models
from shearbench.data import own_images
from shearbench.models.features import Features
from shearbench.models.inputs import Inputs
from shearbench.params import Params


def main(params: Params, root: Path) -> str:
    """Build the network of each run and ablation; return how much there is of what.

    Raises:
        InputError: naming the network that cannot be built, and why.
    """
    of_runs = [(params.models[run.model], params.datasets[run.dataset]) for run in params.runs.values()]
    known = {name: facts for name in params.sources.images if (facts := own_images.facts(root / "data" / name))}
    of_ablations = [product(each.models.values(), each.datasets.values()) for each in params.ablations.values()]
    for model, dataset in chain(of_runs, *of_ablations):
        if model.recipe is None:
            models.check_classifier(model.architecture, features=model.features or Features(), options=model.options)
            continue
        classes, size = known.get(dataset.origin, (10, (28, 28)))
        inputs = Inputs(dataset.channels, classes, size)
        models.check(model.architecture, inputs=inputs, width=model.width, options=model.options)
    parts = ("datasets", "models", "runs", "ablations")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)
