"""Successive halving over epochs: many settings begin, the better share of them goes on, one reaches the end.

All settings of a bracket train to the first rung; the best ``1/reduction`` of them go on to the next, and so forth.
They are compared at the same epoch and nothing is trained twice: whoever goes on does so from its checkpoint. The whole
bracket is waited for at each rung (synchronous halving), so that who goes on never depends on who was faster.

A schedule of the learning rate runs over all epochs of the recipe, also in a trial that is stopped: a trial is the
beginning of the full training, and one that reaches the end is that training, bit for bit. So under a falling schedule
trials are compared at the same phase of it, before it has fallen; a setting that only shines at the end of its schedule
can lose at an early rung. That is why the finalists are trained in full.

Source: Jamieson and Talwalkar, AISTATS 2016 (arXiv 1502.07943); Li et al., Hyperband, JMLR 18 (2018), of which this is
the most exploring bracket.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rung:
    """``settings`` of a bracket train until they have had ``epochs``."""

    epochs: int
    settings: int


@dataclass(frozen=True)
class Halving:
    """The resources of a bracket: full trainings have ``epochs``, of each rung the best ``1/reduction`` go on."""

    epochs: int
    reduction: int
    rungs: int

    @property
    def size(self) -> int:
        """Settings in a bracket: as many as leave one at the last rung."""
        return int(self.reduction ** (self.rungs - 1))

    @property
    def plan(self) -> tuple[Rung, ...]:
        """The rungs in order; one that would add no epoch to the one before is left out."""
        found: list[Rung] = []
        for left in reversed(range(self.rungs)):
            share = self.reduction**left
            rung = Rung(-(-self.epochs // share), share)
            if not found or rung.epochs > found[-1].epochs:
                found.append(rung)
        return tuple(found)

    @property
    def cost(self) -> int:
        """The most epochs that a bracket trains, over all its settings."""
        starts = (0, *(rung.epochs for rung in self.plan))
        return sum((rung.epochs - start) * rung.settings for rung, start in zip(self.plan, starts, strict=False))


def best_of(scores: Mapping[int, float], count: int) -> list[int]:
    """Return the ``count`` keys of the highest scores, the lower key of equals, in the order of the keys."""
    return sorted(sorted(scores, key=lambda number: (-scores[number], number))[:count])
