"""Own images: every kind of source gives the same arrays, and bad input is an error or a counted decision."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from any_images import SHAPES, shape, write_folder, write_npz
from shearbench.data import collected, idx, raw
from shearbench.data.collected import Collected
from shearbench.data.config import IdxFiles, ImageFolder, NpzFile, Sources
from shearbench.errors import InputError

RNG = np.random.default_rng(3)


def folder_of(root: Path, **settings: Any) -> Collected:
    return raw.collect_own("mine", ImageFolder(kind="folder", path=".", **settings), root)


def npz_of(path: Path, arrays: dict[str, np.ndarray], **settings: Any) -> Collected:
    np.savez(path, **arrays)
    return raw.collect_own("mine", NpzFile(kind="npz", path=path.name, **settings), path.parent)


def grey(count: int, size: tuple[int, int] = (9, 12)) -> np.ndarray:
    return RNG.integers(0, 256, (count, *size), dtype=np.uint8)


def two_classes(count: int = 20, **more: np.ndarray) -> dict[str, np.ndarray]:
    return {"train_images": grey(count), "train_labels": np.arange(count) % 2, **more}


class TestFolder:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A folder of five classes of 14 pictures each, in a path with a blank and an umlaut."""
        folder = tmp_path / "meine Bilder ü"
        write_folder(folder)
        return folder

    def test_pictures_come_as_they_are_with_a_fifth_split_off_by_group(self, root: Path) -> None:
        found = folder_of(root, groups=r"_w(\d+)\.")
        train, test = found.parts["train"], found.parts["test"]
        assert found.classes == tuple(sorted(SHAPES))
        assert train.images.shape[1:] == test.images.shape[1:] == (3, 20, 24)
        assert len(train.labels) + len(test.labels) == 70
        assert not set(train.groups) & set(test.groups)  # type: ignore[arg-type]
        assert test.items is not None
        with Image.open(root / test.items[0]) as picture:
            np.testing.assert_array_equal(np.asarray(picture), test.images[0].transpose(1, 2, 0))

    def test_groups_come_from_a_table_too(self, root: Path) -> None:
        files = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))]
        lines = [f"{name},{name.split('_w')[1]}" for name in files[1:]]
        (root.parent / "who.csv").write_text("\n".join(["file,group", *lines]), encoding="utf-8")
        found = folder_of(root, groups="who.csv")
        assert found.counted == {"kept without a group": 1}
        (root.parent / "who.csv").write_text("a,b\n1,2\n")
        with pytest.raises(InputError, match=r"who\.csv must have the columns file and group, got \['a', 'b'\]"):
            folder_of(root, groups="who.csv")

    def test_a_test_part_that_is_there_is_kept(self, root: Path) -> None:
        (root / "train").mkdir()
        for name in SHAPES:
            (root / name).rename(root / "train" / name)
            (root / "test" / name).mkdir(parents=True)
            for number in (0, 1):
                (root / "train" / name / f"{number}_w0.png").rename(root / "test" / name / f"{number}_w0.png")
        found = folder_of(root)
        assert (len(found.parts["train"].labels), len(found.parts["test"].labels)) == (60, 10)

    def test_damaged_and_odd_files_are_named_and_left_out(self, root: Path) -> None:
        (root / "bar" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
        (root / "bar" / "cut.png").write_bytes((root / "bar" / "0_w0.png").read_bytes()[:200])
        (root / "bar" / "notes.txt").write_text("mine")
        (root / "stray.png").write_bytes(b"")
        found = folder_of(root)
        assert {each.item: each.decision.split(":")[0] for each in found.decisions} == {
            "stray.png": "ignored",
            "bar/notes.txt": "ignored",
            "bar/broken.png": "rejected",
            "bar/cut.png": "rejected",
        }
        assert sum(len(part.labels) for part in found.parts.values()) == 70

    def test_sizes_and_modes_that_differ_need_a_declaration(self, root: Path) -> None:
        Image.fromarray(shape(0, RNG, (31, 40))).save(root / "bar" / "large.png")
        with pytest.raises(
            InputError, match=r"2 sizes, from 20 x 24 to 31 x 40 .*20 x 24, 70 of 71.*resize: \[20, 24\]"
        ):
            folder_of(root)
        assert folder_of(root, resize=(16, 10)).parts["train"].images.shape[1:] == (3, 16, 10)
        Image.fromarray(shape(0, RNG)).convert("L").save(root / "bar" / "large.png")
        with pytest.raises(InputError, match=r"2 modes \(1 grey, 70 RGB\); set sources.mine.channels"):
            folder_of(root)
        assert folder_of(root, channels=1).parts["train"].images.shape[1:] == (20, 24)

    @pytest.mark.parametrize(
        ("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("P", 3), ("CMYK", 3)]
    )
    def test_every_mode_is_read(self, tmp_path: Path, mode: str, channels: int) -> None:
        for kind, name in enumerate(("one", "two")):
            (tmp_path / name).mkdir()
            for number in range(4):
                picture = Image.fromarray(shape(kind, RNG)).convert(mode)
                picture.save(tmp_path / name / f"{number}.{'jpg' if mode == 'CMYK' else 'png'}")
        assert folder_of(tmp_path).parts["train"].images.shape[1:] == (
            (20, 24) if channels == 1 else (channels, 20, 24)
        )

    def test_transparent_parts_are_white_where_no_alpha_is_kept(self, tmp_path: Path) -> None:
        for value, name in ((0, "one"), (90, "two")):
            (tmp_path / name).mkdir()
            for number in range(3):
                picture = np.full((8, 8, 4), value + number, np.uint8)
                picture[..., 3] = np.where(np.arange(8) < 4, 255, 0)
                Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
        images = folder_of(tmp_path, channels=1).parts["train"].images
        assert (images[:, :, 4:] == 255).all()
        assert (images[:, :, :4] < 100).all()

    def test_nothing_there_an_empty_class_and_a_wrong_path_are_errors(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"has 0 images: sources.mine needs one sub-folder per class.*it is empty"):
            folder_of(tmp_path)
        write_folder(tmp_path / "some", per_class=2)
        for path in (tmp_path / "some" / "bar").iterdir():
            path.write_bytes(b"")
        with pytest.raises(InputError, match=r"class 'bar' has no readable image \(bar/0_w0.png: rejected"):
            folder_of(tmp_path / "some")
        with pytest.raises(InputError, match=r"nowhere is not a folder; correct sources.mine.path"):
            folder_of(tmp_path / "nowhere")

    def test_the_same_picture_in_two_classes_is_left_out_of_both(self, root: Path) -> None:
        (root / "square" / "copy.png").write_bytes((root / "bar" / "3_w1.png").read_bytes())
        found = folder_of(root)
        assert found.counted == {"left out: the same image stands in two classes": 2}
        assert {each.item for each in found.decisions} == {"square/copy.png", "bar/3_w1.png"}

    def test_a_class_of_copies_alone_is_refused_with_their_number(self, root: Path) -> None:
        """All bars are squares too: both classes are empty, and the reason is told."""
        for path in (root / "square").iterdir():
            path.unlink()
        for path in (root / "bar").iterdir():
            (root / "square" / path.name).write_bytes(path.read_bytes())
        with pytest.raises(
            InputError, match=r"class 'bar' has 0 \(28 copies in several classes or parts were left out"
        ):
            folder_of(root)

    def test_what_is_written_is_read_and_the_manifest_tells_of_every_file(self, root: Path, tmp_path: Path) -> None:
        (root / "bar" / "broken.png").write_bytes(b"nothing")
        lines: list[str] = []
        out = tmp_path / "out"
        raw.write_own("mine", ImageFolder(kind="folder", path="."), root, out, lines.append)
        samples = raw.read(out, 10_000_000)
        manifest = (out / "manifest.csv").read_text().splitlines()
        assert len(manifest) == 1 + 70 + 1
        assert samples["test"].ids[0] == 10_000_000 + len(samples["train"].ids)
        place, split, item, name, _ = manifest[1 + len(samples["train"].ids)].split(",")
        assert (int(place), split) == (len(samples["train"].ids), "test")
        assert samples["test"].classes[samples["test"].labels[0]] == name == item.split("/")[0]
        assert json.loads((out / "classes.json").read_text())["size"] == [20, 24]
        assert any("20 x 24 uint8, 5 classes" in line for line in lines)
        assert lines[-1] == "mine: data/mine/manifest.csv names them"

    @pytest.mark.parametrize(
        ("moves", "message"),
        [
            (
                {"bar": "train/bar", "square": "train/square"},
                r"has train and also a ring, größe, stripes: beside train/",
            ),
            (
                {
                    "bar": "train/bar",
                    "square": "train/square",
                    "a ring": "val/bar",
                    "größe": "test/bar",
                    "stripes": ".",
                },
                r"has test, train and also val: beside",
            ),
            (
                {"bar": "training/bar", "square": "testing/bar", "a ring": ".", "größe": ".", "stripes": "."},
                "look like parts and not like classes",
            ),
        ],
    )
    def test_no_folder_beside_the_parts_is_left_out(self, root: Path, moves: dict[str, str], message: str) -> None:
        for name, place in moves.items():
            target = root.parent / "away" / name if place == "." else root / place
            target.parent.mkdir(parents=True, exist_ok=True)
            (root / name).rename(target)
        with pytest.raises(InputError, match=message):
            folder_of(root)

    def test_no_class_is_left_out(self, root: Path) -> None:
        for file in (root / "bar").iterdir():
            file.rename(file.with_suffix(".bmp"))
        with pytest.raises(InputError, match=r"bar has no PNG, JPEG or WEBP file by its name"):
            folder_of(root)
        for file in (root / "bar").iterdir():
            Image.fromarray(shape(1, RNG)).save(file.with_suffix(".jpg"))
            file.with_suffix(".jpg").write_bytes(file.with_suffix(".jpg").read_bytes()[:-40])
            file.unlink()
        with pytest.raises(InputError, match=r"class 'bar' has no readable image \(bar/.*cannot be decoded"):
            folder_of(root)

    def test_a_link_to_a_folder_is_a_class_and_a_hidden_folder_is_none(self, root: Path) -> None:
        (root / "bar").rename(root.parent / "bar")
        (root / "bar").symlink_to(root.parent / "bar")
        (root / "bar" / "circle").symlink_to(root)
        for hidden in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
            (root / hidden).mkdir()
            (root / hidden / "0.png").write_bytes((root / "square" / "0_w0.png").read_bytes())
        found = folder_of(root)
        assert found.classes == SHAPES
        assert sum(len(part.labels) for part in found.parts.values()) == 70

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["kat/1.png,p"], r"names 1 files that are not there, as kat/1\.png"),
            (["bar/0_w0.png,p", "bar/0_w0.png,q"], r"line 3: bar/0_w0\.png has group 'q', but 'p' in an earlier line"),
        ],
    )
    def test_a_table_of_groups_is_not_misread(self, root: Path, lines: list[str], message: str) -> None:
        (root.parent / "who.csv").write_text("\n".join(["file,group", *lines]))
        with pytest.raises(InputError, match=message):
            folder_of(root, groups="who.csv")

    def test_blanks_around_a_group_are_no_part_of_it_and_a_row_without_one_has_none(self, root: Path) -> None:
        names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png"))
        lines = [f"{name},p{place % 7}{' ' * (place % 2)}" for place, name in enumerate(names[:-2])]
        (root.parent / "who.csv").write_text("\n".join(["file,group", *lines, *names[-2:]]))
        found = folder_of(root, groups="who.csv")
        assert found.counted == {"kept without a group": 2}
        groups = {group for part in found.parts.values() for group in part.groups[part.groups >= 0].tolist()}
        assert len(groups) == 7


class TestArrays:
    def test_medmnist_s_layout_in_colour_with_labels_that_start_at_one(self, tmp_path: Path) -> None:
        write_npz(tmp_path / "bars.npz")
        found = raw.collect_own("bars", NpzFile(kind="npz", path="bars.npz"), tmp_path)
        assert found.classes == ("1", "2")
        assert found.counted == {"8 images of val join the training part": 1, "labels 1 to 2 are numbered 0 to 1": 1}
        assert len(found.parts["train"].labels) == 44
        colour = {
            "train_images": RNG.integers(0, 256, (20, 8, 9, 3), dtype=np.uint8),
            "train_labels": np.arange(20) % 2,
        }
        assert npz_of(tmp_path / "c.npz", colour).parts["train"].images.shape[1:] == (3, 8, 9)

    def test_labels_that_are_words_name_the_classes(self, tmp_path: Path) -> None:
        words = np.array(["cat", "a dog"] * 10)
        found = npz_of(tmp_path / "a.npz", {"train_images": grey(20), "train_labels": words})
        assert found.classes == ("a dog", "cat")

    def test_labels_that_are_words_have_no_place_among_given_classes(self, tmp_path: Path) -> None:
        parts = {"train": collected.Raw(grey(2), np.array(["ape", "bee"]))}
        with pytest.raises(InputError, match="labels must be 0 to 1, got ape to bee"):
            collected.settle("x", NpzFile(kind="npz", path="a.npz"), parts, ("a", "b"))

    def test_labels_of_other_types_name_the_same_classes(self, tmp_path: Path) -> None:
        images, names = grey(20), np.array(["a", "b"] * 10)
        assert npz_of(tmp_path / "a.npz", {"train_images": images, "train_labels": names.astype("S")}).classes == (
            "a",
            "b",
        )
        whole = {"train_images": images, "train_labels": np.array([0.0, 1.0] * 10)}
        assert npz_of(tmp_path / "b.npz", whole).classes == ("0", "1")

    @pytest.mark.parametrize("unknown", [np.nan, -1.0])
    def test_samples_of_an_unknown_group_are_no_group(self, tmp_path: Path, unknown: float) -> None:
        groups = np.where(np.arange(20) < 10, unknown, np.arange(20) // 2)
        found = npz_of(tmp_path / "a.npz", two_classes(train_groups=groups))
        parts = [part.groups for part in found.parts.values() if part.groups is not None]
        assert sum(int((part < 0).sum()) for part in parts) == 10

    def test_floats_stay_floats(self, tmp_path: Path) -> None:
        found = npz_of(tmp_path / "a.npz", {"train_images": grey(20) / 255.0, "train_labels": np.arange(20) % 2})
        assert found.parts["train"].images.dtype == np.float32

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"x": grey(2)}, "must hold train_images and train_labels; it holds x"),
            ({"train_images": grey(20)}, "has train_images but no train_labels"),
            ({"train_images": grey(20), "train_labels": np.zeros(20)}, "must have 2 to 1,000 classes; got 1"),
            ({"train_images": grey(20), "train_labels": np.arange(19)}, "one label an image"),
            (
                {"train_images": grey(20, (7, 9)), "train_labels": np.arange(20) % 2},
                r"8 to 224 pixels a side, got 7 x 9",
            ),
            ({"train_images": grey(20, (8, 300)), "train_labels": np.arange(20) % 2}, r"got 8 x 300; .*resize"),
            ({"train_images": grey(0), "train_labels": np.arange(0)}, "0 images"),
            ({"train_images": grey(3), "train_labels": np.array([0, 0, 1])}, "at least 2 images, .* class '1' has 1"),
            ({"train_images": np.full((4, 8, 8), np.nan), "train_labels": np.arange(4) % 2}, "must be finite"),
            ({"train_images": np.full((4, 8, 8), 60_000), "train_labels": np.arange(4) % 2}, "uint8 or floating point"),
            (two_classes(test_images=grey(4, (8, 8)), test_labels=np.arange(4) % 2), "must be alike"),
            (two_classes(val_images=grey(4) / 255.0, val_labels=np.arange(4) % 2), "must be alike, because val joins"),
            (two_classes(val_images=grey(4), val_labels=np.array(["0", "1"] * 2)), "must be alike, because val joins"),
            (two_classes(groups=np.arange(20)), "holds arrays that are not read: groups; name them train_"),
            ({"train_images": grey(4), "train_labels": np.array([0, 1, np.nan, 1])}, "whole numbers or names, got nan"),
            ({"train_images": grey(4), "train_labels": np.array([0, 1, 0.5, 1])}, r"got 0\.5 at position 2"),
            (
                two_classes(
                    test_images=grey(4),
                    test_labels=np.arange(4) % 2,
                    train_groups=np.arange(20) // 2,
                    test_groups=np.arange(4),
                ),
                r"4 groups stand in the training and in the test part \(0, 1, 2, 3\)",
            ),
        ],
    )
    def test_what_breaks_a_rule_is_named(self, tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
        with pytest.raises(InputError, match=message):
            npz_of(tmp_path / "a.npz", arrays)

    def test_a_picture_of_the_test_part_does_not_train(self, tmp_path: Path) -> None:
        arrays = two_classes()
        arrays |= {
            "test_images": np.concatenate([grey(3), arrays["train_images"][1:2]]),
            "test_labels": np.array([0, 1, 0, 1]),
        }
        found = npz_of(tmp_path / "a.npz", arrays)
        assert found.counted == {"left out of the training part: the test part has the same image": 1}
        assert len(found.parts["train"].labels) == 19

    def test_pickles_are_refused(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", train_images=np.array([{}], dtype=object), train_labels=np.zeros(1))
        with pytest.raises(InputError, match="cannot be read as an NPZ file of plain arrays"):
            raw.collect_own("mine", NpzFile(kind="npz", path="a.npz"), tmp_path)

    def test_names_that_swap_those_of_the_data_are_refused(self, tmp_path: Path) -> None:
        words = {"train_images": grey(20), "train_labels": np.array(["cat", "dog"] * 10)}
        with pytest.raises(InputError, match=r"classes renames the classes of the data in their order, cat, dog"):
            npz_of(tmp_path / "a.npz", words, classes=("dog", "cat"))
        assert npz_of(tmp_path / "a.npz", words, classes=("tom", "rex")).classes == ("tom", "rex")

    def test_labels_of_another_encoding_are_named(self, tmp_path: Path) -> None:
        words = {"train_images": grey(20), "train_labels": np.array([b"caf\xe9", b"the"] * 10)}
        with pytest.raises(InputError, match=r"labels must be text in UTF-8"):
            npz_of(tmp_path / "a.npz", words)

    @pytest.mark.parametrize("white", [1.0, 255.0])
    def test_transparent_floats_lie_on_the_white_of_their_scale(self, white: float) -> None:
        images = np.zeros((2, 4, 1, 1), np.float32)
        images[1] = white  # the first is transparent, the second is white itself
        assert collected.to_channels("x", images, 1).ravel().tolist() == pytest.approx([white, white])

    def test_names_of_classes_must_be_as_many_and_different(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="must name 2 classes"):
            npz_of(tmp_path / "a.npz", two_classes(), classes=("a", "b", "c"))
        with pytest.raises(InputError, match="a stand twice"):
            npz_of(tmp_path / "a.npz", two_classes(), classes=("a", "a"))

    def test_more_than_memory_holds_is_refused_with_the_numbers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(collected.memory, "total", lambda: 10**12)
        collected.check_memory("sources.mine", 1_000_000, (224, 224), 3)
        monkeypatch.setattr(collected.memory, "total", lambda: 10**10)
        with pytest.raises(
            InputError, match=r"1,000,000 images of 224 x 224 x 3 take 150.5 GB, .*2.5 GB.*resize: \[28, 28\]"
        ):
            collected.check_memory("sources.mine", 1_000_000, (224, 224), 3)


class TestIdx:
    def put(self, folder: Path, prefix: str, part: str, images: np.ndarray, labels: np.ndarray) -> None:
        folder.mkdir(exist_ok=True)
        (folder / f"{prefix}{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx.encode(images)))
        (folder / f"{prefix}{part}-labels-idx1-ubyte").write_bytes(idx.encode(labels.astype(np.uint8)))

    def collect(self, folder: Path, **settings: Any) -> Collected:
        return raw.collect_own("letters", IdxFiles(kind="idx", path=".", **settings), folder)

    def test_letters_of_emnist(self, tmp_path: Path) -> None:
        images, labels = grey(104), np.arange(104) % 26 + 1
        self.put(tmp_path, "emnist-letters-", "train", images, labels)
        self.put(tmp_path, "emnist-letters-", "test", grey(26), np.arange(26) + 1)
        with pytest.raises(InputError, match=r"has files of emnist-letters-; choose with sources.letters.prefix"):
            self.collect(tmp_path)
        names = tuple("abcdefghijklmnopqrstuvwxyz")
        found = self.collect(tmp_path, prefix="emnist-letters-", transpose=True, classes=names)
        assert found.classes == names
        np.testing.assert_array_equal(found.parts["train"].images, images.swapaxes(1, 2))

    def test_one_part_alone_is_split(self, tmp_path: Path) -> None:
        self.put(tmp_path, "", "train", grey(50), np.arange(50) % 5)
        found = self.collect(tmp_path, test=0.4)
        assert np.bincount(found.parts["test"].labels).tolist() == [4] * 5

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        self.put(tmp_path, "", "train", grey(50), np.arange(50) % 5)
        (tmp_path / "train-labels-idx1-ubyte").unlink()
        with pytest.raises(InputError, match=r"has no file train-labels-idx1-ubyte"):
            self.collect(tmp_path)


def test_sources_have_names_of_their_own() -> None:
    sources = Sources.model_validate({"mnist": {"kind": "bundled"}, "b": {"kind": "npz", "path": "b.npz"}})
    assert list(sources.images) == ["mnist", "b"]
    assert sources.class_digits is None
