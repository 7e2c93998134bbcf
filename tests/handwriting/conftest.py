"""The stand-in class, read once."""

from pathlib import Path

import pytest

from shearbench.data import class_digits
from shearbench.data.class_digits import encode_png
from shearbench.handwriting.folder import ClassDigits, read_folder


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PNGs of the stand-in class, without the file that tells the truth about them."""
    folder = tmp_path_factory.mktemp("class") / "stand-in"
    folder.mkdir()
    for drawing in class_digits.draw_class():
        (folder / drawing.file).write_bytes(encode_png(drawing.image))
    return folder


@pytest.fixture(scope="session")
def stand_in(stand_in_folder: Path) -> ClassDigits:
    """The stand-in class, read and prepared."""
    return read_folder(stand_in_folder, workers=1)
