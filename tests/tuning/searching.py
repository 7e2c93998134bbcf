"""A small search on patterns, as a job and as a process to be killed: ``python searching.py BUILD WORKERS``."""

import json
import sys
from pathlib import Path
from typing import Any

from patterns import config_with, space_of_three
from shearbench.params import Tuning
from shearbench.tuning.job import Job, SearchResult, run

RESOURCES = {"trials": 8, "timeout": 3600, "inner_fraction": 1 / 3, "reduction": 2, "rungs": 3, "finalists": 2}
SPACE = space_of_three((1e-3, 1e1), (10, 20, 40), (0.03, 0.05, 0.1, 0.2))  # up to learning rates that diverge


def job_in(build: Path, workers: int = 1, **resources: Any) -> Job:
    """Return a search of 8 trials in two brackets, with 2 finalists in 2 folds."""
    data = {"dataset": "patterns", "share": 0.6}
    tuning = Tuning(**{**data, **RESOURCES, "sizes": True, "folds": 2, "storage": "default", **resources})
    config = config_with(epochs=6, learning_rate=0.01)
    return Job(config, SPACE, tuning, build, rope=0.01, alpha=0.05, workers=workers)


def facts(search_result: SearchResult) -> dict[str, Any]:
    """Return all that must not depend on how a search was run: everything but times."""
    trials = [
        {
            "number": trial.number,
            "hyperparameters": trial.hyperparameters,
            "state": trial.state,
            "curve": [vars(point) for point in trial.curve],
            "failure": trial.failure,
            "reserved": trial.facts.get("reserved"),
        }
        for trial in search_result.trials
    ]
    scored = {"finalists": search_result.final.finalists, "sizes": search_result.sizes}
    scores = {
        kind: [[each.trial, list(each.accuracies), each.parameters] for each in own] for kind, own in scored.items()
    }
    found: dict[str, Any] = json.loads(json.dumps({"trials": trials, **scores}))
    return found


if __name__ == "__main__":
    print(json.dumps(facts(run(job_in(Path(sys.argv[1]), int(sys.argv[2]))))))
