"""How a run's networks learned: loss and accuracy of each epoch, mean and spread over the folds."""

import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.learning.dynamics import dynamics_of
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.scores import learning_curves_figure
from shearbench.predictions import tables


def learning(evaluation: Evaluation) -> Files:
    """Return the learning curves as a table and as a picture, and the dynamics of each network."""
    curves = curves_of(evaluation)
    return {
        "learning_curves.csv": table(curves),
        "training_dynamics.csv": table(pd.DataFrame([dynamics_of(fold_run) for fold_run in evaluation.fold_runs])),
        "figures/learning_curves.png": picture(learning_curves_figure(evaluation.name, curves)),
    }


def curves_of(evaluation: Evaluation) -> pd.DataFrame:
    """Return the table of :func:`tables.learning_curves` for the folds of a run."""
    return tables.learning_curves([fold_run.history for fold_run in evaluation.fold_runs])
