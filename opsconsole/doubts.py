"""A broken run as every source tells it, side by side: for screens and `opsconsole doubt` alike. Pure."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from opsconsole.case import say_counts
from opsconsole.observation import Observation
from opsconsole.ports import Doubt
from opsconsole.verdict import Status, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one source says of how many were reached. `fresh` is False when it is out of reach or too old."""

    source: str
    says: str
    counts: str
    fresh: bool
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """The journal's word (`doubt`), those of all sources, and what can be done in that order: (action, why)."""

    doubt: Doubt
    status: str
    why: str
    words: tuple[Word, ...]
    choices: tuple[tuple[str, str], ...]

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "slug": self.doubt.slug,
            "status": self.status,
            "why": self.why,
            "journal": asdict(self.doubt),
            "sources": [{**asdict(w), "at": w.at.isoformat() if w.at else None} for w in self.words],
            "choices": [{"action": action, "why": why} for action, why in self.choices],
        }


def side_by_side(doubt: Doubt, verdict: Verdict, now: datetime) -> SideBySide:
    """`doubt` (its `against` judged already) beside what every other source says of the same campaign."""
    return SideBySide(
        doubt=doubt,
        status=str(verdict.status),
        why=verdict.why,
        words=tuple(_word(o, now) for o in verdict.observations),
        choices=_choices(doubt, verdict),
    )


def against_rest(doubt: Doubt, verdict: Verdict, resend: int = 0) -> str:
    """Why the rest can't be sent; "" when it can. A source that tells of more than the journal knows of shows that
    the journal isn't whole: those it calls unsent may have got their mail. One that is told by us counts nothing
    itself: it knows how many there were to be, not how many were taken. `resend` is how many a person decided to
    mail again: they count as unsent now, and a log that told of them once doesn't know."""
    if doubt.against:
        return doubt.against
    known = doubt.counts.accepted + doubt.unknown_total + resend
    for o in verdict.observations:
        counts = o.run.counts if o.run else None
        if counts is not None and not o.records and counts.accepted > known:
            return (
                f"the journal knows of {known:,} who may have got it, {o.source} tells of {counts.accepted:,}: "
                "the journal isn't whole, so nobody is provably unsent"
            )
    return ""


def _word(o: Observation, now: datetime) -> Word:
    counts = o.run.counts if o.run else None
    says = f"{o.says}" + (f": {o.note}" if o.note else "")
    return Word(
        source=o.source,
        says=says,
        counts=say_counts(counts) if counts else "no counts",
        fresh=o.is_fresh(now),
        at=o.since,
    )


def _choices(doubt: Doubt, verdict: Verdict) -> tuple[tuple[str, str], ...]:
    if verdict.closed or verdict.status in (Status.SENDING, Status.STALLED, Status.PAUSED):
        return ()  # of a run that is going nothing is left yet
    if verdict.status is Status.CLAIMED:
        return (("release-claim", "give up the claim, so that it can be planned again; by a second person"),)
    found = []
    if doubt.unknown_total:
        found.append(("settle", f"decide the {doubt.unknown_total:,} of whom nobody knows, one by one or all"))
    if doubt.unsent:
        why = f"can't be done: {doubt.against}" if doubt.against else "send to those who provably got nothing"
        found.append(("send-rest", f"{doubt.unsent:,} left; {why}"))
    found.append(("close", "leave it as it is: whoever is left gets nothing"))
    return tuple(found)
