"""Pictures of a folder, grey numbers of an NPZ file and these sheared, from raw data to the comparison."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import any_images
from shearbench.cli import app
from shearbench.commands import predict
from shearbench.data import raw
from shearbench.data.dataset import load, read_card
from shearbench.params import load as load_params
from shearbench.records import read_json, read_npz, read_record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, made once, in a folder with a blank and an umlaut in its name."""
    root = tmp_path_factory.mktemp("ein projekt ä")
    any_images.make(root)
    return root


def test_datasets_have_the_size_channels_and_classes_of_their_source(project: Path) -> None:
    build = project / "build" / "datasets"
    cards = {name: read_card(build / name) for name in ("shapes", "bars", "sheared")}
    assert cards["shapes"]["classes"] == sorted(any_images.SHAPES)
    assert cards["bars"]["classes"] == cards["sheared"]["classes"] == ["across", "down"]
    assert load(build / "shapes", "test").inputs.shape[1:] == (3, *any_images.SIDES)
    assert load(build / "sheared", "test").inputs.shape[1:] == (2, 8, 8)
    assert not set(load(build / "shapes", "train").ids) & set(load(build / "bars", "train").ids)


def test_no_group_is_on_two_sides(project: Path) -> None:
    build = project / "build" / "datasets" / "shapes"
    train, test = (load(build, split) for split in ("train", "test"))  # type: ignore[arg-type]
    assert train.groups.min() >= 0
    assert not set(train.groups) & set(test.groups)
    table = read_npz(build / "folds.npz")
    for fold in range(2):
        held_out = table["folds"][0] == fold
        assert not set(train.groups[held_out]) & set(train.groups[~held_out])


def test_every_table_names_the_classes(project: Path) -> None:
    folder = project / "build" / "evaluation" / "shapes" / "cnn2"
    assert set(pd.read_csv(folder / "per_class.csv")["class"]) == set(any_images.SHAPES)
    confusion = pd.read_csv(folder / "confusion_test.csv")
    assert set(confusion["true"]) == set(confusion["predicted"]) == set(any_images.SHAPES)
    assert set(pd.read_csv(folder / "misclassified.csv")["predicted"]) <= set(any_images.SHAPES)
    assert read_record(project / "build/runs/shapes/cnn2/fold-0")["classes"] == sorted(any_images.SHAPES)
    assert read_npz(folder / "test_predictions.npz")["probabilities"].shape[2] == 5
    assert "balanced_accuracy_mean" in read_json(folder / "metrics.json")["test"]


def test_only_datasets_of_one_source_are_compared(project: Path) -> None:
    pairs = read_json(project / "reports" / "pairs.json")
    compared = {(row["a"], row["b"]) for row in pairs["rows"] if row["kind"] == "datasets"}
    assert compared == {("bars", "sheared")}
    skipped = pd.read_csv(project / "build" / "transfer" / "datasets.csv")
    other = skipped[(skipped["dataset"] == "shapes") & (skipped["reads"] == "bars")]
    assert other["skipped"].str.contains("of another source, bars").all()


def test_the_network_learns_the_bars_and_their_fields(project: Path) -> None:
    rows = {(row["dataset"], row["model"]): row for row in read_json(project / "reports" / "comparison.json")}
    assert rows["bars", "mlp"]["test_accuracy_mean"] == 1
    assert rows["sheared", "mlp"]["test_accuracy_mean"] > 0.9
    assert np.isclose(
        rows["sheared", "mlp"]["accuracy_drop"],
        rows["bars", "mlp"]["cv_accuracy_mean"] - rows["sheared", "mlp"]["cv_accuracy_mean"],
    )


def test_own_pictures_are_predicted_by_the_best_model_of_the_first_dataset(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    result = CliRunner().invoke(app, ["predict", "my shapes/bar/0_w0.png", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["model"]["dataset"] == "shapes"
    (image,) = found["images"]
    assert image["best"] in any_images.SHAPES
    assert image["prepared"] == {"height": any_images.SIDES[0], "width": any_images.SIDES[1]}
    assert len(image["probabilities"]) == 5
    result = CliRunner().invoke(app, ["predict", "my shapes/bar/0_w0.png", "--csv", "table.csv"])
    assert result.exit_code == 0, result.output
    assert f",{image['best']}," in (project / "table.csv").read_text()


def test_a_picture_is_decoded_as_the_training_images_were(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input is the row of ``data/``, for each file that was trained on."""
    monkeypatch.chdir(project)
    params = load_params(project / "params.yaml")
    stored = raw.read(project / "data" / "shapes")["train"]
    with (project / "data" / "shapes" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        kept = [row for row in csv.reader(file) if row[1] == "train" and row[0].isdigit()][:5]
    for place, _, name, *_ in kept:
        sheets = predict._sheets(params, project, "shapes", [project / "my shapes" / name])
        (sheet,) = predict._legible(sheets)
        np.testing.assert_array_equal(sheet.prepared.image, stored.images[int(place)])


def test_every_dataset_is_drawn_in_the_report(project: Path) -> None:
    page = (project / "reports" / "index.html").read_text()
    assert "Not made yet" not in page
    for name in ("shapes", "bars", "sheared"):
        assert f"{name}: Eight samples of each class." in page or f"{name}: One sample of each class" in page
