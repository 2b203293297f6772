"""Whether mail is still wanted, by the store's own records: asked in the transaction that records the intent.

What a console saw of the store is a moment old by then, and somebody else may have held the campaign, or called it
off, in that moment.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from opsconsole.audit.queries import NEWEST_FIRST, A
from opsconsole.audit.records import Event, Record, instant_in
from opsconsole.audit.rows import record_of
from opsconsole.audit.scopes import EVERYTHING, GLOBAL, HOST
from opsconsole.audit.tables import AUDIT
from opsconsole.ports import Refused

DECIDED = frozenset({"send", "send-rest"})
MAILING = DECIDED | {"run-resume", "trigger-on"}
OPERATE = "operate"  # on a system, beyond a run; of some people may get mail
HOLDS = ("hold", "release")
DECISIONS = ("mark", "cancel", "close", "reschedule")
NOTHING_SENT = "Nothing was sent."


def check_wanted(connection: Connection, event: Event) -> None:
    """Raises Refused when a hold binds this intent, or a decision ended the campaign or moved it elsewhere."""
    if event.action not in MAILING and not (event.action == OPERATE and event.detail.get("mails")):
        return
    carrier = event.detail.get("carrier") or event.detail.get("source", "")
    for key in (event.campaign, f"{HOST}{carrier}", GLOBAL):
        hold = _newest(connection, event, key, HOLDS)
        if hold is not None and hold.action == "hold":
            scope = EVERYTHING if key == GLOBAL else key
            raise Refused(
                f"It is on hold ({scope}) by {hold.operator}: {hold.reason} (record {hold.seq}).",
                NOTHING_SENT,
                "Ask them, or release the hold.",
            )
    decision = _newest(connection, event, event.campaign, DECISIONS) if event.action in DECIDED else None
    if decision is not None and (why := _against(decision, event)):
        raise Refused(f"{why} by {decision.operator} (record {decision.seq}).", NOTHING_SENT, "Look at it again.")


def _against(decision: Record, event: Event) -> str:
    match decision.action:
        case "mark":
            return "It was marked as executed"
        case "cancel":
            return "It was called off"
        case "close":
            return "It was closed as it is"
    plan = event.detail.get("plan")
    planned = instant_in(plan.get("due")) if isinstance(plan, dict) else None
    due = instant_in(decision.detail.get("due"))
    moved = event.action == "send" and planned is not None and due is not None and planned != due
    return f"The plan is stale: it was rescheduled to {due:%Y-%m-%d %H:%M} UTC" if moved else ""


def _newest(connection: Connection, event: Event, campaign: str, actions: Iterable[str]) -> Record | None:
    where = (A.campaign == campaign, A.environment == event.environment, A.action.in_(list(actions)))
    row = connection.execute(select(AUDIT).where(*where).order_by(NEWEST_FIRST).limit(1)).first()
    return record_of(row) if row is not None else None
