"""All that is known of a campaign in the order in which it happened. Pure."""

from dataclasses import dataclass
from datetime import datetime

from opsconsole.observation import Mark, Observation
from opsconsole.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """Something one source tells. `at` is when it happened or will; None when nobody says when."""

    at: datetime | None
    source: str
    mark: Mark
    text: str
    looked_at: datetime | None


def timeline(verdict: Verdict) -> tuple[Entry, ...]:
    """Oldest first; what has no instant stands last, by source."""
    entries = []
    if verdict.details.due:
        due = verdict.details.due
        entries.append(Entry(due.instant, "schedule", Mark.WAITING, f"due ({due.text} {due.zone})", None))
    if verdict.latest_start:
        entries.append(Entry(verdict.latest_start, "schedule", Mark.WAITING, "latest start", None))
    for o in verdict.observations:
        entries += _of(o)
    dated = sorted((e for e in entries if e.at is not None), key=lambda e: (e.at, e.source, e.text))
    return (*dated, *sorted((e for e in entries if e.at is None), key=lambda e: (e.source, e.text)))


def _of(o: Observation) -> list[Entry]:
    def entry(at: datetime | None, mark: Mark, text: str) -> Entry:
        return Entry(at, o.source, mark, text, o.observed_at)

    found = [entry(e.at, e.mark, f"{e.label}: {e.text}") for e in o.evidence]
    if o.approval:
        reference = f" ({o.approval.reference})" if o.approval.reference else ""
        found.append(entry(o.approval.at, Mark.YES, f"approved by {o.approval.by}{reference}"))
    if o.run:
        by = f" by {o.run.by}" if o.run.by else ""
        moments = ((o.run.claimed_at, "claimed"), (o.run.started_at, "started"), (o.run.ended_at, "ended"))
        found += [entry(at, Mark.MOVING, f"run {word}{by}") for at, word in moments if at]
    for trigger in o.triggers:
        why = f", but {trigger.ignored_because}" if trigger.ignored_because else ""
        mark = Mark.BAD if why else Mark.WAITING
        found.append(entry(trigger.next_fire, mark, f"{trigger.where} fires{why}: {trigger.text}"))
    found += [entry(h.at, Mark.NO, f"held ({h.scope}) by {h.by}: {h.reason}") for h in o.holds]
    if o.out_of_reach_since:
        found.append(entry(o.out_of_reach_since, Mark.UNSEEN, f"out of reach: {o.trouble}"))
    return found
