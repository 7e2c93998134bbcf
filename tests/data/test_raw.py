"""``build`` makes data/ whole or not at all, the same every time, and replaces nothing unasked."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from shearbench.data import idx, raw
from shearbench.data.class_digits import encode_png
from shearbench.data.config import ClassFolder, Sources
from shearbench.errors import InputError

REPOSITORY = Path(__file__).parents[2]
DEFAULT = Sources.model_validate({"mnist": {"kind": "bundled"}, "class_digits": {"kind": "standin"}})
MINE = Sources.model_validate(
    {"mnist": {"kind": "path", "path": "my_mnist"}, "class_digits": {"kind": "path", "path": "my_class"}}
)


def write_sources(root: Path) -> None:
    """Write a folder of IDX files and one of PNGs."""
    (root / "my_mnist").mkdir()
    for names in idx.MNIST_FILES.values():
        (root / "my_mnist" / names[0]).write_bytes(idx.encode(np.zeros((10, 28, 28), np.uint8)))
        (root / "my_mnist" / names[1]).write_bytes(idx.encode(np.arange(10, dtype=np.uint8)))
    (root / "my_class").mkdir()
    for digit in range(10):
        (root / "my_class" / f"{digit}-1-1.png").write_bytes(encode_png(np.eye(28, dtype=np.uint8)))


class Builder:
    """Builds in one folder and keeps what was reported."""

    def __init__(self, root: Path) -> None:
        self.root, self.data, self.data_dvc = root, root / "data", root / "data.dvc"
        self.lines: list[str] = []

    def __call__(self, *, adopt: bool = False, sources: Sources = MINE) -> str:
        self.lines.clear()
        raw.build(self.data, sources, self.data_dvc, adopt=adopt, report=self.lines.append)
        return "\n".join(self.lines)

    def content(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.data.rglob("*") if path.is_file()}


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    """A builder whose data is adopted and built."""
    write_sources(tmp_path)
    builder = Builder(tmp_path)
    builder(adopt=True)
    return builder


def test_the_default_data_is_what_the_repository_s_data_dvc_vouches_for(tmp_path: Path) -> None:
    (tmp_path / "data.dvc").write_text((REPOSITORY / "data.dvc").read_text())
    build = Builder(tmp_path)
    assert re.search("407 files, 4.3 MB", build(sources=DEFAULT))
    raw.verify(build.data, build.data_dvc, DEFAULT)
    out = yaml.safe_load(build.data_dvc.read_text())["outs"][0]
    assert out["md5"] == raw.tree_of(build.data).hash


def test_the_user_s_files_arrive_as_they_are(build: Builder) -> None:
    content = build.content()
    assert len(content) == 14
    assert content["data/class_digits/3-1-1.png"] == (build.root / "my_class" / "3-1-1.png").read_bytes()
    for name in (name for names in idx.MNIST_FILES.values() for name in names):
        assert content[f"data/mnist/{name}"] == (build.root / "my_mnist" / name).read_bytes()
    raw.verify(build.data, build.data_dvc, MINE)


def test_data_that_is_there_is_left_alone(build: Builder) -> None:
    before = build.data.stat()
    assert build() == "data/ has the hash in data.dvc; nothing to do"
    assert (build.data.stat().st_ino, build.data.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_missing_data_is_restored(build: Builder) -> None:
    before = build.content()
    build.data.rename(build.root / "elsewhere")
    build()
    assert build.content() == before


def test_changed_data_is_restored_and_the_change_kept_aside(build: Builder) -> None:
    before = build.content()
    (build.data / "class_digits" / "0-1-1.png").write_text("mine")
    assert "is now in data.old/" in build()
    assert build.content() == before
    assert (build.root / "data.old" / "class_digits" / "0-1-1.png").read_text() == "mine"
    (build.data / "note").write_text("again")
    assert "is now in data.old1/" in build()


def test_a_source_that_gives_other_data_replaces_nothing_without_adopt(build: Builder) -> None:
    before, vouched = build.content(), build.data_dvc.read_text()
    (build.root / "my_class" / "0-1-2.png").write_bytes(encode_png(np.ones((28, 28), np.uint8)))
    assert "nothing to do" in build()  # the data is there; the source is not asked
    build.data.rename(build.root / "elsewhere")
    with pytest.raises(InputError, match=r"now give data with hash .* Nothing was replaced.*`shearbench data --adopt`"):
        build()
    assert not build.data.exists()
    (build.root / "elsewhere").rename(build.data)
    assert build.data_dvc.read_text() == vouched
    build(adopt=True)
    assert set(build.content()) - set(before) == {"data/class_digits/0-1-2.png"}
    raw.verify(build.data, build.data_dvc, MINE)


def test_other_sources_need_adopt(build: Builder) -> None:
    before = build.content()
    (build.root / "my_class").rename(build.root / "other")
    (build.root / "other" / "0-1-2.png").write_bytes(encode_png(np.ones((28, 28), np.uint8)))
    other = MINE.model_copy(update={"class_digits": ClassFolder(kind="path", path="other")})
    with pytest.raises(InputError, match="run `shearbench data --adopt` to replace data/ on purpose"):
        build(sources=other)
    assert build.content() == before
    assert "is now in data.old/" in build(sources=other, adopt=True)
    raw.verify(build.data, build.data_dvc, other)


def test_without_data_dvc_nothing_is_built_unless_adopted(build: Builder) -> None:
    build.data_dvc.unlink()
    with pytest.raises(InputError, match=r"data\.dvc is missing"):
        build()
    build.data_dvc.write_text("nonsense: [")
    build(adopt=True)
    raw.verify(build.data, build.data_dvc, MINE)


def test_a_bad_source_or_a_killed_build_leaves_no_half_folder(build: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {**build.content()}
    (build.root / "my_class" / "not a digit.txt").write_text("x")
    with pytest.raises(InputError, match="not a digit"):
        build(adopt=True)
    (build.root / "my_class" / "not a digit.txt").unlink()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shearbench.data.class_digits.collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(adopt=True)
    assert build.content() == before
    assert {path.name for path in build.root.iterdir()} == {"data", "data.dvc", "my_mnist", "my_class"}


def test_what_a_build_killed_outright_left_is_swept_away(build: Builder) -> None:
    before = build.content()
    (build.root / ".data.partial" / "mnist").mkdir(parents=True)
    (build.root / ".data.partial" / "junk").write_text("half")
    build.data.rename(build.root / "elsewhere")
    build()
    assert build.content() == before
    assert not (build.root / ".data.partial").exists()
