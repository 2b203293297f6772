"""What the store itself knows of its anchors: what waits to be copied, what was acknowledged, what was accepted."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from opsconsole.audit.records import OutboxItem, Record, read_detail
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tables import AUDIT, OUTBOX

ACCEPTED = "host-accepted"
"""The action of the note by which a person takes a keeper as it is, after it lost or changed its records."""
_NEWEST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Copies of the head that one keeper has yet to acknowledge."""

    ids: tuple[int, ...]
    since: datetime
    last_error: str


def destination(keeper: str) -> str:
    return f"anchor:{keeper}"


def macs(store: AuditStore, seqs: Collection[int]) -> dict[int, str]:
    """The MACs of these records, as they are stored; those that aren't there are left out."""
    with store.reading() as connection:
        rows = connection.execute(select(AUDIT.c.seq, AUDIT.c.mac).where(AUDIT.c.seq.in_(list(seqs)))).all()
    return {int(seq): str(mac) for seq, mac in rows}


def acknowledged(store: AuditStore, keeper: str, environment: str) -> int:
    """The newest record whose copy this keeper acknowledged; 0 when there is none."""
    done = select(OUTBOX.c.payload).where(
        OUTBOX.c.destination == destination(keeper), OUTBOX.c.done_utc.is_not(None)
    )
    with store.reading() as connection:
        texts = connection.execute(done.order_by(OUTBOX.c.id.desc()).limit(_NEWEST)).scalars().all()
    seqs = (detail.get("seq") for detail in map(read_detail, texts) if detail.get("environment") == environment)
    return max((seq for seq in seqs if isinstance(seq, int)), default=0)


def waiting(items: list[OutboxItem], keeper: str, environment: str) -> Waiting | None:
    """The copies for this keeper among `items`, what waits in the outbox; None when there are none."""
    mine = [
        item
        for item in items
        if item.destination == destination(keeper) and item.payload.get("environment", environment) == environment
    ]
    if not mine:
        return None
    return Waiting(
        ids=tuple(item.id for item in mine),
        since=min(item.created_utc for item in mine),
        last_error=mine[-1].last_error,
    )


def accepted(store: AuditStore, keeper: str, environment: str) -> Record | None:
    """The newest record by which a person accepted this keeper as it is; None when nobody had to."""
    records = store.search(action=ACCEPTED, environment=environment)
    return next((record for record in records if record.detail.get("host") == keeper), None)
