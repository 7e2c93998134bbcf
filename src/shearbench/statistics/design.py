"""The design that is declared before a run: folds, repeats, and the levels of its verdicts."""

from dataclasses import dataclass

from shearbench.errors import InputError


@dataclass(frozen=True)
class Design:
    """The declared design of a run; InputError if a number is out of range."""

    folds: int
    repeats: int = 1
    alpha: float = 0.05
    power: float = 0.8
    comparisons: int = 1
    disjoint: bool = False
    """Whether the folds are training sets that share no sample; their networks are compared on the test part alone."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.folds < 2 or self.repeats < 1 or self.comparisons < 1:
            raise InputError(
                "a design needs folds >= 2, repeats >= 1 and comparisons >= 1, got "
                f"{self.folds}, {self.repeats} and {self.comparisons}; correct cv in params.yaml"
            )
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1):
            raise InputError(
                f"a design needs 0 < alpha < 0.5 and alpha < power < 1, got alpha {self.alpha} and power {self.power}; "
                "the usual choice is 0.05 and 0.8"
            )

        if self.disjoint and self.repeats > 1:
            raise InputError(f"disjoint training sets are dealt once; got {self.repeats} repeats, take 1 and more sets")

    @property
    def overlap(self) -> float:
        """n_test/n_train, or 0 if the trainings share no samples."""
        return 0.0 if self.disjoint else 1 / (self.folds - 1)

    @property
    def n(self) -> int:
        """Number of differences per pair of models: folds times repeats."""
        return self.folds * self.repeats
