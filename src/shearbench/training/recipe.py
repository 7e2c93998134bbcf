"""A recipe: how a network is trained. Read from ``params.yaml``; knows nothing of torch."""

import math
from typing import Annotated, Literal

from pydantic import Field

from shearbench.strict import Strict

Augmentation = Literal["none", "affine", "noise", "thickness", "elastic", "erasing", "strong", "pens"]


class Recipe(Strict):
    """Adam on shuffled mini-batches of cross-entropy, optionally stopped early on an inner split."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better inner-split loss before training stops; None trains all epochs."""
    augment: Augmentation | Annotated[tuple[Augmentation, ...], Field(strict=False, min_length=1)] = "none"
    """Random augmentation of images: one name, or several that are applied in turn.

    Fields are never augmented: rotating one rotates its vectors too.
    """
    schedule: Literal["constant", "cosine"] = "constant"
    """Schedule of the learning rate: constant, or decaying to 0 along half a cosine over all epochs."""

    adam_epsilon: Annotated[float, Field(gt=0)] = 1.0e-8
    """Adam's epsilon, added to the root of the second moment; Keras has 1e-7."""
    decay: Literal["l2", "decoupled"] = "l2"
    """Whether weight decay is added to the gradient, or taken from the weights (Loshchilov & Hutter, 1711.05101)."""
    shuffle: bool = True
    """Whether each epoch has an order of its own; else the samples come in the order of the data set."""
    last_batch: Literal["joined", "kept"] = "joined"
    """Whether a last batch below half the size joins the one before, or stays, as in most training loops."""
    mislabelled: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of training samples that get one another's labels, as if rows had come out of order."""

    def rate_at(self, epochs_done: float) -> float:
        """Return the learning rate of a step, which may lie within an epoch."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epochs_done / self.epochs))
