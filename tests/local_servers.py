"""Real servers on 127.0.0.1, each on a free port, started and stopped by the test that needs it.

PostgreSQL is Debian's (``apt-get install postgresql``), the S3 store is moto's server, and MLflow's server is its own.
"""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote

import pytest

PASSWORD = (
    f"pg-{token_hex(8)}/word"  # with a character that a URL must quote; others in each session: no file holds them
)
ACCESS_KEY, SECRET_KEY = "AKIALOCALTEST", token_hex(16)
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), SECRET_KEY)
_PATIENCE = 3600  # seconds until a server must answer


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_until(ready: Callable[[], bool], log: Path) -> None:
    """Wait until a server is ready; fail with its log where it is not."""
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def answers(url: str) -> bool:
    """Tell whether an address answers over HTTP."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def running(command: Sequence[str], url: str, log: Path, **environment: str) -> Iterator[int]:
    """Run a server as a process group until the block ends; yield its process id once ``url`` answers."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, cwd=log.parent, stdout=file, stderr=file, process_group=0
        )
    try:
        wait_until(lambda: process.poll() is not None or answers(url), log)
        assert process.poll() is None, log.read_text()
        yield process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # on a machine that has much else to do
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def mlflow_server(
    folder: Path, *, store: str, artifacts: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run MLflow's server; yield its address. Its store comes in the environment: ``ps`` shows a command's words."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    own = {
        "MLFLOW_BACKEND_STORE_URI": store,
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with running(command, f"{address}/health", folder / "server.log", **own, **(environment or {})):
        yield address


@dataclass(frozen=True)
class Bucket:
    """A bucket of a local S3 store; ``environment`` is what a program needs to reach it."""

    endpoint: str
    name: str
    client: Any

    @property
    def environment(self) -> dict[str, str]:
        """The login and the address, as the libraries of S3 and MLflow read them."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
        }

    def keys(self, prefix: str = "") -> dict[str, int]:
        """Return the size of every object by its key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}

    def read(self, key: str) -> bytes:
        """Return the bytes of an object."""
        content: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return content


@contextmanager
def s3_bucket(folder: Path) -> Iterator[Bucket]:
    """Run moto's S3 server with one bucket; skip the test where the packages are missing."""
    reason = "S3's packages are not installed: run `make servers`"
    boto3 = pytest.importorskip("boto3", reason=reason)
    pytest.importorskip("moto", reason=reason)
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, f"{address}/moto-api/", folder / "s3.log"):
        client = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="shearbench")
        yield Bucket(address, "shearbench", client)
        client.close()


def programs_of_postgresql() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``: the newest of Debian's, or that on the path."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    program = found[-1] if found else shutil.which("initdb")
    return Path(program).parent if program else None


@dataclass(frozen=True)
class Postgres:
    """A cluster of PostgreSQL in a folder of its own, whose user ``shearbench`` has a password."""

    programs: Path
    folder: Path
    port: int
    owner: str | None

    def run(self, program: str, *words: str) -> None:
        """Run one of its programs as the owner of the folder: as root it refuses to."""
        who = {} if self.owner is None else {"user": self.owner, "group": _group_of(self.owner), "extra_groups": ()}
        with (self.folder / "output").open("wb") as output:  # not a pipe: the server would inherit it, and never end it
            done = subprocess.run(
                [self.programs / program, *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_PATIENCE,
                check=False,
                **who,
            )
        assert done.returncode == 0, (self.folder / "output").read_text()

    def start(self) -> None:
        """Start the server and wait for it."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.run("pg_ctl", "-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once, whoever is connected."""
        self.run("pg_ctl", "-w", "-D", f"{self.folder}/data", "-m", "fast", "stop")

    def url(self, database: str, password: str = PASSWORD) -> str:
        """Return the URL of a database, with the login."""
        return f"postgresql+psycopg://shearbench:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str) -> str:
        """Make a database anew and return its URL."""
        self.ask("postgres", f'drop database if exists "{database}" with (force)')
        self.ask("postgres", f'create database "{database}"')
        return self.url(database)

    def ask(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        import psycopg

        where = {"host": "127.0.0.1", "port": self.port, "user": "shearbench", "password": PASSWORD, "dbname": database}
        with psycopg.connect(**where, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(query.encode())
            return list(cursor.fetchall()) if cursor.description else []


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _unprivileged() -> str | None:
    """Return who is to own the server: another user where these tests run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def postgresql() -> Iterator[Postgres]:
    """Run PostgreSQL; skip the test where it or its driver is missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: run `make servers`")
    programs = programs_of_postgresql()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="shearbench-postgresql-"))  # not pytest's, which is closed to other users
    server = Postgres(programs, folder, free_port(), _unprivileged())
    (folder / "password").write_text(PASSWORD)
    if server.owner is not None:
        for path in (folder, folder / "password"):
            os.chown(path, pwd.getpwnam(server.owner).pw_uid, _group_of(server.owner))
    try:
        login = ("--username=shearbench", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256")
        server.run("initdb", "-D", f"{folder}/data", "--no-locale", "--encoding=UTF8", *login)
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


def holding(folder: Path, *words: str) -> list[Path]:
    """Return the files in a folder that hold any of these words."""
    wanted = [word.encode() for word in words]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(word in path.read_bytes() for word in wanted)]
