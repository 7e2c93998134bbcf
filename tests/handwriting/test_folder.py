"""A folder with everything that can be in one: read, prepared, and every name of it in the manifest."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shearbench.data import class_digits
from shearbench.data.class_digits import encode_png
from shearbench.errors import InputError
from shearbench.handwriting import folder
from shearbench.handwriting.folder import THUMBNAIL, ClassDigits, manifest_csv, read_folder


def _rows(digits: ClassDigits) -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in csv.DictReader(io.StringIO(manifest_csv(digits)))}


def _digit(nth: int) -> np.ndarray:
    drawing = next(one for place, one in enumerate(class_digits.draw_class()) if place == nth)
    return drawing.image


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("messy class")
    three = _digit(3)
    (made / "3-2-1.png").write_bytes(encode_png(three))
    Image.fromarray(255 - three).resize((90, 60)).convert("RGB").save(made / "3-1-1.png", "JPEG", quality=95)
    (made / "4-1-1.png").write_bytes(encode_png(np.zeros((28, 28), np.uint8)))
    (made / "5-1-1.png").write_bytes(b"not a picture")
    (made / "=cmd().png").write_bytes(encode_png(three))
    (made / "6-1-1\nx.png").write_bytes(encode_png(three))
    (made / "notes.txt").write_text("hello")
    (made / "7-1-1.png").symlink_to("/etc/hostname")
    return made


def test_every_name_is_in_the_manifest_with_what_became_of_it(messy: Path) -> None:
    digits = read_folder(messy, workers=1)
    rows = _rows(digits)
    assert len(rows) == len(list(messy.iterdir()))
    assert digits.files == ["3-1-1.png", "3-2-1.png", "4-1-1.png"]
    assert {file for file, row in rows.items() if row["status"] == "read"} == set(digits.files)
    for file, reason in {
        "5-1-1.png": "neither a PNG nor a JPEG",
        "'=cmd().png": "must be named",
        "6-1-1\\x0ax.png": "must be named",
        "notes.txt": "must be named",
        "7-1-1.png": "out of the folder",
    }.items():
        assert reason in rows[file]["reason"]
    photograph = rows["3-1-1.png"]
    assert (photograph["format"], photograph["width"], photograph["mnist_polarity"]) == ("JPEG", "90", "dark on light")
    assert (photograph["digit"], photograph["group"], photograph["member"]) == ("3", "1", "1")
    assert (rows["4-1-1.png"]["study_status"], rows["4-1-1.png"]["mnist_status"]) == ("rejected", "rejected")
    by = {(one["file"], one["by"]) for one in digits.rejected}
    assert {("4-1-1.png", "study"), ("4-1-1.png", "mnist"), ("5-1-1.png", "reading")} <= by
    assert len(by) == 7


def test_the_arrays_follow_the_files(messy: Path) -> None:
    digits = read_folder(messy, workers=1)
    assert digits.digits.tolist() == [3, 3, 4]
    assert digits.groups.tolist() == [1, 2, 1]
    assert digits.writers.tolist() == [0, 1, 0]
    assert digits.images("mnist").shape == (3, 28, 28)
    assert digits.accepted("mnist").tolist() == [True, True, False]
    one, other = digits.images("mnist")[:2]
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.85  # the same digit, once squeezed onto a photograph
    assert np.isnan(digits.measured("stroke")).tolist() == [False, False, True]
    assert all(
        sheet.thumbnail is not None and sheet.thumbnail.shape == (THUMBNAIL, THUMBNAIL, 3) for sheet in digits.read
    )


def test_shares_over_the_cores_change_nothing(messy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = manifest_csv(read_folder(messy, workers=2))
    monkeypatch.setattr(folder, "_FILES_A_TASK", 4)
    assert manifest_csv(read_folder(messy, workers=2)) == whole


def test_a_folder_without_a_picture_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"no file that can be read:\n- 'one.png' must be named"):
        read_folder(tmp_path, workers=1)


def test_the_almost_black_images_of_the_stand_in_class_are_rejected_by_both(tmp_path: Path) -> None:
    drawn = [one for one in class_digits.draw_class() if one.group in (1, 3)]
    for one in drawn:
        (tmp_path / one.file).write_bytes(encode_png(one.image))
    digits = read_folder(tmp_path, workers=1)
    dark = {one.file for one in drawn if one.planted == "almost_black"}
    assert dark == {one["file"] for one in digits.rejected if one["by"] == "study"}
    assert dark == {one["file"] for one in digits.rejected if one["by"] == "mnist"}
