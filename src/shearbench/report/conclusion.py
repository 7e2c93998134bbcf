"""A published claim and the ablation that tests it, in sentences that follow from verdicts.

``claims/<name>.yaml`` names the models and datasets of a claim (``claims.py``).
"""

import pandas as pd

from shearbench.report.claims import IS, LEAST_FOLDS, AblationResult, ClaimTest, Study, interval, verdict_of
from shearbench.report.comparison import rows_of_file
from shearbench.report.findings import Rows, listed
from shearbench.report.published import WORDS, over_folds
from shearbench.statistics.verdict import decide_unpaired, equal_spreads_p

_TO = {"better": "than", "equivalent": "to"}


def steps(result: AblationResult, test: ClaimTest) -> list[str]:
    """Return one sentence for each ablation result on which :func:`conclusion` is based."""
    models, recalibrated = list[str](), list[str]()
    for dataset in test.readings:
        models += map(verdict_of, _against_reference(result, "models", test, within=dataset))
        for family, values in (("recalibration", {"a": test.suspect}), ("recalibrated models", {})):
            recalibrated += map(verdict_of, result.of_family(family, within=dataset, **values))
    gaps = [gap for dataset in test.readings if (gap := _gap(result, dataset, test.suspect))]
    last = [*_other_scalings(result, test), *_lag_order(result, test)]
    return [*models, *gaps, *recalibrated, *last]


def conclusion(result: AblationResult, test: ClaimTest, study: Study) -> list[str]:
    """Return the conclusion of the ablation on a claim, from verdicts and their preconditions.

    - Fewer than ``LEAST_FOLDS`` folds give no conclusion.
    - A dataset *shows the fall* if the suspect is worse than the reference and the reference is far above chance.
    - If none of the datasets that the paper's text allows shows the fall, the run does not test the claim.
    - The run is *consistent* with the claim if the suspect is worse on every dataset of several, recalibrated too.
    - Batch-norm statistics cause the fall if recalibration improves the suspect, which is then not worse than the
      reference.
    - Level, spread and training loss are compared with the published ones.
    """
    folds = result.record["folds"]
    if folds < LEAST_FOLDS:
        return [f"No conclusion: this run has {folds} folds, and a conclusion needs {LEAST_FOLDS}."]
    shown = [dataset for dataset in test.readings if shows_the_fall(result, dataset, test)]
    barred = [_no_fall(result, dataset, test) for dataset in test.readings if dataset not in shown]
    if not shown:
        return [*barred, "This run does not show the published fall, so it does not test the claim."]
    verdicts = {pair["within"]: pair["verdict"] for pair in _against_reference(result, "models", test)}
    last = {one: _verdict(result, "recalibrated models", one, test) for one in verdicts}
    if len(verdicts) > 1 and set(verdicts.values()) == {"worse"} and set(last.values()) == {"worse"}:
        steps = [
            f"{test.suspect} is worse than {test.reference} on every scaling of the same fields, with recalibrated "
            "batch-norm statistics too: this is consistent with the claim."
        ]
    else:
        steps = [_statistics(result, dataset, test, last[dataset]) for dataset in shown]
        equal = [one for one, verdict in verdicts.items() if verdict in ("better", "equivalent")]
        if equal:
            fine = f"On {listed(equal)}, {test.suspect} is not worse than {test.reference}"
            steps.append(f"{fine}: depth alone does not make it fail.")
    misfits = [_misfit(result, dataset, test, study) for dataset in shown]
    cause = f"The cause for {study.label}'s own {test.suspect} remains open; {test.settled_by} would settle it."
    return [*barred, *steps, *misfits, cause]


def shows_the_fall(result: AblationResult, dataset: str, test: ClaimTest) -> bool:
    """Return True if the suspect is worse than the reference on a dataset, and the reference is far above chance."""
    return _verdict(result, "models", dataset, test) == "worse" and _is_far_above_chance(result, dataset, test)


def _is_far_above_chance(result: AblationResult, dataset: str, test: ClaimTest) -> bool:
    row = result.accuracy(dataset, test.reference, "test", "as_trained")
    return row is not None and row["low"] >= test.far_above_chance


def _no_fall(result: AblationResult, dataset: str, test: ClaimTest) -> str:
    """Return the reason why a dataset shows no fall: the reference has not learned, or the suspect is not worse."""
    row = result.accuracy(dataset, test.reference, "test", "as_trained")
    if row is None:
        return f"{dataset} has no accuracy of {test.reference}, so it shows no fall."
    start = f"On {dataset} ({test.readings[dataset]}),"
    if not _is_far_above_chance(result, dataset, test):
        reason = "is not known well enough here" if row["high"] >= test.far_above_chance else "does not learn here"
        return (
            f"{start} {test.reference} reaches a test accuracy of {interval(row)}, published "
            f"{100 * test.reference_level:.2f} %. It {reason}, so these inputs cannot show a fall of {test.suspect}."
        )
    verdict = _verdict(result, "models", dataset, test)
    return f"{start} {test.suspect} is not shown to be worse than {test.reference} (verdict: {verdict})."


def _statistics(result: AblationResult, dataset: str, test: ClaimTest, last: str | None) -> str:
    """Return a sentence on whether batch-norm statistics cause the fall on a dataset."""
    verdicts = [pair["verdict"] for pair in result.of_family("recalibration", within=dataset, a=test.suspect)]
    start = f"On {dataset} ({test.readings[dataset]}), {test.suspect} falls behind {test.reference}"
    if verdicts == ["worse"] and last in ("better", "equivalent"):
        return (
            f"{start} as trained. With recalibrated batch-norm statistics and the same weights it is {last} "
            f"{_TO[last]} {test.reference}: batch-norm statistics cause the fall here."
        )
    return f"{start}; this run does not decide the cause (recalibration: {listed(verdicts or ['not measured'])})."


def _misfit(result: AblationResult, dataset: str, test: ClaimTest, study: Study) -> str:
    """Return sentences that compare level, spread and training loss of the suspect with the published ones."""
    row = result.accuracy(dataset, test.suspect, "test", "as_trained")
    assert row is not None, "the fall was seen on it"
    ours = over_folds(row["mean"], row["sd"], row["folds"], test_to_train=result.test_to_train)
    published = over_folds(test.level, test.spread, study.folds)
    verdict = decide_unpaired(ours, published, rope=result.record["plan"]["rope"])
    level = {
        "different": "differs from",
        "equivalent": "is equivalent to",
        "undecided": "is undecided against",
    }
    p = equal_spreads_p((row["sd"], row["folds"]), (test.spread, study.folds))
    spread = "are not shown to differ" if p >= 0.05 else "differ"
    losses = result.record.get("train_loss", {}).get(f"{dataset}-{test.suspect}")
    ours_loss = f"ours is {sum(losses) / len(losses):.2f}" if losses else "this run did not store ours"
    loss = f" The published training loss is {test.train_loss:g}; {ours_loss}." if test.train_loss is not None else ""
    return (
        f"The level on {dataset} {level[WORDS[verdict.word]]} the published one: {interval(row)} against "
        f"{100 * test.level:.2f} % ({verdict.rule}). The spreads over the folds {spread} (F test, 5 %): "
        f"{100 * row['sd']:.2f} against {100 * test.spread:.2f} percentage points.{loss}"
    )


def _lag_order(result: AblationResult, test: ClaimTest) -> list[str]:
    """Return a sentence on whether lags of running averages order the losses of datasets; nothing if not measured."""
    path = result.folder / "lags.csv"
    lost = {pair["within"]: -pair["difference"] for pair in result.of_family("recalibration", a=test.suspect)}
    rows = [row for row in rows_of_file(path) if row["model"] == test.suspect] if path.is_file() else []
    if not rows or len(lost) < 2:
        return []
    table = pd.DataFrame(rows)
    lags = table[table["epoch"] == table["epoch"].max()].groupby("dataset")["mean"].max().to_dict()
    by_lag, by_loss = (sorted(lost, key=lambda one: -values.get(one, 0.0)) for values in (lags, lost))
    order = "is the order" if by_lag == by_loss else "is not the order"
    return [
        f"Ordered by the largest lag of a layer after the last epoch, the datasets are {listed(by_lag)}; this {order} "
        f"of the gain by recalibration ({listed(by_loss)})."
    ]


def _against_reference(result: AblationResult, family: str, test: ClaimTest, **values: str) -> Rows:
    """Return the pairs of the suspect and the reference, whatever their batch-norm statistics."""
    wanted = [test.suspect, test.reference]
    pairs = result.of_family(family, **values)
    return [pair for pair in pairs if [pair[key].split(",")[0] for key in ("a", "b")] == wanted]


def _verdict(result: AblationResult, family: str, dataset: str, test: ClaimTest) -> str | None:
    """Return the verdict on the suspect against the reference, or None if it was not compared."""
    found = _against_reference(result, family, test, within=dataset)
    return found[0]["verdict"] if found else None


def _gap(result: AblationResult, dataset: str, model: str) -> str | None:
    """Return a sentence on training and evaluation mode on training samples; None if not measured."""
    during, after = (result.accuracy(dataset, model, "train", mode) for mode in ("during_training", "as_trained"))
    if during is None or after is None:
        return None
    apart = during["low"] > after["high"] or after["low"] > during["high"]
    relation = "their intervals do not meet" if apart else "their intervals meet"
    return (
        f"On training samples of {dataset}, {model} reaches {interval(during)} in training mode (running mean of the "
        f"last epoch) and {interval(after)} in evaluation mode (n = {during['folds']} folds): {relation}."
    )


def _other_scalings(result: AblationResult, test: ClaimTest) -> list[str]:
    """Return a sentence on suspect and reference on the datasets that the paper's text does not allow."""
    words: dict[str, list[str]] = {}
    if result.record["folds"] < LEAST_FOLDS:
        return []
    for pair in _against_reference(result, "models", test):
        if pair["within"] not in test.readings:
            words.setdefault(pair["verdict"], []).append(pair["within"])
    parts = [f"{IS[word]} {test.reference} on {listed(words[word])}" for word in IS if word in words]
    if "undecided" in words:
        parts.append(f"is undecided against {test.reference} on {listed(words['undecided'])}")
    return [f"On the other scalings, {test.suspect} as trained {'; it '.join(parts)}."] if parts else []
