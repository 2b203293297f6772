"""What all sources together mean for one campaign: status, sentence, findings, next steps.

`judge` is a pure function of observations and the instant. A status says what is (statuses.py); findings
(findings.py) say what is wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from opsconsole.campaign import Approval, Details
from opsconsole.case import Case
from opsconsole.finding import Finding, Severity, in_order
from opsconsole.findings import find
from opsconsole.observation import Observation, RunWord
from opsconsole.policy import Policy
from opsconsole.statuses import RULES as RULES
from opsconsole.statuses import Status as Status


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

PERSON_BY_PERSON = ("doubt", "settle", "send-rest")

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
        """By status; but whatever sounds an alarm needs attention, done, under way or still to come."""
        group = Group.DONE if self.closed else GROUPS.get(self.status, Group.ATTENTION)
        return Group.ATTENTION if any(finding.alarm for finding in self.findings) else group

    def having(self, more: Iterable[Finding]) -> "Verdict":
        """The same verdict with more findings."""
        return replace(self, findings=in_order((*self.findings, *more)))

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why this can't be sent now; empty when it can."""
        blocks = tuple(f.text for f in self.findings if f.severity is Severity.BLOCK)
        if self.status in SENDABLE:
            return blocks
        return (f"It is {self.status}: {self.why}", *blocks)


def judge(slug: str, observations: Iterable[Observation], policy: Policy, now: datetime) -> Verdict:
    """The verdict on `slug` at `now`. The order of `observations` doesn't matter."""
    case = Case.of(slug, observations, policy, now)
    status, why = next((status, why) for status, rule in RULES if (why := rule(case)) is not None)
    findings = find(case, status)
    steps = ("doubt", "attach") if case.closed and status is Status.PARTIAL else NEXT_STEPS[status]
    ran = [o for o in case.carriers if o.run]
    if ran and not any(o.by_person for o in ran):
        steps = tuple(step for step in steps if step not in PERSON_BY_PERSON)
    codes = {finding.code for finding in findings}
    if codes & {"fires-again", "scheduled-twice", "fires-off-time"}:
        switchable = any(t.live and t.key for t in case.triggers)
        steps = ("trigger-off", "host", *steps) if switchable else ("host", *steps)
    if any(concern.warns for o in case.fresh for concern in o.concerns):
        steps = (*steps, "operations")  # what its system finds wrong may be mended there
    if "unreconciled" in codes:
        steps = (*steps, "mark")
    if "foreign-run" in codes:
        steps = (*steps, "adopt")
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


def broken(slug: str, error: Exception, observations: Iterable[Observation] = ()) -> Verdict:
    """The verdict on a campaign whose judging failed: shown as ERROR, never hiding the others."""
    return Verdict(
        slug=slug,
        status=Status.ERROR,
        why=f"judging it failed ({type(error).__name__}: {error}); its sources are below, please report this",
        details=Details(),
        next_steps=NEXT_STEPS[Status.ERROR],
        observations=tuple(observations),
    )
