"""What is wrong with a campaign: one small function a finding, over the same case the status is judged from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from opsconsole.case import Case
from opsconsole.foreign import others_runs
from opsconsole.observation import RunWord, Says
from opsconsole.plan import short
from opsconsole.schedule import say_span


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong. BLOCK forbids a send; `alarm` calls for attention even when the campaign is done."""

    code: str
    severity: Severity
    text: str
    evidence: tuple[str, ...] = ()
    alarm: bool = False


def find(case: Case, status: str) -> tuple[Finding, ...]:
    """All findings, worst first, then by code."""
    found = [finding for finder in FINDERS for finding in finder(case, status)]
    order = list(reversed(Severity))
    return tuple(sorted(found, key=lambda f: (order.index(f.severity), f.code, f.text)))


Finder = Callable[[Case, str], Iterator[Finding]]


def _already_started(case: Case, status: str) -> Iterator[Finding]:
    for o in case.starts:
        word = {Says.ENDED: "a run ended", Says.SENT: "sent"}.get(o.says, f"a run is {o.says}")
        text = f"never twice: {o.source} says {word} {case.say(o.since)}".rstrip()
        yield Finding(code="already-started", severity=Severity.BLOCK, text=text)
    for o in case.observations:
        if o.says is Says.CLAIMED:
            run = o.run or RunWord()
            text = f"{o.source} holds a claim by {run.by or 'someone'} made {case.say(run.claimed_at)}".rstrip()
            left = run.claimed_at is None or case.now - run.claimed_at >= case.policy.claim_left_after
            yield Finding(code="claimed", severity=Severity.BLOCK, text=text, alarm=left and status == "CLAIMED")


def _source_stale(case: Case, status: str) -> Iterator[Finding]:
    for o in case.stale:
        age = f"last heard {say_span(case.now - o.observed_at)} ago" if o.observed_at else "never heard"
        text = f"{o.source} is blind to us, {age}" + (f": {o.trouble}" if o.trouble else "")
        yield Finding(code="source-stale", severity=Severity.BLOCK, text=text)


def _clock_skew(case: Case, status: str) -> Iterator[Finding]:
    for o in case.observations:
        offset = abs(o.clock_offset or 0.0)
        if offset >= case.policy.clock_warn:
            severity = Severity.BLOCK if offset >= case.policy.clock_refuse else Severity.WARN
            ahead = "ahead" if (o.clock_offset or 0) > 0 else "behind"
            yield Finding(
                code="clock-skew",
                severity=severity,
                text=f"the clock of {o.source} is {offset:.0f} s {ahead}: mend its time service",
            )


def _missing_files(case: Case, status: str) -> Iterator[Finding]:
    if status in ("SENT", "CANCELLED"):
        return
    for o in case.carriers:
        if o.says is Says.ABSENT and o.observed_at is not None:  # never heard is not absent
            text = f"{o.source} has no folder for this campaign"
            yield Finding(code="missing-files", severity=Severity.BLOCK, text=text)
        elif o.content and o.content.missing:
            names = ", ".join(o.content.missing)
            yield Finding(code="missing-files", severity=Severity.BLOCK, text=f"{o.source} lacks {names}")
        if o.trouble and o in case.fresh:
            yield Finding(code="unreadable", severity=Severity.BLOCK, text=f"{o.source}: {o.trouble}")


def _metadata(case: Case, status: str) -> Iterator[Finding]:
    for problem in case.details.problems:
        yield Finding(code="bad-metadata", severity=Severity.BLOCK, text=problem)
    if case.details.due is None and not case.starts and not case.cancelled:
        yield Finding(code="no-due-time", severity=Severity.BLOCK, text="no source knows when it is due")
    dues = {o.details.due.instant: o.source for o in case.observations if o.details.due and not o.decided}
    if len(dues) > 1 and not any(o.decided and o.details.due for o in case.observations):
        words = ", ".join(f"{source} says {case.say(instant)}" for instant, source in sorted(dues.items()))
        yield Finding(
            code="due-disagrees", severity=Severity.WARN, text=f"sources disagree when it is due: {words}"
        )


def _content(case: Case, status: str) -> Iterator[Finding]:
    if case.content is None or status in ("SENT", "CANCELLED"):
        return
    rows, approval = case.content.rows, case.approval
    if approval and approval.digest and approval.digest != case.content.digest:
        text = f"approved was {short(approval.digest)}, the host has {short(case.content.digest)}"
        yield Finding(code="content-changed", severity=Severity.BLOCK, text=text)
    if rows is None or not case.content.rows_exact:
        return
    for meant, word in (
        (case.details.expected_recipients, "expected"),
        (approval.recipients if approval else None, "approved"),
    ):
        if meant is not None and meant != rows:
            text = f"{rows:,} recipients in the data, {meant:,} {word}"
            yield Finding(code="count-mismatch", severity=Severity.BLOCK, text=text)


def _late(case: Case, status: str) -> Iterator[Finding]:
    if status in ("OVERDUE", "EXPIRED") and case.details.due and not case.approval_trouble:
        late = say_span(case.now - case.details.due.instant)
        text = f"{case.approved_words}, due {case.say(case.details.due.instant)}, {late} late, never executed"
        yield Finding(code="approved-not-executed", severity=Severity.WARN, text=text)


def _not_recorded(case: Case, status: str) -> Iterator[Finding]:
    ended = next((o for o in case.carriers if o.went_out), None)
    if ended is None:
        return
    for o in case.fresh:
        if o.records and not o.went_out and not o.denies:
            text = f"sent {case.say(ended.since)}, but {o.source} still says {o.note or o.says}"
            yield Finding(code="executed-not-recorded", severity=Severity.WARN, text=text, alarm=True)


def _foreign_run(case: Case, status: str) -> Iterator[Finding]:
    for o, adopted in others_runs(case.observations, case.now):
        run = f"the run on {o.source}{f' by {o.run.by}' if o.run and o.run.by else ''}"
        if adopted is not None:
            text = f"{run} was adopted by {adopted.by} {case.say(adopted.at)}"
            yield Finding(code="adopted-run", severity=Severity.INFO, text=text)
        else:
            text = f"{run} was not started from this console's store"
            yield Finding(code="foreign-run", severity=Severity.INFO, text=text)


def _sent_early(case: Case, status: str) -> Iterator[Finding]:
    if case.details.due is None:
        return
    for o in case.starts:
        started = o.run.started_at if o.run else None
        if started and started < case.details.due.instant - case.policy.early_tolerance:
            early = say_span(case.details.due.instant - started)
            text = f"started {case.say(started)}, {early} before it was due"
            yield Finding(code="sent-early", severity=Severity.WARN, text=text)


def _triggers(case: Case, status: str) -> Iterator[Finding]:
    for t in case.triggers:
        if t.ignored_because:
            text = f"{t.where} will not run: {t.ignored_because}"
            yield Finding(code="cron-ignored", severity=Severity.WARN, text=text, evidence=(t.text,))
    live = [t for t in case.triggers if t.sends and t.next_fire and not t.ignored_because]
    over = bool(case.starts or case.cancelled)
    if over:
        for t in live:
            text = f"{t.where} fires again {case.say(t.next_fire)}: {t.text}"
            yield Finding(code="fires-again", severity=Severity.BLOCK, text=text, alarm=True)
    elif len(live) > 1:
        text = f"{len(live)} triggers would start it: " + ", ".join(
            f"{t.where} {case.say(t.next_fire)}" for t in live
        )
        yield Finding(code="scheduled-twice", severity=Severity.BLOCK, text=text, alarm=True)


def _lost_records(case: Case, status: str) -> Iterator[Finding]:
    known = next((o for o in case.observations if o.own_runs or o.adopted), None)
    if known is None:
        return
    for o in case.fresh:
        if o.keeps_traces and o.denies and known.says in (Says.ENDED, Says.STARTED, Says.RUNNING):
            text = f"this console recorded a run on {o.source}, which now has no trace of it: restored or replaced?"
            yield Finding(code="host-lost-records", severity=Severity.BLOCK, text=text, alarm=True)


def _unreconciled(case: Case, status: str) -> Iterator[Finding]:
    if status != "SENT" or case.marked:
        return
    for o in case.observations:
        if o.says is Says.ENDED and (o.run is None or o.run.counts is None):
            text = f"{o.source} recorded the end but no counts: compare with the provider"
            yield Finding(code="unreconciled", severity=Severity.WARN, text=text)


def _open_intent(case: Case, status: str) -> Iterator[Finding]:
    if case.live(Says.RUNNING) or case.live(Says.PAUSED):
        return
    for o in case.observations:
        for intent in o.open_intents:
            text = f"{intent}: no outcome was recorded. Look before you act; nothing is repeated by itself"
            alarm = status != "CLAIMED"  # there the claim's own age tells whether somebody must look
            yield Finding(code="unresolved-intent", severity=Severity.BLOCK, text=text, alarm=alarm)


FINDERS: tuple[Finder, ...] = (
    _already_started,
    _source_stale,
    _clock_skew,
    _missing_files,
    _metadata,
    _content,
    _late,
    _not_recorded,
    _foreign_run,
    _sent_early,
    _triggers,
    _lost_records,
    _unreconciled,
    _open_intent,
)
