"""What is wrong with a campaign: one small function a finding, over the same case the status is judged from.

Those about when it went out, or will, are in timing.py; those between the rounds of a series in rounds.py.
"""

from collections.abc import Callable, Iterator

from opsconsole import timing
from opsconsole.case import Case, say_counts
from opsconsole.digests import short
from opsconsole.finding import Finding, Severity, in_order
from opsconsole.foreign import others_runs
from opsconsole.observation import RunWord, Says
from opsconsole.schedule import say_span


def find(case: Case, status: str) -> tuple[Finding, ...]:
    """All findings, worst first, then by code."""
    return in_order(finding for finder in (*FINDERS, *timing.FINDERS) for finding in finder(case, status))


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
        text = f"approved was {short(approval.digest)}, {case.holder} has {short(case.content.digest)}"
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


def _lost_records(case: Case, status: str) -> Iterator[Finding]:
    known = next((o for o in case.observations if o.own_runs or o.adopted), None)
    if known is None:
        return
    ended = {(word.source, word.run_id, word.began) for word in known.adopted if word.ended}
    going = {word.source for word in known.adopted if (word.source, word.run_id, word.began) not in ended}
    for o in case.fresh:
        lost = known.says in (Says.ENDED, Says.STARTED, Says.RUNNING) or (
            known.says is Says.NOTHING and o.source in going  # adopted while it went, and its end was never seen
        )
        if o.keeps_traces and o.denies and lost:
            text = f"this console recorded a run on {o.source}, which now has no trace of it: restored or replaced?"
            yield Finding(code="host-lost-records", severity=Severity.BLOCK, text=text, alarm=True)


def _counts(case: Case, status: str) -> Iterator[Finding]:
    """After the end: everybody who counts must count the same, and as many as were approved."""
    told = {o.source: o.run.counts for o in case.observations if o.went_out and o.run and o.run.counts}
    if len({counts.accepted for counts in told.values()}) > 1:
        text = "counts differ: " + "; ".join(f"{source} says {say_counts(c)}" for source, c in told.items())
        yield Finding(code="count-mismatch", severity=Severity.WARN, text=text)
    approved = case.approval.recipients if case.approval else None
    for o in case.observations:
        counts = o.run.counts if o.run and o.keeps_traces and o.went_out else None
        if counts and approved is not None and counts.total is not None and counts.total != approved:
            text = f"{o.source} sent to {counts.total:,}, {approved:,} were approved"
            yield Finding(code="count-mismatch", severity=Severity.WARN, text=text)


def _unreconciled(case: Case, status: str) -> Iterator[Finding]:
    """It went out, but nobody can tell to how many; after a day somebody must look, and mark it."""
    if status != "SENT" or case.marked or case.closed:
        return
    words = [o for o in case.observations if o.went_out]
    if any(o.run and o.run.counts for o in words if o.keeps_traces):
        return
    ended = min((o.since for o in words if o.since), default=None)
    alarm = ended is not None and case.now - ended >= case.policy.unreconciled_after
    who = " and ".join(o.source for o in words)
    left = "nobody who carried it" if any(o.keeps_traces for o in words) else "no carrier"
    text = f"{who} {'say' if len(words) > 1 else 'says'} it went out{case.when(ended)}, but {left} tells how many"
    yield Finding(code="unreconciled", severity=Severity.WARN, text=f"{text}: ask the provider", alarm=alarm)


def _clone(case: Case, status: str) -> Iterator[Finding]:
    """One machine under two names, or a copy of one: each may start it, and their claims don't know each other."""
    names: dict[str, list[str]] = {}
    for o in case.carriers:
        if o.machine and o.says is not Says.ABSENT:
            names.setdefault(o.machine, []).append(o.source)
    for machine, sources in names.items():
        if len(sources) > 1:
            text = f"{' and '.join(sources)} have one machine id ({machine[:12]}): one is a copy, or listed twice"
            yield Finding(code="clone", severity=Severity.BLOCK, text=text, alarm=True)


def _open_intent(case: Case, status: str) -> Iterator[Finding]:
    if case.live(Says.RUNNING) or case.live(Says.PAUSED):
        return
    for o in case.observations:
        for intent in o.open_intents:
            text = f"{intent}: no outcome was recorded. Look before you act; nothing is repeated by itself"
            # A start under way is such an intent too; of a claim its own age tells whether somebody must look.
            alarm = status not in ("DUE", "CLAIMED")
            yield Finding(code="unresolved-intent", severity=Severity.BLOCK, text=text, alarm=alarm)


def _concerns(case: Case, status: str) -> Iterator[Finding]:
    """What a source finds wrong by itself; of one out of reach that may be over."""
    for o in case.fresh:
        for it in o.concerns:
            severity = Severity.BLOCK if it.blocks else Severity.WARN if it.warns else Severity.INFO
            text = f"{o.source}: {it.text}"
            yield Finding(code=it.code, severity=severity, text=text, evidence=it.evidence, alarm=it.alarm)


FINDERS: tuple[Finder, ...] = (
    _already_started,
    _source_stale,
    _clock_skew,
    _missing_files,
    _metadata,
    _content,
    _not_recorded,
    _foreign_run,
    _lost_records,
    _clone,
    _counts,
    _unreconciled,
    _open_intent,
    _concerns,
)
