"""``shearbench design``: the smallest difference that these folds and repeats can detect.

Reads ``params.yaml`` and, for a pilot, the finished folds of two runs in ``build/runs/``; writes nothing.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shearbench.comparison.table import pilot_of_folds
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.statistics.pilot import Need, Option, Pilot, Planning, given, plan
from shearbench.statistics.runs import Design


def main(
    params: Params,
    root: Path,
    *,
    runs: Sequence[str],
    sd: float | None,
    difference: float | None,
    folds: int | None,
    repeats: int | None,
    sets: int | None,
    comparisons: int | None,
    as_json: bool,
) -> None:
    """Print the detectable difference of a design and of its alternatives, and the repeats that ``difference`` needs.

    The design is that of ``params`` with the given numbers in its place. The region of equivalence is the widest one
    among the datasets of ``runs``, or of all runs.

    Raises:
        InputError: unless the pilot is either two ``runs`` with common finished folds or ``sd``, or if ``sets`` is
            given with ``folds`` or ``repeats``.
    """
    if sets and (folds or repeats):
        raise InputError("--sets is the design of disjoint training sets; give it, or --folds and --repeats")
    models = Counter(run.dataset for run in params.runs.values())
    design = Design(
        sets or folds or params.cv.folds,
        1 if sets else repeats or params.cv.repeats,
        alpha=params.compare.alpha,
        power=params.compare.power,
        comparisons=comparisons or max([1, *(count * (count - 1) // 2 for count in models.values())]),
        disjoint=bool(sets) or (params.cv.design == "disjoint" and not folds and not repeats),
    )
    pilot = _pilot(params, root, runs, sd)
    if not params.runs:
        raise InputError("params.yaml has no run, so no region of equivalence is declared for one; add it to `runs`")
    rope = max(params.compare.rope[params.runs[name].dataset] for name in runs or params.runs)
    planning = plan(design, pilot, rope=rope, difference=difference)
    if as_json:
        print(json.dumps({"pilot": asdict(pilot), **asdict(planning)}, indent=1, allow_nan=False))
    else:
        _print(planning, pilot)


def _pilot(params: Params, root: Path, runs: Sequence[str], sd: float | None) -> Pilot:
    if bool(runs) == (sd is not None):
        raise InputError("a design needs the spread of fold differences: name two runs that have folds, or give --sd")
    if sd is not None:
        return given(sd, folds=params.cv.folds)
    if len(set(runs)) != 2 or len(runs) != 2:
        raise InputError(f"a pilot needs two runs; got {len(runs)}: {' '.join(runs)}")
    for name in runs:
        if name not in params.runs:
            raise InputError(f"the pilot needs two of {', '.join(params.runs)}; got {name!r}")
    a, b = (params.runs[name] for name in runs)
    return pilot_of_folds(root / "build", (a.dataset, a.model), (b.dataset, b.model))


def _print(planning: Planning, pilot: Pilot) -> None:
    console, design, planned = Console(soft_wrap=True), planning.design, planning.planned
    repeats = f"{design.repeats} {'repeat' if design.repeats == 1 else 'repeats'}"
    title = f"{design.folds} {'disjoint training sets' if design.disjoint else f'folds x {repeats}'}"
    pairs = f", {design.comparisons} pairs at once" if design.comparisons > 1 else ""
    console.print(
        f"[bold]{title}[/], {planned.networks} models a run. The verdict calls a difference of "
        f"[bold]{_points(planned.detectable)} points[/]{_range(planning)} better or worse with power {design.power:g} "
        f"at alpha {design.alpha:g}{pairs}. It calls equal models equivalent with that power if the region of "
        f"equivalence is at least {_points(planned.equivalence_needs)} points; declared is {_points(planning.rope)}."
    )
    console.print(_spread(pilot, planned))
    if design.disjoint:
        console.print(
            "Disjoint sets are compared on the test part only. The numbers are upper bounds if the pilot's models "
            "were trained on as many samples as a set has. Smaller sets vary more."
        )
    console.print(_options(planning.options, disjoint=design.disjoint))
    if any(option.detectable < planning.rope for option in planning.options):
        console.print(
            f"Below the region of equivalence ({_points(planning.rope)}) these numbers can rise with more folds or "
            "repeats: the intervals get narrower, and one within the region is called equivalent, not better."
        )
    if planning.difference is None:
        return
    wanted = _points(planning.difference)
    if not design.disjoint:
        console.print(_needs(planning.needs, wanted))
    elif (need := planning.needs[0]).repeats is None:
        console.print(f"No number of sets detects {wanted} points: at best {_points(need.least)}.")
    else:
        console.print(f"{need.folds} sets detect {wanted} points.")


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f}" if fraction < 1 else "none"  # two accuracies are at most 1 apart


def _range(planning: Planning) -> str:
    if planning.detectable_range is None:
        return ""
    low, high = map(_points, planning.detectable_range)
    return f" (80 % CI {low} to {high}, from the few folds of the pilot)"


def _spread(pilot: Pilot, planned: Option) -> str:
    error = f"The standard error of the difference is {_points(planned.standard_error)} points"
    if pilot.df is None:
        return f"{error}. --sd counts as that of the samples, so repeats have no effect; two runs measure both parts."
    return (
        f"{error}. The fold differences of the pilot ({pilot.df + 1} folds) have a standard deviation of "
        f"{_points(pilot.seen**0.5)} points: {_points(pilot.fold_samples**0.5)} due to the samples and "
        f"{_points(pilot.training**0.5)} due to training."
    )


def _options(options: Sequence[Option], *, disjoint: bool) -> Table:
    repeats = list(dict.fromkeys(option.repeats for option in options))
    headings = ["detectable"] if disjoint else [f"{each} repeat{'s' if each > 1 else ''}" for each in repeats]
    table = _table("Smallest detectable difference, in points", "sets" if disjoint else "folds", *headings)
    for first in range(0, len(options), len(repeats)):
        line = options[first : first + len(repeats)]
        table.add_row(str(line[0].folds), *(_points(option.detectable) for option in line))
    return table


def _needs(needs: Sequence[Need], wanted: str) -> Table:
    table = _table(f"Repeats that detect {wanted} points", "folds", "repeats", "models a run")
    for need in needs:
        if need.repeats is None:
            table.add_row(str(need.folds), f"none: at best {_points(need.least)}", "")
        else:
            table.add_row(str(need.folds), str(need.repeats), str(need.folds * need.repeats))
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
