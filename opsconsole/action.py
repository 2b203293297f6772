"""What an action is, and who may do it: asked by screens and commands alike. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from opsconsole.settings import Role
from opsconsole.verdict import Verdict


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
