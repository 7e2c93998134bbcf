"""How a cell's networks learned: loss and accuracy of each epoch, mean and spread over the folds."""

import pandas as pd

from shearbench.evaluation import tables
from shearbench.evaluation.dynamics import dynamics_of
from shearbench.evaluation.evaluation import Evaluation
from shearbench.evaluation.figures import learning_curves_figure
from shearbench.evaluation.files import Files, picture, table


def learning(evaluation: Evaluation) -> Files:
    """Return the learning curves as a table and as a picture, and the dynamics of each network."""
    curves = curves_of(evaluation)
    return {
        "learning_curves.csv": table(curves),
        "training_dynamics.csv": table(pd.DataFrame([dynamics_of(run) for run in evaluation.runs])),
        "figures/learning_curves.png": picture(learning_curves_figure(evaluation.name, curves)),
    }


def curves_of(evaluation: Evaluation) -> pd.DataFrame:
    """Return the table of :func:`tables.learning_curves` for the folds of a cell."""
    return tables.learning_curves([run.history for run in evaluation.runs])
