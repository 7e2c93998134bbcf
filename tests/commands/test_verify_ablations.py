"""verify looks at ablations too: their folds, their ablation result and the predictions behind it."""

import shutil
from pathlib import Path

import pytest

from shearbench.commands.verify import check_ablation
from shearbench.errors import InputError
from shearbench.params import load

FOLD = "ablations/normalisation/mechanical_detrend/deep/fold-1"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "ablation_results/normalisation/predictions/mechanical_detrend-deep.npz",
            "dvc repro -f ablation_result@normalisation",
        ),
        ("ablation_results/normalisation/accuracies.csv", "is not the file that its record was written with"),
        (f"{FOLD}/lags.csv", "is not the file that its record was written with"),
    ],
)
def test_a_flipped_byte_is_found(asked: Path, tmp_path: Path, file: str, message: str) -> None:
    shutil.copytree(asked / "build", tmp_path / "build")
    ablation = load(asked / "params.yaml").ablations["normalisation"]
    check_ablation(tmp_path / "build", "normalisation", ablation)
    path = tmp_path / "build" / file
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    with pytest.raises(InputError, match=message):
        check_ablation(tmp_path / "build", "normalisation", ablation)


def test_a_missing_fold_names_the_stage_that_trains_it(asked: Path, tmp_path: Path) -> None:
    shutil.copytree(asked / "build", tmp_path / "build")
    (tmp_path / "build" / FOLD / "record.json").unlink()
    with pytest.raises(InputError, match="fold-1 is not; run `dvc repro ablation@normalisation`"):
        check_ablation(tmp_path / "build", "normalisation", load(asked / "params.yaml").ablations["normalisation"])
