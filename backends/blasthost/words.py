"""From what was found on a host to what the host says about each campaign. Pure.

Evidence of a start wins over its absence: a run's record, a live process and the run log are asked in that
order, a claim counts only where none of them speaks, and what could not be read makes the host blind to that
campaign, never silent about it.
"""

import json
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from backends.blasthost.attempts import instant, run_state, with_beat
from backends.blasthost.crontriggers import Tables, read_tables
from backends.blasthost.evidence import evidence, short_memory
from opsconsole.campaign import DATA, FILES, METADATA, Details, MetadataError, parse_metadata, required_files
from opsconsole.crontable import host_zone
from opsconsole.digests import content_digest
from opsconsole.hostfacts import FolderFacts, HoldFact, HostFacts, Kind, ProcessFact, RunFact
from opsconsole.observation import Content, Hold, Observation, Report, RunWord, Says
from opsconsole.policy import Policy
from opsconsole.runlog import Progress, last_send
from opsconsole.schedule import say_span
from opsconsole.settings import BlastHost, Patterns

_STARTED = frozenset({Says.RUNNING, Says.PAUSED, Says.STARTED, Says.ENDED})
_LIVE = frozenset({Says.RUNNING, Says.PAUSED})


@dataclass(frozen=True)
class Told:
    """What one campaign's own files tell, whatever the time and the processes; kept while they stay the same."""

    folder: FolderFacts
    patterns: Patterns
    details: Details
    says: Says
    word: RunWord | None
    log: Progress | None


Memo = MutableMapping[str, Told]


def report(
    facts: HostFacts,
    settings: BlastHost,
    *,
    source: str,
    now: datetime,
    fresh_for: timedelta,
    policy: Policy,
    memo: Memo | None = None,
) -> Report:
    """All that a look at every campaign says. `now` is when it was taken, `source` the host's name in the console.

    `memo`, kept by the caller from look to look, saves reading again what is unchanged.
    """
    memo = {} if memo is None else memo
    for gone in memo.keys() - facts.campaigns.keys():
        del memo[gone]
    tables = read_tables(facts, settings, now, source)
    sending = _sending(facts.processes, settings)
    saying = _Saying(facts, settings, tables, source, now, fresh_for, policy, memo, sending)
    return Report(
        source=source,
        looked_at=now,
        fresh_for=fresh_for,
        observations=tuple(saying.observation(folder) for folder in facts.campaigns.values()),
        keeps_traces=True,
        latency_ms=facts.round_trip_ms,
        foreign=facts.foreign,
        findings=(*facts.troubles, *tables.findings, *_clock_findings(facts, policy)),
    )


def _clock_findings(facts: HostFacts, policy: Policy) -> tuple[str, ...]:
    off = facts.clock_offset
    if abs(off) - facts.clock_error < policy.clock_warn:
        return ()
    way = "ahead of" if off > 0 else "behind"
    return (f"the host's clock is {say_span(timedelta(seconds=abs(off)))} {way} this one: set it with NTP.",)


@dataclass(frozen=True)
class _Saying:
    facts: HostFacts
    settings: BlastHost
    tables: Tables
    source: str
    now: datetime
    fresh_for: timedelta
    policy: Policy
    memo: Memo
    sending: Mapping[str, ProcessFact]

    def observation(self, folder: FolderFacts) -> Observation:
        try:
            return self._observation(folder)
        except Exception as error:  # one campaign's trouble must not hide the others
            return self._blind(folder.slug, f"what the host has of it can't be read ({type(error).__name__})")

    def _blind(self, slug: str, trouble: str) -> Observation:
        return Observation(
            source=self.source,
            slug=slug,
            observed_at=self.now,
            fresh_for=self.fresh_for,
            out_of_reach_since=self.now,
            trouble=trouble,
            keeps_traces=True,
            clock_offset=self.facts.clock_offset,
        )

    def _observation(self, folder: FolderFacts) -> Observation:
        told = self._told(folder)
        says, word = told.says, told.word
        process = self.sending.get(folder.slug)
        if process is not None and says not in _LIVE:
            says, word = Says.RUNNING, self._foreign(process, told)
        elif told.word is not None:
            word = with_beat(told.word, says, datetime.fromtimestamp(self.facts.epoch, UTC))
            word = dated(word, self.facts, self.policy)
        trouble = _unread(folder)
        blind = bool(trouble) and says not in _STARTED
        triggers = self.tables.triggers.get(folder.slug, ())
        zone = told.details.zone or host_zone(self.facts).key
        return Observation(
            source=self.source,
            slug=folder.slug,
            observed_at=self.now,
            fresh_for=self.fresh_for,
            out_of_reach_since=self.now if blind else None,
            trouble=trouble,
            says=says,
            keeps_traces=True,
            since=_since(says, word),
            run=word,
            details=told.details,
            approval=told.details.approval,
            content=_content(folder),
            triggers=triggers,
            triggers_unread=self.tables.unread or self.tables.blind,
            holds=tuple(self._holds(folder.slug)),
            evidence=(
                *evidence(folder, told.details, says, word, triggers, self.tables.unread, trouble, zone, self.now),
                *(short_memory(self.facts) if says in _LIVE else ()),
            ),
            clock_offset=self.facts.clock_offset,
            memory_used=self.facts.memory_used,
            machine=self.facts.machine_id,
            next_attempt=_next_attempt(folder),
        )

    def _told(self, folder: FolderFacts) -> Told:
        old = self.memo.get(folder.slug)
        if old is not None and old.folder is folder and old.patterns == self.settings.patterns:
            return old
        told = self.memo[folder.slug] = tell(folder, self.settings.patterns, host_zone(self.facts))
        return told

    def _foreign(self, process: ProcessFact, told: Told) -> RunWord:
        """A send that isn't ours: what is known of it is its process, and its log where that is newer."""
        started = self.now - timedelta(seconds=process.elapsed_s)
        log = told.folder.log
        written = datetime.fromtimestamp(log.mtime_ns / 1e9, UTC) if log is not None and log.there else None
        if written is not None:
            written -= timedelta(seconds=self.facts.clock_offset)
        current = written is not None and written >= started and told.log is not None and not told.log.ended
        return RunWord(
            attempt=0,
            by=process.user,
            started_at=started,
            progress_at=written if written is not None and written >= started else started,
            counts=told.log.counts if current and told.log is not None else None,
            note=f"not started by the console (process {process.pid})",
        )

    def _holds(self, slug: str) -> list[Hold]:
        found = []
        for fact in self.facts.holds:
            if fact.scope in ("ALL", slug):
                scope = f"host:{self.source}" if fact.scope == "ALL" else slug
                found.append(_hold(fact, scope, self.source))
        return found


def dated(word: RunWord, facts: HostFacts, policy: Policy) -> RunWord:
    """The host's own times as true instants; an offset too small to show is left alone."""
    if abs(facts.clock_offset) - facts.clock_error < policy.clock_show:
        return word
    names = ("claimed_at", "started_at", "ended_at", "progress_at", "beat_at")
    off = timedelta(seconds=facts.clock_offset)
    moved: dict[str, Any] = {n: at - off for n in names if (at := getattr(word, n)) is not None}
    return replace(word, **moved)


def tell(folder: FolderFacts, patterns: Patterns, zone: Any) -> Told:
    """What the campaign's files alone tell: its details, and whether and how it ran."""
    details = _details(folder)
    log = last_send(folder.log_tail.encode(), patterns, whole=_whole(folder)) if folder.log_tail else None
    all_states = [run_state(folder.slug, run, patterns) for run in folder.runs]
    states = [state for state in all_states if state.says is not Says.NOTHING]
    if log is not None and any(_wrote(run, log, zone) for run in folder.runs if run.released):
        log = None
    # An attempt that was only claimed says nothing about the ones before it.
    ran = next((state for state in reversed(states) if state.says in _STARTED), None)
    if ran is not None:
        return Told(folder, patterns, details, ran.says, ran.word, log)
    if log is not None:
        says, word = _log_word(log, folder, zone)
        return Told(folder, patterns, details, says, word, log)
    if states:
        return Told(folder, patterns, details, Says.CLAIMED, states[-1].word, log)
    says = Says.ABSENT if folder.folder is Kind.MISSING else Says.NOTHING
    return Told(folder, patterns, details, says, all_states[-1].word if all_states else None, log)


def _wrote(released: RunFact, log: Progress, zone: Any) -> bool:
    """Whether the send that the run log tells of last is this released attempt's, and so says nothing either.

    Only the log's own times can tell: one without them may be of a send that nobody released.
    """
    claimed, first = instant(str(released.claim.get("at", ""))), _aware(log.first_stamp, zone)
    given_up = datetime.fromtimestamp(released.released_ns / 1e9, UTC)
    last = _aware(log.last_stamp, zone)
    if claimed is None or first is None or last is None or not released.started:
        return False
    return claimed - timedelta(seconds=2) <= first <= last <= given_up


def _next_attempt(folder: FolderFacts) -> int:
    """The newest attempt's number, or the one behind it when it was released."""
    newest = max(folder.runs, key=lambda run: run.attempt, default=None)
    return 1 if newest is None else newest.attempt + newest.released


def _log_word(log: Progress, folder: FolderFacts, zone: Any) -> tuple[Says, RunWord]:
    """The run log's word. Where its lines carry no times, the file's own and the duration it tells stand in."""
    written = datetime.fromtimestamp(folder.log.mtime_ns / 1e9, UTC) if folder.log else None
    first, last = (_aware(stamp, zone) for stamp in (log.first_stamp, log.last_stamp))
    ended = (last or written) if log.ended else None
    started = first
    if started is None and ended is not None and log.duration_s is not None:
        started = ended - timedelta(seconds=log.duration_s)
    word = RunWord(
        attempt=0,
        started_at=started,
        ended_at=ended,
        progress_at=last or written,
        rc=log.rc,
        counts=log.counts,
        note="told by the run log alone",
    )
    return (Says.ENDED if log.ended else Says.STARTED), word


def _aware(stamp: datetime | None, zone: Any) -> datetime | None:
    if stamp is None:
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=zone)).astimezone(UTC)


def _whole(folder: FolderFacts) -> bool:
    return folder.log is None or folder.log.size <= len(folder.log_tail.encode())


def _details(folder: FolderFacts) -> Details:
    fact = folder.files.get(METADATA)
    if folder.metadata is None:
        there = fact is not None and fact.kind is not Kind.MISSING
        why = f"{METADATA} can't be used: {fact.trouble or fact.kind}" if fact is not None and there else ""
        return Details(problems=(why,) if why else ())
    try:
        return parse_metadata(folder.metadata)
    except MetadataError as error:
        return Details(problems=(str(error),))


def _content(folder: FolderFacts) -> Content | None:
    if folder.folder not in (Kind.FOLDER, Kind.SYMLINK):
        return None
    there = {name: fact for name, fact in folder.files.items() if fact.kind is not Kind.MISSING}
    digests = {name: fact.sha256 for name, fact in there.items() if fact.sha256}
    data = folder.files.get(DATA)
    return Content(
        # A digest over less than everything that is there would pass for that of other content.
        digest=content_digest(digests) if len(digests) == len(there) and digests else "",
        digests=tuple((name, digests[name]) for name in FILES if name in digests),
        rows=data.rows if data else None,
        rows_exact=data.rows_exact if data else True,
        missing=tuple(name for name in required_files(_details(folder).channel) if name not in there),
    )


def _unread(folder: FolderFacts) -> str:
    """Why a start could have left its trace unseen; "" when everything that would tell was readable."""
    if folder.trouble:
        return folder.trouble
    log = folder.log
    if log is not None and (log.kind in (Kind.DENIED, Kind.ERROR) or (log.there and log.trouble)):
        return f"{log.path} can't be read: {log.trouble or log.kind}"
    runs = (run for run in folder.runs if run.trouble and not run.released)
    return next((f"attempt {run.attempt}: {run.trouble}" for run in runs), "")


def _sending(processes: tuple[ProcessFact, ...], settings: BlastHost) -> dict[str, ProcessFact]:
    """The oldest process of the runner that sends, by campaign."""
    name = settings.runner.rpartition("/")[2]
    found: dict[str, ProcessFact] = {}
    for process in sorted(processes, key=lambda process: process.elapsed_s):
        words = process.args.split()
        pairs = [*pairwise(words), *((word, value) for word, _, value in (w.partition("=") for w in words))]
        mails = ("--mode", "send") in pairs or ("--mode", "resume") in pairs
        if mails and any(word.rpartition("/")[2] == name for word in words):
            found |= {value: process for word, value in pairs if word == "--campaign"}
    return found


def _since(says: Says, word: RunWord | None) -> datetime | None:
    if word is None:
        return None
    if says is Says.ENDED:
        return word.ended_at
    return word.claimed_at if says is Says.CLAIMED else word.started_at or word.claimed_at


def _hold(fact: HoldFact, scope: str, where: str) -> Hold:
    if fact.unreadable:
        return Hold(scope=scope, by="?", at=None, reason="a hold can't be read, so it counts", where=where)
    document = _object(fact.text)
    text = fact.text.strip() if not document else str(document.get("reason", ""))
    return Hold(
        scope=scope,
        by=str(document.get("by", "?")),
        at=instant(str(document.get("at", ""))),
        reason=text[:500] or "no reason given",
        where=where,
    )


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
