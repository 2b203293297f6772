"""In which order campaigns stand, and which belong together as the rounds of one series. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from opsconsole.board import STATUSES
from opsconsole.rounds import series_of
from opsconsole.verdict import Verdict

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
            return (series_of(verdict), *_place(verdict)) if series_of(verdict) else None
        case _:
            return _LAST - verdict.moved if verdict.moved else None


def _place(verdict: Verdict) -> tuple[float, datetime, str]:
    """Where a round stands in its series; without a number, by its due time."""
    details = verdict.details
    number = float("inf") if details.round is None else details.round
    return number, details.due.instant if details.due else _LAST, verdict.slug


def siblings(verdicts: Iterable[Verdict], verdict: Verdict) -> tuple[Verdict, ...]:
    """The other campaigns of its series, in the order of their rounds."""
    series = series_of(verdict)
    if not series:
        return ()
    others = (v for v in verdicts if series_of(v) == series and v.slug != verdict.slug)
    return tuple(sorted(others, key=_place))


def nearest(others: Sequence[Verdict], verdict: Verdict, count: int = 4) -> Sequence[Verdict]:
    """So many of its siblings, those right before and after it."""
    before = sum(_place(other) < _place(verdict) for other in others)
    first = max(0, min(before - count // 2, len(others) - count))
    return others[first : first + count]
