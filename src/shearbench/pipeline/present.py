"""Check finished folds against the present parameters, code, data and fold table, before any use of folds.

DVC stores the hashes of inputs after a stage has run, a record those before. So the record is decisive.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import print
from rich.markup import escape

from shearbench.data.dataset import FOLDS, read_card
from shearbench.data.folds import FoldTable, read_folds
from shearbench.errors import InputError
from shearbench.params import Ablation, Params
from shearbench.pipeline.configs import config_of, planned
from shearbench.pipeline.inputs import inputs_of
from shearbench.predictions.folds import FoldRun, check_data, check_records, read_fold_runs, stage_of
from shearbench.training.config import TrainingConfig, code_hash
from shearbench.training.hardware import Hardware
from shearbench.yaml12 import leaves

_MADE_WITH = {"config": "parameters", "code": "code"}


def read_run(params: Params, root: Path, run_name: str) -> list[FoldRun]:
    """Return the folds of a run after a check that they are up to date.

    Raises:
        InputError: if a fold is missing or damaged, or was made with other parameters, code, data or folds than the
            present ones, with the differences.
    """
    run, build = params.runs[run_name], root / "build"
    fold_runs = read_fold_runs(build / "runs" / run.dataset / run.model, params.cv.networks)
    check_data(fold_runs, *_present_data(build / "datasets" / run.dataset))
    _refuse_other(fold_runs, planned(params, root, run_name, hardware=_hardware(params, fold_runs[0])))
    return fold_runs


def check_ablation(
    params: Params, ablation: Ablation, runs: Sequence[FoldRun], run: tuple[str, str], *, data: Path
) -> None:
    """Check the folds of one (dataset, model) of an ablation against the present state, with its dataset in ``data``.

    Raises:
        InputError: like :func:`read_run`.
    """
    check_records(runs, *_present_data(data))
    check_config(params, ablation, runs, run)


def check_config(params: Params, ablation: Ablation, runs: Sequence[FoldRun], run: tuple[str, str]) -> None:
    """Check the folds of a (dataset, model) of an ablation against the present parameters and code only.

    Raises:
        InputError: if they differ, with the differences.
    """
    hardware = _hardware(params, runs[0])
    _refuse_other(runs, config_of(params, dataset=run[0], model=run[1], ablation=ablation, hardware=hardware))


def is_current(params: Params, root: Path, folder: Path, fold_runs: Sequence[FoldRun]) -> bool:
    """Return True if the folds in a folder of runs or of an ablation are up to date; print the reason if not."""
    kind, *names, dataset, model = folder.relative_to(root / "build").parts
    ablation = params.ablations.get(names[0]) if kind == "ablations" else None
    hardware = _hardware(params, fold_runs[0])
    try:
        if ablation and dataset in ablation.datasets and model in ablation.models:
            config = config_of(params, dataset=dataset, model=model, ablation=ablation, hardware=hardware)
        elif kind == "runs" and f"{dataset}-{model}" in params.runs:
            config = planned(params, root, f"{dataset}-{model}", hardware=hardware)
        else:
            raise InputError(f"{folder} is of no entry of params.yaml; remove it if you do not need it")
        _refuse_other(fold_runs, config)
        with _data_of(params, root, config, names, ablation) as data:
            check_records(fold_runs, *_present_data(data))
    except InputError as error:
        print(f"[yellow]Left out:[/] {escape(str(error))}")
        return False
    return True


def _present_data(folder: Path) -> tuple[str, FoldTable]:
    """Return the hash of the training data and the fold table of a dataset."""
    return str(read_card(folder)["hashes"]["train"]), read_folds(folder / FOLDS)


@contextmanager
def _data_of(
    params: Params, root: Path, config: TrainingConfig, names: Sequence[str], ablation: Ablation | None
) -> Iterator[Path]:
    """Yield the folder of the present data of a config; data that only an ablation has is made for the block."""
    same = [name for name, entry in params.datasets.items() if entry == config.entry]
    if same or not ablation:
        yield root / "build" / "datasets" / (same or [config.dataset])[0]
        return
    with inputs_of("present", ablation, root / "build", ("train",)) as inputs:  # not the stage's, which may run now
        yield inputs[config.dataset]


def _hardware(params: Params, run: FoldRun) -> Hardware:
    """Return device and precision of ``params.yaml``, with those of the training for ``auto``."""
    execution, config = params.execution, run.record["config"]
    device = config["device"] if execution.device == "auto" else execution.device
    return Hardware(device, config["precision"] if execution.precision == "auto" else execution.precision)


def _refuse_other(runs: Sequence[FoldRun], config: TrainingConfig) -> None:
    for run in runs:
        trained_with = run.record["provenance"]["versions"]["torch"]
        present = {"config": config.config_hash, "code": code_hash(config, torch_version=trained_with)}
        differing = [word for key, word in _MADE_WITH.items() if run.record["hashes"][key] != present[key]]
        if differing:
            stage = stage_of(run.folder.parent)
            raise InputError(
                f"{run.folder} was trained with other {' and '.join(differing)} than the present ones"
                f"{_first_difference(run, config)}; run `dvc repro {stage}`, "
                f"and `dvc repro --force {stage}` if DVC takes it for up to date; or undo the change"
            )


def _first_difference(run: FoldRun, config: TrainingConfig) -> str:
    """Return the keys of the config that differ, as `` (recipe.epochs 20, now 3)``, or ""."""
    before, now = leaves(run.record["config"]), leaves(config.config)
    found = [f"{key} {before.get(key)}, now {now.get(key)}" for key in now | before if before.get(key) != now.get(key)]
    return f" ({'; '.join(found[:5])})" if found else ""
