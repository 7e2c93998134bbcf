"""What runs cost: predicted from measured constants, beside what was measured; and what larger ones would cost.

    python benchmarks/scale.py                            # from the constants in benchmarks/scale.json
    python benchmarks/scale.py --read FOLDER FULL         # take the constants anew, half a minute

FOLDER holds a finished default run, FULL ablations at full size; neither is changed. Seconds of an epoch are those of
their records: the median over folds of the default run, made on a quiet machine, and the lowest tenth of those of full
size, as other work beside them only added to it; fields are simulated here; bytes
and rows are counted. What no record holds stands below with its source. docs/scale.md says what is measured, what is
computed and what is a guess.
"""

import argparse
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from shearbench.mechanics.loads import LOADS
from shearbench.mechanics.simulation import simulate
from shearbench.records import provenance, read_json, read_npz, write_json
from simulate import digits

CONSTANTS = Path(__file__).with_name("scale.json")
CORES, FOLDS, HOUR, GIB = 2, 5, 3600, 2**30
DEFAULT, FULL = 4_000, 60_000  # training digits, those held out among them
MODELS = ("mlp", "cnn2", "cnn3", "resnet18")

# Seconds that no record holds. CPU seconds of one core, but for those by the clock.
START_OF_A_WORKER = 2.3  # process, imports, data: docs/speed.md; a stage has one a core, for all of its folds
START_OF_A_STAGE = 1.0  # the command's own process; with DVC's share an estimate, from 1.4 s for one that does nothing
DVC = 0.7  # by the clock, a stage: hashes, cache, lock file
TRACKING = 1.3  # a run, its network with it: 7.8 for the 6 of a run (docs/speed.md)
EVALUATION = 12.5  # by the clock, a run: 100 for 8 in the default run, by the times of its files
OTHERS = 108.0  # about, clock: prepare, datasets, explore, ablation results, transfer, handwriting, compare, report
GPU_RATES = {"mlp": 191_939, "cnn2": 234_554, "cnn3": 175_239, "resnet18": 55_337}  # digits/s, one H100: docs/speed.md

QUIET = {"resnet18": 7.2e-4}  # 432 s below for 5 folds, 2 epochs, 60,000 digits; its records are of a busy machine

EPOCHS = {"mlp": 11.5, "cnn2": 8, "cnn3": 5, "resnet18": 3}  # of a default run; mlp's mean, as it stops early
ABLATIONS = [  # of a default run: (network, epochs, how many such networks), 3 folds each
    *(("resnet18, width 0.25", 3, 9), ("cnn3, width 0.5", 3, 10)),
    *(("mlp", 15, 1), ("mlp, affine", 16.5, 2), ("mlp, strong", 18, 1)),
    *(("cnn2, affine", 8, 1), ("cnn2, strong", 8, 1)),
]
HANDWRITING = [  # at full size, as it was trained: (network, epochs, how many such networks), 5 folds each
    *(("mlp", 20, 1), ("mlp, affine", 20, 2), ("mlp, strong", 20, 1)),
    *(("cnn2, affine", 4, 3), ("cnn2, strong", 10, 1), ("cnn3", 8, 1)),
]
MEASURED = {
    "default run, by the clock": 523,
    "default run: training of 8 runs, by the clock": 172,
    "default run: training of 25 networks in ablations, by the clock": 101,
    "full size: 45 trainings of 9 networks, epochs": 2455,
    "full size: 25 trainings of cnn3, epochs": 1192,
    "full size: 5 trainings of resnet18, epochs": 432,  # and below: benchmarks/training.py, a quiet machine
    "full size: 5 trainings of cnn2, epochs": 75,
    "full size: 5 trainings of mlp with the affine augmentation, epochs": 11.1,
    "full size: 70,000 fields": 560,
}
FOLDS_AT_FULL_SIZE = {"mlp": 20, "cnn2": 20, "cnn3": 45, "resnet18": 37}
PROFILE = {"mlp": 11, "cnn2": 6, "cnn3": 16, "resnet18": 15}  # networks of profiles/full.yaml, in runs and ablations
MEGABYTES = {  # measured, 10**6 bytes
    "default run: the folds of 8 runs": 535,
    "full size: 122 folds of ablations": 1995,
    "full size: 70,000 fields of one step": 441,
}


def read_constants(project: Path, full: Path) -> dict[str, Any]:
    """Return the constants that records hold or that half a minute measures."""
    shear = LOADS["shear"].displacements
    return {
        "provenance": provenance(),
        "field, all steps": {load: _seconds_a_digit(load, LOADS[load].displacements[1:]) for load in LOADS},
        "field, step 5 of shear": _seconds_a_digit("shear", shear[5:6]),
        "epoch of a digit": {
            "default": _seconds_of_epochs(project, 5),
            "full": {**_seconds_of_epochs(full, 1), **QUIET},
        },
        "bytes": _bytes(project),
        "a run": _run(project / "mlruns"),
    }


def _seconds_a_digit(load: str, displacements: Sequence[float], count: int = 24) -> float:
    bitmaps = digits(count)
    simulate(bitmaps[:1], load=load, displacements=displacements)  # compiles, once
    start = time.process_time()
    simulate(bitmaps, load=load, displacements=displacements)
    return (time.process_time() - start) / count


def _seconds_of_epochs(project: Path, tenth: int) -> dict[str, float]:
    """Return for each network what an epoch takes for a digit, those held out with it: that tenth of its folds."""
    found = defaultdict(list)
    for path in project.glob("build/*/**/fold-*/record.json"):
        record = read_json(path)
        config = record["config"]
        width = f", width {config['width']:g}" if config["width"] != 1 else ""
        augment = f", {config['recipe']['augment']}" if config["recipe"]["augment"] != "none" else ""
        each = record["seconds"] / record["epochs"] / sum(record["sizes"].values())
        found[config["architecture"] + width + augment].append(each)
    return {
        name: statistics.quantiles(each, n=10, method="inclusive")[tenth - 1] for name, each in sorted(found.items())
    }


def _bytes(project: Path) -> dict[str, float]:
    """Return how large each kind of thing is that a finished run leaves."""
    build = project / "build"
    fields = sum(len(read_npz(path)["ids"]) for path in build.glob("fields/*/shear.npz"))
    evaluations = [path.parent for path in build.glob("evaluation/*/*/record.json")]
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return {
        "field": _size(build.glob("fields/*/shear.npz")) / fields,
        **{f"fold of {model}": _size(build.glob(f"runs/mnist/{model}/fold-0/*")) for model in MODELS},
        "evaluation": sum(_size(folder.rglob("*")) for folder in evaluations) / len(evaluations),
        "report": _size([project / "reports" / "index.html"]),
        "lock file, a stage": _size([project / "dvc.lock"]) / len(stages),
    }


def _run(mlruns: Path) -> dict[str, float]:
    """Return rows and bytes of an average run with MLflow, without its network, which is as large as its weights."""
    with sqlite3.connect(f"{(mlruns / 'mlflow.db').as_uri()}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        rows = {name: database.execute(f'select count(*) from "{name}"').fetchone()[0] for name in tables}
    database.close()
    files = [path for path in (mlruns / "artifacts").rglob("*") if "models" not in path.parts]
    stored = {"rows": sum(rows.values()), "database": _size([mlruns / "mlflow.db"]), "files": _size(files)}
    return {name: value / rows["runs"] for name, value in stored.items()}


def _size(paths: Iterable[Path]) -> float:
    return float(sum(path.stat().st_size for path in paths if path.is_file()))


def training(c: Any, network: str, epochs: float, *, count: int, folds: int = FOLDS, size: str = "default") -> float:
    """CPU seconds of the epochs of a network's folds; ``size`` is that of the run whose records say what one takes."""
    return folds * epochs * count * float(c["epoch of a digit"][size][network])


def on_a_gpu(network: str, epochs: float, *, count: int) -> float:
    """Seconds of one GPU for the epochs of a network's folds; digits held out are taken to cost as those trained on."""
    return FOLDS * epochs * count / GPU_RATES[network]


def predictions(c: Any) -> dict[str, float]:
    """Seconds of what was measured too. Those of full size grow from the epochs of a default run, ten times as long."""
    fields = 5_000 * c["field, step 5 of shear"] + 400 * c["field, all steps"]["shear"]
    runs = 2 * sum(training(c, model, EPOCHS[model], count=DEFAULT) for model in MODELS)
    asked = sum(count * training(c, network, epochs, count=DEFAULT, folds=3) for network, epochs, count in ABLATIONS)
    around = START_OF_A_STAGE + START_OF_A_WORKER + DVC
    trained = 8 * around + (runs + 8 * (FOLDS + 2) * TRACKING) / CORES
    ablations = 5 * around + asked / CORES
    return dict(
        zip(
            MEASURED,
            (
                2 * around + fields / CORES + trained + ablations + 8 * EVALUATION + OTHERS,
                trained,
                ablations,
                sum(count * training(c, network, epochs, count=FULL) for network, epochs, count in HANDWRITING),
                5 * training(c, "cnn3", 2, count=FULL),
                training(c, "resnet18", 2, count=FULL),
                training(c, "cnn2", 2, count=FULL),
                training(c, "mlp, affine", 2, count=FULL),
                70_000 * c["field, step 5 of shear"],
            ),
            strict=True,
        )
    )


def sizes(c: Any) -> dict[str, float]:
    """Megabytes of what was counted too, from one fold of each network and one field of a default run."""
    fold = {model: c["bytes"][f"fold of {model}"] for model in MODELS}
    stored = (
        2 * FOLDS * sum(fold.values()),
        sum(count * fold[model] for model, count in FOLDS_AT_FULL_SIZE.items()),
        70_000 * c["bytes"]["field"],
    )
    return {name: size / 1e6 for name, size in zip(MEGABYTES, stored, strict=True)}


@dataclass(frozen=True)
class Cost:
    """Hours of one core or of one GPU, GiB on disk, and rows of MLflow's database."""

    core_hours: float
    gpu_hours: float | None
    gib: float
    rows: float


def all_fields(c: Any, count: int = 70_000) -> Cost:
    """The four loads at all their steps. Stored three times: shard, field and DVC's object."""
    steps = sum(len(load.displacements) - 1 for load in LOADS.values())
    seconds = count * sum(c["field, all steps"].values())
    return Cost(seconds / HOUR, None, 3 * steps * count * c["bytes"]["field"] / GIB, 0)


def many_runs(c: Any, architectures: int, datasets: int, *, count: int, epochs: int) -> Cost:
    """Every architecture on every dataset, 5 folds, evaluated; an architecture costs the mean of our four.

    A fold is stored in the build, in DVC's cache and, as an exported network, with MLflow; an evaluation twice.
    """
    runs = architectures * datasets
    each = runs / len(MODELS)
    trained = each * sum(training(c, model, epochs, count=count, size="full") for model in MODELS)
    # An evaluation keeps both cores busy for about two thirds of its time; reading grows with the digits.
    judged = runs * EVALUATION * 1.6 * (1 + 0.5 * (count / DEFAULT - 1))
    sent = runs * (FOLDS + 2)
    beside = runs * 3 * (START_OF_A_STAGE + CORES * START_OF_A_WORKER) + sent * TRACKING
    folds = each * FOLDS * sum(c["bytes"][f"fold of {model}"] for model in MODELS)
    stored = 3 * folds + 2 * runs * c["bytes"]["evaluation"] + sent * (c["a run"]["files"] + c["a run"]["database"])
    hours = (trained + judged + beside) / HOUR
    on_gpu = each * sum(on_a_gpu(model, epochs, count=count) for model in MODELS)
    return Cost(hours, on_gpu / HOUR, stored / GIB, sent * c["a run"]["rows"])


def whole_profile(c: Any) -> Cost:
    """The trainings of profiles/full.yaml: 30 epochs of 5 folds for each network, as if none stopped early."""
    trained = sum(count * training(c, model, 30, count=FULL, size="full") for model, count in PROFILE.items())
    folds = FOLDS * sum(count * c["bytes"][f"fold of {model}"] for model, count in PROFILE.items())
    networks = sum(PROFILE.values())
    sent = networks * (FOLDS + 2)
    stored = 3 * folds + sent * (c["a run"]["files"] + c["a run"]["database"])
    on_gpu = sum(count * on_a_gpu(model, 30, count=FULL) for model, count in PROFILE.items())
    return Cost(trained / HOUR, on_gpu / HOUR, stored / GIB, sent * c["a run"]["rows"])


def scenarios(c: Any) -> dict[str, Cost]:
    """What nobody has run."""
    return {
        "profiles/full.yaml, its trainings": whole_profile(c),
        "4 loads x all steps x 70,000 digits": all_fields(c),
        "100 architectures x 100 datasets, 60,000 digits, 10 epochs": many_runs(c, 100, 100, count=FULL, epochs=10),
        "4 networks on 1,000,000 digits, 10 epochs": many_runs(c, 4, 1, count=1_000_000, epochs=10),
    }


def print_tables(c: Any) -> None:
    """Print the constants, predictions beside measurements, and scenarios."""
    console = Console(width=120)
    constants = Table("constant", "value")
    for load, seconds in c["field, all steps"].items():
        constants.add_row(
            f"a digit, all {len(LOADS[load].displacements) - 1} steps of {load}", f"{1e3 * seconds:.1f} ms"
        )
    constants.add_row("a digit, step 5 of shear alone", f"{1e3 * c['field, step 5 of shear']:.1f} ms")
    for network, seconds in c["epoch of a digit"]["default"].items():
        full = c["epoch of a digit"]["full"].get(network)
        constants.add_row(
            f"an epoch of a digit, {network}",
            f"{1e6 * seconds:.1f} us" + (f" ({1e6 * full:.1f} at full size)" if full else ""),
        )
    for name, size in c["bytes"].items():
        constants.add_row(f"bytes: {name}", f"{size:,.0f}")
    for name, number in c["a run"].items():
        constants.add_row(f"a run: {name}", f"{number:,.0f}")
    console.print(constants)
    for unit, predicted, measured in (("seconds", predictions(c), MEASURED), ("MB", sizes(c), MEGABYTES)):
        against = Table(unit, "predicted", "measured", "off by")
        for name, value in predicted.items():
            against.add_row(name, f"{value:,.0f}", f"{measured[name]:,}", f"{value / measured[name] - 1:+.0%}")
        console.print(against)
    ahead = Table("scenario", "core hours", "or GPU hours", "GiB", "rows")
    for name, cost in scenarios(c).items():
        gpu = "unknown" if cost.gpu_hours is None else f"{cost.gpu_hours:,.1f}"
        ahead.add_row(name, f"{cost.core_hours:,.0f}", gpu, f"{cost.gib:,.0f}", f"{cost.rows:,.0f}")
    console.print(ahead)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--read", nargs=2, type=Path, metavar=("FOLDER", "FULL"), help="take the constants anew")
    asked = parser.parse_args()
    if asked.read:
        write_json(CONSTANTS, read_constants(*(folder.resolve() for folder in asked.read)))
    print_tables(read_json(CONSTANTS))


if __name__ == "__main__":
    main()
