"""What a newcomer waits for: a fresh clone, set-up, `make repro`, and the commands after it.

    python benchmarks/first_minutes.py                     # this machine, then the same as an AVX2 machine without bf16
    python benchmarks/first_minutes.py --only avx2 --folder build/first --set-up-done
    python benchmarks/first_minutes.py --only "this machine" --workers 1    # a point of the curve over workers

Seconds by the clock and CPU seconds of all processes, for set-up and for each stage; the size of the environment; the
accuracies and the number of decided comparisons. On a machine with other work the CPU seconds alone can be compared.
AVX2 is had on any newer processor by two environment variables and ``execution.precision: fp32``; the rate of a
convolution shows whether it took effect. ``build/benchmarks/first_minutes.json`` gets all numbers, ``.txt`` the table.
"""

import argparse
import csv
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

REPOSITORY = Path(__file__).parents[1]
OUT = Path("build") / "benchmarks" / "first_minutes"
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
KINDS: dict[str, dict[str, str]] = {"this machine": {}, "avx2": AVX2}
RATE = """
import time, torch
torch.set_num_threads(1)
images = torch.randn(100, 128, 7, 7).to(memory_format=torch.channels_last)
layer = torch.nn.Conv2d(128, 256, 3, padding=1).to(memory_format=torch.channels_last)
with torch.no_grad():
    layer(images)
    began = time.process_time()
    for _ in range(20):
        layer(images)
print(20 * 100 * 2 * 128 * 256 * 9 * 49 / (time.process_time() - began) / 1e9)
"""


def run(
    folder: Path, *command: str, surroundings: dict[str, str] | None = None, programs: Path | None = None
) -> dict[str, float]:
    """Run a command of the folder's environment, or of ``programs``, and return what it took: seconds by the clock, and
    CPU seconds of it and its children."""
    path = f"{programs or folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **(surroundings or {})}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.monotonic() - began, "cpu": cpu}


def measured(folder: Path, surroundings: dict[str, str]) -> dict[str, Any]:
    """Return what the default run takes from nothing, and what came of it."""
    program = str(folder / ".venv" / "bin" / "python")
    rate = subprocess.run(
        [program, "-c", RATE], env={**os.environ, **surroundings}, capture_output=True, text=True, check=True
    )
    took = {
        "shearbench repro": run(folder, "shearbench", "repro", surroundings=surroundings),
        "second dvc repro": run(folder, "dvc", "repro", surroundings=surroundings),
        **{
            f"shearbench {words}": run(folder, "shearbench", words, surroundings=surroundings)
            for words in ("--help", "results", "doctor")
        },
    }
    return {
        "convolution, GFLOP/s in fp32 on one core": float(rate.stdout),
        "took": took,
        "stages": json.loads((folder / "build" / "seconds.json").read_text()),
        "accuracy": {
            f"{row['dataset']}-{row['model']}": float(row["cv_accuracy_mean"])
            for row in rows(folder / "reports" / "comparison.csv")
        },
        "verdicts": [row.get("verdict", "") for row in rows(folder / "reports" / "pairs.csv")],
    }


def table(found: dict[str, Any]) -> str:
    """Return a row for each thing that is waited for, a column for each kind of machine."""
    kinds = list(found["kinds"])
    lines = [
        f"{found['processor']}, {found['cores']} cores, workers: {found['workers']}",
        f"set-up: {_text(found['set-up'])}, {found['MB']:.0f} MB",
    ]
    for kind in kinds:
        facts = found["kinds"][kind]
        rate = facts["convolution, GFLOP/s in fp32 on one core"]
        decided = sum(verdict not in ("", "undecided") for verdict in facts["verdicts"])
        lines += [
            "",
            f"{kind}: {rate:.0f} GFLOP/s in a convolution in fp32 on one core; "
            f"{decided} of {len(facts['verdicts'])} comparisons decided",
            *(f"  {name:<22} {_text(took)}" for name, took in facts["took"].items()),
            *(f"    {stage:<32} {seconds:6.1f} s" for stage, seconds in facts["stages"].items()),
            *(f"    accuracy {run:<32} {100 * accuracy:5.1f} %" for run, accuracy in facts["accuracy"].items()),
        ]
    return "\n".join(lines) + "\n"


def _text(took: dict[str, float]) -> str:
    return f"{took['seconds']:6.1f} s by the clock, {took['cpu']:6.1f} CPU seconds"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _megabytes(folder: Path) -> float:
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 / 1e6


def _execute_with(folder: Path, key: str, value: str) -> None:
    """Set ``execution.<key>`` of the clone."""
    params = folder / "params.yaml"
    params.write_text(re.sub(rf"(execution: .*{key}: )\w+", rf"\g<1>{value}", params.read_text(), count=1))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Make the clone, measure, print the table and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(KINDS), action="append", help="default: both")
    parser.add_argument("--folder", type=Path, help="where the clone goes; default: a temporary folder")
    parser.add_argument("--workers", default="auto", help="processes of a stage; default: one for each core")
    parser.add_argument("--set-up-done", action="store_true", help="the folder is a clone with its environment")
    chosen = parser.parse_args()
    folder = (chosen.folder or Path(mkdtemp(prefix="first-minutes-")) / "clone").resolve()
    found: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count(), "workers": chosen.workers, "kinds": {}}
    if not chosen.set_up_done:
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(folder)], check=True)
    found["set-up"] = run(folder, "make", "setup")
    _execute_with(folder, "workers", chosen.workers)
    found["MB"] = _megabytes(folder / ".venv")
    for kind in chosen.only or KINDS:
        run(folder, "make", "clean")
        if KINDS[kind]:
            _execute_with(folder, "precision", "fp32")
        run(folder, "make", "setup")
        found["kinds"][kind] = measured(folder, KINDS[kind])
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    OUT.with_suffix(".txt").write_text(table(found))
    print(table(found), end="")


if __name__ == "__main__":
    main()
