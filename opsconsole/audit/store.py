"""The audit store: what was intended, what came of it, and who said so; committed and synced before it returns."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from opsconsole.audit.chain import GENESIS, Anchor, Sealer, Verification, message, row_of, verify_rows
from opsconsole.audit.chain import Row as RawRow
from opsconsole.audit.database import NOTHING_SENT, as_it_is, database_path, guard, open_engine, raw_connection
from opsconsole.audit.outbox import put_items
from opsconsole.audit.records import (
    NAMES_KEPT,
    RESOLVED,
    AuditUnavailable,
    Event,
    Outgoing,
    Phase,
    Record,
    canonical,
    read_detail,
    to_json,
    utc_moment,
    utc_text,
)
from opsconsole.audit.tables import AUDIT
from opsconsole.redact import DEFAULT, Redactor, mask_addresses

A = AUDIT.c
NEWEST_FIRST = A.seq.desc()
GREATEST = 2**63 - 1
"""Keeps out what somebody put where a number belongs: SQLite sorts text after every number."""
PAGE = 2000
"""Rows read in one go: long reads hold the file for a moment only, so an intent never waits for a verify."""

# The hot statements as text, their columns in the order of `chain.Row`: building them anew costs as much as a sync.
_COLUMNS = "seq, ref, utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac"
_HEAD = f"SELECT {_COLUMNS} FROM audit ORDER BY seq DESC LIMIT 1"  # noqa: S608
_INSERT = f"INSERT INTO audit ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"  # noqa: S608
_RAW = f"SELECT {_COLUMNS} FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"  # noqa: S608
# Rows no honest writer makes: they can't be reached by walking 1, 2, 3 …, so they are counted apart.
_COUNT = "SELECT count(*) FROM audit WHERE typeof(seq) <> 'integer' OR seq <= ?"


class AuditStore:
    """One SQLite file under a keyed chain. Safe for many threads and many processes; open it after forking.

    `clock` gives the instant of each record (aware). Every method raises AuditUnavailable when the file can't
    be read or written; then nothing was acknowledged and nothing is half written.
    """

    def __init__(
        self,
        url_or_path: str | Path,
        key: bytes,
        *,
        clock: Callable[[], datetime],
        redactor: Redactor = DEFAULT,
        busy_seconds: float = 10.0,
    ) -> None:
        self.path = database_path(url_or_path)
        self._key = key
        self._sealer = Sealer(key)
        self._clock = clock
        self.redactor = redactor
        self._busy_seconds = busy_seconds
        self._pid = os.getpid()
        self._turn = threading.Lock()  # threads queue fairly here; processes take turns by SQLite's lock
        self._engine = open_engine(self.path, busy_seconds)
        self._writer = self._engine.execution_options(writes=True)

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Transactions, also for the outbox.

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._same_process()
        with guard(self.path, "read"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing, synced when it ends without an exception."""
        self._same_process()
        with self._turn, guard(self.path, "written"), self._writer.begin() as connection:
            yield connection

    def _same_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("an audit store can't be carried over a fork: open it in the child")

    def now(self) -> datetime:
        return self._clock().astimezone(UTC)

    # Writing.

    def append(self, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        """Add one record (and what goes out with it) in one transaction.

        ValueError when an outcome or resolution names no intent, or `detail` holds what JSON can't.
        """
        event = self._scrubbed(event)
        if event.phase is Phase.OUTCOME and event.ref is None:
            raise ValueError("an outcome names the seq of its intent")
        detail = canonical(event.detail)
        with self.writing() as connection:
            head = self._trusted_head(connection)
            if event.ref is not None:
                phase = connection.execute(select(A.phase).where(A.seq == event.ref)).scalar()
                if phase != Phase.INTENT:
                    raise ValueError(f"record {event.ref} is not an intent")
            # From the stored text, so that what is returned is what will be read.
            record = Record(
                seq=head.seq + 1,
                utc=utc_moment(utc_text(self._clock())),
                operator=event.operator,
                session=event.session,
                environment=event.environment,
                campaign=event.campaign,
                run=event.run,
                action=event.action,
                phase=event.phase,
                reason=event.reason,
                detail=read_detail(detail),
                prev=head.mac,
                mac="",
                ref=event.ref,
            )
            record = replace(record, mac=self._sealer.mac(message(row_of(record, detail))))
            connection.exec_driver_sql(_INSERT, row_of(record, detail))
            put_items(connection, outbox, record.utc, self.redactor)
        return record

    def intent(self, event: Event) -> Record:
        """To be called, and to have returned, before the first byte goes to a carrier."""
        return self.append(replace(event, phase=Phase.INTENT, ref=None))

    def outcome(self, of: Record | int, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        """What came of an intent. A second outcome is kept too: a late truth is never refused."""
        return self.append(replace(event, phase=Phase.OUTCOME, ref=_seq(of)), outbox=outbox)

    def note(self, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        return self.append(replace(event, phase=Phase.NOTE), outbox=outbox)

    def resolve(self, of: Record | int, event: Event) -> Record:
        """Somebody looked: the intent needs nobody any more. What they found belongs in `reason`."""
        return self.append(replace(event, phase=Phase.NOTE, action=RESOLVED, ref=_seq(of)))

    def _scrubbed(self, event: Event) -> Event:
        def text(value: str) -> str:
            # NUL would end a search early, and a lone surrogate has no UTF-8.
            whole = value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
            return self.redactor.redact(whole)

        detail = self.redactor.clean(event.detail, keep=NAMES_KEPT)
        return replace(
            event,
            operator=text(event.operator),
            session=text(event.session),
            environment=text(event.environment),
            campaign=text(event.campaign),
            run=text(event.run),
            action=text(event.action),
            reason=mask_addresses(text(event.reason)),
            detail=detail if isinstance(detail, dict) else {},
        )

    def _trusted_head(self, connection: Connection) -> Anchor:
        """The newest record, checked: a record must not lend its MAC to what was forged before it."""
        row = connection.exec_driver_sql(_HEAD).first()
        if row is None:
            return Anchor(0, GENESIS)
        try:
            sound = self._sealer.mac(message(tuple(row))) == row.mac
        except TypeError:
            sound = False
        if not sound:
            raise AuditUnavailable(
                f"The newest record ({row.seq}) of the audit store {self.path} doesn't match its MAC.",
                "It was edited, or the key is not the one it was written with. " + NOTHING_SENT,
                "Run: opsconsole audit verify. Keep the file; don't repair it.",
            )
        return Anchor(row.seq, row.mac)

    # Reading.

    def _records(self, query: Select[Any]) -> list[Record]:
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [record_of(row) for row in rows]

    def get(self, seq: int) -> Record | None:
        return next(iter(self._records(select(AUDIT).where(A.seq == seq))), None)

    def head(self) -> Anchor:
        """The newest record's seq and MAC; of an empty store `Anchor(0, GENESIS)`."""
        with self.reading() as connection:
            row = connection.execute(
                select(A.seq, A.mac).where(A.seq <= GREATEST).order_by(NEWEST_FIRST).limit(1)
            ).first()
        return Anchor(int(row[0]), str(row[1])) if row else Anchor(0, GENESIS)

    def unresolved(self, environment: str | None = None) -> list[Record]:
        """Intents without outcome or resolution, oldest first, of every environment or of one. To be looked at,
        never repeated."""
        later = AUDIT.alias("later")
        closed = select(later.c.seq).where(
            later.c.ref == A.seq, or_(later.c.phase == Phase.OUTCOME.value, later.c.action == RESOLVED)
        )
        where = [A.phase == Phase.INTENT.value, ~closed.exists()]
        if environment is not None:
            where.append(A.environment == environment)
        return self._records(select(AUDIT).where(*where).order_by(A.seq))

    def search(
        self,
        text: str = "",
        campaign: str | None = None,
        action: str | None = None,
        operator: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before_seq: int | None = None,
        limit: int = 200,
        within: int | None = None,
        environment: str | None = None,
    ) -> list[Record]:
        """Newest first. Each word of `text` occurs somewhere in the record (ASCII case ignored); `since` is in,
        `until` is out. For the next page pass the last seq as `before_seq`. `within` looks at so many
        records only, counted down from `before_seq`: a rare word is then searched in steps, with no long wait."""
        where: list[ColumnElement[bool]] = []
        for word in text.split():
            places = (A.campaign, A.action, A.operator, A.reason, A.detail, A.run, A.session, A.environment)
            where.append(or_(*(place.contains(word, autoescape=True) for place in places)))
        exact = (
            (A.campaign, campaign),
            (A.action, action),
            (A.operator, operator),
            (A.environment, environment),
        )
        where += [column == value for column, value in exact if value is not None]
        # Bounds on seq too, from the index on utc: the walk from the newest down then ends where the time does.
        # (+ 0: else SQLite looks for the least seq by walking the table.)
        if since is not None:
            first = select(func.min(A.seq + 0)).where(A.utc >= utc_text(since)).scalar_subquery()
            where += [A.utc >= utc_text(since), A.seq >= first]
        if until is not None:
            last = select(func.max(A.seq + 0)).where(A.utc < utc_text(until)).scalar_subquery()
            where += [A.utc < utc_text(until), A.seq <= last]
        if before_seq is not None:
            where.append(A.seq < before_seq)
        if within is not None:
            top = select(func.max(A.seq)).scalar_subquery() + 1 if before_seq is None else before_seq
            where.append(A.seq >= top - within)
        return self._records(select(AUDIT).where(*where).order_by(NEWEST_FIRST).limit(limit))

    def for_campaign(self, slug: str) -> list[Record]:
        """Oldest first."""
        return self._records(select(AUDIT).where(A.campaign == slug).order_by(A.seq))

    def for_run(self, run_id: str) -> list[Record]:
        """Oldest first."""
        return self._records(select(AUDIT).where(A.run == run_id).order_by(A.seq))

    def last_by_campaign(self, actions: Iterable[str], environment: str | None = None) -> dict[str, Record]:
        """For each campaign that has one, the newest record whose action is among `actions`; of one environment,
        when one is named."""
        where = [A.action.in_(list(actions)), A.campaign != ""]
        if environment is not None:
            where.append(A.environment == environment)
        newest = select(func.max(A.seq)).where(*where).group_by(A.campaign)
        return {record.campaign: record for record in self._records(select(AUDIT).where(A.seq.in_(newest)))}

    # Proving.

    def verify(
        self, anchor: Anchor | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Verification:
        """Walk the whole chain as it stands now, in bounded memory. `progress` gets (checked, of how many)."""
        total = self.head().seq
        result = verify_rows(self._raw_rows(total, progress), self._key, anchor)
        aside = self._count(total) - total if result.ok else 0
        if aside:
            why = f"{aside} rows stand outside the chain, without a seq of their own"
            return replace(result, ok=False, first_bad_seq=result.checked + 1, why=why)
        return result

    def _raw_rows(self, total: int, progress: Callable[[int, int], None] | None) -> Iterator[RawRow]:
        last = 0
        with guard(self.path, "read"), closing(raw_connection(self.path, self._busy_seconds)) as connection:
            while page := _page(connection, last, total):
                yield from page
                last = page[-1][0]
                if progress is not None:
                    progress(last, total)

    def _count(self, total: int) -> int:
        with guard(self.path, "read"), closing(raw_connection(self.path, self._busy_seconds)) as connection:
            return int(connection.execute(_COUNT, (total,)).fetchone()[0])

    def export(self, fp: TextIO) -> int:
        """JSON Lines, oldest first, for `records.from_json` and `chain.verify`. Returns the number of records."""
        total, last, count = self.head().seq, 0, 0
        while page := self._records(select(AUDIT).where(A.seq > last, A.seq <= total).order_by(A.seq).limit(PAGE)):
            fp.writelines(to_json(record) + "\n" for record in page)
            last, count = page[-1].seq, count + len(page)
        return count


def _page(connection: sqlite3.Connection, last: int, total: int) -> list[RawRow]:
    try:
        return connection.execute(_RAW, (last, total, PAGE)).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        connection.text_factory = as_it_is  # slower, and its MAC will show where
        return connection.execute(_RAW, (last, total, PAGE)).fetchall()


def _seq(of: Record | int) -> int:
    return of if isinstance(of, int) else of.seq


def columns_of(record: Record) -> dict[str, object]:
    """The columns a record is stored in."""
    names = ("operator", "session", "environment", "campaign", "run", "action", "reason", "prev", "mac")
    columns: dict[str, object] = {name: getattr(record, name) for name in names}
    return columns | {
        "seq": record.seq,
        "utc": utc_text(record.utc),
        "phase": record.phase.value,
        "detail": canonical(record.detail),
        "ref": record.ref,
    }


def record_of(row: Row[Any] | Sequence[Any]) -> Record:
    """The record in a row. A row somebody damaged still shows (and fails to verify): one must not hide the rest."""
    columns: dict[str, Any] = dict(row._mapping) if isinstance(row, Row) else dict(zip(A.keys(), row, strict=True))
    texts = {name: value if isinstance(value, str) else repr(value) for name, value in columns.items()}
    try:
        utc = utc_moment(texts["utc"])
    except ValueError:
        utc = datetime.min.replace(tzinfo=UTC)
    try:
        phase = Phase(texts["phase"])
    except ValueError:
        phase = Phase.NOTE
    names = ("operator", "session", "environment", "campaign", "run", "action", "reason", "prev", "mac")
    return Record(
        seq=columns["seq"] if isinstance(columns["seq"], int) else 0,
        utc=utc,
        **{name: texts[name] for name in names},
        phase=phase,
        detail=read_detail(texts["detail"]),
        ref=columns["ref"] if isinstance(columns["ref"], int) else None,
    )
