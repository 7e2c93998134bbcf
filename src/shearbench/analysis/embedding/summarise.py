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
    facts, rows = evaluation.facts("embedding"), evaluation.results[0].measured["embedding"].arrays["rows"]
    dimensions = {"penultimate": facts["units"], "inputs": evaluation.test.inputs[0].size}
    values = [
        {
            "fold": fold_run.fold,
            "space": space,
            "n": len(rows),
            "dimensions": dimensions[space],
            "silhouette": result.measured["embedding"].arrays[space][0],
            "purity": result.measured["embedding"].arrays[space][1],
        }
        for space in dimensions
        for fold_run, result in zip(evaluation.fold_runs, evaluation.results, strict=True)
    ]
    places = {
        "ids": evaluation.test.ids[rows],
        "labels": evaluation.test.labels[rows],
        "places": evaluation.results[0].measured["embedding"].arrays["places"],
    }
    return {"embedding.csv": table(pd.DataFrame(values)), "embedding.npz": arrays(places)}
