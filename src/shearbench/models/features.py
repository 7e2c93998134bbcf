"""Features of an image for a scikit-learn classifier. Reading ``params.yaml`` must not import scikit-learn."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shearbench.strict import Strict

SKLEARN = "sklearn."
"""What the paths of scikit-learn's own classifiers begin with."""

Scalar = int | float | str | bool | None
Option = Scalar | list[Scalar]
"""A value of ``options`` in ``params.yaml``."""

Kind = Literal["pixels", "pca", "hog"]


class Features(Strict):
    """``pixels``: all normalised values; ``pca``: their principal components; ``hog``: histograms of gradients.

    In ``params.yaml`` a kind alone, as ``features: pca``, stands for its defaults.
    """

    kind: Kind = "pixels"
    components: Annotated[int, Field(ge=1)] = 50
    """Of ``pca``: at most so many, as many as there are training samples or values."""
    cell: Annotated[int, Field(ge=2)] = 7
    """Of ``hog``: side of a cell in pixels; blocks are 2 x 2 cells, with 9 orientations each."""

    @model_validator(mode="before")
    @classmethod
    def _a_kind_alone(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value
