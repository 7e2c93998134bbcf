"""A guide of ``docs/`` as something to run: its code blocks, carried out in their order in a clone.

What a block is stands behind its language:

* ``sh``: run by bash, must succeed; ``sh fails``: must fail; ``sh server``: runs beside what follows, to the end.
* ``text``: what the block before printed, line by line in this order; ``...`` stands for anything, and there may be
  more before, between and after the lines.
* ``python PATH``: the file is written. ``yaml PATH``: merged into that file, as a reader adds it.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FENCE = re.compile(r"^```([^\n`]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"--port (\d+)")


@dataclass(frozen=True)
class Block:
    """A code block: its language, the words behind that, its text, and where it stands."""

    language: str
    words: tuple[str, ...]
    text: str
    place: str


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, each of which must say what it is."""
    text = page.read_text()
    assert text.count("```") == 2 * len(_FENCE.findall(text)), f"{page.name} has a block without a language"
    found = []
    for match in _FENCE.finditer(text):
        language, *words = match[1].split()
        found.append(Block(language, tuple(words), match[2], f"{page.name}:{text[: match.start()].count(chr(10)) + 1}"))
    return found


def merged(old: Any, new: Any) -> Any:
    """Return ``old`` with the entries of ``new`` in it, mapping by mapping; the source of a kind is replaced whole."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or "kind" in new:
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


def follow(page: Path, clone: Path) -> None:
    """Carry out a page in a clone, block by block."""
    printed = ""
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for block in _with_free_ports(blocks(page)):
            if block.language == "text":
                missing = first_missing(block.text, printed)
                assert missing is None, f"{block.place}: {missing!r} is not in, or not in this order in:\n{printed}"
            elif block.language == "sh" and block.words == ("server",):
                servers.append(_serve(block, clone))
            elif block.language == "sh":
                printed = _run(block, clone)
            else:
                _write(block, clone)
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(3600)


def first_missing(expected: str, printed: str) -> str | None:
    """Return the first line that was not printed after those before it, or None; blanks count as one."""
    rest = " ".join(printed.split())
    for line in filter(None, map(str.strip, expected.splitlines())):
        parts = (re.escape(" ".join(part.split())) for part in line.split("..."))
        match = re.search(".*?".join(parts), rest)
        if match is None:
            return line
        rest = rest[match.end() :]
    return None


def environment(clone: Path) -> dict[str, str]:
    """Return the environment of a user of the clone: its own code, and the programs of this one."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "COLUMNS": "160"}
    return {**os.environ, **quiet, "PATH": programs, "PYTHONPATH": str(clone / "src")}


def _run(block: Block, clone: Path) -> str:
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, text=True, timeout=3600)
    printed = done.stdout + done.stderr
    assert (done.returncode != 0) == (block.words == ("fails",)), (
        f"{block.place} ended with {done.returncode}:\n{printed}"
    )
    assert "Traceback" not in printed, f"{block.place}:\n{printed}"
    return printed


def _write(block: Block, clone: Path) -> None:
    (name,) = block.words
    path = clone / name
    if block.language == "yaml":
        before = yaml.safe_load(path.read_text()) if path.is_file() else None
        document = merged(before, yaml.safe_load(block.text))
        path.write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
    else:
        assert block.language == "python", f"{block.place}: {block.language} is nothing that a guide can do"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)


def _serve(block: Block, clone: Path) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(["bash", "-c", block.text], cwd=clone, env=environment(clone), start_new_session=True)
    port = _PORT.search(block.text)
    assert port is not None, f"{block.place}: a server needs --port"
    for _ in range(240):
        assert server.poll() is None, f"{block.place}: the server has ended"
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", int(port[1]))) == 0:
                return server
        time.sleep(0.5)
    os.killpg(server.pid, signal.SIGKILL)
    raise AssertionError(f"{block.place}: nothing listens on port {port[1]}")


def _with_free_ports(found: list[Block]) -> Iterator[Block]:
    """Yield the blocks with the ports of the page's servers replaced by ones that are free here."""
    ports = {port for block in found if block.words == ("server",) for port in _PORT.findall(block.text)}
    with _free(len(ports)) as free:
        replaced = dict(zip(sorted(ports), free, strict=True))
    for block in found:
        text = block.text
        for old, new in replaced.items():
            text = re.sub(rf"\b{old}\b", str(new), text)
        yield Block(block.language, block.words, text, block.place)


@contextmanager
def _free(count: int) -> Iterator[list[int]]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    yield [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
