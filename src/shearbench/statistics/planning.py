"""A plan before hours are spent: what differences can which folds and repeats detect, at a pilot's spread?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shearbench.statistics.design import Design, detectable_difference, least_detectable, needed_repeats
from shearbench.statistics.pilot import Pilot

FOLDS, REPEATS = (2, 3, 5, 10, 20), (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Option:
    """What so many folds and repeats would give; differences and deviations are fractions of accuracy."""

    folds: int
    repeats: int
    networks: int
    """To be trained for each run."""
    sd: float
    """Of the fold differences, to be expected."""
    detectable: float


@dataclass(frozen=True)
class Need:
    """The fewest repeats with which so many folds detect the wished difference; None if a thousand do not."""

    folds: int
    repeats: int | None
    least: float
    """The smallest difference that these folds detect, with however many repeats."""


@dataclass(frozen=True)
class Planning:
    """The answer for the plan itself, its alternatives, and what a wished difference takes."""

    design: Design
    planned: Option
    detectable_range: tuple[float, float] | None
    """``planned.detectable`` at both ends of the pilot's uncertain deviation (80 %); None where that was given."""
    options: tuple[Option, ...]
    difference: float | None
    needs: tuple[Need, ...]


def plan(design: Design, pilot: Pilot, *, difference: float | None = None) -> Planning:
    """Say what ``design`` can detect, what other designs could, and how many repeats ``difference`` takes."""
    ends = pilot.sd_range(design.folds)
    folds, repeats = _with(FOLDS, design.folds), _with(REPEATS, design.repeats)
    return Planning(
        design,
        _option(design, pilot),
        None if ends is None else (_at(design, ends[0]), _at(design, ends[1])),
        tuple(_option(replace(design, folds=k, repeats=r), pilot) for k in folds for r in repeats),
        difference,
        () if difference is None else tuple(_need(replace(design, folds=k), pilot, difference) for k in folds),
    )


def _with(usual: Sequence[int], own: int) -> list[int]:
    return sorted({*usual, own})


def _at(design: Design, sd: float) -> float:
    return detectable_difference(design, sd=sd)


def _option(design: Design, pilot: Pilot) -> Option:
    sd = pilot.sd(design.folds)
    return Option(design.folds, design.repeats, design.n, sd, _at(design, sd))


def _need(design: Design, pilot: Pilot, difference: float) -> Need:
    sd = pilot.sd(design.folds)
    return Need(design.folds, needed_repeats(design, difference, sd=sd), least_detectable(design, sd=sd))
