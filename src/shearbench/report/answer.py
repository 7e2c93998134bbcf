"""The answer in two sentences, made of the comparison's numbers and verdicts alone.

The first says which network is ahead on each dataset and what the verdicts on the others are; the second what leaving
the first dataset costs each network.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shearbench.report.findings import counted, listed, percent
from shearbench.statistics.verdict import turned

Row = Mapping[str, Any]
_AGAINST = {
    "better": "better than {}",
    "worse": "worse than {}",
    "equivalent": "equivalent to {}",
    "undecided": "not told apart from {}",
}
_CHANGES = {"better": ("loses", "lose"), "worse": ("gains", "gain"), "equivalent": ("stays equal", "stay equal")}


def answer(rows: Sequence[Row], pairs: Mapping[str, Any]) -> list[str]:
    """Return the two sentences; only the first where there is one dataset.

    Args:
        rows: of ``reports/comparison.json``.
        pairs: ``reports/pairs.json``; a pair that is not in its ``rows`` is not spoken of.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    ahead = [_ahead([row for row in rows if row["dataset"] == name], pairs["rows"]) for name in datasets]
    first = _capital(f"{'; '.join(ahead)}.")
    if pairs["refused"]:
        return [first, "Whether these differences are real cannot be said here: the comparison was refused."]
    costs = [cost for name in datasets[1:] if (cost := _cost(datasets[0], name, pairs["rows"]))]
    return [first, *([_capital(f"{'; '.join(costs)}.")] if costs else [])]


def _ahead(rows: Sequence[Row], pairs: Sequence[Row]) -> str:
    """Say which network is ahead on a dataset, and the verdict on each other one against it."""
    best = max(rows, key=lambda row: float(row["cv_accuracy_mean"]))
    words = _verdicts_on(best, pairs)
    said = [_AGAINST[word].format(listed(words[word])) for word in _AGAINST if word in words]
    verdicts = f": it is {', '.join(said)}" if said else ""
    accuracy = percent(best["cv_accuracy_mean"])
    return (
        f"on {best['dataset']} {best['model']} is ahead, reading {accuracy}\N{NO-BREAK SPACE}% "
        f"of {best['n_train']:,} held-out digits correctly ({counted(best)}){verdicts}"
    )


def _verdicts_on(best: Row, pairs: Sequence[Row]) -> dict[str, list[str]]:
    """Return verdict on the best network -> the networks that it was reached against."""
    words: dict[str, list[str]] = {}
    for pair in pairs:
        if pair["kind"] == "models" and pair["within"] == best["dataset"]:
            if pair["a"] == best["model"]:
                words.setdefault(pair["verdict"], []).append(pair["b"])
            elif pair["b"] == best["model"]:
                words.setdefault(turned(pair["verdict"]), []).append(pair["a"])
    return words


def _cost(reference: str, dataset: str, pairs: Sequence[Row]) -> str:
    """Say which networks read ``dataset`` worse than ``reference``, better, or equally well, by the verdicts."""
    found: dict[str, dict[str, float]] = {}
    for pair in pairs:
        if pair["kind"] == "datasets" and {pair["a"], pair["b"]} == {reference, dataset}:
            ahead = pair["a"] == reference
            verdict = pair["verdict"] if ahead else turned(pair["verdict"])
            found.setdefault(verdict, {})[pair["within"]] = pair["difference"] * (1 if ahead else -1)
    parts = [
        f"{listed(list(found[word]))} {verbs[len(found[word]) > 1]}{_by(list(found[word].values()), word)}"
        for word, verbs in _CHANGES.items()
        if word in found
    ]
    if "undecided" in found:
        parts.append(f"for {listed(list(found['undecided']))} it is undecided")
    return f"from {reference} to {dataset} {', and '.join(parts)}" if parts else ""


def _by(differences: Sequence[float], word: str) -> str:
    """Return by how many points accuracy changes; nothing where that does not matter."""
    if word == "equivalent":
        return ""
    points = [f"{100 * abs(each):.1f}" for each in sorted(differences, key=abs)]
    span = points[0] if points[0] == points[-1] else f"{points[0]} to {points[-1]}"
    return f" {span} points of that accuracy"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
