"""Every action of the console, once: keys, footer, palette, help, commands and their rules come from here.

`Action.disabled_reason` and `authorize` are asked by screens and commands alike; a screen can't grant itself
anything (DESIGN §6.3, §6.8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from opsconsole import against
from opsconsole.settings import Role
from opsconsole.verdict import Status, Verdict


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
        rule=against.rehearsable,
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
        rule=against.rehearsable,
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
        rule=against.sendable,
        command="send",
    ),
    Action(
        id="attach",
        key="a",
        label="attach",
        tooltip="The newest run with its live log",
        places=_ON_CAMPAIGN,
        rule=against.has_run,
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
        rule=against.status(*_RUNNING),
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
        rule=against.status(Status.PAUSED),
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
        rule=against.status(*_RUNNING, Status.PAUSED),
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
        rule=against.not_done,
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
        rule=against.held,
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
        rule=against.not_started,
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
        rule=against.not_running,
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
        rule=against.movable,
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
        rule=against.not_yet_sent,
        command="call-off",
    ),
    Action(
        id="doubt",
        key="D",
        label="who got it",
        tooltip="What the journal, the mail log and every other source say of a broken run, side by side",
        places=_ON_RUN,
        rule=against.has_run,
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
        rule=against.broken_off,
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
        rule=against.broken_off,
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
        rule=against.broken_off,
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
        rule=against.releasable,
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
        rule=against.not_done,
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
