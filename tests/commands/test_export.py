"""The files for a paper: every table twice, figures as PDF, a card for each run, one zip."""

import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from shearbench.analysis.evaluation import read_results
from shearbench.analysis.summaries import summarised
from shearbench.commands import export
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_json
from shearbench.stages.evaluate import evaluation_of

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.fixture(scope="module")
def project(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, with the repository's calibration of the tests."""
    root = tmp_path_factory.mktemp("calibrated") / "project"
    shutil.copytree(finished_once, root)
    for name in ("calibration.csv", "calibration.json"):
        shutil.copyfile(REPORTS / name, root / "reports" / name)
    return root


@pytest.fixture(scope="module")
def folder(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is exported of the small project."""
    from shearbench.params import load

    made = tmp_path_factory.mktemp("export") / "paper"
    export.main(load(project / "params.yaml"), project, made)
    return made


def test_tables_are_csv_and_latex_with_the_same_numbers(finished_once: Path, folder: Path) -> None:
    table = pd.read_csv(folder / "tables" / "comparison.csv")
    pd.testing.assert_frame_equal(table, pd.read_csv(finished_once / "reports" / "comparison.csv"))
    latex = (folder / "tables" / "comparison.tex").read_text()
    assert latex.count(r"\\") == len(table) + 1
    assert f"{table['cv_accuracy_mean'].iloc[0]:.3f}" in latex


def test_the_first_table_of_the_report_is_there_as_it_is_shown(project: Path, folder: Path) -> None:
    rows = read_json(project / "reports" / "comparison.json")
    table = pd.read_csv(folder / "tables" / "overview.csv", dtype=str)
    assert table["model"].tolist() == list(dict.fromkeys(row["model"] for row in rows))
    shown = table.set_index("model")["cross-validated accuracy mnist"]
    for row in rows:
        if row["dataset"] == "mnist":
            interval = f"({100 * row['cv_accuracy_low']:.1f} to {100 * row['cv_accuracy_high']:.1f})"
            assert shown[row["model"]].startswith(f"{100 * row['cv_accuracy_mean']:.1f}")
            assert shown[row["model"]].endswith(interval)
    latex = (folder / "tables" / "overview.tex").read_text()
    assert latex.isascii()
    assert "mlp" in latex


def test_tables_of_one_name_are_all_kept(project: Path, folder: Path) -> None:
    """Calibration of probabilities and calibration of the tests both have a ``calibration.csv``."""
    build = project / "build"
    stored = {
        "calibration.csv": project / "reports" / "calibration.csv",
        "comparison/calibration.csv": build / "comparison" / "calibration.csv",
        "runs/mnist-cnn2/confusion_test.csv": build / "evaluation" / "mnist" / "cnn2" / "confusion_test.csv",
        "runs/mechanical-mlp/confusion_test.csv": build / "evaluation" / "mechanical" / "mlp" / "confusion_test.csv",
    }
    for name, source in stored.items():
        pd.testing.assert_frame_equal(pd.read_csv(folder / "tables" / name), pd.read_csv(source))
        assert (folder / "tables" / name).with_suffix(".tex").is_file()


def test_the_calibration_of_the_tests_is_drawn_from_its_numbers(folder: Path) -> None:
    drawn = (folder / "figures" / "calibration.pdf").read_bytes()
    assert drawn.startswith(b"%PDF")
    assert b"/Font" in drawn, "text is text, not a picture of it"


def test_figures_are_pdf_and_the_zip_has_everything(folder: Path) -> None:
    figures = sorted(path for path in (folder / "figures").rglob("*") if path.is_file())
    assert "noise.pdf" in {path.name for path in (folder / "figures" / "comparison").iterdir()}
    assert all(path.read_bytes().startswith(b"%PDF") for path in figures)
    assert list(folder.rglob("*.png")) == []
    with zipfile.ZipFile(folder.with_suffix(".zip")) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    assert inside == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_every_figure_of_a_run_is_drawn_again_as_pdf(finished_once: Path, folder: Path) -> None:
    for run in ("mnist-cnn2", "mechanical-mlp"):
        stored = finished_once / "build" / "evaluation" / Path(*run.split("-")) / "figures"
        drawn = {path.stem: path.read_bytes() for path in (folder / "figures" / "runs" / run).iterdir()}
        assert drawn.keys() == {path.stem for path in stored.glob("*.png")}
        assert all(content.startswith(b"%PDF") for content in drawn.values())
        assert b"/Font" in drawn["confusion"], "text is text, not a picture of it"
    datasets = {path.parent.name for path in (folder / "figures" / "datasets").rglob("*.pdf")}
    assert datasets == {"mnist", "mechanical"}


def test_a_stored_evaluation_gives_the_same_pictures(small_params: Params, finished_once: Path, tmp_path: Path) -> None:
    """The arrays on disk are all that the figures need: drawn as PNG again, they have the same bytes."""
    stored = finished_once / "build" / "evaluation" / "mnist" / "cnn2"
    fold_runs = read_fold_runs(finished_once / "build" / "runs" / "mnist" / "cnn2", small_params.cv.networks)
    made = evaluation_of(small_params, finished_once, "mnist-cnn2", fold_runs, read_results(stored))
    files = summarised(made)
    assert files.keys() | {"measured.npz"} == read_json(stored / "record.json")["files"].keys()
    for name, write in files.items():
        write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (stored / name).read_bytes(), name


def test_the_card_has_the_scores_of_the_table(finished_once: Path, folder: Path) -> None:
    row = pd.read_csv(finished_once / "reports" / "comparison.csv").iloc[0]
    card = (folder / "models" / f"{row['dataset']}-{row['model']}" / "MODEL_CARD.md").read_text()
    assert f"cross-validated accuracy: {100 * row['cv_accuracy_mean']:.1f} %" in card
    assert f"{row['parameters']:,} parameters" in card
    for heading in ("Data", "Model and recipe", "Scores", "Weaknesses", "Loading"):
        assert f"## {heading}\n" in card


def test_a_folder_with_files_is_left_alone(finished_once: Path, small_params: Params, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        export.main(small_params, finished_once, tmp_path)
    shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
