"""The stage on a small class: results that add up, tables that agree with them, tracking, report, a user's folder."""

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import small_project
from made import current_runs
from shearbench.commands import export
from shearbench.commands import handwriting as command
from shearbench.data import class_digits
from shearbench.data.class_digits import encode_png
from shearbench.errors import InputError
from shearbench.handwriting import folder as reading
from shearbench.handwriting import networks
from shearbench.handwriting.networks import ABLATION
from shearbench.handwriting.output import nodes
from shearbench.params import load
from shearbench.records import is_finished, read_npz
from shearbench.report.sections import handwriting as section
from shearbench.stages import ablation, handwriting, track
from shearbench.tracking.store import EXPERIMENT, default_uri
from shearbench.training import crossval


@pytest.fixture(scope="module", autouse=True)
def in_this_process() -> Iterator[None]:
    """The worker processes have their own tests, and the pipeline's."""

    def run_tasks(function: Any, tasks: Sequence[Any], **_: Any) -> list[Any]:
        return [function(task, lambda units: None) for task in tasks]

    with pytest.MonkeyPatch.context() as patch:
        for module in (reading, networks, crossval):
            patch.setattr(module, "run_tasks", run_tasks)
        yield


@pytest.fixture(scope="module")
def project(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("class") / "project"
    shutil.copytree(finished_once, root)
    shutil.copytree(root / "build/runs/mnist/mlp", root / "build/runs/mnist/renamed")  # of no entry: never read
    params = small_project.document()
    params["ablations"] = {ABLATION: _recipe()}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    ablation.main(load(root / "params.yaml"), root, ABLATION)
    folder = root / "data" / "class_digits"
    folder.mkdir(parents=True)
    for drawing in class_digits.draw_class():
        if drawing.group in (1, 3, 8) and drawing.member < 4:
            (folder / drawing.file).write_bytes(encode_png(drawing.image))
    (folder / "notes.txt").write_text("not a digit")
    return root


def _recipe() -> dict[str, Any]:
    """The ablation of the recipe's four trainings, of an mlp that takes a second."""
    changes = {
        "plain": {},
        "affine": {"augment": "affine"},
        "stopped": {"patience": 1},
        "strong": {"augment": "strong"},
    }
    return {
        "question": "What must be done to MNIST?",
        "folds": small_project.FOLDS,
        "rope": 0.01,
        "datasets": {"mnist": small_project.IMAGES},
        "models": {
            f"mlp_{training}": {
                "architecture": "mlp",
                "width": 0.1,
                "options": {},
                "recipe": {**small_project.RECIPE, "epochs": 8, **change},
            }
            for training, change in changes.items()
        },
    }


@pytest.fixture(scope="module")
def results(project: Path) -> dict:
    handwriting.main(load(project / "params.yaml"), project)
    return json.loads((project / "build" / "handwriting" / "class_digits" / "results.json").read_text())


def _rows(project: Path, name: str) -> list[dict[str, str]]:
    with (project / "build" / "handwriting" / "class_digits" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_figure_is_drawn_again_as_pdf_for_a_paper(project: Path, results: dict, tmp_path: Path) -> None:
    folder = project / "build" / "handwriting" / "class_digits"
    params = load(project / "params.yaml")
    export.figures_of_class(params, project, tmp_path)
    drawn = {path.stem: path.read_bytes() for path in tmp_path.glob("*.pdf")}
    assert drawn.keys() == {path.stem for path in (folder / "figures").iterdir()}
    assert drawn.keys() >= {"before_and_after", "steps", "groups"}
    assert all(content.startswith(b"%PDF") for content in drawn.values())


def test_every_network_has_a_row_for_each_preparation_whose_numbers_follow_from_the_predictions(
    project: Path, results: dict
) -> None:
    folder = project / "build" / "handwriting" / "class_digits"
    assert is_finished(folder)
    arrays = read_npz(folder / "predictions.npz")
    rejected = {(one["file"], one["by"]) for one in results["rejected"]}
    assert len(results["models"]) == 2 * (4 + 2), "what params.yaml names, and no other folder"
    for row in results["models"]:
        predictions = arrays[f"{row['model']}_{row['training']}/{row['preparation']}"]
        kept = np.array([(str(file), row["preparation"]) not in rejected for file in arrays["files"]])
        hits = predictions.argmax(axis=2) == arrays["digits"]
        assert row["n"] == kept.sum()
        assert row["accuracy"] == pytest.approx(hits[:, kept].mean())
        for group in row["groups"]:
            own = kept & (arrays["groups"] == group["group"])
            assert (group["n"], group["accuracy"]) == (own.sum(), pytest.approx(hits[:, own].mean()))


def test_what_is_rejected_is_listed_with_its_reason(project: Path, results: dict) -> None:
    by = {(one["file"], one["by"]) for one in results["rejected"]}
    assert by == {("notes.txt", "reading")} | {
        (file, kind) for file in ("2-1-3.png", "7-3-1.png", "9-8-1.png") for kind in ("study", "mnist")
    }
    assert all(one["reason"] for one in results["rejected"])
    assert not results["stand_in"]
    assert results["files"] == {"all": 91, "read": 90, "rejected": {"reading": 1, "study": 3, "mnist": 3}}
    assert len(_rows(project, "manifest.csv")) == 91


def test_the_steps_follow_the_recipe_and_their_gains_are_differences(results: dict) -> None:
    steps = {row["step"]: row for row in results["steps"]}
    assert list(steps) == [1, 2, 3, 4, 5, 6, 7]
    assert [steps[k]["n"] for k in steps] == [90, 90, 90, 87, 87, 87, 87]
    for step, before in ((2, 1), (3, 2), (4, 3), (6, 4), (7, 6)):
        assert steps[step]["gain_over"] == before
        gain = steps[step]["gain"]["accuracy"]
        if steps[step]["n"] == steps[before]["n"]:
            assert gain == pytest.approx(steps[step]["accuracy"] - steps[before]["accuracy"])
        low, high = steps[step]["gain"]["accuracy_interval"]
        assert low <= gain <= high
    assert steps[4]["gain"]["accuracy"] == 0, "a filter changes no prediction"
    assert any(row["gain"]["accuracy_interval"] != [0, 0] for row in steps.values() if "gain" in row)
    assert {group["group"] for group in steps[5]["groups"]} == {1, 3, 8}


def test_tables_hold_what_the_results_say(project: Path, results: dict) -> None:
    networks = _rows(project, "networks.csv")
    assert [float(row["accuracy"]) for row in networks] == [pytest.approx(r["accuracy"]) for r in results["models"]]
    confusion = [row for row in _rows(project, "confusion.csv") if row["step"] == "7"]
    assert sum(int(row["count"]) for row in confusion) == 2 * 87
    digits = _rows(project, "digits.csv")
    assert len(digits) == 90
    assert {row["feature"] for row in results["hardness"]} == {
        *("stroke", "contrast", "slant", "size", "offset", "distance")
    }
    assert results["through_mnist"]["n"] == 20


def test_mlflow_is_told_of_every_network_once(project: Path, results: dict) -> None:
    (node,) = nodes(project / "build" / "handwriting" / "class_digits")
    assert node.name == "handwriting-class_digits"
    assert len(node.children) == len(results["models"])
    assert len({child.digest for child in node.children}) == len(node.children)
    first = results["models"][0]
    assert node.children[0].content.metrics["accuracy"] == first["accuracy"]
    assert node.children[0].content.metrics["accuracy_group/3"] == first["groups"][1]["accuracy"]
    assert all(path.is_file() for path in node.content.files)


@pytest.mark.filterwarnings("ignore")
def test_track_sends_the_classes(project: Path, results: dict) -> None:
    from mlflow import MlflowClient

    params = load(project / "params.yaml").model_copy(update={"runs": {}, "ablations": {}})
    assert track.send(params, project)
    sent = set(current_runs(MlflowClient(default_uri(project)), EXPERIMENT))
    (node,) = nodes(project / "build" / "handwriting" / "class_digits")
    assert {node.name, *(child.name for child in node.children)} <= sent


def test_the_report_has_a_section_for_every_class(project: Path, results: dict) -> None:
    made = section.read(project, [])
    kinds = [block.kind for block in made.blocks]
    assert kinds.count("table") == 3
    assert kinds.count("pictures") >= 5
    assert not made.missing


def test_a_folder_of_the_users_gets_its_own_place_and_leaves_the_report_of_the_pipeline(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = load(project / "params.yaml")
    params = params.model_copy(update={"tracking": params.tracking.model_copy(update={"uri": "off"})})
    folder = tmp_path / "our class, 7b"
    folder.mkdir()
    for name in ("3-1-1.png", "5-1-2.png", "6-2-1.png"):
        (folder / name).write_bytes((project / "data" / "class_digits" / name.replace("-2-", "-3-")).read_bytes())
    page = project / "reports" / "index.html"
    before = page.read_bytes() if page.exists() else None
    results = command.study(params, project, folder, fine_tune=True)
    out = command.output_of(project, folder)
    assert is_finished(out)
    assert out.name.startswith("our_class__7b-")
    assert results["fine_tuning"]["n"] == 3
    assert results["models"][0]["accuracy_interval"] is None
    printed = capsys.readouterr().out
    assert "too few to say" in printed
    assert "our class, 7b" in out.with_suffix(".html").read_text()
    assert (page.read_bytes() if page.exists() else None) == before, "`verify` holds it against its lock"


def test_one_group_alone_cannot_be_fine_tuned_on(project: Path, tmp_path: Path) -> None:
    (tmp_path / "3-1-1.png").write_bytes((project / "data" / "class_digits" / "3-1-1.png").read_bytes())
    with pytest.raises(InputError, match="needs another group"):
        handwriting.measure(load(project / "params.yaml"), project, tmp_path, tmp_path / "out", fine_tune=True)
