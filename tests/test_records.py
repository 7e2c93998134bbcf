"""Files are whole or absent, and a record vouches for what lies beside it."""

import contextlib
import json
import os

import numpy as np
import pytest

from shearbench import records
from shearbench.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.json"
    records.write_json(path, {"a": 1})
    with contextlib.suppress(RuntimeError), records.atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert records.read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_without_nan(tmp_path, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        records.write_json(tmp_path / "a.json", {"loss": value})
    assert not list(tmp_path.iterdir())


def test_a_temporary_file_that_another_writer_swept_is_made_anew(tmp_path, monkeypatch):
    lock, swept = records.fcntl.flock, []

    def flock(file, how):
        if not swept:  # between its making and its lock
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        lock(file, how)

    monkeypatch.setattr(records.fcntl, "flock", flock)
    records.write_text(tmp_path / "a", "whole")
    assert len(swept) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "whole")]


def test_text_in_a_table_is_no_formula_and_ends_no_line_and_a_number_stays():
    text = records.csv_of([("file", "n"), ("=cmd()", -1), ("+1", 0.25), ("@x", "-1"), ("a\nb", None)])
    assert text == "file,n\n'=cmd(),-1\n'+1,0.25\n'@x,'-1\na\\x0ab,\n"


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(5), "b": np.ones((2, 3), np.float32)}
    for name in ("one.npz", "two.npz"):
        records.write_npz(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = records.read_npz(tmp_path / "one.npz")
    assert all(np.array_equal(read[name], arrays[name]) and read[name].dtype == arrays[name].dtype for name in arrays)


def test_objects_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        records.write_npz(tmp_path / "a.npz", {"a": np.array([{}], dtype=object)})
    np.savez(tmp_path / "b.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="damaged"):
        records.read_npz(tmp_path / "b.npz")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_archive_is_refused(tmp_path, share):
    path = tmp_path / "a.npz"
    records.write_npz(path, {"a": np.arange(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="damaged"):
        records.read_npz(path)


def test_hashes_follow_content_and_not_order(tmp_path):
    assert records.hash_of({"a": 1, "b": 2}) == records.hash_of({"b": 2, "a": 1}) != records.hash_of({"a": 1, "b": 3})
    one, two = np.arange(6), np.arange(6).reshape(2, 3)
    assert records.hash_arrays(one) != records.hash_arrays(two) != records.hash_arrays(two.astype(np.int32))
    (tmp_path / "empty").touch()
    assert records.sha256_of(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def _record(folder):
    records.write_record(folder, {"fold": 0}, {"a.npz": lambda path: records.write_npz(path, {"a": np.arange(9)})})


def test_a_record_is_written_last_and_vouches_for_its_files(tmp_path):
    assert not records.is_finished(tmp_path)
    _record(tmp_path)
    record = records.read_record(tmp_path)
    assert record["fold"] == 0
    assert record["files"] == {"a.npz": records.sha256_of(tmp_path / "a.npz")}
    assert record["provenance"]["versions"]["numpy"] == np.__version__


def test_one_flipped_byte_is_found(tmp_path):
    _record(tmp_path)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.npz is not the file"):
        records.read_record(tmp_path)


@pytest.mark.parametrize("edit", [{"accuracy": 0.999}, {"digest": "0" * 64}, {"added": 1}, {"files": {}}])
def test_a_record_that_was_edited_is_refused(tmp_path, edit):
    _record(tmp_path)
    path = tmp_path / records.RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
    with pytest.raises(InputError, match=r"record\.json was changed after it was written"):
        records.read_record(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "1", '"text"'])
def test_json_that_is_no_record_is_refused(tmp_path, content):
    _record(tmp_path)
    (tmp_path / records.RECORD).write_text(content)
    with pytest.raises(InputError, match=r"holds no record"):
        records.read_record(tmp_path)


def test_a_record_of_another_schema_is_refused(tmp_path):
    _record(tmp_path)
    path = tmp_path / records.RECORD
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(InputError, match="schema 99"):
        records.read_record(tmp_path)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (None, ""),
        ([], ""),
        ({"a": 1}, "b"),
        ({"a": "1", "b": []}, "a"),
        ({"a": 1, "b": {}}, "b"),
        ({"a": 1, "b": [{"c": None}, {"c": 5}]}, "b.1.c"),
        ({"a": 1, "b": [{"c": None}, {}]}, "b.1.c"),
    ],
)
def test_json_of_another_shape_is_refused_with_its_place(tmp_path, value, place):
    shape = {"a": int, "b": [{"c": (str, type(None))}]}
    records.require_shape({"a": 1, "b": [{"c": None}, {"c": "x"}], "more": 1}, shape, tmp_path)
    with pytest.raises(InputError, match=rf"is not what the pipeline wrote{place and f' at {place}'}; .*`dvc repro`"):
        records.require_shape(value, shape, tmp_path)
