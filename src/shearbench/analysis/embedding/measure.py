"""Measure the separation of classes in the penultimate layer of a network: t-SNE, and numbers that do not depend on it.

Source of t-SNE: van der Maaten and Hinton, JMLR 9 (2008), by scikit-learn. Distances in its figure mean little, so the
numbers are computed in the penultimate space, and in the input space for comparison.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from torch import nn

from shearbench.analysis.layers import layer_calls
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel
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
    k = min(NEIGHBOURS, len(points) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return float(silhouette_score(points, labels)), float((labels[near] == labels[:, np.newaxis]).mean())


def _places(points: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """Return t-SNE's two coordinates of each point, (n, 2)."""
    method = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed % 2**32)
    with threadpool_limits(limits=1):  # sums depend on the number of threads
        places: NDArray[np.float32] = method.fit_transform(points)
    return places
