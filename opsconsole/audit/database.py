"""Opening the audit database so that what it acknowledges survives a power cut."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from opsconsole.audit.key import sync_directory
from opsconsole.audit.records import AuditUnavailable
from opsconsole.audit.tables import AUDIT, OUTBOX, TRIGGERS

# Python's own default (DELETE/FULL) loses the last acknowledged record in a power cut: the journal's removal
# is not synced. EXTRA syncs the directory too. WAL is out: SQLite before 3.51.3 can corrupt it.
PRAGMAS = {"journal_mode": "delete", "synchronous": 3}
NOTHING_SENT = "No action can be recorded, so none will be taken. Looking still works where the file can be read."


def database_path(place: str | Path) -> Path:
    """The file of a path or of a `sqlite:///` URL. AuditUnavailable for any other URL."""
    if isinstance(place, Path) or "://" not in place:
        return Path(place)
    try:
        url: URL | None = make_url(place)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        backend = place.partition("://")[0]
        raise AuditUnavailable(
            f"The audit store can't be kept at a {backend}:// address.",
            "Only SQLite files are supported so far, and a store in memory would forget.",
            "Give a path, or sqlite:////absolute/path.db.",
        )
    return Path(str(url.database))


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
    }
    for word, step in known.items():
        if word in cause:
            return step.format(path)
    return f"Look at: ls -ld '{path}' '{path.parent}'; opsconsole doctor"


def open_engine(path: Path, busy_seconds: float) -> Engine:
    """An engine whose every connection holds PRAGMAS, on a file of mode 0600 with the tables and triggers in it.

    A file that can only be read opens too. AuditUnavailable otherwise.
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
        return engine


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


def _missing(connection: Connection) -> set[str]:
    triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
    return ({"audit", "outbox"} | set(TRIGGERS)) - set(inspect(connection).get_table_names()) - set(triggers)


def _build(engine: Engine, *, tables_missing: bool) -> None:
    try:
        with engine.execution_options(writes=True).begin() as connection:
            AUDIT.metadata.create_all(connection, tables=[AUDIT, OUTBOX])
            for name, body in TRIGGERS.items():
                connection.exec_driver_sql(f"CREATE TRIGGER IF NOT EXISTS {name} {body}")
    except SQLAlchemyError:
        if tables_missing:  # a read-only file with its tables can still be looked at
            raise


def as_it_is(raw: bytes) -> str:
    """Damaged text is shown as it is: it must not hide the rest."""
    return raw.decode("utf-8", "backslashreplace")


def raw_connection(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """For long reads: plain tuples, many times faster than result objects."""
    return sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
