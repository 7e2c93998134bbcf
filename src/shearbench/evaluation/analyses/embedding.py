"""How well the classes lie apart before the last layer: numbers of every network, places of the first fold's."""

import pandas as pd

from shearbench.evaluation.evaluation import Evaluation
from shearbench.evaluation.files import Files, arrays, table


def embedding(evaluation: Evaluation) -> Files:
    """Return ``embedding.csv`` and ``embedding.npz``.

    The table has a row a fold and space (``penultimate``: the activations before the last layer; ``inputs``: what the
    network sees): ``fold, space, n, dimensions, silhouette, purity``. The arrays are ``ids``, ``labels`` (n,) and
    ``places`` (n, 2): t-SNE of the activations of fold 0's network.
    """
    facts, rows = evaluation.facts("embedding"), evaluation.results[0].answers["embedding"].arrays["rows"]
    dimensions = {"penultimate": facts["units"], "inputs": evaluation.test.inputs[0].size}
    values = [
        {
            "fold": run.fold,
            "space": space,
            "n": len(rows),
            "dimensions": dimensions[space],
            "silhouette": result.answers["embedding"].arrays[space][0],
            "purity": result.answers["embedding"].arrays[space][1],
        }
        for space in dimensions
        for run, result in zip(evaluation.runs, evaluation.results, strict=True)
    ]
    places = {
        "ids": evaluation.test.ids[rows],
        "labels": evaluation.test.labels[rows],
        "places": evaluation.results[0].answers["embedding"].arrays["places"],
    }
    return {"embedding.csv": table(pd.DataFrame(values)), "embedding.npz": arrays(places)}
