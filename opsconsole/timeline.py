"""All that is known of a campaign in the order in which it happened: one story out of every source. Pure.

An instant told by a source whose clock is off is corrected by that much; the raw one is kept beside it.
Every text is made harmless and masked here, so that screens, commands and reports tell the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from opsconsole.case import say_counts
from opsconsole.deeds import say_item, say_record
from opsconsole.hostfacts import FolderFacts
from opsconsole.milestones import milestones
from opsconsole.observation import Evidence, Mark, Observation, RunWord
from opsconsole.outages import Outage
from opsconsole.redact import mask_addresses, redact, visible
from opsconsole.schedule import ScheduleError, load_zone
from opsconsole.settings import Patterns
from opsconsole.verdict import Verdict

if TYPE_CHECKING:  # the store's own modules are heavy
    from opsconsole.audit.records import OutboxItem, Record

CLOCK_SHOWN = 2.0  # seconds; a clock that is off by less is taken as right
FIRED_LATELY = timedelta(days=2)
LONGEST = 600
SCHEDULE, CONSOLE, OUTBOX = "schedule", "console", "outbox"
_RANK = {SCHEDULE: 0, CONSOLE: 1, OUTBOX: 3}  # of the same instant: what was meant, decided, happened, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something one source tells. `at` is when it happened or will; None when nobody says when.

    `offset` is how many seconds the source's clock is ahead, None where it isn't known; `raw` the instant as the
    source told it, None where nothing had to be corrected. `why` is the reason that was given, `record` the seq.
    """

    at: datetime | None
    source: str
    mark: Mark
    text: str
    who: str = ""
    why: str = ""
    looked_at: datetime | None = None
    raw: datetime | None = None
    offset: float | None = None
    record: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """A log as far as it was read. `zone` is the host's; `whole` is False when its beginning is missing."""

    source: str
    text: bytes
    zone: str = "UTC"
    attempt: int = 0  # 0 for a log that many runs share
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is known of a campaign beside the words of its sources. `offsets` are seconds, by source."""

    records: "tuple[Record, ...]" = ()
    items: "tuple[OutboxItem, ...]" = ()
    folders: tuple[tuple[str, FolderFacts], ...] = ()
    logs: tuple[RunLog, ...] = ()
    patterns: Mapping[str, Patterns] = field(default_factory=lambda: MappingProxyType({}))
    offsets: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    outages: tuple[Outage, ...] = ()
    unread: tuple[str, ...] = ()  # what could not be looked at, one sentence each


NOTHING = Past()


def timeline(verdict: Verdict, past: Past = NOTHING, now: datetime | None = None) -> tuple[Entry, ...]:
    """Oldest first, in the same order for the same facts; what has no instant stands last.

    `now` is by when a delivery that waits is told; without it none is. With the store's records in `past`, the
    console's own observation is left out: it says the same, shorter.
    """
    found = [*_schedule(verdict)]
    for o in verdict.observations:
        if not (past.records and o.own_runs is not None):
            found += _of(o, _offset(o, past), now)
    for source, folder in past.folders:
        found += _files(source, folder, past.offsets.get(source))
    for log in past.logs:
        found += _log(log, past.offsets.get(log.source), past.patterns.get(log.source))
    found += [_deed(record) for record in past.records]
    found += [_delivery(item, now) for item in past.items if now is not None]
    for outage in past.outages:
        because = f": {outage.trouble}" if outage.trouble else ""
        found.append(_entry(outage.since, outage.source, Mark.UNSEEN, f"out of reach{because}"))
        found.append(_entry(outage.until, outage.source, Mark.YES, "answers again"))
    return tuple(sorted(dict.fromkeys(found), key=_order))


def entry_json(e: Entry, zone: str) -> dict[str, Any]:
    """An entry as JSON values: instants in UTC, and as the campaign's clock shows it."""
    local = e.at.astimezone(ZoneInfo(zone or "UTC")).isoformat() if e.at else None
    return {
        "at": e.at.isoformat() if e.at else None,
        "local": local,
        "source": e.source,
        "mark": str(e.mark),
        "who": e.who,
        "text": e.text,
        "why": e.why,
        "record": e.record,
        "clock_offset": e.offset,
        "raw": e.raw.isoformat() if e.raw else None,
        "looked_at": e.looked_at.isoformat() if e.looked_at else None,
    }


def clean(text: str, limit: int = LONGEST) -> str:
    """Text from outside for a line of a story: secrets out, addresses masked, nothing in it acts."""
    return visible(mask_addresses(redact(text)), limit)


def _order(e: Entry) -> tuple[bool, datetime, int, int, str, str]:
    """A source that tells whole seconds alone may mean any instant of that second: it stands at its end, so that an
    intent, which is always on record first, is not told after what came of it."""
    rank, at = _RANK.get(e.source, 2), e.at or datetime.min.replace(tzinfo=UTC)
    if rank == 2 and not (e.raw or at).microsecond:
        at += timedelta(microseconds=999_999)
    return e.at is None, at, rank, e.record or 0, e.source, e.text


def _entry(at: datetime | None, source: str, mark: Mark, text: str, who: str = "") -> Entry:
    return Entry(at=at, source=clean(source, 60), mark=mark, text=clean(text), who=visible(redact(who), 80))


def _schedule(verdict: Verdict) -> Iterator[Entry]:
    if due := verdict.details.due:
        yield _entry(due.instant, SCHEDULE, Mark.WAITING, f"due ({due.text} {due.zone})")
    if verdict.latest_start:
        yield _entry(verdict.latest_start, SCHEDULE, Mark.WAITING, "latest start")
    if (approval := verdict.approval) and approval.expires:
        yield _entry(approval.expires, SCHEDULE, Mark.WAITING, f"the approval by {approval.said_by()} ends")


def _offset(o: Observation, past: Past) -> float | None:
    return past.offsets.get(o.source, o.clock_offset)


def _ahead(offset: float | None) -> timedelta:
    """What has to be taken off an instant that this clock told."""
    return timedelta(seconds=offset) if offset is not None and abs(offset) >= CLOCK_SHOWN else timedelta(0)


def _of(o: Observation, offset: float | None, now: datetime | None) -> Iterator[Entry]:
    for e in _words_of(o, offset, now):
        yield replace(e, looked_at=o.observed_at, offset=offset)


def _words_of(o: Observation, offset: float | None, now: datetime | None) -> Iterator[Entry]:
    """What one observation tells, each thing once: an approval, a run and a trigger say more than the line of
    evidence of the same instant."""
    known: set[datetime | None] = set()
    if o.approval:
        known.add(o.approval.at)
        reference = f" ({o.approval.reference})" if o.approval.reference else ""
        text = f"approved by {o.approval.by}{reference}"
        yield _entry(o.approval.at, o.source, Mark.YES, text, o.approval.by)
    if o.run and not o.records:  # a system that is told has nothing of its own to say of a run
        for at, mark, text in _run(o.run, _says_end(o)):
            known.add(at)
            # A carrier's words on its run are corrected where they are read; a process tells its age, not a time.
            told = not o.run.note.startswith("not started by")
            raw = at + _ahead(offset) if told and _ahead(offset) else None
            yield replace(_entry(at, o.source, mark, text, o.run.by), raw=raw)
    for t in o.triggers:
        known.add(t.next_fire)
        why = f", but {t.ignored_because}" if t.ignored_because else ""
        fires = f"{t.where} fires{why}{'' if t.sends else ', but sends nothing'}: {t.text}"
        yield _corrected(_entry(t.next_fire, o.source, Mark.BAD if why else Mark.WAITING, fires), offset)
        last = t.previous_fire
        if last and now and now - last <= FIRED_LATELY and not why:
            was = f"{t.where} was to fire: {t.text}"
            yield _corrected(_entry(last, o.source, Mark.WAITING, was), offset)
    for h in o.holds:
        known.add(h.at)
        yield _entry(h.at, o.source, Mark.NO, f"held ({h.scope}) by {h.by}: {h.reason}", h.by)
    for e in o.evidence:
        if e.at is None or e.at not in known:
            yield _entry(e.at, o.source, e.mark, _words(e))
    if o.out_of_reach_since:
        yield _entry(o.out_of_reach_since, o.source, Mark.UNSEEN, f"out of reach: {o.trouble}")


def _words(e: Evidence) -> str:
    return f"{e.label}: {e.text}"


def _says_end(o: Observation) -> str:
    counts = o.run.counts if o.run else None
    rc = f", exit code {o.run.rc}" if o.run and o.run.rc else ""
    return (f": {say_counts(counts)}" if counts else "") + rc


def _run(run: RunWord, end: str) -> Iterator[tuple[datetime, Mark, str]]:
    by, attempt = f" by {run.by}" if run.by else "", f" (attempt {run.attempt})" if run.attempt > 1 else ""
    good = not run.rc and not (run.counts and (run.counts.failed or run.counts.unknown))
    moments = (
        (run.claimed_at, Mark.MOVING, f"run claimed{by}{attempt}"),
        (run.started_at, Mark.MOVING, f"run started{by}{attempt}"),
        (run.ended_at, Mark.YES if good else Mark.BAD, f"run ended{end}"),
    )
    for at, mark, text in moments:
        if at is not None:
            yield at, mark, text


def _corrected(e: Entry, offset: float | None) -> Entry:
    """`e`, which came with its source's own time, at the true instant."""
    ahead = _ahead(offset)
    if e.at is None or not ahead:
        return replace(e, offset=offset)
    return replace(e, at=e.at - ahead, raw=e.at, offset=offset)


def _files(source: str, folder: FolderFacts, offset: float | None) -> Iterator[Entry]:
    for name, fact in folder.files.items():
        if fact.there and fact.mtime_ns:
            rows = f", {fact.rows:,} rows" if fact.rows is not None else ""
            digest = f", content {fact.sha256[:12]}" if fact.sha256 else ""
            written = datetime.fromtimestamp(fact.mtime_ns // 10**9, UTC)
            yield _corrected(_entry(written, source, Mark.YES, f"{name} was last written{rows}{digest}"), offset)
    log = folder.log
    if log is not None and log.there and log.mtime_ns and not folder.runs:
        written = datetime.fromtimestamp(log.mtime_ns // 10**9, UTC)
        yield _corrected(_entry(written, source, Mark.YES, "the log was last written"), offset)


def _log(log: RunLog, offset: float | None, patterns: Patterns | None) -> Iterator[Entry]:
    try:
        zone = load_zone(log.zone or "UTC")
    except ScheduleError:
        zone = load_zone("UTC")
    which = f"attempt {log.attempt}" if log.attempt else "log"
    for m in milestones(log.text, zone, patterns):
        if m.at is not None:
            yield _corrected(_entry(m.at.astimezone(UTC), log.source, m.mark, f"{which}: {m.text}"), offset)


def _deed(record: "Record") -> Entry:
    mark, text = say_record(record)
    e = _entry(record.utc, CONSOLE, mark, text, record.operator)
    return replace(e, why=clean(record.reason), record=record.seq)


def _delivery(item: "OutboxItem", now: datetime | None) -> Entry:
    assert now is not None
    mark, text = say_item(item, now)
    return _entry(item.done_utc or item.created_utc, OUTBOX, mark, text)
