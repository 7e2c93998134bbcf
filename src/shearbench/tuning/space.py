"""The search space; hyperparameters are one point of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """Learning rate, batch size and width of a network."""

    learning_rate: float
    batch: int
    width: float

    def needs_no_less_memory_than(self, other: "Hyperparameters") -> bool:
        """Return True if batch and width are both at least those of ``other``."""
        return self.batch >= other.batch and self.width >= other.width


@dataclass(frozen=True)
class Space:
    """Bounds of the learning rate (drawn on a log scale) and the choices of batch size and width."""

    learning_rate: tuple[float, float]
    batch: tuple[int, ...]
    width: tuple[float, ...]

    def including(self, hyperparameters: Hyperparameters) -> "Space":
        """Return the space with a setting taken into it."""
        rates = (*self.learning_rate, hyperparameters.learning_rate)
        return Space(
            (min(rates), max(rates)),
            tuple(sorted({*self.batch, hyperparameters.batch})),
            tuple(sorted({*self.width, hyperparameters.width})),
        )
