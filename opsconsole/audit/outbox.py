"""The outbox: what another system must be told, kept until it has acknowledged.

Delivery is at least once: a receiver must know a key it has already seen. Never put here what sends mail.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, or_, select

from opsconsole.audit.records import NAMES_KEPT, OutboxItem, Outgoing, canonical, read_detail, utc_moment, utc_text
from opsconsole.audit.tables import OUTBOX
from opsconsole.redact import JSON, Redactor, mask_addresses

if TYPE_CHECKING:
    from opsconsole.audit.store import AuditStore

O = OUTBOX.c  # noqa: E741 - as A in the store
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_ERROR = 500
LEASE = timedelta(minutes=1)
"""So long nobody else tries what somebody has taken; longer than any receiver is waited for."""


def wait_after(tries: int) -> timedelta:
    """Back-off after the `tries`-th failure: 5 s, 10 s, 20 s … 15 min."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(max(tries - 1, 0), 20)))


def told(payload: Mapping[str, JSON], redactor: Redactor) -> dict[str, JSON]:
    """A payload as others may have it: without secrets, and with addresses masked."""
    clean = redactor.clean(payload, keep=NAMES_KEPT)
    return clean if isinstance(clean, dict) else {}


def put_items(connection: Connection, items: Iterable[Outgoing], now: datetime, redactor: Redactor) -> None:
    """Within the caller's transaction. A key that is already there, delivered or not, is left as it is."""
    for item in items:
        payload = told(item.payload, redactor)
        key = redactor.redact(item.key)
        if connection.execute(select(O.id).where(O.key == key)).first() is not None:
            continue  # writers take turns, so nobody puts it in between
        row = {
            "created_utc": utc_text(now),
            "destination": redactor.redact(item.destination),
            "key": key,
            "payload": canonical(payload),
            "tries": 0,
            "next_try_utc": utc_text(now),
            "last_error": "",
        }
        connection.execute(OUTBOX.insert().values(row))


def purge(store: "AuditStore", before: datetime) -> int:
    """Remove what was acknowledged before that, but the newest of each destination, and what began and hasn't
    ended: its end could not be told without it. How many."""
    newest = select(func.max(O.id)).where(O.done_utc.is_not(None)).group_by(O.destination)
    old = (O.done_utc < utc_text(before), O.id.not_in(newest))
    with store.reading() as connection:
        found = connection.execute(select(O.destination).where(*old).distinct()).scalars().all()
    if not found:
        return 0  # the usual case costs no write
    begun = [item.id for destination in found for item in Outbox(store).begun(destination)]
    with store.writing() as connection:
        return connection.execute(OUTBOX.delete().where(*old, O.id.not_in(begun))).rowcount


class Outbox:
    """The delivery side of a store's outbox. Raises AuditUnavailable like the store."""

    def __init__(self, store: "AuditStore") -> None:
        self._store = store

    def put(self, destination: str, key: str, payload: Mapping[str, JSON]) -> None:
        """Keep it until acknowledged. The same key again changes nothing."""
        with self._store.writing() as connection:
            put_items(connection, [Outgoing(destination, key, payload)], self._store.now(), self._store.redactor)

    def put_turn(self, destination: str, thread: str, opens: bool, payload: Mapping[str, JSON]) -> bool:
        """Say once that something began, or that it ended, whoever of a team sees it first; again only in turn.

        False when the newest word of this `thread` for this destination says so already, or nothing began.
        """
        prefix = self._store.redactor.redact(f"{destination}:{thread}#")
        words = select(O.key).where(O.destination == destination, O.key.startswith(prefix, autoescape=True))
        with self._store.writing() as connection:  # writers take turns: two can't both find nothing
            newest = connection.execute(words.order_by(O.id.desc()).limit(1)).scalar() or ""
            turn, _, said = newest.removeprefix(prefix).partition(":")
            if (said == "begun") == opens:
                return False
            number = int(turn or 0) + opens
            key = f"{prefix}{number}:{'begun' if opens else 'ended'}"
            put_items(connection, [Outgoing(destination, key, payload)], self._store.now(), self._store.redactor)
        return True

    def begun(self, destination: str) -> list[OutboxItem]:
        """The newest word of each thread for this destination, where that is that something began."""
        words = (O.destination == destination, or_(O.key.endswith(":begun"), O.key.endswith(":ended")))
        with self._store.reading() as connection:
            rows = connection.execute(select(OUTBOX).where(*words).order_by(O.id)).all()
        newest = {row.key.rpartition("#")[0]: row for row in rows}
        return [_item(row) for row in newest.values() if row.key.endswith(":begun")]

    def due(self, now: datetime) -> list[OutboxItem]:
        """What should be tried now, oldest first: also what a clock that was ahead put off further than anything
        is ever put off."""
        return self._items(
            or_(O.next_try_utc <= utc_text(now), O.next_try_utc > utc_text(now + LONGEST_WAIT + LEASE))
        )

    def claim(self, item: OutboxItem, now: datetime) -> bool:
        """Take what `due` gave, so that no other console tries it for LEASE. False: one has it, or it is done."""
        seen = (O.id == item.id, O.done_utc.is_(None), O.next_try_utc == utc_text(item.next_try_utc))
        with self._store.writing() as connection:
            taken = OUTBOX.update().where(*seen).values(next_try_utc=utc_text(now + LEASE))
            return connection.execute(taken).rowcount == 1

    def waiting(self) -> list[OutboxItem]:
        """Everything not yet acknowledged, oldest first."""
        return self._items()

    def about(self, slug: str, seqs: Collection[int], environment: str) -> list[OutboxItem]:
        """Everything that tells of one campaign, or keeps a copy of the head at one of the records `seqs`,
        acknowledged or not, oldest first."""
        keepers = self._store.rules.keepers.get(environment, ())
        copies = [f"anchor:{name}:{seq}" for name in keepers for seq in seqs]
        named = [O.payload.contains(f'"{key}":"{slug}"', autoescape=True) for key in ("slug", "campaign", "scope")]
        query = select(OUTBOX).where(or_(O.key.in_(copies), *named)).order_by(O.id)
        with self._store.reading() as connection:
            items = [_item(row) for row in connection.execute(query).all()]
        return [item for item in items if item.payload.get("environment", environment) == environment]

    def done(self, id: int, now: datetime | None = None) -> None:  # noqa: A002 - the column's name
        """The receiver acknowledged it. KeyError when there is no such item."""
        self._update(id, {"done_utc": utc_text(now or self._store.now())})

    def failed(self, id: int, error: str, now: datetime) -> None:  # noqa: A002
        """It wasn't acknowledged: try again after the back-off. KeyError when there is no such item."""
        said = mask_addresses(self._store.redactor.redact(error.encode("utf-8", "backslashreplace").decode()))
        with self._store.writing() as connection:
            tries = connection.execute(select(O.tries).where(O.id == id)).scalar()
            if tries is None:
                raise KeyError(f"no item {id} in the outbox")
            later = utc_text(now + wait_after(tries + 1))
            values = {"tries": tries + 1, "next_try_utc": later, "last_error": said[:LONGEST_ERROR]}
            connection.execute(OUTBOX.update().where(O.id == id).values(values))

    def _update(self, id: int, values: Mapping[str, object]) -> None:  # noqa: A002
        with self._store.writing() as connection:
            if not connection.execute(OUTBOX.update().where(O.id == id).values(**values)).rowcount:
                raise KeyError(f"no item {id} in the outbox")

    def _items(self, *where: Any) -> list[OutboxItem]:
        with self._store.reading() as connection:
            rows = connection.execute(select(OUTBOX).where(O.done_utc.is_(None), *where).order_by(O.id)).all()
        return [_item(row) for row in rows]


def _item(row: Row[Any]) -> OutboxItem:
    return OutboxItem(
        id=row.id,
        created_utc=utc_moment(row.created_utc),
        destination=row.destination,
        key=row.key,
        payload=read_detail(row.payload),
        tries=row.tries,
        next_try_utc=utc_moment(row.next_try_utc),
        last_error=row.last_error,
        done_utc=utc_moment(row.done_utc) if row.done_utc else None,
    )
