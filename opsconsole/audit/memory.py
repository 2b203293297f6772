"""What the store remembers of a campaign's newest start, for carriers that can't keep a run id themselves."""

from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.ports import Remembered

SEND = "send"


def last_start(store: AuditStore, environment: str, carrier: str, slug: str) -> Remembered | None:
    """The newest intent to send `slug` on `carrier` that isn't known to have come to nothing; None for none, and
    where the store can't be read: its own trouble blocks by itself."""
    try:
        records = store.search(campaign=slug, action=SEND, environment=environment, limit=40)
    except AuditUnavailable:
        return None
    outcomes = {record.ref: record for record in records if record.phase is Phase.OUTCOME}
    for record in records:
        if record.phase is not Phase.INTENT or record.detail.get("carrier") != carrier:
            continue
        outcome = outcomes.get(record.seq)
        if outcome is not None and outcome.detail.get("result") == "not-started":
            continue
        plan = record.detail.get("plan")
        document = plan if isinstance(plan, dict) else {}
        audience, attempt = document.get("audience"), document.get("attempt")
        return Remembered(
            run_id=record.run,
            attempt=attempt if isinstance(attempt, int) else 1,
            at=record.utc,
            by=record.operator,
            planned=audience if isinstance(audience, int) else None,
            over=outcome is not None,
        )
    return None
