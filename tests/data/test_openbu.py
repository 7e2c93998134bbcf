"""Published files: read the right way up, refused when hostile or broken, downloaded with a checksum, compared."""

import hashlib
import stat
import threading
import urllib.request
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.data import download as downloads
from shearbench.data import openbu
from shearbench.data.config import PublishedDataset
from shearbench.data.dataset import Samples
from shearbench.data.download import download
from shearbench.data.field_comparison import compare_files, relative_differences
from shearbench.data.openbu import check_orientation, published_fields, read_published
from shearbench.errors import InputError
from shearbench.mechanics.simulation import simulate
from shearbench.records import read_json, write_json, write_npz

STEP = 5


@pytest.fixture(scope="module")
def bitmaps():
    """A 7 and an L of sorts: nothing symmetric about them."""
    strokes = np.zeros((2, 28, 28), np.uint8)
    strokes[0, 5:8, 6:20] = strokes[0, 8:24, 16:19] = 255
    strokes[1, 4:22, 8:11] = strokes[1, 19:22, 11:18] = 200
    return strokes


@pytest.fixture(scope="module")
def fields(bitmaps):
    """Their shear fields at step 5, (2, 2, 28, 28)."""
    return simulate(bitmaps, load="shear", displacements=[1.0]).displacement[:, 0]


@pytest.fixture(scope="module")
def digits(bitmaps):
    return Samples("digits", np.array([7, 9]), bitmaps, np.array([7, 1]))


def entry_for(path, **changes):
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = {"load": "shear", "step": STEP, "normalise": "pixel", "archive": str(path), "sha256": sha256}
    return PublishedDataset(source="openbu", **(settings | changes))


def text_of(component):
    """A published file: a line a digit, rows from the bottom."""
    return "\n".join(" ".join(f"{value:.8e}" for value in digit[::-1].ravel()) for digit in component) + "\n"


def write_archive(path, fields, folder="", **members):
    texts = {
        f"summary_disp{axis}_{split}_step{STEP}.txt": text_of(fields[:, component])
        for component, axis in enumerate("xy")
        for split in ("train", "test")
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (texts | members).items():
            if text is not None:
                archive.writestr(folder + name, text)
    return path


@pytest.fixture
def archive(tmp_path, fields):
    return write_archive(tmp_path / "FEA_displacement_results_step5.zip", fields)


@pytest.mark.parametrize("folder", ["", "FEA_displacement_results_step5/"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_fields_come_back_the_right_way_up(tmp_path, fields, folder, split):
    archive = write_archive(tmp_path / "published.zip", fields, folder)
    published = read_published(archive, step=STEP, split=split)
    assert published.dtype == np.float32
    assert published == pytest.approx(fields, rel=1e-6, abs=1e-9)


def test_orientation_is_confirmed(archive, bitmaps):
    published = read_published(archive, step=STEP, split="test")
    assert check_orientation(published, bitmaps, load="shear", step=STEP) < 1e-6


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (lambda u: u[:, :, ::-1], "upside down"),
        (lambda u: u[..., ::-1], "mirrored"),
        (lambda u: u.swapaxes(2, 3), "transposed"),
        (lambda u: u[:, :, ::-1, ::-1], "upside down and mirrored"),
    ],
)
def test_another_orientation_is_named(fields, bitmaps, turn, name):
    with pytest.raises(InputError, match=rf"least \(0\.0%\) {name};"):
        check_orientation(turn(fields), bitmaps, load="shear", step=STEP)


def test_fields_of_other_digits_or_steps_are_refused(fields, bitmaps):
    with pytest.raises(InputError, match="must be those of the digits under shear at step 6"):
        check_orientation(fields, bitmaps, load="shear", step=6)
    with pytest.raises(InputError, match="must be those of the digits under uniaxial at step 5"):
        check_orientation(fields, bitmaps, load="uniaxial", step=STEP)


X_TEST = f"summary_dispx_test_step{STEP}.txt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"must have one file summary_dispx_test_step5\.txt; got \[\]"),
        ("", r"summary_dispx_test_step5\.txt in .* is empty"),
        ("1 2 3\n", "line 1 must be 784 finite numbers; got 3"),
        ("0 " * 784 + "\n" + "0 " * 785, "line 2 must be 784 finite numbers; got 785"),
        ("0 " * 783 + "nan", "line 1 must be 784 finite numbers"),
        ("0 " * 783 + "<html>", "line 1 must be numbers: could not convert"),
        ("0 " * 784 + "\n", "has u_x of 1 samples but u_y of 2"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, fields, text, message):
    archive = write_archive(tmp_path / "published.zip", fields, **{X_TEST: text})
    with pytest.raises(InputError, match=message):
        read_published(archive, step=STEP, split="test")


def test_a_file_that_is_no_archive(tmp_path):
    with pytest.raises(InputError, match=r"gone\.zip is missing; download"):
        read_published(tmp_path / "gone.zip", step=STEP, split="test")
    (tmp_path / "page.zip").write_text("<html>moved</html>")
    with pytest.raises(InputError, match=r"page\.zip is not a whole zip file"):
        read_published(tmp_path / "page.zip", step=STEP, split="test")


def test_a_damaged_archive(archive):
    content = bytearray(archive.read_bytes())
    content[2000] ^= 255  # in u_x of the training part, the first member
    archive.write_bytes(content)
    with pytest.raises(InputError, match="is not a whole zip file"):
        read_published(archive, step=STEP, split="train")
    archive.write_bytes(bytes(content[:-100]))
    with pytest.raises(InputError, match="is not a whole zip file"):
        read_published(archive, step=STEP, split="test")


def special(name, mode):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../outside.txt", r"'\.\./outside\.txt' lies outside"),
        ("a/../../outside.txt", "lies outside"),
        ("/etc/outside.txt", "lies outside"),
        ("C:\\outside.txt", "lies outside"),
        ("C:outside.txt", "lies outside"),
        (special("link", stat.S_IFLNK | 0o777), "'link' is a link"),
        (special("pipe", stat.S_IFIFO | 0o600), "'pipe' is a link, a device"),
        (special("device", stat.S_IFBLK | 0o600), "'device' is a link, a device"),
    ],
)
def test_a_hostile_archive_is_refused_whole(archive, member, message):
    with zipfile.ZipFile(archive, "a") as members:
        members.writestr(member, "x")
    with pytest.raises(InputError, match=message):
        read_published(archive, step=STEP, split="test")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(archive):
    with zipfile.ZipFile(archive, "a") as members:
        members.writestr(X_TEST, "0 " * 784)
    with pytest.raises(InputError, match="is there twice"):
        read_published(archive, step=STEP, split="test")


def test_other_packings_are_refused(archive):
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_LZMA) as members:
        members.writestr("extra.txt", "x")
    with pytest.raises(InputError, match="packed in another way"):
        read_published(archive, step=STEP, split="test")


def test_sizes_are_capped(archive, monkeypatch):
    monkeypatch.setattr(openbu, "MAX_MEMBER_BYTES", 10_000)
    with pytest.raises(InputError, match=r"unpacks to \d+ bytes, the most is 10000"):
        read_published(archive, step=STEP, split="test")
    monkeypatch.setattr(openbu, "MAX_MEMBERS", 3)
    with pytest.raises(InputError, match="at most 3 members; got 4"):
        read_published(archive, step=STEP, split="test")


def test_overlapping_members_are_refused(archive):
    """A small archive that unpacks to a large one: two names, one content (CVE-2024-0450)."""
    with zipfile.ZipFile(archive, "a") as members:
        members.writestr("bait.txt", "x")
        members.getinfo("bait.txt").header_offset = members.getinfo(X_TEST).header_offset
    with pytest.raises(InputError, match="overlap"):
        read_published(archive, step=STEP, split="test")


class Handler(SimpleHTTPRequestHandler):
    redirect = None

    def do_GET(self):
        if self.redirect and self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", self.redirect)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def server(archive, monkeypatch):
    """The URL of a server on this machine that serves the archive's folder."""
    handler = partial(Handler, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(server, archive, tmp_path):
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    url = f"{server}/{archive.name}"
    path = download(url, tmp_path / "cache", sha256=sha256)
    assert path.read_bytes() == archive.read_bytes()
    archive.unlink()
    assert download(url, tmp_path / "cache", sha256=sha256.upper()) == path


def test_a_download_with_another_hash_is_not_kept(server, archive, tmp_path):
    with pytest.raises(InputError, match=r"has SHA-256 [0-9a-f]{64}, expected 00; it is not stored"):
        download(f"{server}/{archive.name}", tmp_path / "cache", sha256="00")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failed_download_says_what_to_do(server, tmp_path):
    with pytest.raises(InputError, match=r"gone\.zip could not be downloaded .*404.* give its path"):
        download(f"{server}/gone.zip", tmp_path, sha256="00")


def test_a_download_that_breaks_off_says_what_to_do(tmp_path):
    class Broken(Handler):
        def do_GET(self):
            self.protocol_version = "HTTP/1.1"
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"ff\r\nshort")
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/a.zip"
            with pytest.raises(InputError, match=r"a\.zip could not be downloaded .* give its path"):
                download(url, tmp_path / "cache", sha256="00")
        finally:
            server.shutdown()
            thread.join()
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_endless_download_is_cut(server, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(InputError, match="is longer than 1000 bytes"):
        download(f"{server}/{archive.name}", tmp_path / "cache", sha256="00")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://example.org/a.zip", "ftp://example.org/a.zip"])
def test_a_redirection_elsewhere_is_refused(server, tmp_path, monkeypatch, target):
    monkeypatch.setattr(Handler, "redirect", target)
    with pytest.raises(InputError, match=r"url must be https://|could not be downloaded"):
        download(f"{server}/moved.zip", tmp_path, sha256="00")


def test_a_redirection_inwards_is_refused():
    request = urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(InputError, match="redirects into a private network"):
        downloads._CheckedRedirects().redirect_request(request, None, 302, "", {}, "http://192.168.0.1/a.zip")


@pytest.mark.parametrize(
    "url", ["http://example.org/a.zip", "file:///a.zip", "https:///a.zip", "https://example.org/", "a.zip"]
)
def test_urls_that_are_not_tried(url, tmp_path):
    with pytest.raises(InputError, match="url must be https://"):
        download(url, tmp_path, sha256="00")


def test_relative_differences_by_hand():
    ones = np.ones((2, 2, 28, 28))
    assert relative_differences(ones * [[[[1.0]]], [[[1.5]]]], ones) == pytest.approx([0.0, 0.5])
    with pytest.raises(InputError, match="must have one shape"):
        relative_differences(ones, ones[:1])


@pytest.fixture
def simulated(tmp_path, fields, bitmaps):
    """What `simulate_file` leaves: fields, their card, and the digits they were made of."""
    path = tmp_path / "ours.npz"
    write_npz(path, {"steps": np.array([4, STEP]), "displacement": np.stack([fields * 0, fields], axis=1)})
    write_json(path.with_suffix(".json"), {"load": "shear"})
    np.save(tmp_path / "digits.npy", bitmaps)
    return path


def test_two_files_are_compared(simulated, tmp_path, fields):
    theirs = fields * np.array([1.0, 1.01]).reshape(2, 1, 1, 1)
    archive = write_archive(tmp_path / "published.zip", theirs)
    output = tmp_path / "comparison"
    arguments = {"bitmaps": tmp_path / "digits.npy", "step": STEP, "split": "test"}
    summary = compare_files(simulated, archive, output, **arguments)
    assert summary == read_json(output / "summary.json")
    assert summary["samples"] == 2
    assert summary["relative_l2"]["maximum"] == pytest.approx(0.01 / 1.01, rel=1e-5)
    assert [entry["sample"] for entry in summary["worst"]] == [1, 0]
    lines = (output / "differences.csv").read_text().splitlines()
    assert lines[0] == "sample,relative_l2"
    assert float(lines[2].split(",")[1]) == pytest.approx(0.01 / 1.01, rel=1e-5)
    assert (output / "worst.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_prints_the_differences(simulated, archive, tmp_path):
    files = [str(path) for path in (simulated, archive, tmp_path / "digits.npy")]
    result = CliRunner().invoke(app, ["mechanics", "compare", *files, "--output", str(tmp_path / "comparison")])
    assert result.exit_code == 0, result.output
    facts = read_json(tmp_path / "comparison" / "summary.json")["relative_l2"]
    assert f"2 digits: median {facts['median']:.2e}, " in result.output
    assert f"maximum {facts['maximum']:.2e} (relative L2)" in result.output


def test_files_that_do_not_belong_together(simulated, archive, tmp_path, fields):
    arguments = {"bitmaps": tmp_path / "digits.npy", "split": "test"}
    with pytest.raises(InputError, match=r"has no step 6, only \[4, 5\]"):
        compare_files(simulated, archive, tmp_path, step=6, **arguments)
    short = write_archive(tmp_path / "short.zip", fields[:1])
    with pytest.raises(InputError, match=r"has 2 samples, but .* has 1"):
        compare_files(simulated, short, tmp_path, step=STEP, **arguments)
    write_json(simulated.with_suffix(".json"), [])
    with pytest.raises(InputError, match="must name the load"):
        compare_files(simulated, archive, tmp_path, step=STEP, **arguments)


def test_a_dataset_entry_takes_its_fields_from_the_archive(tmp_path, archive, fields, digits):
    found = published_fields(entry_for(archive), digits, split="test", folder=tmp_path)
    assert found.ids.tolist() == [7, 9]
    assert found.steps.tolist() == [STEP]
    np.testing.assert_allclose(found.at_step(STEP), fields, atol=1e-7)


def test_an_archive_of_other_digits_another_hash_or_no_place_is_refused(tmp_path, archive, digits):
    with pytest.raises(InputError, match="but params.yaml says " + "0" * 64):
        published_fields(entry_for(archive, sha256="0" * 64), digits, split="test", folder=tmp_path)
    missing = entry_for(archive, archive=str(tmp_path / "nowhere.zip"))
    with pytest.raises(InputError, match=r"nowhere\.zip is missing"):
        published_fields(missing, digits, split="test", folder=tmp_path)
    one = Samples("one", digits.ids[:1], digits.images[:1], digits.labels[:1])
    with pytest.raises(InputError, match="fields of 2 test digits, but there are 1"):
        published_fields(entry_for(archive), one, split="test", folder=tmp_path)
    swapped = Samples("swapped", digits.ids, digits.images[::-1].copy(), digits.labels)
    with pytest.raises(InputError, match="must be those of the digits under shear at step 5"):
        published_fields(entry_for(archive), swapped, split="test", folder=tmp_path)
