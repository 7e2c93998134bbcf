"""What a model takes: inputs, options, features of a classifier; imports neither torch nor scikit-learn."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from shearbench.strict import Strict

GIVEN = ("channels", "classes", "size", "width")
"""Arguments that are passed to a builder if it has them; all others are options."""
SKLEARN = "sklearn."
"""Prefix of the paths of scikit-learn's classifiers."""

Scalar = int | float | str | bool | None
Option = Scalar | list[Scalar]
"""A value of ``options`` in ``params.yaml``."""

Kind = Literal["pixels", "pca", "hog"]


@dataclass(frozen=True)
class Inputs:
    """Inputs (n, ``channels``, *size) with ``size`` (height, width) and the number of ``classes``; MNIST by default."""

    channels: int
    classes: int = 10
    size: tuple[int, int] = (28, 28)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, *self.size)


class Features(Strict):
    """``pixels``: all normalised values; ``pca``: their principal components; ``hog``: histograms of gradients, or the
    principal components of these.

    In ``params.yaml`` a kind alone, as ``features: pca``, means the defaults of that kind.
    """

    kind: Kind = "pixels"
    components: Annotated[int, Field(ge=1)] | None = 50
    """Number of principal components, limited by training samples and values; None: histograms without PCA."""
    cell: Annotated[int, Field(ge=2)] = 7
    """Side of a cell of ``hog`` in pixels; blocks have 2 x 2 cells, with 9 orientations each."""

    @model_validator(mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        """Accept a kind alone; histograms have no components by default."""
        given = {"kind": value} if isinstance(value, str) else value
        return {"components": None, **given} if isinstance(given, dict) and given.get("kind") == "hog" else given

    @model_validator(mode="after")
    def _components_of_pca(self) -> "Features":
        if self.kind == "pca" and self.components is None:
            raise ValueError("components must be a number for the kind 'pca'")
        return self
