"""Downloads over https. The hash is checked during the copy, and a file with another hash is discarded.

``download_folder`` is for datasets that torchvision downloads and checks.
"""

import hashlib
import http.client
import ipaddress
import socket
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from shearbench.errors import InputError
from shearbench.records import atomic_file, sha256_of

MAX_DOWNLOAD_BYTES = 1 << 33
_STALLED_SECONDS = 30.0
_CHUNK = 1 << 20


def download(url: str, folder: Path, *, sha256: str) -> Path:
    """Download a file to `folder` under its name in the URL, unless it exists, and check its hash.

    The URL, and that of every redirection, is https, or http in a private network.

    Raises:
        InputError: on another kind of URL, a failed or stalled transfer, or another hash; the file is then removed.
    """
    _check_url(url)
    path = folder / PurePosixPath(urllib.parse.urlsplit(url).path).name
    if path.is_file() and sha256_of(path) == sha256.lower():
        return path
    opener = urllib.request.build_opener(_CheckedRedirects)
    try:
        with opener.open(url, timeout=_STALLED_SECONDS) as response, atomic_file(path) as file:
            digest, size = hashlib.sha256(), 0
            while chunk := response.read(_CHUNK):
                size += len(chunk)
                if size > MAX_DOWNLOAD_BYTES:
                    raise InputError(f"{url} is longer than {MAX_DOWNLOAD_BYTES} bytes; it is not stored")
                digest.update(chunk)
                file.write(chunk)
            found = digest.hexdigest()
            if found != sha256.lower():
                raise InputError(f"{url} has SHA-256 {found}, expected {sha256}; it is not stored")
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise InputError(f"{url} could not be downloaded ({error}); fetch it otherwise and give its path") from None
    return path


@contextmanager
def download_folder(what: str, instead: str) -> Iterator[str]:
    """Yield a temporary folder for a download by torchvision, with a time limit, because torchvision sets none.

    Raises:
        InputError: if the download fails; the message names ``what``, the reason and what to do ``instead``.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_SECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="shearbench-") as folder:
            yield folder
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        reason = str(error).strip()
        raise InputError(f"{what} could not be downloaded: {reason}\nMend the network, or {instead}") from None
    finally:
        socket.setdefaulttimeout(before)


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirections to allowed URLs only, and never from outside into the private network."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_url(newurl)
        if _is_inside(newurl) and not _is_inside(req.full_url):
            raise InputError(f"{req.full_url} redirects into a private network, to {newurl}; it is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    allowed = ("http", "https") if _is_inside(url) else ("https",)
    if not parts.hostname or parts.scheme not in allowed or not PurePosixPath(parts.path).name:
        raise InputError(f"url must be https:// (http:// in a private network) and end in a file's name; got {url}")


def _is_inside(url: str) -> bool:
    """Return True if the host is localhost or an address of a private network; other host names count as outside."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:  # a name, not an address
        return False
