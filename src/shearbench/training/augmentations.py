"""The table of augmentations by their names in ``params.yaml``."""

from collections.abc import Sequence
from functools import reduce

from shearbench.training.augment import Augment, affine, elastic, erasing, noise, strong, thickness
from shearbench.training.pens import pens


def augmentation(names: str | Sequence[str]) -> Augment:
    """Return the augmentation of a name, or a chain of several, which share one generator."""
    chain = [AUGMENTATIONS[name] for name in ([names] if isinstance(names, str) else names)]
    return lambda images, generator: reduce(lambda changed, augment: augment(changed, generator), chain, images)


AUGMENTATIONS: dict[str, Augment] = {
    "none": lambda images, generator: images,
    "affine": affine,
    "noise": noise,
    "thickness": thickness,
    "elastic": elastic,
    "erasing": erasing,
    "strong": strong,
    "pens": pens,
}
