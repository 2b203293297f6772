"""The audit store in a SQLite file, so that what it acknowledges survives a power cut."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.audit.chain import Row
from opsconsole.audit.database import COLUMNS, NOTHING_SENT
from opsconsole.audit.key import sync_directory
from opsconsole.audit.reserve import Reserve
from opsconsole.audit.tables import AUDIT, OUTBOX, TRIGGERS
from opsconsole.errors import AuditUnavailable

# Python's own default (DELETE/FULL) loses the last acknowledged record in a power cut: the journal's removal
# is not synced. EXTRA syncs the directory too. WAL is out: SQLite before 3.51.3 can corrupt it.
PRAGMAS = {"journal_mode": "delete", "synchronous": 3}

# The hot statements as text: building them anew costs as much as a sync.
_HEAD = f"SELECT {COLUMNS} FROM audit ORDER BY seq DESC LIMIT 1"  # noqa: S608
_INSERT = f"INSERT INTO audit ({COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608
_PAGE = f"SELECT {COLUMNS} FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608
# Rows no honest writer makes: they can't be reached by walking 1, 2, 3 …, so they are counted apart.
_COUNT = "SELECT count(*) FROM audit WHERE typeof(seq) <> 'integer' OR seq <= ?"

_ACTING = "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"


class SqliteFile:
    """A file of mode 0600 with the tables and triggers in it. One that can only be read opens too."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.path = path
        self.place = str(path)
        self._busy_seconds = busy_seconds
        self._engine, self.put_back = open_engine(path, busy_seconds)
        self._writer = self._engine.execution_options(writes=True)
        self._reserve = Reserve(path.with_suffix(".reserve"))
        self._reserve.keep()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with guard(self.path, "read"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with guard(self.path, "written"), self._writer.begin() as connection:
            yield connection
        self._reserve.restore()

    def head(self, connection: Connection) -> Row | None:
        row = connection.exec_driver_sql(_HEAD).first()
        return None if row is None else tuple(row)

    def insert(self, connection: Connection, row: Row) -> None:
        connection.exec_driver_sql(_INSERT, row)

    def pages(self, total: int, size: int) -> Iterator[list[Row]]:
        last = -(1 << 63)  # also what somebody put below the first
        with guard(self.path, "read"), closing(raw_connection(self.path, self._busy_seconds)) as connection:
            while page := _page(connection, last, total, size):
                yield page
                last = page[-1][0]

    def count(self, total: int) -> int:
        with guard(self.path, "read"), closing(raw_connection(self.path, self._busy_seconds)) as connection:
            return int(connection.execute(_COUNT, (total,)).fetchone()[0])

    def damage(self, indexes: bool) -> tuple[int | None, str]:
        with guard(self.path, "read"), closing(raw_connection(self.path, self._busy_seconds)) as connection:
            connection.text_factory = as_it_is
            said = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) if indexes else "ok"
            planted = [str(name) for name, sql in connection.execute(_ACTING) if not _ours(name, sql)]
        if said != "ok":
            row = re.match(r"row (\d+) missing from index", said)
            return (int(row[1]) if row else None), f"the file doesn't agree with itself: {said}"
        if planted:
            return None, f"{', '.join(planted)} in the file is none of ours, and may change what is written"
        return None, ""

    def contains(self, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
        return column.contains(word, autoescape=True)

    def is_safe(self) -> bool:
        try:
            sync_directory(self.path.parent)
        except OSError:
            return False
        return True

    def make_room(self, error: AuditUnavailable) -> bool:
        cause = str(error.__cause__)
        # SQLite tells some full disks (a quota, a limit) as plain I/O errors.
        full = "is full" in cause or ("disk I/O" in cause and self._reserve.pressed())
        return full and self._reserve.give_up()

    def room(self) -> tuple[bool, str]:
        return self._reserve.state()

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def guard(path: Path, doing: str) -> Iterator[None]:
    """Whatever goes wrong inside is told as AuditUnavailable; statements and their values are never shown."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        cause = getattr(error, "orig", None) or error
        raise AuditUnavailable(
            f"The audit store {path} can't be {doing}: {cause}.", NOTHING_SENT, _next_step(path, str(cause))
        ) from cause


def _next_step(path: Path, cause: str) -> str:
    known = {
        "locked": "Another process has held it too long. Look at: fuser -v '{}'",
        "full": "Free space, then try again. Look at: df -h '{}'",
        "readonly": "Give yourself the right to write. Look at: ls -l '{}'",
        "not a database": "Damaged, or something else. Keep the file, and put one from a backup in its place: '{}'",
        "malformed": "Keep the file, and put one from a backup in its place: '{}'",
        "disk I/O": "Look whether the last record is there before you try again, then at: df -h '{}'; dmesg | tail",
        "append-only": "Two writers disagree about the next record. Run: opsconsole audit verify",
        "second person": "Ask somebody else to approve it, or break the glass. Run: opsconsole audit verify",
    }
    for word, step in known.items():
        if word in cause:
            return step.format(path)
    return f"Look at: ls -ld '{path}' '{path.parent}'; opsconsole doctor"


def open_engine(path: Path, busy_seconds: float) -> tuple[Engine, tuple[str, ...]]:
    """An engine whose every connection holds PRAGMAS, on a file with the tables and triggers in it; and which
    triggers its records had been without.

    AuditUnavailable when it can't be opened.
    """
    with guard(path, "opened"):
        _make_private(path)
        # Parameters stay out of messages: they are the very texts that must not leak.
        engine = create_engine(
            URL.create("sqlite", database=str(path)), hide_parameters=True, connect_args={"timeout": busy_seconds}
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        try:
            with engine.connect() as connection:
                missing = _missing(connection)
            if missing:
                _build(engine, tables_missing="audit" in missing or "outbox" in missing)
        except BaseException:
            engine.dispose()
            raise
        return engine, tuple(sorted(missing)) if "audit" not in missing else ()


def _make_private(path: Path) -> None:
    # Never open an existing database here: closing any descriptor of it drops this process's SQLite locks.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        sync_directory(path.parent)
    except FileExistsError:
        mode = path.stat().st_mode
        if mode & 0o077:
            path.chmod(mode & 0o700)


def _prepare(dbapi: sqlite3.Connection, _: object) -> None:
    # SQLAlchemy says BEGIN itself (see _begin): the sqlite3 module's own implicit one is never IMMEDIATE.
    dbapi.isolation_level = None
    dbapi.text_factory = as_it_is
    apply_pragmas(dbapi)


def apply_pragmas(dbapi: sqlite3.Connection) -> None:
    """Set PRAGMAS and read them back: a setting that silently didn't hold is a record that silently isn't kept."""
    for name, value in PRAGMAS.items():
        dbapi.execute(f"PRAGMA {name}={value}")
        held = dbapi.execute(f"PRAGMA {name}").fetchone()[0]
        if held != value:
            raise sqlite3.OperationalError(f"it stays at {name}={held} where {name}={value} is needed")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _statement(name: str) -> str:
    return f"CREATE TRIGGER {name} {TRIGGERS[name]}"


def _ours(name: str, sql: str) -> bool:
    return name in TRIGGERS and sql == _statement(name)


def _missing(connection: Connection) -> set[str]:
    """Tables that aren't there, and triggers that aren't there or aren't ours word for word."""
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    sound = {name for name, sql in found if _ours(name, sql)}
    return ({"audit", "outbox"} - set(inspect(connection).get_table_names())) | (set(TRIGGERS) - sound)


def _build(engine: Engine, *, tables_missing: bool) -> None:
    try:
        with engine.execution_options(writes=True).begin() as connection:
            AUDIT.metadata.create_all(connection, tables=[AUDIT, OUTBOX])
            for name in _missing(connection) & TRIGGERS.keys():
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
                connection.exec_driver_sql(_statement(name))
    except SQLAlchemyError:
        if tables_missing:  # a read-only file with its tables can still be looked at
            raise


def _page(connection: sqlite3.Connection, last: int, total: int, size: int) -> list[Row]:
    try:
        return connection.execute(_PAGE, (last, total, size)).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        connection.text_factory = as_it_is  # slower, and its MAC will show where
        return connection.execute(_PAGE, (last, total, size)).fetchall()


def as_it_is(raw: bytes) -> str:
    """Damaged text is shown as it is: it must not hide the rest."""
    return raw.decode("utf-8", "backslashreplace")


def raw_connection(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """For long reads: plain tuples, many times faster than result objects."""
    return sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
