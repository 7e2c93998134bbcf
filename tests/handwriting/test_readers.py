"""The readers that ship: their record holds, names are understood, sheets are read, the page and the server answer."""

import http.client
import io
import json
import os
import re
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import forty_pictures
import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.commands import handwriting, serve
from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import Unreadable, read_file
from shearbench.data.mnist import collect
from shearbench.errors import InputError
from shearbench.handwriting import class_pictures, readers
from shearbench.handwriting.class_pictures import named, predict_pictures
from shearbench.handwriting.sheet import SIDE, find_digits, predict_sheet
from shearbench.predictions.calibration import apply_temperature


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Three of each class."""
    images, labels, *_ = collect(BundledMnist(kind="bundled"), Path())["test"]
    rows = np.concatenate([np.flatnonzero(labels == digit)[:3] for digit in range(10)])
    return images[rows], labels[rows]


def test_they_read_mnist_and_all_views_agree_that_an_image_as_it_is_comes_first(
    digits: tuple[np.ndarray, np.ndarray],
) -> None:
    loaded = readers.load()
    predicted = loaded.probabilities(digits[0])
    assert (predicted.argmax(axis=1) == digits[1]).mean() >= 0.95
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)
    inputs = readers.as_inputs(digits[0][:2])
    assert readers.viewed(inputs, *readers.VIEWS[0]) is inputs
    right = readers.viewed(inputs, 1.0, 0.0, 0.0, 1.0)
    np.testing.assert_allclose(right[..., 1:].numpy(), inputs[..., :-1].numpy(), atol=1e-5)


def test_an_image_in_doubt_is_read_in_all_views_and_a_clear_one_in_one(digits: tuple[np.ndarray, np.ndarray]) -> None:
    loaded = readers.load()
    images = np.concatenate([digits[0], (digits[0][:15] // 2 + digits[0][15:] // 2)])  # two digits in one: in doubt
    first = np.mean([*loaded.by_network(images, views=False).values()], axis=0)
    every = np.mean([*loaded.by_network(images).values()], axis=0)
    clear = first.max(axis=1) >= readers.SURE
    assert 0 < clear.sum() < len(images)
    predicted = loaded.probabilities(images)
    np.testing.assert_allclose(predicted[clear], first[clear], atol=1e-6)
    np.testing.assert_allclose(predicted[~clear], every[~clear], atol=1e-6)
    served = readers.served(loaded).eval()(torch.from_numpy(images[:, None].astype(np.float32))).detach().numpy()
    np.testing.assert_allclose(served, apply_temperature(predicted, loaded.trust.temperature), atol=1e-5)


def test_the_record_says_what_they_are_and_they_take_less_than_twelve_megabytes() -> None:
    loaded = readers.load()
    assert loaded.trust.threshold is not None
    assert loaded.trust.accuracy >= loaded.trust.demanded >= 0.99
    assert all(accuracy > 0.98 for name, accuracy in loaded.record["accuracy"]["MNIST test"].items() if name != "n")
    assert all(re.fullmatch("[0-9a-f]{64}", one[key]) for one in loaded.record["readers"] for key in ("code", "sha256"))
    assert sum(file.stat().st_size for file in readers.FOLDER.iterdir()) < 12_000_000


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(readers.FOLDER, tmp_path / "weights"))
    name = json.loads((folder / readers.RECORD).read_text())["readers"][0]["file"]
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match="another hash"):
        readers.load(folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("7-2-4.png", (7, "2", "4")),
        ("3-02-3.JPG", (3, "2", "3")),
        ("0-7-0.png", (0, "7", "0")),
        ("3-anna.png", (3, "", "anna")),
        ("3-2-anna-maria.webp", (3, "2", "anna-maria")),
        ("5/ben.png", (5, "", "ben")),
        ("5/2-ben.png", (5, "2", "ben")),
        ("7/7-2-anna.png", (7, "2", "anna")),
        ("scan.png", (None, "", "")),
        ("12-1-1.png", (None, "", "")),
    ],
)
def test_a_name_tells_who_drew_what(name: str, expected: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    (one,) = named([tmp_path])
    assert (one.digit, one.group, one.member) == expected


def test_what_may_hold_digits_and_is_not_read_is_listed_and_other_files_are_not(tmp_path: Path) -> None:
    for name in ("3-anna.gif", "4-ben.HEIC", "5-cem.pdf", "6-dana.jfif", "notes.txt", "desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    assert [(one.shown, one.digit) for one in named([tmp_path])] == [
        ("3-anna.gif", 3),
        ("4-ben.HEIC", 4),
        ("5-cem.pdf", 5),
        ("6-dana.jfif", 6),
    ]


def test_labels_of_a_table_are_taken_and_its_faults_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "labels.csv"
    table.write_text("file;digit;group\na.png;4;1\n")
    assert [one.digit for one in named([tmp_path], table)] == [4, None]
    for text, fault in {
        "file,digit\na.png,x\n": "line 2: digit must be 0 to 9",
        "file,digit\nc.png,1\n": r"not there: c\.png; write them as a\.png",
        "file,digit\na.png,1\n\n\nb.png,x\n": "line 5: digit must be",
        "file,digit\na.png,1\na.png,2\n": r"line 3: a\.png has another label in an earlier line",
        "name,digit\n": "columns file and digit",
    }.items():
        table.write_text(text)
        with pytest.raises(InputError, match=fault):
            named([tmp_path], table)


def test_a_name_in_a_table_of_labels_means_one_file(tmp_path: Path) -> None:
    for name in ("one/IMG.png", "two/IMG.png", "two/Zoe\u0301.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "labels.csv"
    table.write_text("file,digit\nIMG.png,3\n")
    with pytest.raises(InputError, match=r"2 files are named IMG\.png; write their folders too, as in one/IMG\.png"):
        named([tmp_path], table)
    table.write_text("file,digit\none/IMG.png,3\ntwo/IMG.png,8\nZo\u00e9.png,5\n", encoding="utf-8")
    assert [one.digit for one in named([tmp_path], table)] == [3, 8, 5]


EXCEL = {
    "utf-16": "file;digit\n7-1-Zoë.png;7\n",
    "utf-8-sig": "File, Digit ,Group\n7-1-Zoë.png, 7,1\n,,\n",
    "utf-8": "file\tdigit\r\n7-1-Zoë.png\t7\r\n\t\r\n",
}


@pytest.mark.parametrize("encoding", EXCEL)
def test_tables_of_excel_are_read(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "7-1-Zoë.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_bytes(EXCEL[encoding].encode(encoding))
    assert [one.digit for one in named([tmp_path], tmp_path / "labels.csv")] == [7]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "file;digit\n7-Zoë.png;7\n".encode("cp1252"),
            "must be a CSV file in UTF-8; in Excel choose Save as, CSV UTF-8",
        ),
        (b"name;digit\n7-1-1.png;7\n", "it has name, digit, and 1 rows"),
        (b"", "it is empty, and 0 rows"),
        (b'file,digit\n"' + 200_000 * b"x", "line 2: is no CSV (field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_read_says_why(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "7-1-1.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(told)):
        named([tmp_path], tmp_path / "labels.csv")


def test_one_pupil_is_one_however_the_name_is_written_and_files_of_one_name_have_their_paths(tmp_path: Path) -> None:
    for folder, name in (("a", "7-01-Zoe\u0308"), ("b", "3-1-Zo\u00eb"), ("a", "5-1-ben"), ("b", "5-1-ben")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.png").write_bytes(b"x")
    found = named([tmp_path / "a", tmp_path / "b"])
    assert len({(one.group, one.member) for one in found if one.digit in (7, 3)}) == 1
    assert [one.shown for one in found if one.digit == 5] == [
        f"{(tmp_path / each).as_posix()}/5-1-ben.png" for each in "ab"
    ]


def test_folders_of_groups_are_not_taken_for_digits(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "7-1-anna.png").write_bytes(b"x")
    with pytest.raises(InputError, match="the folder means digit 1, the name digit 7"):
        named([tmp_path])


def test_links_are_listed_with_their_fault_and_own_pictures_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    (tmp_path / "7.png").write_bytes(b"x")
    (tmp_path / "class" / "7-1-1.png").symlink_to(tmp_path / "7.png")
    (tmp_path / "class" / "7-1-2.png").symlink_to(tmp_path / "none.png")
    for suffix in (".gradcam.png", ".boxes.png"):
        (tmp_path / "class" / f"7-1-3.png{suffix}").write_bytes(b"x")
    found = [(one.shown, one.fault) for one in named([tmp_path / "class"])]
    assert found == [
        ("7-1-1.png", "is a symbolic link out of the folder"),
        ("7-1-2.png", "is a symbolic link to no file"),
    ]
    assert [each.unread for each in predict_pictures(named([tmp_path / "class"]), readers.load())] == [
        fault for _, fault in found
    ]


def test_a_tiff_whose_second_page_has_no_size_and_an_exif_of_another_type_are_no_end(tmp_path: Path) -> None:
    Image.new("L", (60, 60), 255).save(tmp_path / "7.tif")
    content = bytearray((tmp_path / "7.tif").read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * tags, len(content))
    (tmp_path / "7.tif").write_bytes(bytes(content) + bytes(6))  # a second page without tags
    assert read_file(tmp_path / "7.tif").notes == ("first of several frames",)
    odd = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHII", 0x112, 3, 1, 6)
    odd += struct.pack("<HHII", 0x11A, 7, 4, 1) + bytes(4)
    Image.new("L", (60, 60), 255).save(tmp_path / "7.jpg", exif=odd)
    with pytest.raises(Unreadable, match="cannot be decoded"):
        read_file(tmp_path / "7.jpg")


def test_one_odd_file_does_not_stop_the_reading_of_a_class(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    folder = _class(tmp_path / "class", digits)
    odd = np.full((40, 40), 1.0, np.float32)
    odd[3, 3] = np.nan
    Image.fromarray(odd).save(folder / "4-1-odd.tiff")
    shutil.copy(folder / "0-1-0.png", os.fsencode(folder) + b"/5-1-Ren\xe9.png")
    handwriting.predict_class(tmp_path, folder)
    (page,) = tmp_path.rglob("index.html")
    assert "values are not finite" in page.read_text()
    assert "Ren" in page.read_text()


def _class(folder: Path, digits: tuple[np.ndarray, np.ndarray]) -> Path:
    folder.mkdir()
    for number, (image, label) in enumerate(zip(*digits, strict=True)):
        Image.fromarray(255 - image).resize((90, 90)).save(folder / f"{label}-{1 + number % 2}-{number}.png")
    (folder / "7-1-bad.png").write_bytes(b"no picture")
    Image.new("L", (60, 60), 255).save(folder / "1-1-empty.png")
    shutil.copy(folder / "0-1-0.png", folder / "0-1-again.png")
    Image.fromarray(255 - digits[0][0]).save(folder / "<scan>.bmp")
    return folder


def test_a_class_gets_its_page_without_a_project(
    digits: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = _class(tmp_path / "class 1", digits)
    results = handwriting.predict_class(tmp_path, folder)
    assert results["summary"]["rejected"] == 2
    assert results["summary"]["answered"]["accuracy"] > 0.95
    assert results["without_label"] == ["<scan>.bmp"]
    assert any({"0-1-0.png", "0-1-again.png"} <= {*group} for group in results["duplicates"])
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 12
    assert "<scan>.bmp: no digit in its name" in printed.splitlines()[0]
    (page,) = (tmp_path / "build" / "handwriting").glob("*/index.html")
    text = page.read_text()
    assert "&lt;scan&gt;.bmp" in text
    assert "<scan>" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "7-1-bad.png" in text
    assert re.search(r"<b>\d</b><span class=\"soft\">, \d+ %</span>", text), (
        "a digit and its confidence are two numbers"
    )
    assert "lazy" not in text, "a picture that was not yet in view is missing on paper"


@pytest.mark.parametrize("squares", [0, 45, 120])
def test_a_sheet_is_read_line_by_line(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, squares: int) -> None:
    """On blank paper, and on squares that are faint, or nearly as dark as the pen."""
    sheet = np.full((900, 1200), 235.0) + np.random.default_rng(0).normal(0, 2, (900, 1200))
    for start in (0, 1):  # two pixels wide, where every second pixel of the coarse paper looks
        sheet[start::50] -= squares
        sheet[:, start::50] -= squares
    for place in range(15):
        row, column = divmod(place, 5)
        ink = np.asarray(Image.fromarray(digits[0][place * 2]).resize((150, 150), Image.Resampling.BICUBIC)) / 255.0
        top, left = 60 + 270 * row + 6 * column, 60 + 220 * column
        patch = sheet[top : top + 150, left : left + 150]
        patch[:] = np.minimum(patch, 235 - 190 * np.clip((ink - 0.35) / 0.3, 0, 1))
    Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8)).save(tmp_path / "sheet.png")
    predicted = predict_sheet(read_file(tmp_path / "sheet.png", side=SIDE), readers.load())
    assert not isinstance(predicted, str)
    assert [found.line for found, _ in predicted] == [0] * 5 + [1] * 5 + [2] * 5
    right = [reading.label == digits[1][place * 2] for place, (_, reading) in enumerate(predicted)]
    assert np.mean(right) >= 0.9


def test_a_tilde_that_the_shell_left_alone_is_the_home_folder(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As zsh does in ``make handwriting DIR=~/class``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class").mkdir()
    Image.fromarray(255 - digits[0][0]).save(tmp_path / "class" / "a.png")
    (tmp_path / "labels.csv").write_text(f"file,digit\na.png,{digits[1][0]}\n")
    done = CliRunner().invoke(app, ["handwriting", "~/class", "--labels", "~/labels.csv"])
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "build" / "handwriting").glob("class-*/index.html"))) == 1


def test_a_sheet_of_nothing_says_so(tmp_path: Path) -> None:
    Image.new("L", (800, 600), 255).save(tmp_path / "blank.png")
    found = find_digits(read_file(tmp_path / "blank.png", side=SIDE))
    assert isinstance(found, str)


def _drawn_seven() -> bytes:
    image = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(image).line([(80, 60), (200, 60), (130, 230)], fill=0, width=16)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The page's own server, in a thread."""
    with socket.create_server((serve.HOST, 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(serve.application(readers.load()), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def _ask(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(serve.HOST, port, timeout=3600)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_server_reads_refuses_and_keeps_to_itself(port: int) -> None:
    status, headers, page = _ask(port, "/")
    assert status == 200
    assert b"serve.js" in page
    assert "default-src 'none'" in headers["content-security-policy"]
    assert _ask(port, "/serve.js")[0] == _ask(port, "/serve.css")[0] == 200
    found = json.loads(_ask(port, "/predict", _drawn_seven())[2])
    assert found["best"] == 7
    assert found["seen"].startswith("data:image/png;base64,")
    status, _, content = _ask(port, "/predict", b"nothing")
    assert status == 422
    assert "PNG" in json.loads(content)["message"]
    assert _ask(port, "/predict", bytes(serve.MAX_BYTES + 1))[0] == 413
    assert _ask(port, "/predict", _drawn_seven(), Origin="http://evil")[0] == 403
    assert _ask(port, "/", Host="evil")[0] == 400


def test_forty_pictures_of_pens_papers_and_formats_are_read_or_refused_as_they_should_be(tmp_path: Path) -> None:
    forty_pictures.write(tmp_path)
    pictures = predict_pictures(named([tmp_path]), readers.load())
    assert len(pictures) == len(forty_pictures.PICTURES) > 40
    read, sure = 0, 0
    for picture in pictures:
        expected = forty_pictures.PICTURES[picture.file.shown][1]
        if expected == forty_pictures.UNSURE:
            assert picture.predicted is not None
            assert picture.digit is None
            assert "2 digits" in picture.doubt
        elif isinstance(expected, str):
            assert expected in picture.unread, picture.file.shown
        else:
            assert not picture.unread, picture.file.shown
            assert picture.digit in (expected, None), picture.file.shown
            assert picture.file.digit == expected
            read += 1
            sure += picture.digit is not None
    assert sure >= 0.9 * read


def test_a_picture_of_two_digits_gets_no_answer(tmp_path: Path) -> None:
    (tmp_path / "7-1-1.png").write_bytes(_drawn_seven())
    (picture,) = predict_pictures(named([tmp_path]), readers.load())
    assert picture.digit == 7
    assert picture.prepared is not None
    doubtful = replace(picture.prepared, doubt="2 digits in one picture")
    assert replace(picture, prepared=doubtful).digit is None


@pytest.mark.parametrize("gap", [7, 12, 20])
def test_two_digits_are_two_however_close_they_stand(gap: int, tmp_path: Path) -> None:
    paper = Image.new("L", (240, 240), 255)
    draw = ImageDraw.Draw(paper)
    draw.line([(70, 45), (70, 190)], fill=20, width=14)
    for line in ([(84 + gap, 52), (170, 52)], [(163, 52), (120, 190)]):
        draw.line(line, fill=20, width=14)
    paper.save(tmp_path / "17.png")
    (picture,) = predict_pictures(named([tmp_path / "17.png"]), readers.load())
    assert picture.digit is None
    assert picture.doubt.startswith("2 digits in one picture")


def test_a_narrow_strip_has_no_digits(tmp_path: Path) -> None:
    Image.new("L", (1600, 20), 255).save(tmp_path / "strip.png")
    assert isinstance(find_digits(read_file(tmp_path / "strip.png", side=SIDE)), str)


def test_requests_at_once_have_the_maps_of_their_own_pictures(digits: tuple[np.ndarray, np.ndarray]) -> None:
    contents = []
    for image in digits[0][:6]:
        file = io.BytesIO()
        Image.fromarray(255 - image).resize((90, 90)).save(file, "PNG")
        contents.append(file.getvalue())
    loaded = readers.load()
    alone = [serve.prediction_of(content, loaded)["seen"] for content in contents]
    with ThreadPoolExecutor(6) as pool:
        at_once = list(pool.map(lambda content: serve.prediction_of(content, loaded)["seen"], contents * 3))
    assert at_once == alone * 3


def test_predict_needs_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(_drawn_seven())
    done = CliRunner().invoke(app, ["predict", "seven.png", "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.output.split("\t")[1].strip() in ("7", "?")
    assert CliRunner().invoke(app, ["predict", "gone.png"]).exit_code == 2
    assert class_pictures.RULE


def test_a_class_without_a_readable_picture_fails_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7-1-1.png").write_text("no picture")
    done = CliRunner().invoke(app, ["handwriting", "7-1-1.png"])
    assert done.exit_code == 1, done.output
    assert "1 picture, 0 classified" in done.output
    assert "7-1-1.png: is neither a PNG nor a JPEG" in done.output
