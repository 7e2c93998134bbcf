"""The inputs of a network and its number of classes."""

from dataclasses import dataclass

GIVEN = ("channels", "classes", "size", "width")
"""The arguments that a network's builder is given, where it takes them; all others are its options."""


@dataclass(frozen=True)
class Inputs:
    """Inputs (n, ``channels``, *size) with ``size`` (height, width), of so many ``classes``; MNIST's by default."""

    channels: int
    classes: int = 10
    size: tuple[int, int] = (28, 28)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return (self.channels, *self.size)
