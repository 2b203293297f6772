"""The audit store: what was intended, what came of it, and who said so; committed and synced before it returns."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TextIO

from sqlalchemy import Connection, Select, select

from opsconsole.audit import enforce, queries
from opsconsole.audit.chain import GENESIS, Anchor, Sealer, Verification, message, row_of, store_id, verify_rows
from opsconsole.audit.chain import Row as RawRow
from opsconsole.audit.database import NOTHING_SENT, open_database
from opsconsole.audit.export import write_export
from opsconsole.audit.outbox import purge, put_items
from opsconsole.audit.queries import A
from opsconsole.audit.records import (
    CLOCK_EXPLAINED,
    NAMES_KEPT,
    RESOLVED,
    Event,
    Outgoing,
    Phase,
    Record,
    canonical,
    read_detail,
    utc_moment,
    utc_text,
)
from opsconsole.audit.rows import record_of
from opsconsole.audit.rules import ANCHORED, StoreRules
from opsconsole.audit.tables import AUDIT
from opsconsole.audit.tidings import tidings
from opsconsole.audit.wanted import check_wanted
from opsconsole.errors import AuditUnavailable
from opsconsole.redact import DEFAULT, Redactor, mask_addresses

PAGE = 2000
"""Rows read in one go: long reads hold the file for a moment only, so an intent never waits for a verify."""


class AuditStore:
    """A SQLite file or a PostgreSQL database under a keyed chain. Safe for many threads, processes and machines;
    open it after forking.

    `clock` gives the instant of each record (aware). Every method raises AuditUnavailable when the database can't
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
        rules: StoreRules | None = None,
        password: str = "",
    ) -> None:
        self.key = key
        self.id = store_id(key)
        self.rules = rules or StoreRules()
        self.redactor = redactor
        self._sealer = Sealer(key)
        self._clock = clock
        self._pid = os.getpid()
        self._turn = threading.Lock()  # threads queue fairly here; processes take turns by the database's lock
        self._database = open_database(url_or_path, busy_seconds, password)
        self.place, self.path = self._database.place, self._database.path

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Transactions, also for the outbox.

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._same_process()
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All or nothing, synced when it ends without an exception."""
        self._same_process()
        with self._turn, self._database.writing() as connection:
            yield connection

    def _same_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("an audit store can't be carried over a fork: open it in the child")

    def now(self) -> datetime:
        return self._clock().astimezone(UTC)

    @property
    def put_back(self) -> tuple[str, ...]:
        """The triggers that had to be made again when it was opened here."""
        return self._database.put_back

    def reserve_state(self) -> tuple[bool, str]:
        """Whether there is room kept back for the end of a run on a full disk; in words for `doctor`."""
        return self._database.room()

    # Writing.

    def append(self, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        """Add one record (and what goes out with it) in one transaction.

        ValueError when an outcome or resolution names no intent, or `detail` holds what JSON can't; Refused by the
        rules (enforce.py, wanted.py). When the disk is full, the word on a run under way gets the room kept back.
        """
        event = self._scrubbed(event)
        if event.phase is Phase.OUTCOME and event.ref is None:
            raise ValueError("an outcome names the seq of its intent")
        outgoing = tuple(outbox)
        for last in (False, True):
            tried: list[Record] = []
            try:
                return self._write(event, outgoing, tried)
            except AuditUnavailable as error:
                if event.phase is Phase.INTENT:
                    raise  # even one that is there after all: it stays open, and is looked after
                if tried and self._is_there(tried[0]):
                    return tried[0]
                if last or not event.run or not self._database.make_room(error):
                    raise
        raise AssertionError("unreachable")

    def _write(self, event: Event, outgoing: tuple[Outgoing, ...], tried: list[Record]) -> Record:
        detail = canonical(event.detail)
        with self.writing() as connection:
            head = self._trusted_head(connection)
            if event.ref is not None:
                phase = connection.execute(select(A.phase).where(A.seq == event.ref)).scalar()
                if phase != Phase.INTENT:
                    raise ValueError(f"record {event.ref} is not an intent")
            # From the stored text, so that what is returned is what will be read.
            utc = utc_moment(utc_text(self._clock()))
            if event.phase is Phase.INTENT:
                enforce.check_clock(connection, utc)
                check_wanted(connection, event)
            four_eyes = event.environment in self.rules.four_eyes
            if four_eyes and enforce.check_second_person(connection, event, utc):
                detail = canonical({**event.detail, "four_eyes": True})
            record = Record(
                seq=head.seq + 1,
                utc=utc,
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
            tried.append(record)
            self._database.insert(connection, row_of(record, detail))
            told = tidings(record, self.rules.told.get(record.environment, ()))
            put_items(connection, (*outgoing, *self._anchors(record), *told), record.utc, self.redactor)
        return record

    def _anchors(self, record: Record) -> Iterator[Outgoing]:
        if record.action not in ANCHORED:
            return
        for name in self.rules.keepers.get(record.environment, ()):
            yield Outgoing(
                f"anchor:{name}",
                f"anchor:{name}:{record.seq}",
                {
                    "seq": record.seq,
                    "mac": record.mac,
                    "utc": utc_text(record.utc),
                    "action": record.action,
                    "environment": record.environment,
                },
            )

    def _is_there(self, record: Record) -> bool:
        """After an error: it can have come after the commit, and then the record must not be written twice."""
        try:
            with self.writing() as connection:  # nobody is in the middle of a commit meanwhile
                mac = connection.execute(select(A.mac).where(A.seq == record.seq)).scalar()
        except AuditUnavailable:
            return False
        return mac == record.mac and self._database.is_safe()

    def intent(self, event: Event) -> Record:
        """To be called, and to have returned, before the first byte goes to a carrier."""
        return self.append(replace(event, phase=Phase.INTENT, ref=None))

    def still_wanted(self, event: Event) -> None:
        """For the last instant before a carrier is asked, when the intent of `event` is on record. Raises Refused
        when a hold or a decision came in between."""
        with self.reading() as connection:
            check_wanted(connection, self._scrubbed(event))

    def outcome(self, of: Record | int, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        """What came of an intent. A second outcome is kept too: a late truth is never refused."""
        return self.append(replace(event, phase=Phase.OUTCOME, ref=_seq(of)), outbox=outbox)

    def note(self, event: Event, *, outbox: Iterable[Outgoing] = ()) -> Record:
        return self.append(replace(event, phase=Phase.NOTE), outbox=outbox)

    def resolve(self, of: Record | int, event: Event) -> Record:
        """Somebody looked: the intent needs nobody any more. What they found belongs in `reason`."""
        return self.append(replace(event, phase=Phase.NOTE, action=RESOLVED, ref=_seq(of)))

    def explain_clock(self, event: Event) -> Record:
        """Somebody says, in `reason`, why the clock went back: intents are taken again from this record's time on.

        ValueError without a reason.
        """
        if not event.reason.strip():
            raise ValueError("say what was wrong with the clock")
        return self.append(replace(event, phase=Phase.NOTE, action=CLOCK_EXPLAINED, ref=None))

    def purge_outbox(self, now: datetime, kept_for: timedelta) -> int:
        """Remove what was acknowledged longer ago, but the newest of each destination; how many. No record goes."""
        return purge(self, now - kept_for)

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
        row = self._database.head(connection)
        if row is None:
            return Anchor(0, GENESIS)
        try:
            sound = self._sealer.mac(message(row)) == row[13]
        except TypeError:
            sound = False
        if not sound:
            raise AuditUnavailable(
                f"The newest record ({row[0]}) of the audit store {self.place} doesn't match its MAC.",
                "It was edited, or the key is not the one it was written with. " + NOTHING_SENT,
                "Run: opsconsole audit verify. Keep the records; don't repair them. Consoles that share a store "
                "share its key.",
            )
        return Anchor(row[0], row[13])

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
            row = connection.execute(queries.head()).first()
        return Anchor(int(row[0]), str(row[1])) if row else Anchor(0, GENESIS)

    def unresolved(self, environment: str | None = None) -> list[Record]:
        """Intents without outcome or resolution, oldest first, of every environment or of one. To be looked at,
        never repeated."""
        return self._records(queries.unresolved(environment))

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
        exact = {"campaign": campaign, "action": action, "operator": operator, "environment": environment}
        query = queries.search(self._database.contains, text, exact, since, until, before_seq, within)
        return self._records(query.limit(limit))

    def for_campaign(self, slug: str) -> list[Record]:
        """Oldest first."""
        return self._records(select(AUDIT).where(A.campaign == slug).order_by(A.seq))

    def for_run(self, run_id: str) -> list[Record]:
        """Oldest first."""
        return self._records(select(AUDIT).where(A.run == run_id).order_by(A.seq))

    def last_by_campaign(self, actions: Iterable[str], environment: str | None = None) -> dict[str, Record]:
        """For each campaign that has one, the newest record whose action is among `actions`; of one environment,
        when one is named."""
        found = self._records(queries.last_by_campaign(actions, environment))
        return {record.campaign: record for record in found}

    # Proving.

    def verify(
        self,
        anchor: Anchor | None = None,
        progress: Callable[[int, int], None] | None = None,
        *,
        indexes: bool = True,
    ) -> Verification:
        """Walk the whole chain as it stands now, in bounded memory. `progress` gets (checked, of how many).

        With `indexes` also look whether each finds every record: that holds a large SQLite file for seconds, in
        which an intent has to wait.
        """
        total = self.head().seq
        result = verify_rows(self._rows(total, progress), self.key, anchor)
        aside = self._database.count(total) - total if result.ok else 0
        if aside:
            why = f"{aside} rows stand outside the chain, without a seq of their own"
            return replace(result, ok=False, first_bad_seq=result.checked + 1, why=why)
        seq, why = self._database.damage(indexes) if result.ok else (None, "")
        if why:
            return replace(result, ok=False, first_bad_seq=seq or result.checked + 1, why=why)
        return result

    def _rows(self, total: int, progress: Callable[[int, int], None] | None = None) -> Iterator[RawRow]:
        for page in self._database.pages(total, PAGE):
            yield from page
            if progress is not None:
                progress(page[-1][0], total)

    def export(self, fp: TextIO) -> int:
        """The records as they are stored, as JSON Lines that verify_export.py can check without the console
        (docs/audit-format.md). Returns the number of records."""
        head = self.head()
        return write_export(fp, self._rows(head.seq), head, self.key, self.now())


def _seq(of: Record | int) -> int:
    return of if isinstance(of, int) else of.seq
