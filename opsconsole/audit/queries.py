"""What is asked of the records: one function a question, each giving the statement. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from opsconsole.audit.records import RESOLVED, Phase, utc_text
from opsconsole.audit.tables import AUDIT

A = AUDIT.c
NEWEST_FIRST = A.seq.desc()
GREATEST = 2**63 - 1
"""Keeps out what somebody put where a number belongs: SQLite sorts text after every number."""

Contains = Callable[[ColumnElement[str], str], ColumnElement[bool]]


def head() -> Select[Any]:
    return select(A.seq, A.mac).where(A.seq <= GREATEST).order_by(NEWEST_FIRST).limit(1)


def unresolved(environment: str | None) -> Select[Any]:
    """Intents without outcome or resolution, oldest first."""
    later = AUDIT.alias("later")
    closed = select(later.c.seq).where(
        later.c.ref == A.seq, or_(later.c.phase == Phase.OUTCOME.value, later.c.action == RESOLVED)
    )
    where = [A.phase == Phase.INTENT.value, ~closed.exists()]
    if environment is not None:
        where.append(A.environment == environment)
    return select(AUDIT).where(*where).order_by(A.seq)


def last_by_campaign(actions: Iterable[str], environment: str | None) -> Select[Any]:
    where = [A.action.in_(list(actions)), A.campaign != ""]
    if environment is not None:
        where.append(A.environment == environment)
    newest = select(func.max(A.seq)).where(*where).group_by(A.campaign)
    return select(AUDIT).where(A.seq.in_(newest))


def search(
    contains: Contains,
    text: str,
    exact: dict[str, str | None],
    since: datetime | None,
    until: datetime | None,
    before_seq: int | None,
    within: int | None,
) -> Select[Any]:
    """See `AuditStore.search`; `exact` by column, None for any value."""
    where: list[ColumnElement[bool]] = []
    for word in text.split():
        places = (A.campaign, A.action, A.operator, A.reason, A.detail, A.run, A.session, A.environment)
        where.append(or_(*(contains(place, word) for place in places)))
    where += [A[name] == value for name, value in exact.items() if value is not None]
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
    return select(AUDIT).where(*where).order_by(NEWEST_FIRST)
