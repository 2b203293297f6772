"""What the store refuses to record, whoever asks: looked at inside the transaction that would record it.

A second person (StoreRules.four_eyes): nobody approves what they planned, and no send is begun on an approval by
its planner, for other content, or past its time. The clock: no intent while it is behind what is recorded already.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from opsconsole.audit.queries import NEWEST_FIRST, A
from opsconsole.audit.records import CLOCK_EXPLAINED, Event, Phase, Record, instant_in, utc_moment, utc_text
from opsconsole.audit.rows import record_of
from opsconsole.audit.tables import AUDIT
from opsconsole.digests import content_digest, short
from opsconsole.plan import Plan
from opsconsole.ports import Refused

CLOCK_BEHIND = timedelta(seconds=60)
NOTHING_DONE = "Nothing was recorded, and nothing will be done."


def check_clock(connection: Connection, now: datetime) -> None:
    """Refused when `now` is more than CLOCK_BEHIND behind a record, unless somebody has explained that one."""
    explained = select(func.max(A.seq)).where(A.action == CLOCK_EXPLAINED).scalar_subquery()
    latest = connection.execute(
        select(A.utc).where(A.seq >= func.coalesce(explained, 0)).order_by(A.utc.desc()).limit(1)
    ).scalar()
    if latest is None or str(latest) <= utc_text(now + CLOCK_BEHIND):
        return
    raise Refused(
        f"This console's clock says {now:%Y-%m-%d %H:%M:%S} UTC, and a record is of {_said(str(latest))} already.",
        "One of the two is wrong, and what is due can't be judged by a wrong clock. " + NOTHING_DONE,
        "Set the clock right; if the record is the wrong one, say so: opsconsole audit accept-clock --reason TEXT",
    )


def check_second_person(connection: Connection, event: Event, now: datetime) -> bool:
    """For an event in an environment under four eyes. Raises Refused; True when it is a send's intent."""
    if event.action == "approve":
        _approves_own_plan(connection, event)
    if event.phase is not Phase.INTENT:
        return False
    if event.action == "release-claim":
        _releases_own_claim(connection, event, now)
    if event.action == "send":
        _sends_with_approval(connection, event, now)
        return True
    return False


def _approves_own_plan(connection: Connection, event: Event) -> None:
    content = str(event.detail.get("digest", ""))
    for record in _records(connection, event, "plan"):
        if same(record.operator, event.operator) and content_of(record.detail.get("plan")) == content:
            raise Refused(
                f"{event.operator} planned this very content of {event.campaign} (record {record.seq}).",
                f"Whoever plans a send doesn't approve it here. {NOTHING_DONE}",
                "Ask a second person to approve it.",
            )


def _sends_with_approval(connection: Connection, event: Event, now: datetime) -> None:
    plan, approval = event.detail.get("plan"), event.detail.get("approval")
    content = content_of(plan)
    if not isinstance(plan, Mapping) or not content or event.detail.get("content") != content:
        raise _no("The send's record doesn't say which content its plan is for.", "Make a new plan.")
    if not isinstance(approval, Mapping):
        raise _no("Nobody has approved this content.", "Ask a second person to approve it.")
    named = _named(connection, event, str(approval.get("reference", "")))
    if named is not None and named.action == "break-glass":
        if not _breaks(named, content, now):
            raise _no(
                f"The glass was broken for other content, or too long ago (record {named.seq}).",
                "Ask a second person to approve it; if nobody can be reached, break the glass again.",
            )
        return
    if named is not None and not _is_of(named, approval):
        raise _no(
            f"The send names record {named.seq} as its approval, which says something else.",
            "Look at that record, and ask for a new approval.",
        )
    by = str(approval.get("by", ""))
    if approval.get("digest") != content:
        approved = short(str(approval.get("digest") or ""))
        raise _no(f"The approval is for the content {approved}; the plan is for {short(content)}.", _AGAIN)
    expires = _instant(approval.get("expires"))
    if expires is None or expires <= now:
        when = f"ended at {expires:%Y-%m-%d %H:%M:%S} UTC" if expires else "names no end"
        raise _no(f"The approval by {by} {when}.", _AGAIN)
    planner = str(plan.get("planned_by", ""))
    if not by.strip() or not planner.strip() or same(by, planner):
        raise _no(f"{by or 'Nobody'} approved what {planner or 'nobody'} planned.", "Ask a second person.")


def _releases_own_claim(connection: Connection, event: Event, now: datetime) -> None:
    sends = [r for r in _records(connection, event, "send") if r.run == event.run and r.phase is Phase.INTENT]
    own = next((record for record in sends if same(record.operator, event.operator)), None)
    if own is None:
        return
    content = str(own.detail.get("content", ""))
    if any(_breaks(record, content, now) for record in _records(connection, event, "break-glass")):
        return
    raise Refused(
        f"{event.operator} began this run (record {own.seq}).",
        f"A claim is released by a second person. {NOTHING_DONE}",
        "Ask somebody else to release it; if nobody can be reached, break the glass.",
    )


_AGAIN = "Ask a second person to approve it again."


def _no(what: str, next_step: str) -> Refused:
    return Refused(what, f"A send needs the approval of a second person here. {NOTHING_DONE}", next_step)


def _records(connection: Connection, event: Event, action: str) -> list[Record]:
    """The records of one action on the event's campaign in its environment, newest first."""
    where = (A.action == action, A.campaign == event.campaign, A.environment == event.environment)
    return [record_of(row) for row in connection.execute(select(AUDIT).where(*where).order_by(NEWEST_FIRST))]


def _named(connection: Connection, event: Event, reference: str) -> Record | None:
    """The record of this campaign that an approval refers to; None when it was given outside this store."""
    word, _, number = reference.strip().partition(" ")
    if word != "record":
        return None
    where = (A.campaign == event.campaign, A.environment == event.environment)
    row = connection.execute(select(AUDIT).where(A.seq == int(number), *where)).first() if _seq(number) else None
    record = record_of(row) if row is not None else None
    if record is None or record.action not in ("approve", "break-glass"):
        raise _no(f"The send's approval is said to be {reference}, which is none of this campaign.", _AGAIN)
    return record


def _seq(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) < 19


def _is_of(record: Record, approval: Mapping[str, Any]) -> bool:
    detail = record.detail
    return (
        record.action == "approve"
        and same(record.operator, str(approval.get("by", "")))
        and detail.get("digest") == approval.get("digest")
        and _instant(detail.get("expires")) == _instant(approval.get("expires"))
    )


def _breaks(record: Record, content: str, now: datetime) -> bool:
    expires = _instant(record.detail.get("expires"))
    return bool(content) and record.detail.get("digest") == content and expires is not None and expires > now


def same(one: str, other: str) -> bool:
    """Whether two names are one person's: case and spaces around are no difference."""
    return one.strip().casefold() == other.strip().casefold()


def content_of(document: object) -> str:
    """The content digest of a plan's document; "" when it isn't one."""
    if not isinstance(document, Mapping):
        return ""
    try:
        return content_digest(Plan.from_document(document).digests)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def _instant(value: object) -> datetime | None:
    """None also for one without an offset: nobody could say when it is past."""
    instant = instant_in(value)
    return instant if instant is not None and instant.tzinfo is not None else None


def _said(utc: str) -> str:
    try:
        return f"{utc_moment(utc):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return repr(utc)
