"""``shearbench design``: the smallest difference that these folds and repeats can detect.

Reads ``params.yaml`` and, for a pilot, the finished folds of two runs in ``build/runs/``; writes nothing. It is not a
stage of ``dvc.yaml``.
"""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shearbench.comparison.pairs import pilot_of_folds
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.statistics.design import Design
from shearbench.statistics.pilot import Need, Option, Pilot, Planning, given, plan


def design_of(
    params: Params, *, folds: int | None, repeats: int | None, sets: int | None = None, comparisons: int | None
) -> Design:
    """Return the design of ``params``, with the given numbers of folds and repeats, or of disjoint sets, in its place.

    Raises:
        InputError: if ``sets`` is given with ``folds`` or ``repeats``, or if a design of disjoint sets has repeats.
    """
    if sets and (folds or repeats):
        raise InputError("--sets is the design of disjoint training sets; give it, or --folds and --repeats")
    declared = params.cv.design == "disjoint" and not folds and not repeats
    return Design(
        sets or folds or params.cv.folds,
        repeats or params.cv.repeats,
        alpha=params.compare.alpha,
        power=params.compare.power,
        comparisons=comparisons or pairs_of_networks(params),
        disjoint=bool(sets) or declared,
    )


def pairs_of_networks(params: Params) -> int:
    """Return the largest number of pairs of models on one dataset: the family of simultaneous intervals."""
    models = Counter(run.dataset for run in params.runs.values())
    return max(1, *(count * (count - 1) // 2 for count in models.values()))


def pilot_of(params: Params, root: Path, runs: tuple[str, str] | None, sd: float | None) -> Pilot:
    """Return the pilot from the common finished folds of two runs, or from a given standard deviation.

    Raises:
        InputError: unless exactly one of ``runs`` and ``sd`` is given, or if the runs have no folds in common.
    """
    if (runs is None) == (sd is None):
        raise InputError("a design needs the spread of fold differences: name two runs that have folds, or give --sd")
    if runs is None:
        assert sd is not None
        return given(sd, folds=params.cv.folds)
    for name in runs:
        if name not in params.runs:
            raise InputError(f"the pilot needs two of {', '.join(params.runs)}; got {name!r}")
    a, b = (params.runs[name] for name in runs)
    return pilot_of_folds(root / "build", (a.dataset, a.model), (b.dataset, b.model))


def rope_of(params: Params, runs: tuple[str, str] | None) -> float:
    """Return the widest region of equivalence among the datasets of ``runs``, or of all runs."""
    datasets = {params.runs[name].dataset for name in runs or params.runs}
    return max(params.compare.rope[dataset] for dataset in datasets)


def main(
    params: Params,
    root: Path,
    *,
    runs: tuple[str, str] | None,
    sd: float | None,
    difference: float | None,
    design: Design,
    as_json: bool,
) -> None:
    """Print the detectable difference of the design, of its alternatives, and the need for a given difference.

    Raises:
        InputError: if the pilot is missing.
    """
    pilot = pilot_of(params, root, runs, sd)
    made = plan(design, pilot, rope=rope_of(params, runs), difference=difference)
    if as_json:
        print(json.dumps(document(made, pilot), indent=1, allow_nan=False))
    else:
        print_plan(made, pilot)


def document(made: Planning, pilot: Pilot) -> dict[str, Any]:
    """Return the plan and its pilot, ready for JSON."""
    return {"pilot": asdict(pilot), **asdict(made)}


def print_plan(made: Planning, pilot: Pilot) -> None:
    """Print the plan in percentage points of accuracy."""
    console, design, planned = Console(), made.design, made.planned
    among = f", all {design.comparisons} pairs at once" if design.comparisons > 1 else ""
    console.print(
        f"[bold]{_title(design)}[/], {planned.networks} networks a run: the verdict "
        f"calls a difference of [bold]{_points(planned.detectable)} points[/]{_range(made)} better or worse with power "
        f"{design.power:g} at alpha {design.alpha:g}{among}. It calls equal models equivalent with that power if the "
        f"region of equivalence is at least {_points(planned.equivalence_needs)} points; declared is "
        f"{_points(made.rope)}.",
        soft_wrap=True,
    )
    console.print(_spread(pilot, planned), soft_wrap=True)
    if design.disjoint:
        console.print(
            "Disjoint sets are compared on the test part alone. The figures are upper bounds if the pilot's networks "
            "learned from as many samples as a set has. Smaller sets vary more.",
            soft_wrap=True,
        )
    console.print(_table(made.options, "sets" if design.disjoint else "folds"))
    if made.difference is not None:
        console.print(_sets(made) if design.disjoint else _needs(made.needs, made.difference))


def _title(design: Design) -> str:
    if design.disjoint:
        return f"{design.folds} disjoint training sets"
    return f"{design.folds} folds x {design.repeats} repeats"


def _sets(made: Planning) -> str:
    assert made.difference is not None
    need, wished = made.needs[0], _points(made.difference)
    if need.repeats is None:
        return f"No number of sets detects {wished} points: at best {_points(need.least)}."
    return f"{need.folds} sets detect {wished} points."


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}" if fraction < 1 else "none"  # two accuracies are at most 1 apart


def _range(made: Planning) -> str:
    if made.detectable_range is None:
        return ""
    low, high = made.detectable_range
    return f" ({_points(low)} to {_points(high)}, as so few folds know their spread, 80 %)"


def _spread(pilot: Pilot, planned: Option) -> str:
    error = f"The difference is known to a standard error of {_points(planned.standard_error)} points"
    if pilot.df is None:
        return f"{error}, all of it counted to the samples: repeats then promise nothing."
    return (
        f"{error}. The pilot's {pilot.df + 1} folds varied by {_points(pilot.seen**0.5)} points, of which "
        f"{_points(pilot.fold_samples**0.5)} by their samples alone and {_points(pilot.training**0.5)} by training."
    )


def _table(options: tuple[Option, ...], of: str) -> Table:
    repeats = list(dict.fromkeys(option.repeats for option in options))
    table = Table(title="Smallest detectable difference, in points", title_justify="left", box=None)
    table.add_column(of, justify="right")
    for number in repeats:
        heading = f"{number} repeat{'s' if number > 1 else ''}" if of == "folds" else "detectable"
        table.add_column(heading, justify="right")
    for first in range(0, len(options), len(repeats)):
        line = options[first : first + len(repeats)]
        table.add_row(str(line[0].folds), *(_points(option.detectable) for option in line))
    return table


def _needs(needs: tuple[Need, ...], difference: float) -> Table:
    title = f"Repeats that detect {_points(difference)} points"
    table = Table(title=title, title_justify="left", box=None)
    for heading in ("folds", "repeats", "networks a run"):
        table.add_column(heading, justify="right")
    for need in needs:
        if need.repeats is None:
            table.add_row(str(need.folds), f"none: at best {_points(need.least)}", "")
        else:
            table.add_row(str(need.folds), str(need.repeats), str(need.folds * need.repeats))
    return table
