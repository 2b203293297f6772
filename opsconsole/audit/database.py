"""What the audit store asks of the database under it. There are two: a SQLite file, and a PostgreSQL server."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import ColumnElement, Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from opsconsole.audit.chain import Row
from opsconsole.errors import AuditUnavailable

NOTHING_SENT = "No action can be recorded, so none will be taken. Looking still works where the file can be read."

COLUMNS = "seq, ref, utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac"
"""In the order of `chain.Row`."""


class Database(Protocol):
    """Every method raises AuditUnavailable, without a secret in its words, when the database can't do it."""

    @property
    def place(self) -> str:
        """For people: a path, or a URL without user, password and options."""
        ...

    @property
    def path(self) -> Path | None:
        """The file, when it is one."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that waits for no writer."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """The only writer while it lasts; all or nothing, and lasting once it ended without an exception."""
        ...

    def head(self, connection: Connection) -> Row | None:
        """The newest record as it is stored."""
        ...

    def insert(self, connection: Connection, row: Row) -> None: ...

    def pages(self, total: int, size: int) -> Iterator[list[Row]]:
        """Records 1 to `total` as they are stored, oldest first; nothing is held between two pages."""
        ...

    def count(self, total: int) -> int:
        """How many rows claim a place up to `total`, or none that can be reached by counting."""
        ...

    def damage(self, indexes: bool) -> tuple[int | None, str]:
        """What lets a look at sound rows miss some, or change what is written: an index that lacks a record (looked
        at with `indexes`), a trigger that isn't ours. The seq it is about, None when of no single one; "" when
        there is nothing."""
        ...

    @property
    def put_back(self) -> tuple[str, ...]:
        """The triggers that had to be made again when it was opened: what keeps records append-only was off."""
        ...

    def contains(self, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
        """Whether a text holds a word, whatever its (ASCII) case."""
        ...

    def is_safe(self) -> bool:
        """After an error: whether what can be read now is sure to last."""
        ...

    def make_room(self, error: AuditUnavailable) -> bool:
        """After an error for want of room: give up what was kept back for this. True when there was some."""
        ...

    def room(self) -> tuple[bool, str]:
        """Whether there is something to give up, in words for `doctor`."""
        ...

    def close(self) -> None: ...


def open_database(place: str | Path, busy_seconds: float, password: str = "") -> Database:
    """The database at a path, a `sqlite:///` or a `postgresql://` URL. AuditUnavailable for any other."""
    from opsconsole.audit.sqlite import SqliteFile

    if isinstance(place, Path) or "://" not in place:
        return SqliteFile(Path(place), busy_seconds)
    url = _parsed(place)
    backend = url.get_backend_name() if url is not None else ""
    if url is not None and backend == "sqlite" and url.database not in (None, "", ":memory:"):
        return SqliteFile(Path(str(url.database)), busy_seconds)
    if url is not None and backend == "postgresql":
        from opsconsole.audit.postgres import PostgresServer

        return PostgresServer(url, busy_seconds, password)
    raise AuditUnavailable(
        f"The audit store can't be kept at a {place.partition('://')[0]}:// address.",
        "It is a SQLite file or a PostgreSQL database; a store in memory would forget.",
        "Give a path, sqlite:////absolute/path.db, or postgresql://user@host/database.",
    )


def _parsed(place: str) -> URL | None:
    try:
        return make_url(place)
    except (ArgumentError, ValueError):
        return None
