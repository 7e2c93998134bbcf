"""Training again finds equal bits equal, and tells rounding from another result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.commands.verify import Verdict, verify
from shearbench.errors import InputError
from shearbench.records import read_json, read_npz, sha256_of, write_npz, write_sealed
from shearbench.training import crossval
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import FoldTask, fold_task, train_fold


@pytest.fixture
def run(
    make_config: Callable[..., TrainingConfig], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A stored fold; what verifies it trains in this process."""

    def in_this_process(function: Callable[..., None], tasks: list[FoldTask], **rest: Any) -> None:
        for task in tasks:
            function(task, lambda units: None)

    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    config, folder = make_config(epochs=1), tmp_path / "fold-0"
    train_fold(fold_task(config, 0, dataset=data / "patterns", out=folder), lambda units: None)
    return folder


def _verify(run: Path, data: Path) -> Verdict:
    (verdict,) = verify([run], datasets=data, workers=1)
    return verdict


def _edit(run: Path, shift: float) -> None:
    """Move one stored probability, and vouch for it."""
    path = run / "out_of_fold.npz"
    arrays = read_npz(path)
    arrays["probabilities"][3, 4] += np.float32(shift)
    write_npz(path, arrays)
    record = read_json(run / "record.json")
    record["files"]["out_of_fold.npz"] = sha256_of(path)
    write_sealed(run / "record.json", record)


def test_an_untouched_fold_is_bit_equal(run: Path, data: Path) -> None:
    assert _verify(run, data) == Verdict(run, "bit-equal", (), (), 0.0)


@pytest.mark.parametrize(("shift", "verdict"), [(1e-4, "within tolerance"), (0.1, "different")])
def test_another_prediction_is_told_with_its_distance(run: Path, data: Path, shift: float, verdict: str) -> None:
    _edit(run, shift)
    got = _verify(run, data)
    assert got.verdict == verdict
    assert got.files == ("out_of_fold.npz",)
    assert got.distance == pytest.approx(shift, rel=1e-3)


def test_inputs_that_changed_are_named(run: Path, data: Path) -> None:
    record = read_json(run / "record.json")
    record["hashes"]["code"] = "that of another day"
    write_sealed(run / "record.json", record)
    assert _verify(run, data) == Verdict(run, "bit-equal", ("code",), (), 0.0)


def test_another_instruction_set_is_named(run: Path, data: Path) -> None:
    record = read_json(run / "record.json")
    record["instructions"] = "AVX2 (MKL_CBWR=AVX2)"
    write_sealed(run / "record.json", record)
    assert _verify(run, data).cause.startswith("trained with AVX2 (MKL_CBWR=AVX2), here with ")


def test_a_damaged_fold_is_refused(run: Path, data: Path) -> None:
    (run / "history.csv").write_text("")
    with pytest.raises(InputError, match=r"history\.csv is not the file"):
        _verify(run, data)
