"""The audit store on a PostgreSQL server that a team shares. Imported only when its URL is used."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.audit.chain import Row
from opsconsole.audit.database import COLUMNS, NOTHING_SENT
from opsconsole.audit.pgtriggers import TURN, build, missing, planted
from opsconsole.errors import AuditUnavailable

try:
    import psycopg
except ImportError as error:
    raise AuditUnavailable(
        "The audit store is at a postgresql:// address, and psycopg is not installed.",
        NOTHING_SENT,
        "Run: pip install 'opsconsole[postgres]'",
    ) from error

_HEAD = f"SELECT {COLUMNS} FROM audit ORDER BY seq DESC LIMIT 1"  # noqa: S608
_INSERT = f"INSERT INTO audit ({COLUMNS}) VALUES ({', '.join(['%s'] * 14)})"  # noqa: S608
_PAGE = f"SELECT {COLUMNS} FROM audit WHERE seq > %s AND seq <= %s ORDER BY seq LIMIT %s"  # noqa: S608
_COUNT = "SELECT count(*) FROM audit WHERE seq <= %s OR seq IS NULL"
# Writers queue for one lock, so a number is never given twice nor left out; a rollback gives it back. Whether a
# commit waits for the disk is looked at in the same breath: a pooler may have handed us another session.
_TURN = f"SELECT pg_advisory_xact_lock({TURN}), current_setting('synchronous_commit')"
_SYNCED = ("on", "remote_apply")
_LASTING = {"synchronous_commit": _SYNCED, "fsync": ("on",), "full_page_writes": ("on",)}


class PostgresServer:
    """A database with the tables and triggers in the first schema of its search path.

    The password comes from `password`, the URL, or libpq's own means (PGPASSFILE, a service file). It appears in no
    message, log or repr.
    """

    path = None

    def __init__(self, url: URL, busy_seconds: float, password: str = "") -> None:
        # Out of the URL's options, which SQLAlchemy shows; its own password field it hides.
        hidden = {name: str(value) for name, value in url.query.items() if "password" in name.casefold()}
        url = url.difference_update_query(hidden)
        if password:
            url = url.set(password=password)
        self._secrets = [secret for secret in (url.password, *hidden.values()) if secret]
        host = url.host or url.query.get("host") or "its local socket"
        self.place = f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"
        self._busy_ms = max(1, round(busy_seconds * 1000))
        self.put_back: tuple[str, ...] = ()
        with self._guard("opened"):
            self._engine = self._connect(url.set(drivername="postgresql+psycopg"), busy_seconds, hidden)
            try:
                self._prepare()
            except BaseException:
                self._engine.dispose()
                raise
        self._reader = self._engine.execution_options(postgresql_readonly=True)

    def _connect(self, url: URL, busy_seconds: float, hidden: dict[str, str]) -> Engine:
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",  # a writer must see what was committed while it queued
            pool_pre_ping=True,  # a connection that was lost is made anew; what it was doing is not repeated
            pool_size=2,
            max_overflow=14,
            pool_timeout=busy_seconds,
            connect_args={
                **hidden,
                "connect_timeout": max(2, round(busy_seconds)),
                "application_name": "opsconsole",
                "keepalives_idle": 15,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": max(10_000, self._busy_ms),
            },
        )
        event.listen(engine, "connect", self._settle)
        return engine

    def _settle(self, dbapi: "psycopg.Connection[Any]", _: object) -> None:
        """What every session needs: commits that wait for the disk, and no lock waited for, or kept, for ever."""
        with dbapi.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            held = cursor.fetchone()
            if held is None or held[0] not in _SYNCED:
                cursor.execute("SET synchronous_commit = on")
            # A console that stops in the middle (a laptop's lid) must not keep everybody from writing.
            cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
            cursor.execute(f"SET lock_timeout = {self._busy_ms}")  # a number of ours
            cursor.execute("SET client_encoding = 'UTF8'")
        dbapi.commit()

    def _prepare(self) -> None:
        with self._engine.begin() as connection:
            for name, good in _LASTING.items():
                held = connection.exec_driver_sql(f"SHOW {name}").scalar()
                if held not in good:
                    raise AuditUnavailable(
                        f"The audit store {self.place} has {name} = {held}.",
                        "A record it acknowledges could be lost in a power cut. " + NOTHING_SENT,
                        f"Set {name} = on in the server's configuration.",
                    )
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
            if encoding != "UTF8":
                raise AuditUnavailable(
                    f"The database of the audit store {self.place} has the encoding {encoding}.",
                    "Not every text could be kept as it is.",
                    "Make it with: createdb -E UTF8 -T template0 NAME",
                )
            if not missing(connection):
                return
        with self._engine.begin() as connection:
            connection.exec_driver_sql(_TURN)
            if lacking := missing(connection):  # or another console was first
                self.put_back = tuple(sorted(lacking)) if "audit" not in lacking else ()
                build(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._guard("read"), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._guard("written"), self._engine.begin() as connection:
            _, synced = connection.exec_driver_sql(_TURN).one()
            if synced not in _SYNCED:
                raise AuditUnavailable(
                    f"The audit store {self.place} has synchronous_commit = {synced}, which was on before.",
                    "A record it acknowledges could be lost. " + NOTHING_SENT,
                    "Look at what stands between: a pooler must keep a session's settings.",
                )
            yield connection

    def head(self, connection: Connection) -> Row | None:
        row = connection.exec_driver_sql(_HEAD).first()
        return None if row is None else tuple(row)

    def insert(self, connection: Connection, row: Row) -> None:
        connection.exec_driver_sql(_INSERT, row)

    def pages(self, total: int, size: int) -> Iterator[list[Row]]:
        last = -(1 << 63)  # also what somebody put below the first
        while page := self._raw(_PAGE, (last, total, size)):
            yield page
            last = page[-1][0]

    def count(self, total: int) -> int:
        return int(self._raw(_COUNT, (total,))[0][0])

    def _raw(self, statement: str, values: tuple[object, ...]) -> list[Row]:
        """Plain tuples, in a transaction of its own: a long walk holds up neither writers nor the vacuum."""
        with self._guard("read"), closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def damage(self, indexes: bool) -> tuple[int | None, str]:
        with self.reading() as connection:
            found = planted(connection)
        said = (
            f"{', '.join(found)} in the database is none of ours, and may change what is written" if found else ""
        )
        return None, said

    def contains(self, column: ColumnElement[str], word: str) -> ColumnElement[bool]:
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return column.bool_op("ILIKE")(f"%{escaped}%")

    def is_safe(self) -> bool:
        return True  # what another session can see was synced first

    def make_room(self, error: AuditUnavailable) -> bool:
        return False

    def room(self) -> tuple[bool, str]:
        return True, "the server keeps the room: watch its disk"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, psycopg.Error, OSError) as error:
            cause = getattr(error, "orig", None) or error
            said = self._say(cause)
            means = NOTHING_SENT.replace("where the file can", "where the database can")
            # Not from `cause`: a server's error can quote the whole row.
            raise AuditUnavailable(
                f"The audit store {self.place} can't be {doing}: {said}", means, self._next_step(cause, said)
            ) from None

    def _say(self, cause: BaseException) -> str:
        """The server's one sentence, or libpq's on a connection; never the values of a row."""
        said = str(cause)
        if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
            said = cause.diag.message_primary
        for secret in self._secrets:
            said = said.replace(secret, "[redacted]")
        said = " ".join(said.split())[:400]
        return said if said.endswith(".") else f"{said}."

    def _next_step(self, cause: BaseException, said: str) -> str:
        state = getattr(cause, "sqlstate", None) or ""
        for word, step in _BY_WORD.items():
            if word in said:
                return step
        for prefix, step in _BY_STATE.items():
            if state.startswith(prefix):
                return step
        if not state:
            return "Look whether it runs and can be reached: pg_isready, then: opsconsole doctor"
        return f"Look at the server's log (SQLSTATE {state}); then: opsconsole doctor"


_BY_WORD = {
    "password": "Look at the password: PGPASSFILE (mode 0600), or audit.password in the configuration.",
    "append-only": "Two writers disagree about the next record. Run: opsconsole audit verify",
    "second person": "Ask somebody else to approve it, or break the glass. Run: opsconsole audit verify",
    "does not exist": "Make the database (createdb -E UTF8 NAME) or the role, or mend audit.url.",
}
_BY_STATE = {
    "28": "Look at the role in audit.url, at PGPASSFILE, and at the server's pg_hba.conf.",
    "42501": "GRANT the role SELECT and INSERT on audit, and all on outbox; its owner opens the store once.",
    "53100": "Free space on the server's disk.",
    "53300": "The server takes no more connections: close consoles, or raise max_connections.",
    "55P03": "Another console has held it too long. Look at: SELECT * FROM pg_stat_activity WHERE state <> 'idle'",
    "25006": "The server only reads: it may be a standby. Give the address of the primary.",
    "57": "The server ended the connection. Look whether it runs, then try again.",
    "08": "Look whether it runs and can be reached: pg_isready, then: opsconsole doctor",
}
