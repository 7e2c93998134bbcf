"""Optuna's dashboard opens a study of the suite, with the command of docs/tuning.md."""

import json
import shlex
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from local_servers import free_port, running
from patterns import point, space_of_three
from shearbench.tuning.study import Ledger, Study
from shearbench.tuning.trial import Halving, Point, TrialResult
from small_clone import REPOSITORY

pytestmark = pytest.mark.slow

NAME = "mechanical-cnn2-0123456789ab"
SPACE, PRESENT = space_of_three((1e-4, 1e-2), (32, 64), (0.5, 1.0)), point(1e-3, 64, 1.0)
CURVE = tuple(Point(1.0, 0.5, 1.0, accuracy, accuracy) for accuracy in (0.25, 0.5, 0.75))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a study of three trials, one of them stopped."""
    journal = tmp_path / "build" / "tuning" / "studies" / "mechanical-cnn2-0123456789ab" / "journal.log"
    ledger = Ledger(
        Study(journal, "mechanical-cnn2-0123456789ab", "mechanical-cnn2", 1, SPACE, PRESENT, Halving(3, 3, 2))
    )
    for number in range(3):
        ledger.draw(number)
        ledger.record(number, TrialResult(CURVE[: number + 1]))
        (ledger.finish if number else ledger.stop)(number)
    return tmp_path


def _documented() -> list[str]:
    lines = (REPOSITORY / "docs" / "tuning.md").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("optuna-dashboard ")]
    return shlex.split(line, comments=True)


def test_the_documented_command_shows_every_trial_and_changes_nothing(root: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed: pip install optuna-dashboard")
    program, pattern = _documented()
    (journal,) = root.glob(pattern)
    before = journal.read_bytes()
    address = f"http://127.0.0.1:{(port := free_port())}"

    def fetch(path: str) -> Any:
        with urllib.request.urlopen(address + path, timeout=30) as answer:
            return json.load(answer)

    command = [str(Path(sys.executable).with_name(program)), str(journal), "--port", str(port)]
    with running(command, f"{address}/api/studies", root / "dashboard.log"):
        (study,) = fetch("/api/studies")["study_summaries"]
        assert study["study_name"] == NAME
        trials = fetch(f"/api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Pruned", "Complete", "Complete"]
    assert [[point["value"] for point in trial["intermediate_values"]] for trial in trials] == [
        [0.25],
        [0.25, 0.5],
        [0.25, 0.5, 0.75],
    ]
    assert journal.read_bytes() == before
