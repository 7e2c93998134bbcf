"""Independent stages at once, ``make repro JOBS=2``: all is recorded, and a plain ``dvc repro`` finds nothing to do."""

import re
from pathlib import Path

import pytest
import yaml

from small_clone import REPOSITORY, RUNS, make_clone, run

_MAKE = ("make", "--old-file", "setup", "--old-file", "profile", "repro")  # neither installs nor fetches anything


def _commands(jobs: int) -> str:
    told = run(REPOSITORY, *_MAKE, "--dry-run", f"JOBS={jobs}").splitlines()
    return "\n".join(line for line in told if line.startswith("dvc "))


def test_the_page_has_the_commands_of_the_makefile() -> None:
    commands = _commands(8)
    assert commands.count("\n") == 2
    assert commands in (REPOSITORY / "docs" / "cluster.md").read_text()


@pytest.mark.slow
def test_stages_that_ran_at_once_leave_nothing_to_do(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    make_clone(clone, tmp_path)
    run(clone, "shearbench", "data", "--adopt")
    printed = run(clone, *_MAKE, "JOBS=4", seconds=7200)
    ran = [name for name in re.findall(r"Running stage '([^']+)'", printed) if name not in ("code", "track")]
    assert len(ran) == len(set(ran)), "each once"
    assert {f"{stage}@{one_run}" for stage in ("train", "evaluate") for one_run in RUNS} < set(ran)
    again = run(clone, "dvc", "repro")
    assert re.findall(r"Running stage '([^']+)'", again) == ["code"]

    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["ablations"]["a;touch canary"] = params["ablations"]["channels"]
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert "a name must be lower-case letters, digits and underscores" in run(
        clone, "bash", "-ec", _commands(4), status=255
    )
    assert not (clone / "canary").exists(), "a single stage checks no names, so the first command must have"
