"""In which order campaigns stand, and which belong together as the rounds of one series. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from opsconsole.board import STATUSES
from opsconsole.schedule import say_instant
from opsconsole.verdict import Status, Verdict

SORTS = ("", "status", "campaign", "due", "audience", "moved", "series")
"""What the board can be sorted by; "" is its own order, what needs somebody first."""

_RANKS = {status: rank for rank, status in enumerate(STATUSES)}
_LAST = datetime.max.replace(tzinfo=UTC)


def ordered(verdicts: Sequence[Verdict], sort: str, reverse: bool = False) -> tuple[Verdict, ...]:
    """By one of SORTS; what nobody knows stands last, whichever way round. Equals stay as they stood."""
    if not sort:
        return tuple(verdicts[::-1] if reverse else verdicts)
    keys = [(_key(verdict, sort), verdict) for verdict in verdicts]
    known = sorted((pair for pair in keys if pair[0] is not None), key=lambda pair: pair[0], reverse=reverse)
    return (*(verdict for _, verdict in known), *(verdict for key, verdict in keys if key is None))


def _key(verdict: Verdict, sort: str) -> Any:
    """The small one comes first: the worst status, the earliest due, the most people, the newest move, round 1."""
    details = verdict.details
    match sort:
        case "status":
            return _RANKS[verdict.status], verdict.slug
        case "campaign":
            return verdict.slug
        case "due":
            return details.due.instant if details.due else None
        case "audience":
            return -verdict.audience if verdict.audience is not None else None
        case "series":
            return (details.series.casefold(), *_place(verdict)) if details.series else None
        case _:
            return _LAST - verdict.moved if verdict.moved else None


def _place(verdict: Verdict) -> tuple[float, datetime, str]:
    """Where a round stands in its series; without a number, by its due time."""
    details = verdict.details
    number = float("inf") if details.round is None else details.round
    return number, details.due.instant if details.due else _LAST, verdict.slug


def round_mark(verdict: Verdict) -> str:
    """`2/3`, `2/?` when nobody says of how many; "" for what is no round."""
    number, of = verdict.details.round, verdict.details.rounds
    if number is None:
        return ""
    return f"{_short(number)}/{'?' if of is None else _short(of)}"


def _short(number: int) -> str:
    return str(number) if 0 <= number <= 999 else "…"


def siblings(verdicts: Iterable[Verdict], verdict: Verdict) -> tuple[Verdict, ...]:
    """The other campaigns of its series, in the order of their rounds."""
    series = verdict.details.series.casefold()
    if not series:
        return ()
    others = (v for v in verdicts if v.details.series.casefold() == series and v.slug != verdict.slug)
    return tuple(sorted(others, key=_place))


def say_sibling(verdict: Verdict, now: datetime) -> str:
    """`round 1 sent yesterday 10:00 PDT`, `round 3 pending, due tomorrow 10:00 PDT`."""
    details = verdict.details
    name = verdict.slug if details.round is None else f"round {_short(details.round)}"
    if verdict.status is Status.SENT:
        at = (verdict.run.started_at if verdict.run else None) or verdict.moved
        return f"{name} sent {say_instant(at, details.zone, now)}" if at else f"{name} sent"
    status = verdict.status.lower() if verdict.status in _CALM else str(verdict.status)
    if details.due is None:
        return f"{name} {status}, no due time known"
    was = "was " if details.due.instant < now and verdict.status not in _CALM else ""
    return f"{name} {status}, {was}due {say_instant(details.due.instant, details.zone, now)}"


_CALM = frozenset({Status.PENDING, Status.DUE, Status.SENDING, Status.CANCELLED, Status.UNAPPROVED})
