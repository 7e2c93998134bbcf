"""Stage explore: it needs no test file, counts truly, and writes the same bytes every time."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from shearbench.analysis.exploration import pick
from shearbench.data.dataset import load, read_samples
from shearbench.params import Params
from shearbench.records import write_json, write_npz
from shearbench.stages import datasets, explore, prepare


@pytest.fixture
def project(small_project: Path, params: Params) -> Path:
    """A project folder with datasets, from which every test file was taken away."""
    prepare.main(params, small_project)
    build = small_project / "build"
    for split in ("train", "test"):
        ids = read_samples(build / "samples", split).ids
        displacement = np.random.default_rng(0).normal(size=(len(ids), 1, 2, 28, 28)).astype(np.float32)
        arrays = {"ids": ids, "steps": np.array([5]), "displacement": displacement}
        write_npz(build / "fields" / split / "mnist-shear.npz", arrays)
        write_json(build / "fields" / split / "mnist-shear.json", {})
    datasets.main(params, small_project)
    for path in [*build.rglob("test.npz"), *build.glob("fields/test/*")]:
        path.unlink()
    return small_project


def test_the_same_files_with_the_same_bytes_every_time(project: Path, params: Params) -> None:
    out = project / "build" / "explore" / "mechanical"
    explore.main(params, project, "mechanical")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {
        "class_balance.csv",
        "class_balance.png",
        "displacement.csv",
        "displacement.png",
        "displacement_classes.png",
        "duplicates.csv",
        "samples_length.png",
        "samples_u_x.png",
        "samples_u_y.png",
        "summary.json",
    }
    shutil.rmtree(out)
    explore.main(params, project, "mechanical")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_class_balance_counts_every_digit_once(project: Path, params: Params) -> None:
    explore.main(params, project, "mnist")
    balance = pd.read_csv(project / "build" / "explore" / "mnist" / "class_balance.csv")
    assert list(balance.columns) == ["fold", "class", "n"]
    assert balance.groupby("class")["n"].sum().tolist() == [6] * 10


def test_the_planted_copy_is_the_one_duplicate(project: Path, params: Params) -> None:
    explore.main(params, project, "mnist")
    out = project / "build" / "explore" / "mnist"
    (row,) = pd.read_csv(out / "duplicates.csv").to_dict("records")
    assert (out / "duplicates.png").is_file()
    assert (row["kind"], row["id_a"], row["id_b"], row["across_folds"]) == ("exact", 0, 40, False)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["duplicates"]["exact"] == {"pairs": 1, "across_folds": 0}
    assert summary["duplicates"]["near"] == {"pairs": 0, "across_folds": 0, "least_correlation": 0.97}
    assert summary["samples"] == sum(summary["per_class"]) == 60


def test_displacement_of_a_class_is_the_mean_of_its_samples(project: Path, params: Params) -> None:
    explore.main(params, project, "mechanical")
    table = pd.read_csv(project / "build" / "explore" / "mechanical" / "displacement.csv")
    train = load(project / "build" / "datasets" / "mechanical", "train")
    size = np.hypot(*train.inputs[train.labels == 3].astype(np.float64).swapaxes(0, 1)).mean(axis=(1, 2))
    row = table.loc[3]
    assert (row["class"], row["n"]) == (3, 6)
    assert (row["overall_mean"], row["overall_sd"]) == pytest.approx((size.mean(), size.std(ddof=1)))
    assert {"stroke_mean", "disturbance_mean", "gradient_sd"} <= set(table.columns)


def test_a_class_with_too_few_samples_leaves_its_places_empty() -> None:
    dataset = SimpleNamespace(labels=np.array([4, 4, 7]), classes=[*"0123456789"])
    sheet = pick(np.ones((3, 28, 28)), dataset)
    assert sheet.shape == (10, 8, 28, 28)
    assert (~np.isnan(sheet)).all(axis=(2, 3)).sum(axis=1).tolist() == [0, 0, 0, 0, 2, 0, 0, 1, 0, 0]
