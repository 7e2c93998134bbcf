"""Processes of many machines on one study: one at a time draws or ends trials, and a trial is trained by one of them.

What they hold are advisory locks of the PostgreSQL database that keeps the study. A lock belongs to a session, so it
is free as soon as its process is dead, and a minute after its host is out of reach. A journal file, or another
database, is for one process: there nothing is asked, and all trials are its own.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from shearbench.errors import InputError

_TABLES = "shearbench: the tables of Optuna"
_KEEPALIVE = {"idle": 30, "interval": 10, "count": 3}  # seconds, seconds, tries: the server's own is two hours


class Claims:
    """The session whose locks say what this process does to a study."""

    def __init__(self, storage: str | None, study: str) -> None:
        """Open a session; ``storage`` is the URL of a database, or nothing for a file."""
        self.study = study
        self.taken: set[int] = set()
        """Trials that this process has trained, whose checkpoints are here."""
        self._session = None
        if storage is not None and make_url(storage).get_backend_name() == "postgresql":
            engine = create_engine(storage, poolclass=NullPool, isolation_level="AUTOCOMMIT")
            self._session = engine.connect()
            for name, value in _KEEPALIVE.items():
                self._session.execute(text(f"set tcp_keepalives_{name} = {value}"))

    @property
    def shared(self) -> bool:
        """Whether other processes may be at the same study."""
        return self._session is not None

    @contextmanager
    def making_tables(self) -> Iterator[None]:
        """Hold the whole database; others that open it for the first time wait.

        Raises:
            InputError: if it is MLflow's: both keep the version of their tables in one of the same name.
        """
        with self._held(_TABLES):
            if self._session is not None and inspect(self._session).has_table("experiments"):
                raise InputError("tuning.storage is MLflow's database; make one more, for Optuna alone")
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the study; others that want to draw or end trials of it wait."""
        with self._held(self.study):
            yield

    @contextmanager
    def some(self, trials: Sequence[int], most: int | None) -> Iterator[set[int]]:
        """Take up to ``most`` of these trials that nobody else trains, first those whose checkpoints are here.

        Yields them. They are given back at the end of the block, when what became of them must have been recorded.
        """
        if self._session is None:
            yield set(trials)
            return
        granted: list[int] = []
        try:
            for number in sorted(trials, key=lambda number: (number not in self.taken, number)):
                if most is not None and len(granted) == most:
                    break
                if self._ask("pg_try_advisory_lock", self._name(number)):
                    granted.append(number)
            yield set(granted)
            self.taken |= set(granted)
        finally:
            for number in granted:
                self._give_back(self._name(number))

    def check(self) -> None:
        """Make sure that the session, and so what it holds, is still there; it fails where it is not."""
        if self._session is not None:
            self._session.execute(text("select 1"))

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()

    def _name(self, number: int) -> str:
        return f"{self.study}/{number}"

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        if self._session is None:
            yield
            return
        self._ask("pg_advisory_lock", name)
        try:
            yield
        finally:
            self._give_back(name)

    def _give_back(self, name: str) -> None:
        """Free what is held; with a session that is lost it is free already."""
        assert self._session is not None
        if not self._session.invalidated:
            self._ask("pg_advisory_unlock", name)

    def _ask(self, function: str, name: str) -> object:
        assert self._session is not None
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        return self._session.execute(text(f"select {function}(:key)"), {"key": key}).scalar()
