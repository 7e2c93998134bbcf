"""Store the feature maps of one sample in the first fold's network; the record names the layers and channels."""

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, arrays


def feature_maps(evaluation: Evaluation) -> Files:
    """Return ``feature_maps.npz``: ``seen`` (channels, 28, 28), and ``maps-<i>`` (shown, height, width) of a layer."""
    return {"feature_maps.npz": arrays(evaluation.results[0].measured["feature_maps"].arrays)}
