"""The inputs of a network and its number of classes."""

from dataclasses import dataclass

GIVEN = ("channels", "classes", "size", "width")
"""Arguments that are passed to a builder if it has them; all others are options."""


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
