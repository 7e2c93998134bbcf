"""Where the time of a default run goes: wall and CPU seconds of each stage.

    python benchmarks/pipeline.py                     # dvc repro
    python benchmarks/pipeline.py datasets severity   # some stages and what they need
    python benchmarks/pipeline.py --table             # only print what was measured

`dvc repro` runs as ever, but finds a `shearbench` first on the PATH that notes what each stage used. Whoever stops it
and calls it again goes on where DVC does: attempts of a stage are added up. `--again` forgets what was measured.
`build/benchmarks/pipeline.jsonl` gets a line an attempt; `pipeline.json` and `pipeline.txt` the table.

A stage's *serial* seconds are the CPU seconds of its own process, *parallel* those of the processes it waited for, one
a core; `others` is what everything else on the machine took meanwhile. `quiet` is serial + parallel / 2, what the stage
takes on 2 quiet cores if its tasks end together. It does not depend on who else was at work, but for what that costs in
caches and memory.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil

from shearbench.records import write_json, write_text

FOLDER = Path("build/benchmarks")
CORES = 2
_SHIM = '#!/bin/sh\nexec "{python}" "{script}" --note "{log}" "$@"\n'


@dataclass(frozen=True)
class Attempt:
    """One process of the pipeline: what it was, how it ended, and the seconds it used."""

    stage: str
    status: int
    wall: float
    serial: float
    parallel: float
    others: float


def note(log: Path, arguments: list[str]) -> int:
    """Run the command line of shearbench in this process; add a line to ``log``; return its exit status."""
    start, busy = time.monotonic(), _busy()
    from shearbench.cli import app

    sys.argv = ["shearbench", *arguments]
    status = 0
    try:
        app()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    serial, parallel = own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime
    others = max(0.0, _busy() - busy - serial - parallel)
    name = "@".join(arguments[1:]) if arguments[0] == "stage" else " ".join(arguments)
    attempt = Attempt(name, status, time.monotonic() - start, serial, parallel, others)
    with log.open("a") as file:
        file.write(json.dumps(asdict(attempt)) + "\n")
    return status


def _busy() -> float:
    """Return the CPU seconds that all cores have worked since the machine started."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def run(targets: list[str], log: Path) -> None:
    """Run ``dvc repro`` and what `make repro` does after it, with the command that takes notes first on the PATH."""
    with TemporaryDirectory() as folder:
        shim = Path(folder) / "shearbench"
        shim.write_text(_SHIM.format(python=sys.executable, script=Path(__file__).resolve(), log=log.resolve()))
        shim.chmod(0o755)
        path = os.pathsep.join((folder, str(Path(sys.executable).parent), os.environ["PATH"]))
        start = time.monotonic()
        status = subprocess.run(["dvc", "repro", *targets], env={**os.environ, "PATH": path}, check=False).returncode
        with log.open("a") as file:
            file.write(json.dumps({"dvc": time.monotonic() - start, "status": status}) + "\n")
        if status:
            sys.exit(f"dvc repro ended with status {status}; run the same command again to go on")


def table_of(lines: Iterable[str]) -> pd.DataFrame:
    """Return a row a stage in the order of the run, and two more: DVC's own share, and all of it."""
    notes = [json.loads(line) for line in lines]
    stages = pd.DataFrame([each for each in notes if "stage" in each])
    sums = stages.drop(columns="status").groupby("stage", sort=False).sum()
    sums.insert(0, "attempts", stages.groupby("stage", sort=False).size())
    own = sum(each["dvc"] for each in notes if "dvc" in each) - stages["wall"].sum()
    sums["quiet"] = sums["serial"] + sums["parallel"] / CORES
    groups = {
        f"= {name}@...": part.sum()
        for name, part in sums.groupby(sums.index.str.split("@").str[0], sort=False)
        if len(part) > 1
    }
    sums.loc["(dvc itself)", ["wall", "quiet"]] = own
    sums.loc["all"] = sums.sum()
    for name, total in groups.items():
        sums.loc[name] = total
    return sums.fillna(0.0)


def main() -> None:
    """Run what is asked, then write and print the table."""
    if sys.argv[1:2] == ["--note"]:
        sys.exit(note(Path(sys.argv[2]), sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="stages of dvc.yaml; default: all")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args()
    log = FOLDER / "pipeline.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    if asked.again:
        log.unlink(missing_ok=True)
    try:
        if not asked.table:
            run(asked.targets, log)
    finally:
        table = table_of(log.read_text().splitlines())
        text = table.round(1).to_string()
        write_json(
            FOLDER / "pipeline.json", json.loads(table.round(2).reset_index(names="stage").to_json(orient="records"))
        )
        write_text(FOLDER / "pipeline.txt", text + "\n")
        print(text)


if __name__ == "__main__":
    main()
