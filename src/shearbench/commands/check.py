"""``shearbench check``: build every network in ``params.yaml``, before any long work starts."""

import json
from pathlib import Path

from shearbench import models
from shearbench.data import raw
from shearbench.data.config import DatasetEntry
from shearbench.models.inputs import Features, Inputs
from shearbench.params import Network, Params


def main(params: Params, root: Path, *, own_alone: bool = False) -> str:
    """Build the network of each run and ablation once; return the numbers of datasets, models, runs and ablations.

    With ``own_alone`` only the user's own networks are built, without torchvision and scikit-learn, which take seconds
    to import.

    Raises:
        InputError: if a network cannot be built; the message names it and the reason.
    """
    pairs: list[tuple[Network, DatasetEntry]] = [
        (params.models[run.model], params.datasets[run.dataset]) for run in params.runs.values()
    ]
    for each in params.ablations.values():
        pairs += [(model, dataset) for model in each.models.values() for dataset in each.datasets.values()]
    known = {name: facts for name in params.sources.images if (facts := raw.facts_of(root / "data" / name))}
    done = set()
    for model, dataset in pairs:
        if own_alone and (model.architecture in models.ARCHITECTURES or model.recipe is None):
            continue
        inputs = Inputs(dataset.channels, *known.get(dataset.origin, (10, (28, 28))))
        network = (model.architecture, inputs, model.width, str(model.features), json.dumps(model.options))
        if network in done:
            continue
        done.add(network)
        if model.recipe is None:
            from shearbench.models import classical  # imports scikit-learn

            classical.make(model.architecture, model.features or Features(), model.options, seed=0)
        else:
            models.check(model.architecture, inputs=inputs, width=model.width, options=model.options)
    parts = ("datasets", "models", "runs", "ablations")
    return ", ".join(f"{len(getattr(params, part))} {part}" for part in parts)
