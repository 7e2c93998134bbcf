"""Summarise the class separation in the penultimate layer: numbers of all networks, t-SNE of the first fold's."""

import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, arrays, table


def embedding(evaluation: Evaluation) -> Files:
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
