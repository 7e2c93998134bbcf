"""Measure what the layers of a network compute: the embedding of many samples, and the feature maps of one.

Embedding: the separation of classes in the penultimate layer, by t-SNE (van der Maaten and Hinton, JMLR 9, 2008) and by
numbers that do not depend on it. Distances in the figure of t-SNE mean little, so the numbers are computed in the
penultimate space, and in the input space for comparison.

Feature maps: for each map resolution the last convolution, and of its channels those with the largest variance over the
image. The variance measures the response to this sample, not the size of the bias.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from shearbench.analysis.evaluation import Evaluation, Measured
from shearbench.analysis.layers import LayerCall, layer_calls
from shearbench.analysis.trained import TrainedModel
from shearbench.plotting.files import Files, arrays, table
from shearbench.seeds import seed_for

NEIGHBOURS = 10
PERPLEXITY = 30.0
_BATCH = 100


def embedding(trained: TrainedModel) -> Measured:
    """Embed the activations of the samples that every network embeds.

    Returns:
        ``rows`` (n,) and the numbers ``penultimate`` and ``inputs``: (silhouette, purity) each. For fold 0 alone
        also ``places`` (n, 2), by t-SNE. Facts: ``units`` of the layer, ``perplexity``.
    """
    rows, labels = trained.embedded, trained.test.labels[trained.embedded]
    inputs = trained.seen(trained.test.inputs[rows])
    activations = np.concatenate([penultimate(trained.network, part) for part in torch.split(inputs, _BATCH)])
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    arrays: dict[str, NDArray[Any]] = {
        "rows": rows,
        "penultimate": np.array(separation(activations, labels)),
        "inputs": np.array(separation(inputs.flatten(1).numpy(), labels)),
    }
    if trained.fold == 0:
        arrays["places"] = _places(activations, perplexity, seed_for(trained.record["seed"], "evaluate", "t-sne"))
    facts = {"units": activations.shape[1], "perplexity": perplexity, "neighbours": NEIGHBOURS, "samples": len(rows)}
    return Measured(arrays, facts)


def penultimate(network: nn.Module, inputs: torch.Tensor) -> NDArray[np.float32]:
    """Return the input of the last linear layer, float32 (n, units)."""
    entered: NDArray[np.float32] = layer_calls(network, inputs, nn.Linear)[-1].entered.numpy()
    return entered


def separation(points: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Return silhouette and k-nearest-neighbour purity of points (n, dimensions), both by Euclidean distance.

    The silhouette (Rousseeuw 1987) is the mean over points of (b - a) / max(a, b): a is the mean distance to the others
    of its class, b to the nearest other class; 1 is far apart, 0 touching. Purity is the mean share of a point's class
    among its 10 nearest neighbours, without the point itself.
    """
    from sklearn.metrics import silhouette_score  # takes a second to load, and only a measurement needs it
    from sklearn.neighbors import NearestNeighbors

    k = min(NEIGHBOURS, len(points) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return float(silhouette_score(points, labels)), float((labels[near] == labels[:, np.newaxis]).mean())


def _places(points: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """Return t-SNE's two coordinates of each point, (n, 2)."""
    from sklearn.manifold import TSNE

    method = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed % 2**32)
    with threadpool_limits(limits=1):  # sums depend on the number of threads
        places: NDArray[np.float32] = method.fit_transform(points)
    return places


def embedding_files(evaluation: Evaluation) -> Files:
    """Return ``embedding.csv`` and ``embedding.npz``.

    The table has one row per fold and space (``penultimate``: the inputs of the last layer; ``inputs``: those of the
    network): ``fold, space, n, dimensions, silhouette, purity``. The arrays are ``ids``, ``labels`` (n,) and
    ``places`` (n, 2): t-SNE of the activations of fold 0's network.
    """
    found = [result.measured["embedding"].arrays for result in evaluation.results]
    rows, units = found[0]["rows"], evaluation.facts("embedding")["units"]
    dimensions = {"penultimate": units, "inputs": evaluation.test.inputs[0].size}
    values = [
        (fold_run.fold, space, len(rows), size, *own[space])
        for space, size in dimensions.items()
        for fold_run, own in zip(evaluation.fold_runs, found, strict=True)
    ]
    separation = pd.DataFrame(values, columns=["fold", "space", "n", "dimensions", "silhouette", "purity"])
    test = evaluation.test
    places = {"ids": test.ids[rows], "labels": test.labels[rows], "places": found[0]["places"]}
    return {"embedding.csv": table(separation), "embedding.npz": arrays(places)}


CLASS = 7
CHANNELS = 6


def feature_maps(trained: TrainedModel) -> Measured:
    """Return ``seen`` (channels, 28, 28), the normalised sample, and ``maps-<i>`` of the i-th shown layer.

    The sample is the explained one of class 7 (the last explained sample without that class). ``maps-<i>`` are float32
    (up to 6, height, width), the convolution's own output: signed, before normalisation and activation. Facts: the
    ``id`` of the sample, and for each layer its name, all of its channels, those shown, and how many of them are
    ``silent``: nowhere positive. A network without convolutions has a reason in ``skipped``.
    """
    rows = [row for row in trained.explained if trained.test.labels[row] == CLASS] or [trained.explained[-1]]
    seen = trained.seen(trained.test.inputs[rows[:1]])
    shown = [(each, _strongest(each.left[0])) for each in convolutions(trained.network, seen)]
    layers = [
        {
            "name": each.name,
            "resolution": [int(size) for size in each.left.shape[-2:]],
            "channels": int(each.left.shape[1]),
            "silent": int((each.left[0].amax(dim=(1, 2)) <= 0).sum()),
            "shown": strongest,
        }
        for each, strongest in shown
    ]
    maps = {f"maps-{place}": each.left[0, strongest].numpy() for place, (each, strongest) in enumerate(shown)}
    facts = {
        "id": int(trained.test.ids[rows[0]]),
        "class": int(trained.test.labels[rows[0]]),
        "layers": layers,
        "skipped": "" if layers else "no convolution",
    }
    return Measured({"seen": seen[0].numpy(), **maps}, facts)


def convolutions(network: nn.Module, inputs: Tensor) -> list[LayerCall]:
    """Return the last convolution of each resolution above 1 x 1, in the order of their calls."""
    last = {each.left.shape[-2:]: each for each in layer_calls(network, inputs, nn.Conv2d)}
    return [each for resolution, each in last.items() if resolution.numel() > 1]


def _strongest(maps: Tensor) -> list[int]:
    """Return the channels of (channels, height, width) with the largest variance, in falling order."""
    order = np.argsort(-maps.std(dim=(1, 2)).numpy(), kind="stable")
    return [int(channel) for channel in order[:CHANNELS]]


def feature_maps_files(evaluation: Evaluation) -> Files:
    """Return ``feature_maps.npz``: ``seen`` (channels, 28, 28), and ``maps-<i>`` (shown, height, width) of a layer."""
    return {"feature_maps.npz": arrays(evaluation.results[0].measured["feature_maps"].arrays)}
