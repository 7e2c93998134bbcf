"""The stand-in class is what its truth file says; a user's folder is checked file by file."""

import csv
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from shearbench.data import class_digits as cd
from shearbench.data import mnist
from shearbench.data.class_digits import encode_png
from shearbench.data.config import BundledMnist, ClassFolder, StandInClass
from shearbench.data.handwritten import NAME
from shearbench.errors import InputError
from shearbench.handwriting.folder import read_folder

PLAIN = cd.STYLES[0]


@pytest.fixture(scope="module")
def drawings() -> dict[str, cd.Drawing]:
    return {drawing.file: drawing for drawing in cd.draw_class()}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return cd.collect(StandInClass(kind="standin"), Path())


@pytest.fixture(scope="module")
def truth(files: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[cd.TRUTH].decode())))


class TestStandIn:
    def test_ten_groups_of_forty_named_by_the_rule(self, files: dict[str, bytes]) -> None:
        names = [name for name in files if name != cd.TRUTH]
        assert len(names) == 400
        who = [match.groups() for name in names if (match := NAME.fullmatch(name))]
        assert sorted(who) == sorted(
            (str(d), str(g), str(m)) for d in range(10) for g in range(1, 11) for m in range(1, 5)
        )

    def test_the_truth_lists_every_file_and_what_was_planted(
        self, files: dict[str, bytes], truth: list[dict[str, str]]
    ) -> None:
        assert tuple(truth[0]) == cd.TRUTH_COLUMNS
        assert {row["file"] for row in truth} == set(files) - {cd.TRUTH}
        planted = [row["planted"] for row in truth]
        assert (planted.count("almost_black"), planted.count("mnist_copy")) == (6, 60)
        assert {row["group"] for row in truth if row["planted"] == "mnist_copy"} == {"4", "9"}

    def test_no_original_is_used_twice(self, truth: list[dict[str, str]]) -> None:
        assert len({row["source"] for row in truth}) == 400

    def test_images_have_the_class_of_their_original(self, truth: list[dict[str, str]]) -> None:
        target = load_digits().target
        for row in truth:
            kind, _, index = row["source"].rpartition(" ")
            if kind == "load_digits":
                assert target[int(index)] == int(row["digit"])

    def test_copies_are_mnist_digits_and_almost_black_is(self, drawings: dict[str, cd.Drawing]) -> None:
        images, labels, _ = mnist.collect(BundledMnist(kind="bundled"), Path())["train"]
        for drawing in drawings.values():
            if drawing.planted == "mnist_copy":
                index = int(drawing.source.split()[-1])
                right, down = cd.STYLES[drawing.group - 1].moved
                expected = np.roll(images[index], (down, right), axis=(0, 1))
                expected[:down], expected[:, :right] = 0, 0
                np.testing.assert_array_equal(drawing.image, expected)
                assert labels[index] == drawing.digit
            assert (drawing.image.max() <= 8) == (drawing.planted == "almost_black")

    def test_the_styles_differ_as_they_are_called(self, drawings: dict[str, cd.Drawing]) -> None:
        own = [d for d in drawings.values() if d.planted == "none"]
        groups = {
            style.name: np.stack([d.image for d in own if d.group == group]).astype(float)
            for group, style in enumerate(cd.STYLES, start=1)
            if style.copies < cd.MEMBERS
        }
        ink = {name: images.mean() for name, images in groups.items()}
        peak = {name: np.median(images.max(axis=(1, 2))) for name, images in groups.items()}
        dark = {name: np.median(images.min(axis=(1, 2))) for name, images in groups.items()}
        assert ink["thick"] > 1.3 * ink["plain"] > 1.3 * 1.3 * ink["thin"]
        assert ink["small"] < 0.5 * ink["plain"]
        assert peak["faint"] <= 70 < 200 < peak["plain"]
        assert dark["grey background"] > 50 > dark["plain"] == 0
        across = np.arange(28) * groups["off-centre"].sum(axis=(0, 1)) / groups["off-centre"].sum()
        assert across.sum() > 17  # columns; the centre is 13.5

    def test_pillow_reads_what_was_drawn(self, files: dict[str, bytes], drawings: dict[str, cd.Drawing]) -> None:
        for name in ("0-1-1.png", "7-10-4.png"):
            with Image.open(io.BytesIO(files[name])) as image:
                np.testing.assert_array_equal(np.asarray(image), drawings[name].image)

    def test_it_is_drawn_the_same_every_time(self, files: dict[str, bytes]) -> None:
        assert cd.collect(StandInClass(kind="standin"), Path()) == files


class TestRender:
    def test_enlarging_agrees_with_scipy(self) -> None:
        from scipy.ndimage import affine_transform

        original = load_digits().images[3]
        centre, size = 13.5, PLAIN.size
        step = 8 / size
        expected = affine_transform(
            np.pad(original, 4), [step, step], 3.5 + 4 - centre * step, (28, 28), order=1, mode="constant"
        )
        ours = cd.render(original.astype(np.int64), PLAIN, (0, 0, 0))
        theirs = np.clip((expected * 255 / 16 - PLAIN.threshold) * 2, 0, 255)
        np.testing.assert_allclose(ours, theirs, atol=6)  # coordinates are rounded to 1/256

    def test_an_offset_moves_the_digit_by_whole_pixels(self) -> None:
        original = load_digits().images[0].astype(np.int64)
        still, moved = (cd.render(original, PLAIN, (0, *by)) for by in ((0, 0), (2, -1)))
        np.testing.assert_array_equal(np.roll(still, (-1, 2), axis=(0, 1)), moved)

    def test_a_slanted_column_leans_right_at_the_top(self) -> None:
        column = np.zeros((8, 8), np.int64)
        column[:, 3:5] = 16
        image = cd.render(column, PLAIN, (8, 0, 0)).astype(float)
        where = (image * np.arange(28)).sum(axis=1)[4:24] / image.sum(axis=1)[4:24]
        np.testing.assert_allclose(np.diff(where), -0.5, atol=0.15)  # half a pixel a row


class TestFolder:
    @pytest.fixture
    def mine(self, tmp_path: Path) -> Path:
        (tmp_path / "mine").mkdir()
        for name in ("0-1-1.png", "7-12-4.png"):
            (tmp_path / "mine" / name).write_bytes(encode_png(np.eye(28, dtype=np.uint8)))
        return tmp_path / "mine"

    def read(self, folder: Path) -> dict[str, bytes]:
        return cd.collect(ClassFolder(kind="path", path=folder.name), folder.parent)

    def test_sound_files_come_as_they_are_and_litter_is_passed_over(self, mine: Path) -> None:
        theirs = {path.name: path.read_bytes() for path in mine.iterdir()}
        for name in (".DS_Store", "Thumbs.db", "3-1-2.png.gradcam.png"):
            (mine / name).write_text("x")
        assert self.read(mine) == theirs

    def test_a_real_class_s_folder(self) -> None:
        shared = os.environ.get("SHEARBENCH_SHARED_DATA")
        if not shared:
            pytest.skip("SHEARBENCH_SHARED_DATA names no folder with a real class")
        files = self.read(Path(shared) / "class_digits_sp25")
        assert len(files) == 330

    def test_all_faults_are_listed_at_once(self, mine: Path) -> None:
        (mine / "3-1-1.png").write_text("a text")
        (mine / "12-1-1.png").write_bytes((mine / "0-1-1.png").read_bytes())
        (mine / "readme.txt").write_text("x")
        (mine / "nested").mkdir()
        (mine / "5-1-1.png").symlink_to(mine.parent / "elsewhere.png")
        with pytest.raises(InputError) as caught:
            self.read(mine)
        text = str(caught.value)
        assert "mine has 5 of 7 files to mend" in text
        assert "'3-1-1.png' is neither a PNG nor a JPEG" in text
        assert "'nested' is a folder" in text
        assert "'5-1-1.png' is a symbolic link that leads nowhere" in text
        for name in ("12-1-1.png", "readme.txt"):
            assert f"'{name}' must be named digit-group-member.png" in text

    @pytest.mark.parametrize("name", ["0-7-0.png", "3-02-3.png", "4-1-1.jpg", "5-1-1.JPEG", "6-1-1.PNG", "3-anna.png"])
    def test_it_takes_what_handwriting_reads_and_refuses_what_handwriting_refuses(self, mine: Path, name: str) -> None:
        Image.fromarray(np.eye(28, dtype=np.uint8) * 255).save(mine / name)
        read = {sheet.entry.file for sheet in read_folder(mine, workers=1).read}
        assert (name in read) == (name != "3-anna.png")
        if name in read:
            assert set(self.read(mine)) == read
        else:
            with pytest.raises(InputError, match=re.escape(f"'{name}' must be named digit-group-member")):
                self.read(mine)

    def test_an_empty_and_a_missing_folder_name_the_parameter(self, mine: Path) -> None:
        shutil.rmtree(mine)
        with pytest.raises(InputError, match=r"sources\.class_digits\.path.* is not a folder"):
            self.read(mine)
        mine.mkdir()
        with pytest.raises(InputError, match=r"sources\.class_digits\.path.* is empty"):
            self.read(mine)
        (mine / ".DS_Store").write_text("x")
        with pytest.raises(InputError, match=r"sources\.class_digits\.path.* has no file"):
            self.read(mine)
