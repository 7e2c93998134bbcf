"""A project without a single digit: pictures of a folder, grey numbers of an NPZ file, and these numbers sheared."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from shearbench.data import raw
from shearbench.params import Params, load
from shearbench.stages import (
    compare,
    datasets,
    evaluate,
    explore,
    prepare,
    report,
    severity,
    simulate,
    train,
    training_configs,
    transfer,
)

SHAPES = ("a ring", "bar", "größe", "square", "stripes")
PER_CLASS, SIDES = 14, (20, 24)
RECIPE = {"epochs": 2, "batch": 8, "learning_rate": 1e-2, "weight_decay": 0.0}
EVALUATE = {"samples": 10, "noise": {"levels": [1, 4], "raw": [0.3], "draws": 1}, "explained": 1, "embedded": 40}
NPZ_SIDE = 8


def shape(kind: int, rng: np.random.Generator, size: tuple[int, int] = SIDES) -> np.ndarray:
    """Draw one of five shapes in a drawn colour, uint8 (*size, 3)."""
    rows, columns = np.indices(size)
    y, x = (rows + 0.5) / size[0] - 0.5 + rng.normal(0, 0.05), (columns + 0.5) / size[1] - 0.5 + rng.normal(0, 0.05)
    radius = np.hypot(y, x)
    ink = [
        (radius > 0.2) & (radius < 0.35),
        np.abs(x) < 0.1,
        np.abs(y) < 0.1,
        (np.abs(x) < 0.25) & (np.abs(y) < 0.25),
        rows // 3 % 2 == 0,
    ][kind]
    picture = rng.integers(0, 40, (*size, 3)) + ink[..., None] * rng.integers(120, 215, 3)
    return picture.astype(np.uint8)


def write_folder(folder: Path, per_class: int = PER_CLASS) -> None:
    """Write ``folder/<class>/<number>_w<writer>.png``, each writer with two pictures of every class."""
    rng = np.random.default_rng(0)
    for kind, name in enumerate(SHAPES):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            Image.fromarray(shape(kind, rng)).save(folder / name / f"{number}_w{number // 2}.png")


def write_npz(path: Path) -> None:
    """Write grey bars of two classes, labelled 1 and 2, in MedMNIST's layout; validation joins training."""
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 2
    images = rng.integers(0, 60, (60, NPZ_SIDE, NPZ_SIDE), dtype=np.uint8)
    images[labels == 0, 2:4] = 220
    images[labels == 1, :, 5:7] = 220
    parts = {"train": slice(0, 36), "val": slice(36, 44), "test": slice(44, 60)}
    arrays = {f"{part}_images": images[rows] for part, rows in parts.items()}
    np.savez(path, **arrays, **{f"{part}_labels": labels[rows, None] + 1 for part, rows in parts.items()})


def document() -> dict[str, Any]:
    """The parameters of the project."""
    own = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text())
    search = own["models"]["mlp"]["search"]
    model = {"width": 0.1, "options": {}, "recipe": RECIPE, "search": search}
    runs = {"shapes-cnn2": "cnn2", "shapes-mlp": "mlp", "bars-mlp": "mlp", "sheared-mlp": "mlp"}
    return {
        **own,
        "sources": {
            "shapes": {"kind": "folder", "path": "my shapes", "groups": r"_w(\d+)\."},
            "bars": {"kind": "npz", "path": "bars.npz", "classes": ["across", "down"]},
        },
        "datasets": {
            "shapes": {"source": "shapes", "channels": 3, "normalise": "unit"},
            "bars": {"source": "bars", "channels": 1, "normalise": "unit"},
            "sheared": {"source": "simulated", "of": "bars", "load": "shear", "step": 5, "normalise": "detrend"},
        },
        "models": {"mlp": {**model, "architecture": "mlp"}, "cnn2": {**model, "architecture": "cnn2"}},
        "runs": {name: {"dataset": name.split("-")[0], "model": of} for name, of in runs.items()},
        "ablations": {},
        "cv": {"folds": 2, "repeats": 1, "inner_fraction": 0.2},
        "evaluate": EVALUATE,
        "compare": {**own["compare"], "rope": dict.fromkeys(("shapes", "bars", "sheared"), 0.02), "detect": {}},
        "tuning": {**own["tuning"], "dataset": "shapes"},
        "execution": {**own["execution"], "workers": 1, "device": "cpu", "precision": "fp32"},
        "tracking": {"uri": "off"},
    }


def make(root: Path) -> Params:
    """Make the project in ``root``, from its pictures to its report; tasks run in this process."""
    write_folder(root / "my shapes")
    write_npz(root / "bars.npz")
    params = run_to_evaluations(root, document())
    for stage in (transfer, compare, report):
        stage.main(params, root)
    return params


def run_to_evaluations(root: Path, document: dict[str, Any]) -> Params:
    """Run the stages from raw data to the evaluations of every run."""
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    params = load(root / "params.yaml")
    raw.build(root / "data", params.sources, root / "data.dvc", adopt=True, report=lambda _: None)
    for stage in (prepare, simulate, datasets, severity, training_configs):
        stage.main(params, root)
    for name in params.datasets:
        explore.main(params, root, name)
    for name in params.runs:
        train.main(params, root, name)
    for name in params.runs:
        evaluate.main(params, root, name)
    return params
