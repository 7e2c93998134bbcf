"""The recipe of a training, read from ``params.yaml``; does not import torch."""

import math
from typing import Annotated, Literal

from pydantic import Field

from shearbench.strict import Strict

Augmentation = Literal["none", "affine", "noise", "thickness", "elastic", "erasing", "strong", "pens"]


class Recipe(Strict):
    """Adam on shuffled mini-batches of cross-entropy, with optional early stopping on the inner part."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a lower loss on the inner part before training stops; None trains all epochs."""
    augment: Augmentation | Annotated[tuple[Augmentation, ...], Field(strict=False, min_length=1)] = "none"
    """Random augmentation of images: one name, or several that are applied in turn.

    Fields are never augmented: rotating one rotates its vectors too.
    """
    schedule: Literal["constant", "cosine"] = "constant"
    """Schedule of the learning rate: constant, or decaying to 0 along half a cosine over all epochs."""

    adam_epsilon: Annotated[float, Field(gt=0)] = 1.0e-8
    """Adam's epsilon, added to the root of the second moment; Keras uses 1e-7."""
    decay: Literal["l2", "decoupled"] = "l2"
    """Whether weight decay is added to the gradient, or decoupled (Loshchilov & Hutter, 1711.05101)."""
    shuffle: bool = True
    """Whether each epoch has its own random order, or uses the order of the dataset."""
    last_batch: Literal["joined", "kept"] = "joined"
    """Whether a last batch below half the size is joined to the one before, or kept (usual in training loops)."""
    mislabelled: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of training samples with exchanged labels, as if rows had been permuted."""

    def rate_at(self, epochs_done: float) -> float:
        """Return the learning rate after a number of epochs, which need not be whole."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epochs_done / self.epochs))
