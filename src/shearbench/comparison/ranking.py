"""The ranking of the networks over the datasets, from the comparison's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from shearbench.statistics.ranking import NoRanking, rank_networks


def ranking_of(rows: Sequence[Mapping[str, Any]], *, alpha: float) -> dict[str, Any]:
    """Rank the networks that were trained on every dataset, by out-of-fold accuracy.

    Args:
        rows: of ``reports/comparison.json``.
        alpha: of Friedman's and Nemenyi's test.

    Returns:
        What ``reports/ranking.json`` holds: the fields of ``statistics.ranking.Ranking``, or ``reason``, why there is
        none; and ``left_out``, the networks that some dataset lacks.
    """
    scores = {(row["dataset"], row["model"]): row["cv_accuracy_mean"] for row in rows}
    datasets = list(dict.fromkeys(dataset for dataset, _ in scores))
    every = list(dict.fromkeys(model for _, model in scores))
    networks = [model for model in every if all((dataset, model) in scores for dataset in datasets)]
    table = [[scores[dataset, model] for model in networks] for dataset in datasets]
    ranking = rank_networks(table, networks, alpha=alpha)
    left_out = [model for model in every if model not in networks]
    reason = ranking.reason if isinstance(ranking, NoRanking) else None
    return {"reason": reason, "left_out": left_out, **({} if reason else asdict(ranking))}
