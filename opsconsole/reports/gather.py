"""From the console to the facts of a report. Looks only; what can't be looked at is named, not left out."""

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.audit.chain import Anchor
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import OutboxItem, Record
from opsconsole.audit.scopes import GLOBAL, HOST
from opsconsole.campaign import check_slug
from opsconsole.errors import AuditUnavailable
from opsconsole.hostfacts import FolderFacts, HostFacts, RunFact
from opsconsole.ports import Refused, Trouble
from opsconsole.reports.facts import Chain, IncidentFacts, Setting, ShiftFacts
from opsconsole.timeline import Past, RunLog
from opsconsole.verdict import Verdict

if TYPE_CHECKING:
    from opsconsole.audit.store import AuditStore
    from opsconsole.console import Console

RECORDS = 1000
LOG_READ = 4 << 20  # bytes of a run's log, from its end back
LOG_SECONDS = 10.0
SHIFT = timedelta(hours=12)
_MOMENT = timedelta(microseconds=1)


def newest_look(console: "Console") -> datetime:
    """When a source last answered; now, when none ever did."""
    looks = [report.looked_at for report in console.watch.reports().values()]
    return max(looks, default=console.clock())


def incident(console: "Console", slug: str, at: datetime | None = None, *, ask: bool = True) -> IncidentFacts:
    """The facts on one campaign as of `at` (default: the newest look). Without `ask` no host is asked for a log.

    Raises NotThere when nobody knows the campaign, and Refused for an `at` before the newest look: what the sources
    said then isn't kept.
    """
    at = _instant(console, at)
    verdict = console.verdict(check_slug(slug), at)
    found = past(console, verdict, at, ask=ask)
    intents: tuple[Record, ...] = ()
    chain, trouble = _chain(console, at)
    try:
        here = console.identity.environment
        unresolved = console.store().unresolved(here)
        intents = tuple(r for r in unresolved if r.campaign in (slug, "") and r.utc <= at)
    except AuditUnavailable as error:
        trouble = trouble or str(error)
    return IncidentFacts(
        setting=_setting(console, at),
        verdict=verdict,
        sources=console.board(at).sources,
        past=found,
        open_intents=intents,
        chain=chain,
        store_trouble=trouble,
    )


def shift(console: "Console", at: datetime | None = None, back: timedelta = SHIFT) -> ShiftFacts:
    """The facts on the whole board for the next shift. Raises Refused as `incident` does."""
    at = _instant(console, at)
    chain, trouble = _chain(console, at)
    records: list[Record] = []
    intents: list[Record] = []
    waiting: list[OutboxItem] = []
    try:
        store, here = console.store(), console.identity.environment
        records = store.search(since=at - back, until=at + _MOMENT, environment=here, limit=RECORDS)
        intents = [r for r in store.unresolved(here) if r.utc <= at]
        waiting = [item for item in Outbox(store).waiting() if item.created_utc <= at]
    except AuditUnavailable as error:
        trouble = trouble or str(error)
    return ShiftFacts(
        setting=_setting(console, at),
        board=console.board(at),
        back=back,
        ahead=SHIFT,
        records=tuple(reversed(records)),
        open_intents=tuple(intents),
        waiting=tuple(waiting),
        chain=chain,
        store_trouble=trouble,
    )


def past(console: "Console", verdict: Verdict, at: datetime, *, ask: bool = True) -> Past:
    """What is known of a campaign beside its sources' words, up to `at`: records, deliveries, files and logs."""
    slug, unread = verdict.slug, list[str]()
    named = {o.source for o in verdict.observations}
    records: tuple[Record, ...] = ()
    items: tuple[OutboxItem, ...] = ()
    try:
        records = _records(console, verdict, at, unread)
        items = _items(console, slug, records, at)
    except AuditUnavailable as error:
        unread.append(f"the audit store: {error}")
    hosts = {name: facts for name in console.host_names() if (facts := console.host_facts(name)) is not None}
    folders = tuple((name, folder) for name, facts in hosts.items() if (folder := facts.campaigns.get(slug)))
    logs = tuple(log for name, folder in folders for log in _logs(console, hosts[name], folder, name, unread, ask))
    return Past(
        records=records,
        items=items,
        folders=folders,
        logs=logs,
        patterns={name: console.host_settings(name).patterns for name in hosts},
        offsets={name: _offset(console, facts) for name, facts in hosts.items()},
        outages=tuple(o for o in console.outages.over if o.source in named and o.since <= at),
        unread=tuple(unread),
    )


def _instant(console: "Console", at: datetime | None) -> datetime:
    newest = newest_look(console)
    if at is not None and at < newest:
        raise Refused(
            f"The newest look was at {newest:%Y-%m-%d %H:%M:%S} UTC.",
            "What the sources said before that isn't kept, so no earlier instant can be told of.",
            "Name that instant or a later one.",
        )
    return at or newest


def _setting(console: "Console", at: datetime) -> Setting:
    return Setting(
        at=at,
        environment=console.environment,
        danger=console.settings.danger,
        operator=console.identity.operator,
        local_zone=console.local_zone,
    )


def _chain(console: "Console", at: datetime) -> tuple[Chain, str]:
    """The head as of `at`, verified; and why the store can't be written or believed, "" when it can."""
    trouble = console.store_trouble
    try:
        store = console.store()
        head = _head(store, at)
        verified = store.verify(indexes=False)
    except AuditUnavailable as error:
        return Chain(why=str(error)), trouble or str(error)
    bad = verified.first_bad_seq if not verified.ok else None
    why = f"record {bad}: {verified.why}" if bad is not None else verified.why
    if not verified.ok or console.chain_trouble:
        return Chain(seq=head.seq, mac=head.mac, whole=False, why=why or console.chain_trouble), trouble
    return Chain(seq=head.seq, mac=head.mac, whole=True, why="" if verified.clean else why), trouble


def _head(store: "AuditStore", at: datetime) -> Anchor:
    newest = store.search(until=at + _MOMENT, limit=1)
    return Anchor(newest[0].seq, newest[0].mac) if newest else Anchor(0, "")


def _records(console: "Console", verdict: Verdict, at: datetime, unread: list[str]) -> "tuple[Record, ...]":
    """The campaign's own, and the holds on everything or its hosts since its first; oldest first."""
    store, here = console.store(), console.identity.environment
    until = at + _MOMENT
    own = store.search(campaign=verdict.slug, environment=here, until=until, limit=RECORDS)
    if len(own) == RECORDS:
        unread.append(f"its records before number {own[-1].seq}: there are too many for one report")
    first = min((r.utc for r in own), default=at - SHIFT)
    scopes = [GLOBAL, *(f"{HOST}{o.source}" for o in verdict.observations if o.keeps_traces)]
    wide = [r for s in scopes for r in store.search(campaign=s, environment=here, since=first, until=until)]
    return tuple(sorted((*own, *wide), key=lambda r: r.seq))


def _items(console: "Console", slug: str, records: "tuple[Record, ...]", at: datetime) -> "tuple[OutboxItem, ...]":
    store, here = console.store(), console.identity.environment
    found = Outbox(store).about(slug, [r.seq for r in records], here)
    return tuple(item for item in found if item.created_utc <= at)


def _offset(console: "Console", facts: HostFacts) -> float:
    """0 for a clock that is off by too little to be shown, as the host's own words are left alone then."""
    off = facts.clock_offset
    return off if abs(off) - facts.clock_error >= console.policy.clock_show else 0.0


def _logs(
    console: "Console", facts: HostFacts, folder: FolderFacts, name: str, unread: list[str], ask: bool
) -> tuple[RunLog, ...]:
    """The newest attempt's log as far as LOG_READ goes back, the end of each other one's."""
    written = sorted((run for run in folder.runs if run.out_size), key=lambda run: run.attempt)
    if not written:
        text = folder.log_tail.encode()
        whole = folder.log is None or folder.log.size <= len(text)
        return (RunLog(source=name, text=text, zone=facts.zone, whole=whole),) if text else ()
    logs = [_tail(facts, run, name) for run in written]
    if not logs[-1].whole and ask:
        logs[-1] = _read(console, folder.slug, written[-1], logs[-1], unread)
    for log in logs:
        if not log.whole:
            unread.append(f"the beginning of the log of attempt {log.attempt} on {name}")
    return tuple(logs)


def _tail(facts: HostFacts, run: RunFact, name: str) -> RunLog:
    text = run.out_tail.encode()
    return RunLog(source=name, text=text, zone=facts.zone, attempt=run.attempt, whole=run.out_size <= len(text))


def _read(console: "Console", slug: str, run: RunFact, tail: RunLog, unread: list[str]) -> RunLog:
    """The log up to the length it had at the look, over the one connection; its tail when that doesn't work."""
    stop, got = threading.Event(), bytearray()
    offset = max(run.out_size - LOG_READ, 0)

    def take(data: bytes) -> None:
        got.extend(data)
        if offset + len(got) >= run.out_size:
            stop.set()

    timer = threading.Timer(LOG_SECONDS, stop.set)
    timer.daemon = True
    timer.start()
    try:
        carrier = console.carrier_of(slug)
        if carrier.name == tail.source:
            carrier.follow(slug, run.attempt, offset, take, stop)
    except Trouble as error:
        unread.append(f"the log of attempt {run.attempt} on {tail.source}: {error}")
    finally:
        timer.cancel()
    text = bytes(got[: run.out_size - offset])
    if len(text) <= len(tail.text):
        return tail
    return RunLog(
        source=tail.source,
        text=text if offset == 0 else text.partition(b"\n")[2],
        zone=tail.zone,
        attempt=run.attempt,
        whole=offset == 0 and len(text) == run.out_size,
    )
