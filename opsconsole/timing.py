"""What is wrong with when a campaign went out, or will: late, early, twice, again, too long. Pure."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from opsconsole.case import Case
from opsconsole.finding import Finding, Severity
from opsconsole.observation import Says
from opsconsole.schedule import ScheduleError, resolve_due, say_span


def _late(case: Case, status: str) -> Iterator[Finding]:
    if status in ("OVERDUE", "EXPIRED") and case.details.due and not case.approval_trouble:
        late = say_span(case.now - case.details.due.instant)
        text = f"{case.approved_words}, due {case.say(case.details.due.instant)}, {late} late, never executed"
        yield Finding(code="approved-not-executed", severity=Severity.WARN, text=text)


def _sent_early(case: Case, status: str) -> Iterator[Finding]:
    if case.details.due is None:
        return
    for o in case.starts:
        began = (o.run.started_at if o.run else None) or o.since
        if began and began < case.details.due.instant - case.policy.early_tolerance:
            early = say_span(case.details.due.instant - began)
            text = f"{o.source} says it began {case.say(began)}, {early} before it was due"
            yield Finding(code="sent-early", severity=Severity.WARN, text=text)


def _overrun(case: Case, status: str) -> Iterator[Finding]:
    """Only of a run that is going: one that waits on purpose, or was paused, may take as long as it likes."""
    o = case.live(Says.RUNNING)
    if o is None or o.run is None or o.run.started_at is None or o.run.waiting:
        return
    took, limit = case.now - o.run.started_at, case.max_run
    if took > limit:
        text = (
            f"running on {o.source} for {say_span(took)}, since {case.say(o.run.started_at)}: "
            f"it should have ended within {say_span(limit)}"
        )
        yield Finding(code="overrun", severity=Severity.WARN, text=text, alarm=True)


def _ignored(case: Case, status: str) -> Iterator[Finding]:
    for t in case.triggers:
        if t.ignored_because and not t.off:
            text = f"{t.where} will not run: {t.ignored_because}"
            yield Finding(code="cron-ignored", severity=Severity.WARN, text=text, evidence=(t.text,))


def _unseen(case: Case, status: str) -> Iterator[Finding]:
    for o in case.observations:
        if o.triggers_unread:
            text = f"{o.source} may start it unseen: {o.triggers_unread}"
            yield Finding(code="triggers-unseen", severity=Severity.WARN, text=text)


def _again(case: Case, status: str) -> Iterator[Finding]:
    """Over means over: whatever would still start it sends it a second time, or against a decision."""
    if not case.over:
        return
    going = status in ("SENDING", "PAUSED")  # then a line that fires next year can wait for the end
    for t in case.live_triggers:
        soon = t.next_fire is None or t.next_fire - case.now < timedelta(days=1)
        text = f"{t.where} fires again {case.fires(t)}: {t.text}"
        yield Finding(code="fires-again", severity=Severity.BLOCK, text=text, alarm=soon or not going)
    for o in case.schedulers:
        text = f"{o.source} still has it scheduled{case.when(o.since)}"
        yield Finding(code="fires-again", severity=Severity.BLOCK, text=text, alarm=True)


def _twice(case: Case, status: str) -> Iterator[Finding]:
    """Two of any kind, whichever system each is in."""
    if case.over:
        return
    starters = [f"{t.where} {case.fires(t)}" for t in case.live_triggers]
    starters += [f"{o.source}{case.when(o.since)}" for o in case.schedulers]
    if len(starters) > 1:
        text = f"{len(starters)} triggers would start it: {', '.join(starters)}"
        yield Finding(code="scheduled-twice", severity=Severity.BLOCK, text=text, alarm=True)
    claims = [o.source for o in case.observations if o.says is Says.CLAIMED and o.keeps_traces]
    if len(claims) > 1:
        text = f"{' and '.join(claims)} each hold a claim to it"
        yield Finding(code="scheduled-twice", severity=Severity.BLOCK, text=text, alarm=True)


def _off_time(case: Case, status: str) -> Iterator[Finding]:
    """A trigger that doesn't fire when it is due: cron has no year, its own zone, and nobody who compares."""
    if case.over or case.details.due is None:
        return
    due = case.details.due.instant
    for t in case.live_triggers:
        if t.next_fire is None or _same(case, t.next_fire, due):
            continue
        fires = case.fires(t)
        if t.previous_fire and _same(case, t.previous_fire, due):
            text = f"{t.where} had its time {case.say(t.previous_fire)} and started nothing; it fires again {fires}"
            yield Finding(code="fires-again", severity=Severity.WARN, text=text, evidence=(t.text,))
            continue
        early = t.next_fire < due
        way = f"{say_span(due - t.next_fire)} {'before' if early else 'after'} it is due"
        text = f"{t.where} fires {fires}, {way} ({case.say(due)})"
        if case.latest and t.next_fire > case.latest:
            text += f" and after its latest start ({case.say(case.latest)})"
        yield Finding(code="fires-off-time", severity=Severity.WARN, text=text, evidence=(t.text,), alarm=early)


def _same(case: Case, one: datetime, other: datetime) -> bool:
    return abs(one - other) <= case.policy.early_tolerance


def _due_moved(case: Case, status: str) -> Iterator[Finding]:
    """What was approved or decided for one instant isn't so for another, whether people or clock rules moved it."""
    due, approval = case.details.due, case.approval
    if due is None or case.over:
        return
    try:
        now_means = resolve_due(due.text, due.zone).instant
    except ScheduleError:  # an instant that came without its text
        now_means = due.instant
    if now_means != due.instant:
        text = (
            f"{due.text} in {due.zone} was {case.say(due.instant)} when it was decided, and is "
            f"{case.say(now_means)} by the clock rules known now: reschedule it"
        )
        yield Finding(code="due-moved", severity=Severity.BLOCK, text=text)
    if approval and approval.due and approval.due != due.instant and not case.moved_since(approval.at):
        text = (
            f"approved by {approval.said_by()} for {case.say(approval.due)}, but it is due {case.say(due.instant)} "
            "now: approve it again"
        )
        yield Finding(code="due-moved", severity=Severity.BLOCK, text=text)


FINDERS: tuple[Callable[[Case, str], Iterator[Finding]], ...] = (
    _late,
    _sent_early,
    _overrun,
    _ignored,
    _unseen,
    _again,
    _twice,
    _off_time,
    _due_moved,
)
