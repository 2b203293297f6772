"""Who must be told now: from what was told before and a board to transitions, each exactly once. Pure.

An alarm begins when a campaign comes to need attention, or gets worse while it does, and ends when it needs nobody
any more. It is dated to the instant it became true, not to when somebody looked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from opsconsole.board import Board
from opsconsole.finding import Finding, Severity
from opsconsole.observation import Observation
from opsconsole.policy import Policy
from opsconsole.verdict import Group, Status, Verdict

WORST_FIRST = (
    Status.CONFLICT,
    Status.IN_DOUBT,
    Status.STALLED,
    Status.PARTIAL,
    Status.FAILED,
    Status.EXPIRED,
    Status.OVERDUE,
    Status.ERROR,
)
"""After these come the statuses that need attention for a finding alone, all alike, and then UNKNOWN: silence makes
no known trouble better or worse, and known trouble is worse than silence."""

CRITICAL = frozenset(
    {Status.CONFLICT, Status.IN_DOUBT, Status.STALLED, Status.PARTIAL, Status.EXPIRED, Status.OVERDUE}
)
SETTLES = timedelta(seconds=90)
"""What may pass by itself is told when it has lasted so long: an alarm of a finding alone, an ERROR."""
_AT_ONCE = CRITICAL | {Status.FAILED}


class Event(StrEnum):
    TRIGGER = "trigger"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A campaign that needs somebody. `since` is the instant it became so, `noticed` when we first saw it.

    `key` is the same on every console that sees the same trouble. `thread` is what people are told under: the key
    itself, but one for all campaigns of which nothing is known because the same sources are silent.
    """

    key: str
    thread: str
    environment: str
    campaign: str
    status: str
    severity: str
    why: str
    since: datetime
    noticed: datetime
    codes: tuple[str, ...] = ()  # the findings for which alone it needs attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """An alarm that begins or ends; `at` is when it began, or when its end was seen."""

    event: Event
    alarm: Alarm
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What stands, by campaign, and what is waited for to last: since when it is seen, by campaign and status."""

    standing: Mapping[str, Alarm] = field(default_factory=dict)
    waiting: Mapping[str, datetime] = field(default_factory=dict)


def advance(
    before: Attention, board: Board, *, environment: str, policy: Policy, whole: bool
) -> tuple[Attention, tuple[Transition, ...]]:
    """What stands at `board.at`, and what changed, ends first. `whole`: every source has answered and is fresh, so
    that a campaign that isn't on the board is really gone."""
    now = board.at
    standing, waiting = dict(before.standing), {}
    ended: list[Transition] = []
    begun: list[Transition] = []
    for verdict in board.verdicts:
        told = standing.get(verdict.slug)
        if verdict.group is not Group.ATTENTION:
            if told is not None:
                ended.append(_end(standing.pop(verdict.slug), now))
            continue
        alarm = alarm_of(verdict, environment, policy, now)
        if told is not None and not _is_new(alarm, told):
            continue
        if not _seen_since(verdict, alarm.since):
            continue  # nobody who would know of a start has looked since it became late
        if wait := _settles_after(verdict, now):
            name = "/".join((verdict.slug, *(alarm.codes or (str(verdict.status),))))
            first = before.waiting.get(name, now)
            if now - first < wait:
                waiting[name] = min(first, now)  # a clock put back must not lengthen the wait
                continue
            if alarm.codes:
                alarm = replace(alarm, since=first)  # from when on it was so can't be told
        if told is not None:
            ended.append(_end(told, now))
        standing[verdict.slug] = alarm
        begun.append(Transition(event=Event.TRIGGER, alarm=alarm, at=alarm.since))
    if whole:
        for slug in standing.keys() - {v.slug for v in board.verdicts}:
            ended.append(_end(standing.pop(slug), now))
    return Attention(standing=standing, waiting=waiting), (*ended, *begun)


def alarm_of(verdict: Verdict, environment: str, policy: Policy, now: datetime) -> Alarm:
    """The alarm a campaign that needs attention gives."""
    since = min(_since(verdict, policy, now), now)
    found = _found(verdict)
    codes = tuple(sorted({finding.code for finding in found}))
    critical = verdict.status in CRITICAL or any(finding.severity is Severity.BLOCK for finding in found)
    key = "/".join((environment, verdict.slug, "+".join(codes) or str(verdict.status), _which(verdict)))
    silent = _silent(verdict, now) if verdict.status is Status.UNKNOWN else ()
    return Alarm(
        key=key,
        thread=f"{environment}/{Status.UNKNOWN}/{'+'.join(silent)}" if silent else key,
        environment=environment,
        campaign=verdict.slug,
        status=str(verdict.status),
        severity="critical" if critical else "warning",
        why="; ".join(finding.text for finding in found) or verdict.why,
        since=since,
        noticed=now,
        codes=codes,
    )


def still_standing(thread: str, alarms: Iterable[Alarm]) -> bool:
    """Whether any alarm that people are told of under this thread still stands."""
    return any(alarm.thread == thread for alarm in alarms)


def _end(alarm: Alarm, now: datetime) -> Transition:
    return Transition(event=Event.RESOLVE, alarm=alarm, at=now)


def _is_new(alarm: Alarm, told: Alarm) -> bool:
    """Worse than what was told, or the same of another attempt or due time, or with a finding nobody heard of."""
    worse = _rank(alarm.status) - _rank(told.status)
    if worse or alarm.status == Status.UNKNOWN or alarm.key == told.key:
        return worse < 0
    return not alarm.codes or bool(set(alarm.codes) - set(told.codes))


def _rank(status: str) -> int:
    known = [str(one) for one in WORST_FIRST]
    return known.index(status) if status in known else len(known) + (status == Status.UNKNOWN)


def _found(verdict: Verdict) -> tuple[Finding, ...]:
    """The findings for which alone it needs attention; none where its status is reason enough."""
    if verdict.status in (*WORST_FIRST, Status.UNKNOWN):
        return ()
    return tuple(finding for finding in verdict.findings if finding.alarm)


def _which(verdict: Verdict) -> str:
    """Which one it is of a campaign's many: the attempt of its run, else its due time."""
    if verdict.run is not None and verdict.status not in (Status.OVERDUE, Status.EXPIRED, Status.UNKNOWN):
        return f"attempt-{verdict.run.attempt}"
    due = verdict.details.due
    return f"{due.instant:%Y-%m-%dT%H:%M:%SZ}" if due else "no-due-time"


def _since(verdict: Verdict, policy: Policy, now: datetime) -> datetime:
    """The instant from which on it was so, whoever looked."""
    run, due = verdict.run, verdict.details.due
    if verdict.status is Status.OVERDUE and due:
        return due.instant + policy.start_grace
    if verdict.status is Status.EXPIRED and verdict.latest_start:
        return verdict.latest_start
    if verdict.status is Status.UNKNOWN:
        lost = [o.out_of_reach_since or o.observed_at + o.fresh_for for o in _stale(verdict, now) if o.observed_at]
        return min(lost, default=now)
    if verdict.status is Status.STALLED and run and run.progress_at:
        return run.progress_at + policy.stall_after
    if run and run.ended_at:
        return run.ended_at
    return verdict.moved or now


def _seen_since(verdict: Verdict, since: datetime) -> bool:
    """What is late by the clock alone was looked at after that instant, so that a start just in time was seen."""
    if verdict.status not in (Status.OVERDUE, Status.EXPIRED):
        return True
    traces = (o for o in verdict.observations if o.keeps_traces)
    return all(o.observed_at is not None and o.observed_at >= since for o in traces)


def _settles_after(verdict: Verdict, now: datetime) -> timedelta:
    """How long it must last before it is told; zero for what is told at once."""
    if verdict.status in _AT_ONCE:
        return timedelta(0)
    if verdict.status is Status.UNKNOWN:
        return max((o.fresh_for for o in _stale(verdict, now)), default=SETTLES) or SETTLES
    return SETTLES


def _stale(verdict: Verdict, now: datetime) -> list[Observation]:
    return [o for o in verdict.observations if not o.is_fresh(now)]


def _silent(verdict: Verdict, now: datetime) -> tuple[str, ...]:
    return tuple(sorted(o.source for o in _stale(verdict, now)))
