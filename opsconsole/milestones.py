"""What a run's log tells of its way: the start, every quarter, each change of state, errors, the end. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from opsconsole.case import say_counts
from opsconsole.observation import Mark
from opsconsole.runlog import DRY_RUN, Reader, RunEvent
from opsconsole.settings import Patterns

ERRORS = 5
"""So many different errors are told one by one; of the rest only their number."""
STATES = 40


@dataclass(frozen=True, slots=True)
class Milestone:
    """`at` is by the writer's clock, aware; None when the line has no time of its own."""

    at: datetime | None
    mark: Mark
    text: str


def milestones(log: bytes, zone: tzinfo, patterns: Patterns | None = None) -> tuple[Milestone, ...]:
    """In the log's order. A time without an offset is read in `zone`. Rehearsals in a shared log are left out."""
    reader = Reader(patterns)
    events = [line.event for line in (*reader.feed(log), *reader.close()) if line.event is not None]
    return tuple(_walk([e for e in events if e.mode != DRY_RUN], zone))


def _walk(events: list[RunEvent], zone: tzinfo) -> Iterator[Milestone]:
    state, quarter, told, more, states = "", 0, set[str](), 0, 0
    last: datetime | None = None
    for event in events:
        at = last = _instant(event, zone) or last
        counts = event.counts
        settled = f": {say_counts(counts)}" if counts is not None and counts.settled else ""
        if event.ends:
            code = f", exit code {event.rc}" if event.rc else ""
            good = not event.rc and not (counts and (counts.failed or counts.unknown))
            yield Milestone(at, Mark.YES if good else Mark.BAD, f"its log ends{settled}{code}")
            state, quarter = "", 0
            continue
        if event.begins:
            yield Milestone(at, Mark.MOVING, "its log says it starts")
        if event.state and event.state != state and states < STATES:
            state, states = event.state, states + 1
            yield Milestone(at, Mark.MOVING, f"{state}{settled}")
        if counts is not None and counts.total:
            reached = min(4 * counts.settled // counts.total, 3)
            if reached > quarter:
                quarter = reached
                yield Milestone(at, Mark.MOVING, f"{quarter * 25} % done{settled}")
        if event.error and (error := _first_words(event.error)) not in told:
            if len(told) < ERRORS:
                told.add(error)
                yield Milestone(at, Mark.BAD, f"first error of its kind: {event.error}")
            else:
                more += 1
    if more:
        yield Milestone(last, Mark.BAD, f"{more:,} more lines with errors of other kinds")


def _instant(event: RunEvent, zone: tzinfo) -> datetime | None:
    at = event.told_at or event.stamp
    return at.replace(tzinfo=zone) if at is not None and at.tzinfo is None else at


def _first_words(error: str) -> str:
    """The kind of an error: without addresses, numbers and how often it came."""
    return " ".join(word for word in error.split()[:6] if "@" not in word and not word.strip("(),.").isdigit())
