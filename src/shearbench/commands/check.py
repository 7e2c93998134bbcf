"""``shearbench check``: every network that ``params.yaml`` asks for can be built, before any long work starts."""

import json
from itertools import chain, product
from pathlib import Path

from shearbench import models
from shearbench.data import own_images
from shearbench.models.features import Features
from shearbench.models.inputs import Inputs
from shearbench.params import Params


def main(params: Params, root: Path, *, own_alone: bool = False) -> str:
    """Build the network of each run and ablation once; return how much there is of what.

    Args:
        params: of the project.
        root: the project's folder.
        own_alone: only networks that are neither this package's nor scikit-learn's; torchvision and scikit-learn, which
            take seconds to import, are left alone.

    Raises:
        InputError: naming the network that cannot be built, and why.
    """
    of_runs = [(params.models[run.model], params.datasets[run.dataset]) for run in params.runs.values()]
    known = {name: facts for name in params.sources.images if (facts := own_images.facts(root / "data" / name))}
    of_ablations = [product(each.models.values(), each.datasets.values()) for each in params.ablations.values()]
    done = set()
    for model, dataset in chain(of_runs, *of_ablations):
        if own_alone and (model.architecture in models.ARCHITECTURES or model.recipe is None):
            continue
        inputs = Inputs(dataset.channels, *known.get(dataset.origin, (10, (28, 28))))
        asked = (
            model.architecture,
            inputs,
            model.width,
            str(model.features),
            json.dumps(model.options, sort_keys=True),
        )
        if asked in done:
            continue
        done.add(asked)
        if model.recipe is None:
            models.check_classifier(model.architecture, features=model.features or Features(), options=model.options)
        else:
            models.check(model.architecture, inputs=inputs, width=model.width, options=model.options)
    parts = ("datasets", "models", "runs", "ablations")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)
