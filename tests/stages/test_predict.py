"""`shearbench predict`: it says of a file what the network says of the prepared image, or why it says nothing."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.comparison.champion import champion_of, trust_of
from shearbench.comparison.table import best_of_each_dataset
from shearbench.data.handwritten import read_file
from shearbench.handwriting.preparation import mnist
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.simulation import simulate
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_json
from shearbench.training.results import load_network, predict


@pytest.fixture
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project as working directory, with two digits on paper and a blank sheet in ``sheets/``."""
    monkeypatch.chdir(finished)
    (finished / "sheets").mkdir()
    for name, stroke in (("one", (slice(20, 80), slice(48, 56))), ("dash", (slice(46, 54), slice(20, 80)))):
        paper = np.full((100, 100), 235, np.uint8)
        paper[stroke] = 30
        Image.fromarray(paper).save(finished / "sheets" / f"{name}.png")
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save(finished / "sheets" / "blank.png")
    return finished


def fold_run(*words: object, status: int = 0) -> str:
    result = CliRunner().invoke(
        app, ["predict", *map(str, words), *([] if {"--model", "--dataset"} & {*words} else ["--dataset", "mnist"])]
    )
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stdout if status == 0 else result.output  # notes on the surroundings go to stderr


def as_json(*words: object, status: int = 0) -> Any:
    return json.loads(fold_run(*words, "--json", status=status))


def test_the_champion_reads_what_the_prepared_image_shows(project: Path) -> None:
    found = as_json("sheets/one.png", "sheets/dash.png")
    best = best_of_each_dataset(read_json(project / "reports" / "comparison.json"))["mnist"]
    fold_runs = read_fold_runs(project / "build" / "runs" / "mnist" / best, 2)
    network, normaliser, record = load_network(champion_of(fold_runs).folder)
    trust = trust_of(fold_runs, 0.99)
    assert found["model"]["model"] == best
    assert found["model"]["fold"] == record["fold"]
    assert found["model"]["threshold"] == trust.threshold
    for name, image in zip(("one", "dash"), found["images"], strict=True):
        prepared = mnist(read_file(project / "sheets" / f"{name}.png")).image
        raw = predict(network, prepared[None, None], normaliser=normaliser)
        expected = apply_temperature(raw, trust.temperature)[0]
        assert image["probabilities"] == pytest.approx(expected)
        assert image["best"] == expected.argmax()
        assert image["confidence"] == pytest.approx(expected.max())
        assert image["runner_up"] == np.argsort(-expected)[1]
        sure = trust.threshold is not None and expected.max() >= trust.threshold
        assert image["class"] == (image["best"] if sure else None)


def test_a_digit_is_sheared_for_a_network_of_fields(project: Path) -> None:
    (image,) = as_json("sheets/one.png", "--dataset", "mechanical")["images"]
    prepared = mnist(read_file(project / "sheets" / "one.png")).image
    field = simulate(prepared[None], load="shear", displacements=[displacements_of("shear")[5]]).displacement[:, 0]
    fold_runs = read_fold_runs(project / "build" / "runs" / "mechanical" / "mlp", 2)
    network, normaliser, _ = load_network(champion_of(fold_runs).folder)
    raw = predict(network, field.astype(np.float32), normaliser=normaliser)
    assert image["probabilities"] == pytest.approx(apply_temperature(raw, trust_of(fold_runs, 0.99).temperature)[0])


def test_it_answers_or_says_that_it_is_not_sure_as_params_yaml_demands(project: Path) -> None:
    path = project / "params.yaml"
    text = path.read_text()
    for accuracy, sure in (("0.001", True), ("0.9999", False)):
        path.write_text(text.replace("accuracy: 0.99", f"accuracy: {accuracy}"))
        image = as_json("sheets/one.png", "--model", "mlp")["images"][0]
        assert (image["class"] is not None) is sure
        line = fold_run("sheets/one.png", "--model", "mlp", "--quiet")
        assert line == f"sheets/one.png\t{image['best'] if sure else '?'}\n"
        assert ("not sure" in fold_run("sheets/one.png", "--model", "mlp")) is not sure


def test_two_digits_in_one_picture_get_no_answer_and_are_said(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("accuracy: 0.99", "accuracy: 0.001"))
    paper = np.full((100, 160), 235, np.uint8)
    paper[20:80, 40:48] = paper[20:80, 110:118] = 30
    Image.fromarray(paper).save(project / "sheets" / "two.png")
    one, two = as_json("sheets/one.png", "sheets/two.png", "--model", "mlp")["images"]
    assert (one["class"], one["doubt"]) == (one["best"], "")
    assert (two["class"], two["doubt"]) == (None, "2 digits in one picture; --many classifies each")
    assert "not sure: 2 digits" in " ".join(fold_run("sheets/two.png", "--model", "mlp").split())


def test_what_cannot_be_read_says_why_and_the_rest_is_read(project: Path) -> None:
    (project / "sheets" / "text.png").write_text("hello")
    files = [f"sheets/{name}" for name in ("text.png", "one.png", "blank.png", "none.png")]
    text, one, blank, none = as_json(*files, status=1)["images"]
    assert text["unread"] == "is neither a PNG nor a JPEG, nor a WEBP, BMP or TIFF"
    assert "no ink" in blank["unread"]
    assert none["unread"] == "there is no such file"
    assert "probabilities" in one
    assert fold_run(*files, "--quiet", status=1).splitlines()[0] == "sheets/text.png\t-"


@pytest.mark.parametrize("words", [("--model", "mlp"), ("--dataset", "mnist"), ("--request",)])
def test_labels_are_refused_with_a_model_of_the_project(project: Path, words: tuple[str, ...]) -> None:
    told = " ".join(fold_run("sheets/one.png", "--labels", "table.csv", *words, status=2).split())
    assert ("--request works with" if words == ("--request",) else "--labels is for the readers") in told


def test_a_model_of_the_project_writes_its_predictions_as_a_table(project: Path) -> None:
    (image,) = as_json("sheets/one.png", "--model", "mlp", "--csv", "table.csv")["images"]
    (row,) = csv.DictReader((project / "table.csv").read_text().splitlines())
    assert row["file"] == "sheets/one.png"
    assert row["class"] == (image["class"] or "")
    assert float(row["confidence"]) == pytest.approx(image["confidence"])


def test_a_folder_stands_for_its_pictures(project: Path) -> None:
    (project / "album" / "first").mkdir(parents=True)
    shutil.copy(project / "sheets" / "one.png", project / "album" / "first")
    (image,) = as_json("album", "--model", "mlp")["images"]
    assert image == as_json("sheets/one.png", "--model", "mlp")["images"][0] | {"file": "album/first/one.png"}
    told = fold_run("album", "--model", "mlp", "--explain")
    assert "Grad-CAM of 1: beside each file, FILE.gradcam.png" in " ".join(told.split())
    (project / "album" / "link.png").symlink_to(project / "sheets" / "one.png")
    _, link = as_json("album", "--model", "mlp", status=1)["images"]
    assert (link["file"], link["unread"]) == ("album/link.png", "is a symbolic link out of the folder")
    (project / "empty").mkdir()
    assert as_json("empty", "--model", "mlp", status=1)["images"][0]["unread"] == "is a folder without pictures"


@pytest.mark.parametrize("dataset", ["mnist", "mechanical"])
def test_an_explanation_is_drawn_beside_the_file_and_not_read_as_one(project: Path, dataset: str) -> None:
    (image,) = as_json("sheets/one.png", "--explain", "--dataset", dataset)["images"]
    assert image["explanation"] == "sheets/one.png.gradcam.png"
    with Image.open(project / image["explanation"]) as drawn:
        assert min(drawn.size) > 300
    assert len(as_json("sheets/one.png", "sheets/one.png.gradcam.png")["images"]) == 1
    assert "name the images themselves" in fold_run("sheets/one.png.gradcam.png", status=2).replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dataset", "mnits"), "--dataset must be one of mnist, mechanical; got 'mnits'"),
        (("--model", "cnn9"), "--model must be one of mlp, cnn2 for mnist; got 'cnn9'"),
        (("--request", "--dataset", "mnits"), "--dataset must be one of"),
        (("--model", "mlp", "--csv", "sheets"), "a directory."),
    ],
)
def test_a_mistake_is_named(project: Path, words: tuple[str, ...], message: str) -> None:
    assert message in fold_run("sheets/one.png", *words, status=2).replace("\n", " ")


def test_without_a_comparison_the_next_step_is_said(project: Path) -> None:
    (project / "reports" / "comparison.json").unlink()
    assert "run `dvc repro`" in fold_run("sheets/one.png", status=2)
    shutil.rmtree(project / "build" / "runs" / "mnist" / "mlp" / "fold-1")
    assert "run `dvc repro train@mnist-mlp`" in fold_run("sheets/one.png", "--model", "mlp", status=2).replace(
        "\n", " "
    )


def test_a_request_holds_the_inputs_as_a_dataset_has_them(project: Path) -> None:
    body = json.loads(fold_run("sheets/one.png", "--request"))
    prepared = mnist(read_file(project / "sheets" / "one.png")).image
    assert np.array_equal(np.array(body["inputs"]), prepared[None, None].astype(float))
    assert "no ink" in fold_run("sheets/blank.png", "--request", status=2)
