"""Every action of the console, once: keys, footer, palette, help, commands and their rules come from here.

`Action.disabled_reason` and `authorize` are asked by screens and commands alike; a screen can't grant itself
anything (DESIGN §6.3, §6.8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from opsconsole.settings import Role
from opsconsole.verdict import Group, Status, Verdict


class Danger(IntEnum):
    """LOOK changes nothing. CHANGE is recorded and can be undone. DESTRUCTIVE is confirmed twice."""

    LOOK = 0
    CHANGE = 1
    DESTRUCTIVE = 2


class Place(StrEnum):
    """Where an action is offered."""

    BOARD = "board"
    CAMPAIGN = "campaign"
    RUN = "run"
    EVERYWHERE = "everywhere"


ROLES: tuple[Role, ...] = ("viewer", "operator", "approver", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asks, about what: all that a rule may look at."""

    role: Role
    read_only: bool
    verdict: Verdict | None = None
    store_trouble: str = ""  # why the audit store can't be written; "" when it can
    carrier: bool = True  # a carrier for this campaign is configured
    carrier_trouble: str = ""  # why its carrier may start no mail now; "" when it may


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing an operator can do. `rule` gives the reason against it for a verdict, "" when there is none.

    `mails`: people may get mail by it, so holds and troubles of the carrier bind it.
    """

    id: str
    key: str
    label: str
    tooltip: str
    places: frozenset[Place]
    danger: Danger = Danger.LOOK
    role: Role = "viewer"
    needs_reason: bool = False
    about_campaign: bool = True
    mails: bool = False
    command: str = ""
    rule: Callable[[Verdict], str] = lambda verdict: ""

    def disabled_reason(self, context: Context) -> str:
        """Why this can't be done now, in one sentence; "" when it can."""
        if refusal := authorize(self, context):
            return refusal
        if not self.about_campaign:
            return ""
        if context.verdict is None:
            return "No campaign is selected."
        return self.rule(context.verdict)


def authorize(action: Action, context: Context) -> str:
    """The reason this operator may not do this here; "" when they may."""
    if action.danger is Danger.LOOK:
        return ""
    if context.read_only:
        return f"This console is read-only: {action.label} is off. Start it without --read-only to act."
    if ROLES.index(context.role) < ROLES.index(action.role):
        return f"{action.label} needs the role {action.role}; you are {context.role}."
    if context.store_trouble:
        return f"No record, no action. {context.store_trouble}"
    if not action.mails:
        return ""
    holds = [hold for o in context.verdict.observations for hold in o.holds] if context.verdict else []
    if holds:
        return f"It is on hold ({holds[0].scope}) by {holds[0].by or 'nobody known'}: {holds[0].reason}"
    return context.carrier_trouble


def _sendable(verdict: Verdict) -> str:
    return "; ".join(verdict.obstacles)


def _status(*allowed: Status) -> Callable[[Verdict], str]:
    words = " or ".join(allowed)
    return lambda v: "" if v.status in allowed else f"It is {v.status}; this works only when it is {words}."


def _rehearsable(verdict: Verdict) -> str:
    if verdict.group is Group.IN_FLIGHT:
        return f"It is {verdict.status}: wait until the run has ended."
    return ""


def _has_run(verdict: Verdict) -> str:
    return "" if verdict.run else "No run of it is known."


def _broken_off(verdict: Verdict) -> str:
    """Against settling what is left of a run: only one that ended, or broke off, with somebody left has that."""
    if verdict.closed:
        return "It was closed: whoever is left gets nothing."
    if verdict.status not in (Status.IN_DOUBT, Status.PARTIAL, Status.CONFLICT):
        return f"It is {verdict.status}; this works only when a run broke off or ended with somebody left."
    return _has_run(verdict)


def _releasable(verdict: Verdict) -> str:
    """Against giving a claim back: only a run that provably reached nobody may be followed by another."""
    if verdict.status is Status.CLAIMED:
        return ""
    counts = verdict.run.counts if verdict.run else None
    if verdict.status is not Status.FAILED:
        return (
            f"It is {verdict.status}; only a claim without a start, or an end that reached nobody, can be released."
        )
    if counts is None or counts.accepted or counts.unknown:
        return "That the run reached nobody can't be proven, so its claim stays."
    return ""


def _not_yet_sent(verdict: Verdict) -> str:
    return _not_started(verdict) or _not_done(verdict)


def _not_started(verdict: Verdict) -> str:
    if verdict.status in (Status.SENT, Status.SENDING, Status.PAUSED, Status.STALLED, Status.PARTIAL):
        return f"It is {verdict.status}: it has already started."
    return ""


def _not_done(verdict: Verdict) -> str:
    done = verdict.status in (Status.SENT, Status.CANCELLED)
    return f"It is {verdict.status} already." if done else ""


def _held(verdict: Verdict) -> str:
    return "" if any(o.holds for o in verdict.observations) else "Nothing holds it."


def _not_running(verdict: Verdict) -> str:
    if verdict.status in (Status.SENDING, Status.PAUSED, Status.STALLED):
        return "A run is going: pause or stop it first."
    return ""


_ON_CAMPAIGN = frozenset({Place.BOARD, Place.CAMPAIGN})
_ON_RUN = frozenset({Place.RUN, Place.CAMPAIGN, Place.BOARD})
_RUNNING = (Status.SENDING, Status.STALLED)

ACTIONS: tuple[Action, ...] = (
    Action(
        id="open",
        key="enter",
        label="open",
        tooltip="Everything known of this campaign, by source",
        places=frozenset({Place.BOARD}),
        command="show",
    ),
    Action(
        id="refresh",
        key="r",
        label="refresh",
        tooltip="Ask every source again, now",
        places=frozenset({Place.EVERYWHERE}),
        about_campaign=False,
        command="board",
    ),
    Action(
        id="preflight",
        key="p",
        label="pre-flight",
        tooltip="Every check before a send, with a remedy for each that fails; sends nothing",
        places=_ON_CAMPAIGN,
        rule=_rehearsable,
        command="preflight",
    ),
    Action(
        id="dry-run",
        key="d",
        label="dry run",
        tooltip="Rehearse on the carrier: count and render everyone, send nothing",
        places=_ON_CAMPAIGN,
        danger=Danger.CHANGE,
        role="operator",
        rule=_rehearsable,
        command="dry-run",
    ),
    Action(
        id="send",
        key="S",
        label="send",
        tooltip="Send it for real, after two confirmations, by the plan of the last dry run",
        places=_ON_CAMPAIGN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        mails=True,
        rule=_sendable,
        command="send",
    ),
    Action(
        id="attach",
        key="a",
        label="attach",
        tooltip="The newest run with its live log",
        places=_ON_CAMPAIGN,
        rule=_has_run,
        command="attach",
    ),
    Action(
        id="pause",
        key="f6",
        label="pause",
        tooltip="Start no new message; those on the wire are waited for",
        places=_ON_RUN,
        danger=Danger.CHANGE,
        role="operator",
        rule=_status(*_RUNNING),
        command="pause",
    ),
    Action(
        id="resume",
        key="f7",
        label="resume",
        tooltip="Go on with a paused run",
        places=_ON_RUN,
        danger=Danger.CHANGE,
        role="operator",
        mails=True,
        rule=_status(Status.PAUSED),
        command="resume",
    ),
    Action(
        id="stop",
        key="f9",
        label="stop run",
        tooltip="End the run for good; whoever is left gets nothing",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=_status(*_RUNNING, Status.PAUSED),
        command="cancel",
    ),
    Action(
        id="hold",
        key="h",
        label="hold",
        tooltip="Nobody may send it until it is released",
        places=_ON_CAMPAIGN,
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        rule=_not_done,
        command="hold",
    ),
    Action(
        id="release",
        key="H",
        label="release",
        tooltip="Take the hold off",
        places=_ON_CAMPAIGN,
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        rule=_held,
        command="release",
    ),
    Action(
        id="approve",
        key="A",
        label="approve",
        tooltip="Approve this content, as it lies on the host, for sending",
        places=_ON_CAMPAIGN,
        danger=Danger.CHANGE,
        role="approver",
        needs_reason=True,
        rule=_not_started,
        command="approve",
    ),
    Action(
        id="mark",
        key="m",
        label="mark executed",
        tooltip="Record that it went out, on the evidence you name; sends nothing",
        places=_ON_CAMPAIGN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=_not_running,
        command="mark",
    ),
    Action(
        id="reschedule",
        key="t",
        label="reschedule",
        tooltip="Give it a new due time, in its own zone",
        places=_ON_CAMPAIGN,
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        rule=_not_started,
        command="reschedule",
    ),
    Action(
        id="cancel",
        key="X",
        label="cancel campaign",
        tooltip="Decide that it will not be sent",
        places=_ON_CAMPAIGN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=_not_yet_sent,
        command="call-off",
    ),
    Action(
        id="doubt",
        key="D",
        label="who got it",
        tooltip="What the journal, the mail log and every other source say of a broken run, side by side",
        places=_ON_RUN,
        rule=_has_run,
        command="doubt",
    ),
    Action(
        id="settle",
        key="V",
        label="settle unknown",
        tooltip="Decide, for recipients of whom nobody knows, whether they got it; sends nothing",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        rule=_broken_off,
        command="settle",
    ),
    Action(
        id="send-rest",
        key="E",
        label="send the rest",
        tooltip="Go on with the same run: those who provably got nothing, and nobody else",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        mails=True,
        rule=_broken_off,
        command="send-rest",
    ),
    Action(
        id="close",
        key="Z",
        label="close",
        tooltip="Leave it as it is: whoever is left gets nothing",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=_broken_off,
        command="close",
    ),
    Action(
        id="release-claim",
        key="K",
        label="release claim",
        tooltip="Give up a claim under which provably nothing was sent, so that it can be planned again",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=_releasable,
        command="release-claim",
    ),
    Action(
        id="break-glass",
        key="B",
        label="break glass",
        tooltip="Do without the second person for this content, for a short time; others are notified",
        places=_ON_CAMPAIGN,
        danger=Danger.DESTRUCTIVE,
        role="admin",
        needs_reason=True,
        rule=_not_done,
        command="break-glass",
    ),
    Action(
        id="resolve",
        key="",
        label="resolve",
        tooltip="Close an intent without an outcome, after somebody has looked",
        places=frozenset(),
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        about_campaign=False,
        command="audit resolve",
    ),
    Action(
        id="accept-host",
        key="",
        label="accept host",
        tooltip="Take a host as it is, after it lost or changed its records and somebody found out why",
        places=frozenset(),
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        about_campaign=False,
        command="host accept",
    ),
    Action(
        id="accept-clock",
        key="",
        label="accept clock",
        tooltip="Say why the console's clock went back, so that records are taken again",
        places=frozenset(),
        danger=Danger.CHANGE,
        role="operator",
        needs_reason=True,
        about_campaign=False,
        command="audit accept-clock",
    ),
    Action(
        id="host",
        key="o",
        label="host",
        tooltip="Clock, disk, memory, processes and cron table of the blast host",
        places=frozenset({Place.EVERYWHERE}),
        about_campaign=False,
        command="host",
    ),
    Action(
        id="audit",
        key="u",
        label="audit",
        tooltip="Everything that was done, by whom, and whether the record is whole",
        places=frozenset({Place.EVERYWHERE}),
        about_campaign=False,
        command="audit",
    ),
)

BY_ID = {action.id: action for action in ACTIONS}


def offered(place: Place) -> tuple[Action, ...]:
    """The actions of a place, in the registry's order."""
    return tuple(a for a in ACTIONS if place in a.places or Place.EVERYWHERE in a.places)
