"""The calibration of ``benchmarks/calibration.py``, small: draws resume, parts are by writer, candidates decide."""

import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from shearbench.data import mnist
from shearbench.data.config import BundledMnist

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_small_calibration_counts_every_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import calibration
    import calibration_draws as making

    parts = mnist.collect(BundledMnist(kind="bundled"), Path()).values()
    whole = mnist.Part(*(np.concatenate([part[place] for part in parts]) for place in range(3)))
    monkeypatch.setattr(making, "FOLDS", making.DrawDesign("folds", 20, 20, 10, 5))
    names = list(making.CLASSIFIERS["folds"])
    monkeypatch.setattr(making, "BLOCK", 3)  # four draws are one whole file and a part of the next
    with threadpool_limits(limits=1):  # threads cost ten times what they save on arrays this small
        draws = making.make_draws(whole, making.FOLDS, draws=4, seed=1, folder=tmp_path)
    assert len(draws["folds"]) == 4
    for number in range(4):
        train, test = draws["groups"][number], draws["test_groups"][number]
        assert not set(train) & set(test)
        assert all(len(np.unique(draws["folds"][number][train == writer])) == 1 for writer in np.unique(train))
    assert 0.5 < draws["correct"].mean() < 0.95
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 2
    again = making.make_draws(whole, making.FOLDS, draws=4, seed=1, folder=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    np.testing.assert_array_equal(again["test_correct"], draws["test_correct"])
    rows = calibration.rates(calibration.measure(draws, names), names, equal=calibration.AGAIN + 1)
    assert {(row["a"], row["b"]) for row in rows if row["null"] == "A/A"} == {("perceptron", "perceptron, other seeds")}
    unequal = {(row["a"], row["b"]) for row in rows if row["null"] == "unequal"}
    assert len(unequal) == 11  # of 21 pairs, five classifiers are equal
    assert all({"neighbours, 3", "convolutions, 6"} & set(pair) for pair in unequal)
    overall = calibration.summary(calibration.pd.DataFrame(rows)).set_index("candidate")
    assert {"corrected resampled t (before)", "crossed, moderated (the verdict)"} <= set(overall.index)
    assert len(overall) == 11
    assert overall["size"].between(0, 1).all()
    assert [count for *_, count in calibration.families(draws)] <= [4, 4, 4]
    assert sys.modules["calibration_draws"].__file__ == str(BENCHMARKS / "calibration_draws.py")
