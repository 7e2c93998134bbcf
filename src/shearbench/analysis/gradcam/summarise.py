"""Summarise the Grad-CAM maps of a run's networks: the arrays and a figure."""

from matplotlib.figure import Figure

from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.gradcam.figure import Looks, attribution_figure
from shearbench.plotting.files import Files, arrays, picture

_SHOWN_FOLDS = 5


def attribution(evaluation: Evaluation) -> Files:
    """Return the maps of every fold, and the sheet of the first folds."""
    rows = list(evaluation.explained)
    maps = {
        "ids": evaluation.test.ids[rows],
        "labels": evaluation.test.labels[rows],
        "seen": evaluation.stacked("gradcam", "seen"),
        "maps": evaluation.stacked("gradcam", "maps"),
    }
    return {"gradcam.npz": arrays(maps), "figures/gradcam.png": picture(_sheet(evaluation))}


def _sheet(evaluation: Evaluation) -> Figure:
    rows, facts = list(evaluation.explained), evaluation.facts("gradcam")
    height, width = facts["resolution"]
    kinds = {
        "grad-cam": f"Grad-CAM of layer {facts['layer']}, map {height} x {width}",
        "saliency": "saliency, as there is no convolution",
    }
    maps, seen = evaluation.stacked("gradcam", "maps"), evaluation.stacked("gradcam", "seen")
    looks = {
        fold_run.fold: Looks(maps[fold], evaluation.tested[fold].classes[rows])
        for fold, fold_run in enumerate(evaluation.fold_runs[:_SHOWN_FOLDS])
    }
    title = f"{evaluation.name}: evidence for the true class, {kinds[facts['method']]}"
    channels = ("$u_x$", "$u_y$") if evaluation.is_field else ("image",) * seen.shape[2]
    return attribution_figure(
        title, seen[0], evaluation.test.labels[rows], classes=evaluation.test.classes, channels=channels, looks=looks
    )
