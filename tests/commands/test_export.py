"""The files for a paper: every table twice, figures as PDF, a card for each run, one zip."""

import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from shearbench.commands import export
from shearbench.errors import InputError
from shearbench.params import Params


@pytest.fixture(scope="module")
def folder(finished_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is exported of the small project."""
    from shearbench.params import load

    made = tmp_path_factory.mktemp("export") / "paper"
    export.main(load(finished_once / "params.yaml"), finished_once, made)
    return made


def test_tables_are_csv_and_latex_with_the_same_numbers(finished_once: Path, folder: Path) -> None:
    table = pd.read_csv(folder / "tables" / "comparison.csv")
    pd.testing.assert_frame_equal(table, pd.read_csv(finished_once / "reports" / "comparison.csv"))
    latex = (folder / "tables" / "comparison.tex").read_text()
    assert latex.count(r"\\") == len(table) + 1
    assert f"{table['cv_accuracy_mean'].iloc[0]:.3f}" in latex


def test_figures_are_pdf_and_the_zip_has_everything(folder: Path) -> None:
    figures = sorted((folder / "figures").iterdir())
    assert "noise.pdf" in {path.name for path in figures}
    assert all(path.read_bytes().startswith(b"%PDF") for path in figures)
    with zipfile.ZipFile(folder.with_suffix(".zip")) as archive:
        inside = {name for name in archive.namelist() if not name.endswith("/")}
    assert inside == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


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
