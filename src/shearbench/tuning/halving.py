"""Successive halving over epochs: many trials start, the better share continues at each rung, one reaches the end.

All trials of a bracket train to the first rung. The best ``1/reduction`` of them continue to the next rung, and so on.
A trial continues from its checkpoint, so no epoch is trained twice. Each rung waits for the whole bracket (synchronous
halving), so the choice never depends on which trial was faster.

The learning-rate schedule covers all epochs of the recipe, so a trial that stops is the beginning of the full training.
A trial that improves late can lose at an early rung. The finalists are therefore trained in full.

Source: Jamieson and Talwalkar, AISTATS 2016 (arXiv 1502.07943). In Hyperband (Li et al., JMLR 18, 2018) this is the
bracket with the most trials.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """``trials`` of a bracket train until they have ``epochs``."""

    epochs: int
    trials: int


@dataclass(frozen=True)
class Halving:
    """The resources of a bracket: a full training has ``epochs``; the best ``1/reduction`` continue from each rung."""

    epochs: int
    reduction: int
    rungs: int

    @property
    def size(self) -> int:
        """Number of trials in a bracket; one of them reaches the last rung."""
        return int(self.reduction ** (self.rungs - 1))

    @property
    def plan(self) -> tuple[Rung, ...]:
        """The rungs in order; a rung that adds no epoch is left out."""
        found: list[Rung] = []
        for left in reversed(range(self.rungs)):
            share = self.reduction**left
            rung = Rung(-(-self.epochs // share), share)
            if not found or rung.epochs > found[-1].epochs:
                found.append(rung)
        return tuple(found)

    @property
    def cost(self) -> int:
        """The largest number of epochs that a bracket trains, over all its trials."""
        starts = (0, *(rung.epochs for rung in self.plan))
        return sum((rung.epochs - start) * rung.trials for rung, start in zip(self.plan, starts, strict=False))


def best_of(scores: Mapping[int, float], count: int) -> list[int]:
    """Return the ``count`` keys with the highest scores, the lower key of equal ones, in ascending order."""
    return sorted(sorted(scores, key=lambda number: (-scores[number], number))[:count])
