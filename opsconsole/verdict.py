"""What all sources together mean for one campaign: status, sentence, findings, next steps.

`judge` is a pure function of observations and the instant. The statuses are tried in the order of RULES and the
first that matches wins (DESIGN §2). A status says what is; findings (findings.py) say what is wrong.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from opsconsole.campaign import Approval, Details
from opsconsole.case import Case, say_counts
from opsconsole.findings import Finding, Severity, find
from opsconsole.observation import Observation, RunWord, Says
from opsconsole.policy import Policy
from opsconsole.schedule import Moment, say_distance, say_span


class Status(StrEnum):
    CONFLICT = "CONFLICT"
    IN_DOUBT = "IN DOUBT"
    STALLED = "STALLED"
    PAUSED = "PAUSED"
    SENDING = "SENDING"
    CLAIMED = "CLAIMED"
    PARTIAL = "PARTIAL"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    HELD = "HELD"
    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"
    OVERDUE = "OVERDUE"
    DUE = "DUE"
    PENDING = "PENDING"
    UNAPPROVED = "UNAPPROVED"
    ERROR = "ERROR"


class Group(StrEnum):
    ATTENTION = "Needs attention"
    IN_FLIGHT = "In flight"
    UPCOMING = "Upcoming"
    DONE = "Done"


GROUPS = {
    Status.PAUSED: Group.IN_FLIGHT,
    Status.SENDING: Group.IN_FLIGHT,
    Status.CLAIMED: Group.IN_FLIGHT,
    Status.DUE: Group.UPCOMING,
    Status.PENDING: Group.UPCOMING,
    Status.HELD: Group.UPCOMING,
    Status.UNAPPROVED: Group.UPCOMING,
    Status.SENT: Group.DONE,
    Status.CANCELLED: Group.DONE,
}

NEXT_STEPS: dict[Status, tuple[str, ...]] = {
    Status.CONFLICT: ("hold", "mark", "cancel"),
    Status.IN_DOUBT: ("doubt", "settle", "send-rest", "close", "attach", "mark", "hold"),
    Status.STALLED: ("attach", "pause", "stop"),
    Status.PAUSED: ("attach", "resume", "stop"),
    Status.SENDING: ("attach", "pause", "stop"),
    Status.CLAIMED: ("attach", "release-claim", "hold"),
    Status.PARTIAL: ("doubt", "settle", "send-rest", "close", "attach", "mark"),
    Status.SENT: ("attach",),
    Status.FAILED: ("attach", "release-claim", "mark", "cancel"),
    Status.CANCELLED: ("reschedule",),
    Status.HELD: ("release", "cancel"),
    Status.UNKNOWN: ("refresh", "host", "hold"),
    Status.EXPIRED: ("mark", "reschedule", "cancel"),
    Status.OVERDUE: ("preflight", "dry-run", "send", "mark", "reschedule", "cancel"),
    Status.DUE: ("preflight", "dry-run", "send", "hold"),
    Status.PENDING: ("preflight", "dry-run", "hold", "reschedule"),
    Status.UNAPPROVED: ("approve", "preflight", "reschedule", "cancel"),
    Status.ERROR: ("refresh", "host"),
}

SENDABLE = frozenset({Status.DUE, Status.OVERDUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one campaign. `moved` is when anything last happened to it."""

    slug: str
    status: Status
    why: str
    details: Details
    findings: tuple[Finding, ...] = ()
    next_steps: tuple[str, ...] = ()
    approval: Approval | None = None
    latest_start: datetime | None = None
    audience: int | None = None
    run: RunWord | None = None
    moved: datetime | None = None
    observations: tuple[Observation, ...] = ()
    closed: bool = False  # somebody decided to leave it as it is
    approvals: tuple[Approval, ...] = ()  # those that count now, newest first

    @property
    def group(self) -> Group:
        """By status, but something done that can still do harm, or a claim left behind, needs attention."""
        group = Group.DONE if self.closed else GROUPS.get(self.status, Group.ATTENTION)
        may_wait = group is Group.DONE or self.status is Status.CLAIMED
        return Group.ATTENTION if may_wait and self._alarms else group

    @property
    def _alarms(self) -> bool:
        return any(finding.alarm for finding in self.findings)

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why this can't be sent now; empty when it can."""
        blocks = tuple(f.text for f in self.findings if f.severity is Severity.BLOCK)
        if self.status in SENDABLE:
            return blocks
        return (f"It is {self.status}: {self.why}", *blocks)


Rule = Callable[[Case], str | None]


def judge(slug: str, observations: Iterable[Observation], policy: Policy, now: datetime) -> Verdict:
    """The verdict on `slug` at `now`. The order of `observations` doesn't matter."""
    case = Case.of(slug, observations, policy, now)
    status, why = next((status, why) for status, rule in RULES if (why := rule(case)) is not None)
    findings = find(case, status)
    steps = ("doubt", "attach") if case.closed and status is Status.PARTIAL else NEXT_STEPS[status]
    if any(finding.code in ("fires-again", "scheduled-twice") for finding in findings):
        steps = ("host", *steps)
    return Verdict(
        slug=slug,
        status=status,
        why=why,
        details=case.details,
        findings=findings,
        next_steps=steps,
        approval=case.approval,
        latest_start=case.latest,
        audience=case.audience,
        run=case.run,
        moved=case.moved,
        observations=case.observations,
        closed=case.closed is not None and status in (Status.PARTIAL, Status.SENT),
        approvals=case.approvals,
    )


def broken(slug: str, error: Exception) -> Verdict:
    """The verdict on a campaign whose judging failed: shown as ERROR, never hiding the others."""
    return Verdict(
        slug=slug,
        status=Status.ERROR,
        why=f"judging it failed ({type(error).__name__}: {error}); its sources are below, please report this",
        details=Details(),
        next_steps=NEXT_STEPS[Status.ERROR],
    )


def _conflict(case: Case) -> str | None:
    if case.marked:
        return None
    if case.cancelled and (start := case.start_after(case.cancelled.since)):
        return (
            f"cancelled {case.say(case.cancelled.since)} {_by(case.cancelled)}, "
            f"yet {start.source} says it started {case.say(_started(start))}"
        )
    claims = [o for o in case.fresh if o.went_out]
    denials = [o for o in case.fresh if o.denies]
    for claim in claims:
        for denial in denials:
            if denial.source != claim.source:
                return f"{_claims(case, claim)}; {_denies(denial)}"
    return None


def _claims(case: Case, o: Observation) -> str:
    counts = f", {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    return f"{o.source} says it was sent {case.say(o.since)}{counts}".rstrip()


def _denies(o: Observation) -> str:
    if o.says is Says.FAILED:
        return f"{o.source} says it failed"
    if o.says is Says.CANCELLED:
        return f"{o.source} says it was cancelled"
    if o.says is Says.ENDED:
        return f"the run on {o.source} ended{_exit(o)}"
    return f"{o.source} has no trace of a run"


def _in_doubt(case: Case) -> str | None:
    if case.marked or case.closed:
        return None
    for o in case.observations:
        if o.says is Says.STARTED:
            # The log lags behind or runs ahead of the journal, which alone can tell (`doubt`).
            counts = f" {say_counts(o.run.counts)} by the last line of its log." if o.run and o.run.counts else ""
            return (
                f"a run started {case.say(_started(o))} on {o.source}, no end is recorded and nothing is running: "
                f"it may have been sent.{counts}"
            )
    return None


def _stalled(case: Case) -> str | None:
    o = case.live(Says.RUNNING)
    if o is None or o.run is None or o.run.waiting:
        return None
    last = o.run.progress_at or o.run.started_at
    if last is None or case.now - last < case.policy.stall_after:
        return None
    counts = f" at {say_counts(o.run.counts)}" if o.run.counts else ""
    return f"running on {o.source}, but nothing has moved for {say_span(case.now - last)}{counts}"


def _paused(case: Case) -> str | None:
    o = case.live(Says.PAUSED)
    if o is None:
        return None
    counts = f" after {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    return f"paused on {o.source}{counts}"


def _sending(case: Case) -> str | None:
    o = case.live(Says.RUNNING)
    if o is None:
        return None
    note = f"; {o.run.note}" if o.run and o.run.note else ""
    counts = f", {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    return f"running on {o.source} since {case.say(_started(o))}{counts}{note}"


def _claimed(case: Case) -> str | None:
    o = case.live(Says.CLAIMED)
    if o is None or case.marked or case.cancelled:
        return None
    since = f" {case.say(o.run.claimed_at)}" if o.run and o.run.claimed_at else ""
    return f"claimed{since} {_by(o)} and not started: provably nothing was sent under this claim"


def _partial(case: Case) -> str | None:
    if case.marked:
        return None
    end = (
        " ".join(filter(None, ("; closed", case.say(case.closed.since), f"{_by(case.closed)}: {case.closed.note}")))
        if case.closed
        else ""
    )
    for o in case.observations:
        if o.says is Says.ENDED and o.went_out and (why := case.shortfall(o)):
            return f"ended {case.say(o.since)} on {o.source}: {why}{end}"
        if o.says is Says.STARTED and case.closed:
            counts = (
                f" {say_counts(o.run.counts)} by the last line of its log"
                if o.run and o.run.counts
                else " how far isn't known"
            )
            return f"broke off on {o.source}:{counts}{end}"
    return None


def _sent(case: Case) -> str | None:
    if case.marked:
        because = f": {case.marked.note}" if case.marked.note else ""
        return f"marked as executed {case.say(case.marked.since)} {_by(case.marked)}{because}"
    words = [o for o in case.observations if o.went_out]
    if not words or any(o.denies for o in case.fresh):
        return None
    ended = min(words, key=lambda o: (o.says is not Says.ENDED, not o.keeps_traces))
    others = [o.source for o in words if o is not ended]
    agree = f"; {' and '.join(others)} agree{'s' if len(others) == 1 else ''}" if others else ""
    counts = f", {say_counts(ended.run.counts)}" if ended.run and ended.run.counts else ""
    return f"sent {case.say(ended.since)} by the word of {ended.source}{counts}{agree}"


def _failed(case: Case) -> str | None:
    for o in case.observations:
        if o.says is Says.ENDED and not o.went_out:
            counted = o.run is not None and o.run.counts is not None
            reached = (
                "before anything was accepted"
                if counted
                else "and told no counts: how many were mailed isn't known"
            )
            return f"a run ended {case.say(o.since)} on {o.source}{_exit(o)} {reached}"
        if o.says is Says.FAILED:
            return f"{o.source} says it failed {case.say(o.since)}"
    return None


def _cancelled(case: Case) -> str | None:
    if case.cancelled is None:
        return None
    because = f": {case.cancelled.note}" if case.cancelled.note else ""
    return f"cancelled {case.say(case.cancelled.since)} {_by(case.cancelled)}{because}"


def _held(case: Case) -> str | None:
    if not case.holds:
        return None
    hold = case.holds[0]
    since = f" since {case.say(hold.at)}" if hold.at else ""
    return f"on hold ({hold.scope}) by {hold.by or 'nobody known'}{since}: {hold.reason or 'no reason given'}"


def _unknown(case: Case) -> str | None:
    if not case.observations:
        return "no source knows this campaign now"
    if not case.stale:
        return None
    parts = []
    for o in case.stale:
        since = o.out_of_reach_since or o.observed_at
        seen = f" since {case.say(since)}" if since else ""
        last = "" if o.says in (Says.NOTHING, Says.ABSENT) else f" (its last word: {o.says})"
        state = "is out of reach" if o.out_of_reach_since or o.trouble else "has not been heard"
        if since is None and not o.trouble:
            state = "has not answered yet"
        parts.append(f"{o.source} {state}{seen}{last}")
    return f"{'; '.join(parts)}: a start there would not be seen"


def _expired(case: Case) -> str | None:
    if case.moment is not Moment.EXPIRED or case.details.due is None or case.latest is None:
        return None
    late = say_span(case.now - case.details.due.instant)
    words = f"{case.approved_words}, never started; overdue by {late}"
    return f"{words}, too late since {case.say(case.latest)}{_starter(case)}"


def _overdue(case: Case) -> str | None:
    if case.moment is not Moment.LATE or case.approval_trouble:
        return None
    return f"{case.approved_words}, never started{_starter(case)}"


def _due(case: Case) -> str | None:
    if case.moment is not Moment.DUE or case.approval_trouble:
        return None
    return f"{case.approved_words}, due now, not started{_starter(case)}"


def _pending(case: Case) -> str | None:
    if case.approval_trouble:
        return None
    if case.details.due is None:
        return f"{case.approved_words}, but no due time is known"
    return f"{case.approved_words}, due {say_distance(case.details.due.instant, case.now)}{_starter(case)}"


def _unapproved(case: Case) -> str:
    return case.approval_trouble or "not approved"


def _starter(case: Case) -> str:
    fires = [t for t in case.triggers if t.sends and t.next_fire and not t.ignored_because]
    if not fires:
        return "; nothing will start it"
    first = min(fires, key=lambda t: t.next_fire or case.now)
    return f"; {first.where} starts it {case.say(first.next_fire)}"


def _by(o: Observation) -> str:
    return f"by {o.run.by}" if o.run and o.run.by else f"on {o.source}"


def _exit(o: Observation) -> str:
    return f" with exit code {o.run.rc}" if o.run and o.run.rc is not None else ""


def _started(o: Observation) -> datetime | None:
    return (o.run.started_at if o.run else None) or o.since


RULES: tuple[tuple[Status, Rule], ...] = (
    (Status.CONFLICT, _conflict),
    (Status.IN_DOUBT, _in_doubt),
    (Status.STALLED, _stalled),
    (Status.PAUSED, _paused),
    (Status.SENDING, _sending),
    (Status.CLAIMED, _claimed),
    (Status.PARTIAL, _partial),
    (Status.SENT, _sent),
    (Status.FAILED, _failed),
    (Status.CANCELLED, _cancelled),
    (Status.HELD, _held),
    (Status.UNKNOWN, _unknown),
    (Status.EXPIRED, _expired),
    (Status.OVERDUE, _overdue),
    (Status.DUE, _due),
    (Status.PENDING, _pending),
    (Status.UNAPPROVED, _unapproved),
)
