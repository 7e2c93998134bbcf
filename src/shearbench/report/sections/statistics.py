"""The sections on statistics: verdicts on pairs, models trained elsewhere, sources of variance, power, and how often
the verdict calls equal models different.

``benchmarks/calibration.py`` trains the models of the last one and writes ``reports/calibration.*``.
"""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

from matplotlib.figure import Figure

from shearbench.plotting.canvas import BLUE, ORANGE, figure, plain
from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Picture, Pictures, Prose, Section
from shearbench.report.comparison import RUN, Columns, Show, count, number, percent, rows_of_file, table
from shearbench.report.findings import Row, Rows, counted, p_value, points, verdicts
from shearbench.report.findings import percent as in_percent

_DIFFERENCES = """\
A pair is two models on one dataset, or one model on two datasets. The difference is one of accuracy on all samples
that a model did not train on: each training sample once per repeat, when its fold is held out, and each test sample
with all trained models. Its interval covers other samples and another training (samples crossed with trainings,
clustered by writer). The intervals of a family hold at once, with the probability `1 - compare.alpha` of
`params.yaml`. A family is the models on one dataset, or all pairs of datasets. Better and worse: the interval
excludes 0. Equivalent: it lies within ± the region that `params.yaml` declared before the run. Undecided: all else.
The detectable difference is the smallest one that the run calls better or worse with the declared power; in brackets
its least and largest value over the 80 % interval of the standard error. The last column has the least region in
which the run calls equal models equivalent with that power."""
_JOINED = """Predictions of other programs, compared with the runs of the same dataset by the rules of the pairwise
comparison (`shearbench join FOLDER`, `docs/add-a-model.md`). Each model has a family of pairs of its own."""
_SPREAD = """Out of fold, ± is the standard deviation of one fold's accuracy over {folds}. It has two sources, and their
squares add up to its square. Data: other samples are held out. Training: the model is trained on other samples and
from another seed. If the samples alone would explain more than the folds show, training is 0. {bound} On the test set
all models predict the same samples, so ± is training alone; the 95 % interval covers other samples. With one training
per fold the effect of the seed cannot be separated from the effect of the training samples. The folds share training
samples: entirely new training samples would change more."""
_ONCE = """With one repeat each sample is predicted once, so hard samples cannot be separated from chance: data is an
upper bound, training a lower bound."""
_OFTEN = "Each sample is predicted {repeats} times, which separates hard samples from chance."
_POWER = """Declared before the run: {folds}, and the smallest true difference to detect on each dataset. Achieved is
the smallest true difference that the run detects, with the declared power, at the observed spread, and with intervals
that hold for all pairs of a family at once. {met} A smaller difference may exist without being found; the verdict is
then undecided. Repeats are the number of repeats that reaches the plan at this spread. `shearbench design` computes
this before a long run, from a pilot or a given spread."""


def differences(root: Path, rows: Rows) -> Section:
    """Return the section with the verdict on every pair."""
    path = root / "reports" / "pairs.json"
    refused, pairs = (read_json(path)[key] for key in ("refused", "rows"))
    if refused or not pairs:
        blocks = [Prose(f"No verdicts: {refused}" if refused else "One run alone has no pair.")]
        return Section("differences", "Pairwise comparison", blocks)
    text = Prose(f"{verdicts(pairs)}. {_DIFFERENCES}")
    return Section(
        "differences", "Pairwise comparison", [text, table(_PAIRS, pairs, data=[Data.of(path.with_suffix(".csv"))])]
    )


def joined(root: Path, rows: Rows) -> Section:
    """Return the section with the models trained elsewhere, which is empty without one."""
    paths = sorted((root / "reports" / "joined").glob("*.json"))
    found = [read_json(path) for path in paths]
    shown = [{**each, **each["card"]} for each in found]
    models = table(_MODELS, shown, data=[Data.of(path.with_suffix(".csv")) for path in paths])
    pairs = table(_PAIRS, [pair for each in found for pair in each["rows"]])
    return Section("joined", "Models trained elsewhere", [Prose(_JOINED), models, pairs] if paths else [])


def spread(root: Path, rows: Rows) -> Section:
    """Return the section with the standard deviation of a fold's accuracy, split into data and training."""
    repeats = rows[0]["repeats"]
    text = _SPREAD.format(folds=counted(rows[0]), bound=_ONCE if repeats == 1 else _OFTEN.format(repeats=repeats))
    shown = [
        {**row, "samples": row["n_train"] / row["folds"], "trainings": row["folds"] * row["repeats"]} for row in rows
    ]
    return Section("spread", "Sources of variance", [Prose(text), table(_DEVIATIONS, shown)])


def power(root: Path, rows: Rows) -> Section:
    """Return the section with the difference that the design should detect, and the one that it detects."""
    pairs, title = read_json(root / "reports" / "pairs.json")["rows"], "Planned and achieved power"
    if not pairs:
        return Section("power", title, [Prose("No pair was compared, so there is no plan to check.")])
    text = _POWER.format(folds=counted(pairs[0]), met=_met(pairs))
    return Section("power", title, [Prose(text), table(_ACHIEVED, pairs)])


def difference(pair: Row) -> Cell:
    """Return the cell of a - b in percentage points."""
    return Cell(points(pair["difference"]), pair["difference"])


def interval(pair: Row) -> Cell:
    """Return the cell of the interval of a - b in percentage points."""
    return Cell(f"{points(pair['low'])} to {points(pair['high'])}", pair["low"])


def p_adjusted(pair: Row) -> Cell:
    """Return the cell of the p value of a pair in its family."""
    return Cell(p_value(pair["p_adjusted"]), pair["p_adjusted"])


def verdict(pair: Row) -> Cell:
    """Return the cell of the verdict, with its rule as help."""
    return Cell(pair["verdict"], strong=True, help=pair["rule"])


def _detectable(pair: Row) -> Cell:
    least, low, high = (in_percent(pair[f"detectable{end}"]) for end in ("", "_low", "_high"))
    return Cell(f"{least} ({low} to {high})", pair["detectable"])


def _met(pairs: Rows) -> str:
    planned = [pair for pair in pairs if pair["planned"] is not None]
    if not planned:
        return "No difference was declared (`compare.detect` in `params.yaml`), so there is no plan to check."
    met = sum(pair["detectable"] <= pair["planned"] for pair in planned)
    within = sum(pair["planned"] < pair["rope"] for pair in planned)
    never = f" For {within} pairs the planned difference lies within the region of equivalence: more repeats call it "
    return f"The plan was met for {met} of {len(planned)} pairs." + (f"{never}equivalent." if within else "")


def _planned(pair: Row) -> Cell | str:
    return Cell("not declared") if pair["planned"] is None else number("planned", ".2f", 100)(pair)


def _repeats(pair: Row) -> Cell | str:
    needed = pair["needed_repeats"]
    return "" if pair["planned"] is None else Cell("none" if needed is None else str(needed), needed)


def _plan(pair: Row) -> Cell | str:
    if pair["planned"] is None:
        return ""
    return Cell("met" if pair["detectable"] <= pair["planned"] else "missed", strong=True)


PAIR: Columns = {Column(name): itemgetter(name) for name in ("within", "a", "b")}
"""The first columns of a table with a row per pair."""
_PAIRS = PAIR | {
    Column("a is"): verdict,
    Column("a − b", True, "difference in accuracy on all samples that a model did not train on, percentage points"): (
        difference
    ),
    Column("interval", True, "for other samples and another training, for all pairs of the family at once"): interval,
    Column("p (adjusted)", True, "below 0.05 exactly if the interval excludes 0"): p_adjusted,
    Column("detectable", True, "smallest true difference that is called better or worse with the declared power"): (
        _detectable
    ),
    Column("± region", True, "difference that does not matter, declared in params.yaml"): percent("rope"),
    Column(
        "region needed", True, "least region in which equal models are called equivalent with the declared power"
    ): percent("equivalence_needs"),
}
_MODELS: Columns = {
    Column("dataset"): itemgetter("dataset"),
    Column("model"): lambda row: Cell(row["model"], strong=True),
    Column("CV", True, "accuracy on the samples that each fold holds out, mean over the folds, in %"): (
        percent("cv_accuracy")
    ),
    Column("test", True, "accuracy on the test samples, mean over the trained models, in %"): percent("test_accuracy"),
    Column("description", help="of its card.yaml"): itemgetter("description"),
}
_DEVIATIONS = RUN | {
    Column("cross-validated ±", True, "standard deviation of one fold's accuracy, percentage points"): (
        number("cv_accuracy_sd", ".2f", 100)
    ),
    Column("data", True, "other samples held out, percentage points"): number("cv_sd_data", ".2f", 100),
    Column("training", True, "other training samples and another seed, percentage points"): (
        number("cv_sd_training", ".2f", 100)
    ),
    Column("test ±", True, "training alone: all models predict the same test samples, percentage points"): (
        number("test_accuracy_sd", ".2f", 100)
    ),
    Column("samples per fold", True, "mean number of samples that one fold holds out"): count("samples"),
    Column("trainings", True, "one per fold and repeat"): count("trainings"),
}
_ACHIEVED = PAIR | {
    Column("planned", True, "smallest true difference to detect, percentage points"): _planned,
    Column(
        "achieved", True, "smallest true difference that is detected at the observed spread, percentage points"
    ): number("detectable", ".2f", 100),
    Column("spread", True, "standard error of the difference, for other samples and another training"): (
        number("standard_error", ".2f", 100)
    ),
    Column("observed", True, "observed difference, percentage points"): (
        lambda pair: Cell(f"{100 * abs(pair['difference']):.2f}", abs(pair["difference"]))
    ),
    Column("repeats for the plan", True, "at the observed spread; none if a thousand do not suffice"): _repeats,
    Column("plan"): _plan,
}


ALPHA = 0.05
"""The nominal size of the tests."""
TOLERANCE = 0.015
"""Largest accepted distance of a measured size from it."""
_CALIBRATION = "Calibration of the statistical tests"
_ELSEWHERE = """The size and power of the tests do not depend on this run. shearbench's repository measures them on
MNIST (`python benchmarks/calibration.py`); `docs/statistics.md` there shows the results."""
_BAND = f"{100 * ALPHA:g} ± {100 * TOLERANCE:g} %"
_MEANING = """How often the verdict calls equal models different. Classifiers of equal accuracy are trained on {draws}
draws of MNIST (`python benchmarks/calibration.py`). No null assumes what the verdict assumes. The size of a pair is the
share of draws in which the verdict excludes the pair's mean difference over all draws. It should be {band}."""
_CANDIDATES = """The same for other tests: size as the mean over the pairs, the least and the worst pair, and power, the
share of draws in which a pair of unequal classifiers is called different."""
_VERDICT, _DISJOINT = "crossed, moderated (the verdict)", "crossed, 10 disjoint sets, test only"


def false_positives(root: Path, rows: Rows) -> Section:
    """Return the section."""
    path = root / "reports" / "calibration.json"
    if not path.is_file():
        return Section("false-positives", _CALIBRATION, [Prose(_ELSEWHERE)])
    found, csv = read_json(path), path.with_suffix(".csv")
    nulls = [row for row in rows_of_file(csv) if row["null"] in ("equal", "A/A")]
    folds, sets = ([row for row in nulls if row["candidate"] == name] for name in (_VERDICT, _DISJOINT))
    picture = Picture.of(path.with_suffix(".png"), "Size and power of each test, with its least and its worst pair")
    trained_on = {"folds": folds, "disjoint sets": sets}
    pairs = [{**row, "trained_on": name} for name, rows_of_name in trained_on.items() for row in rows_of_name]
    provenance = found["provenance"]
    blocks: list[Block] = [
        Prose(_MEANING.format(draws=folds[0]["draws"], band=_BAND)),
        Prose(_summary(found, folds, sets)),
        table(_NULLS, pairs, data=[Data.of(csv)]),
        Prose(_CANDIDATES),
        Pictures([picture], wide=True),
        table(_SIZES, [row for row in found["candidates"] if row["power"] is not None], data=[Data.of(path)]),
        Facts([("made by", f"commit {provenance['commit']}, on {provenance['machine']['processor']}")]),
    ]
    return Section("false-positives", _CALIBRATION, blocks)


def _summary(found: Row, folds: Rows, sets: Rows) -> str:
    family = next(row for row in found["families"] if "the verdict" in row["candidate"])
    outside = [f"{_names(row)} ({100 * row['size']:.1f} %)" for row in folds if not _inside(row)]
    mean, size, low, high = (
        f"{100 * share:.1f}"
        for share in (sum(row["size"] for row in folds) / len(folds), *(family[key] for key in ("size", "low", "high")))
    )
    return (
        f"Of {len(folds)} pairs of cross-validated classifiers {len(folds) - len(outside)} lie within {_BAND}. "
        f"Outside: {'; '.join(outside) or 'none'}. The mean of all pairs is {mean} %. In {size} % of the draws "
        f"(95 % interval {low} to {high}) at least one pair of the family of equal classifiers is called different. "
        f"Of {len(sets)} pairs trained on disjoint sets and compared on the test part alone, "
        f"{sum(map(_inside, sets))} lie within {_BAND}."
    )


def _names(row: Row) -> str:
    return f"{row['a']} against {row['b']}"


def _inside(row: Row) -> bool:
    return bool(abs(row["size"] - ALPHA) <= TOLERANCE)


def _share(name: str, *, strong: Callable[[Row], bool] = lambda row: False) -> Show:
    """Return the cells of a share in percent, with the sign."""
    return lambda row: Cell(f"{100 * row[name]:.1f} %", row[name], strong=strong(row))


def _range(low: str, high: str, value: str) -> Show:
    return lambda row: Cell(f"{100 * row[low]:.1f} to {100 * row[high]:.1f} %", row[value])


def size_and_power_figure(candidates: Rows) -> Figure:
    """Draw size and power of each candidate, the most powerful first; a line spans its least to its worst pair.

    ``candidates`` are those of ``reports/calibration.json``; those without a power are left out.
    """
    shown = sorted((row for row in candidates if row["power"] is not None), key=lambda row: -row["power"])
    made = figure(11, 0.32 * len(shown) + 1.2)
    left, right = made.subplots(1, 2, sharey=True)
    left.axvspan(100 * (ALPHA - TOLERANCE), 100 * (ALPHA + TOLERANCE), color=BLUE, alpha=0.1, lw=0)
    for place, row in enumerate(shown):
        colour = ORANGE if "verdict" in row["candidate"] else BLUE
        left.plot([100 * row["least_size"], 100 * row["worst_size"]], [place, place], color=colour, lw=2, alpha=0.5)
        left.plot(100 * row["size"], place, "o", color=colour, ms=5)
        right.plot(100 * row["power"], place, "o", color=colour, ms=5)
    left.set_yticks(range(len(shown)), [row["candidate"] for row in shown])
    left.invert_yaxis()
    left.set_xlabel(f"size in %; the band is {100 * ALPHA:g} ± {100 * TOLERANCE:g} %")
    right.set_xlabel("power in %")
    for axes in (left, right):
        axes.set_xlim(left=0)
        plain(axes)
    return made


_NULLS: Columns = {
    Column("trained on"): itemgetter("trained_on"),
    Column("equal models"): lambda row: f"{_names(row)} (A/A)" if row["null"] == "A/A" else _names(row),
    Column("called different", True, "size: share of draws in which the verdict excludes the mean difference"): (
        _share("size", strong=lambda row: True)
    ),
    Column("95 % interval", True, "Wilson's, for this number of draws"): _range("low", "high", "low"),
    Column("draws", True): lambda row: Cell(str(row["draws"]), row["draws"]),
    Column(f"within {_BAND}"): lambda row: "yes" if _inside(row) else "no",
}
_SIZES: Columns = {
    Column("test"): itemgetter("candidate"),
    Column("size", True, "mean over the pairs of equal classifiers"): (
        _share("size", strong=lambda row: "verdict" in row["candidate"])
    ),
    Column("least to worst pair", True): _range("least_size", "worst_size", "worst_size"),
    Column("power", True, "mean over the pairs of unequal classifiers"): _share("power"),
}
