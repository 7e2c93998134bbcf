"""The kind ``torchvision``: its own download code, with a server on this machine as the mirror."""

import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from shearbench.data import idx, raw
from shearbench.data.collected import Collected
from shearbench.data.config import TorchvisionImages
from shearbench.errors import InputError
from shearbench.torchvision_ops import torchvision

SIZES = {"train": 40, "t10k": 20}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


def pictures(part: str) -> np.ndarray:
    rng = np.random.default_rng(len(part))
    return rng.integers(0, 256, (SIZES[part], 28, 28), dtype=np.uint8)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A served folder that torchvision takes for Fashion-MNIST's mirror, with the checksums of its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    for part, count in SIZES.items():
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx.encode(pictures(part))))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx.encode(labels)))
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(folder.iterdir())]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [url])
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", sums)
        yield folder
        server.shutdown()


def collect(folder: Path, dataset: str = "FashionMNIST", **options: str) -> Collected:
    source = TorchvisionImages(kind="torchvision", dataset=dataset, options=options)
    return raw.collect_own("fashion", source, folder)


def test_what_the_mirror_serves_is_taken_with_the_names_of_the_classes(mirror: Path, tmp_path: Path) -> None:
    before = socket.getdefaulttimeout()
    found = collect(tmp_path)
    assert found.classes == tuple(torchvision.datasets.FashionMNIST.classes)
    for split, part in (("train", "train"), ("test", "t10k")):
        np.testing.assert_array_equal(found.parts[split].images, pictures(part))  # type: ignore[index]
        assert found.parts[split].labels.tolist() == [row % 10 for row in range(SIZES[part])]  # type: ignore[index]
    assert socket.getdefaulttimeout() == before


def test_another_content_fails_its_checksum(mirror: Path, tmp_path: Path) -> None:
    (mirror / "t10k-labels-idx1-ubyte.gz").write_text("<html>moved</html>")
    with pytest.raises(InputError, match=r"(?s)FashionMNIST could not be downloaded.*corrupted.*`kind: folder`"):
        collect(tmp_path)


def test_no_network_names_the_way_without_it(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(InputError, match=r"(?s)could not be downloaded.*Connection refused.*take its files"):
        collect(tmp_path)


def test_an_unknown_dataset_and_an_unknown_option_are_named(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"that torchvision can download \(.*FashionMNIST.*\); got 'Fashion'"):
        collect(tmp_path, "Fashion")
    with pytest.raises(InputError, match=r"sources\.fashion\.options do not suit FashionMNIST: .*letters"):
        collect(tmp_path, letters="all")
