"""The guard: its hash is DVC's own, and data that differs is refused with the difference and the ways out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shearbench.data import raw
from shearbench.data.config import Sources
from shearbench.errors import InputError

SOURCES = Sources.model_validate({"mnist": {"kind": "bundled"}, "class_digits": {"kind": "standin"}})
OTHER = Sources.model_validate({"mnist": {"kind": "download"}, "class_digits": {"kind": "standin"}})
OFFLINE = {"DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": "none", "DVC_SYSTEM_CONFIG_DIR": "none"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with adopted data; the names sort differently as text and as parts of a path."""
    (tmp_path / "data" / "a").mkdir(parents=True)
    for name in ("a/x", "a/y", "a-b", "B"):
        (tmp_path / "data" / name).write_text(name)
    raw.write_adopted(tmp_path / "data.dvc", "data", raw.tree_of(tmp_path / "data"), SOURCES)
    return tmp_path


def verify(root: Path, sources: Sources = SOURCES) -> raw.Tree:
    return raw.verify(root / "data", root / "data.dvc", sources)


def dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, **OFFLINE}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True).stdout


def test_adopted_data_passes_and_its_tree_says_what_there_is(root: Path) -> None:
    tree = verify(root)
    assert tree.hash == "a7288bda7b48ca59783df0fe90b1e23e.dir"  # what `dvc add` of DVC 3.67 says of it
    assert sorted(tree.files) == ["B", "a-b", "a/x", "a/y"]
    assert tree.size == len("a/xa/ya-bB")
    assert tree.files["B"] == "9d5ed678fe57bcca610140957afab571"  # md5 of "B"


def test_the_hash_depends_on_content_and_not_on_the_order_of_a_folder(root: Path) -> None:
    tree = verify(root)
    backwards = dict(reversed(list(tree.files.items())))
    assert raw.Tree(backwards, tree.size).hash == tree.hash


def test_a_changed_file_is_refused_with_both_hashes_and_both_ways_out(root: Path) -> None:
    before = verify(root).hash
    (root / "data" / "a" / "x").write_text("changed")
    after = raw.tree_of(root / "data").hash
    message = rf"(?s)has hash {after}, but data\.dvc records {before}.*`shearbench data`.*data --adopt`"
    with pytest.raises(InputError, match=message):
        verify(root)


def test_the_files_that_differ_are_named_where_the_cache_knows_them(root: Path) -> None:
    adopted = raw.tree_of(root / "data")
    listing = root / ".dvc" / "cache" / "files" / "md5" / adopted.hash[:2] / adopted.hash[2:]
    listing.parent.mkdir(parents=True)
    entries = [f'{{"md5": "{md5}", "relpath": "{name}"}}' for name, md5 in adopted.files.items()]
    listing.write_text(f"[{', '.join(entries)}]")
    (root / "data" / "B").unlink()
    (root / "data" / "a" / "x").write_text("changed")
    for number in range(7):
        (root / "data" / f"new{number}").write_text("")
    with pytest.raises(InputError, match=r"changed: a/x; added: new0, .*, new4 and 2 more; missing: B\."):
        verify(root)


def test_missing_data_says_how_to_make_it(root: Path) -> None:
    shutil.rmtree(root / "data")
    with pytest.raises(InputError, match="data is missing; run `shearbench data`"):
        verify(root)


def test_other_sources_than_the_adopted_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"sources in params\.yaml is .*download.* was made from .*bundled"):
        verify(root, OTHER)


@pytest.mark.parametrize("content", ["outs: []", "- 1", "meta: {adopted: x}", "a: [", "meta: {adopted: x, sources: 3}"])
def test_a_data_dvc_without_an_adopted_hash_is_refused(root: Path, content: str) -> None:
    (root / "data.dvc").write_text(content)
    with pytest.raises(InputError, match=r"(?s)data\.dvc must say .* restore it with git, or run"):
        verify(root)


def test_a_missing_data_dvc_is_refused(root: Path) -> None:
    (root / "data.dvc").unlink()
    with pytest.raises(InputError, match=r"data\.dvc is missing; restore it with git"):
        verify(root)


@pytest.mark.slow
def test_dvc_agrees_keeps_meta_and_rewrites_only_its_own_hash(root: Path) -> None:
    dvc(root, "init", "--no-scm", "--quiet")
    ours = (root / "data.dvc").read_text()
    dvc(root, "add", "data")
    assert (root / "data.dvc").read_text() == ours
    assert "up to date" in dvc(root, "status")
    (root / "data" / "a" / "x").write_text("changed")
    dvc(root, "repro", "data.dvc")  # DVC takes the change without a word
    document = yaml.safe_load((root / "data.dvc").read_text())
    assert document["outs"][0]["md5"] == raw.tree_of(root / "data").hash
    assert document["meta"] == yaml.safe_load(ours)["meta"]
    with pytest.raises(InputError, match=r"changed: a/x\.\n"):
        verify(root)
