"""The actions on a run that goes; a part of the registry (actions.py)."""

from opsconsole import against
from opsconsole.action import Action, Danger, Place
from opsconsole.verdict import Status

_ON_RUN = frozenset({Place.RUN, Place.CAMPAIGN, Place.BOARD})
_RUNNING = (Status.SENDING, Status.STALLED)

GOING: tuple[Action, ...] = (
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
        id="rate",
        key="f8",
        label="change rate",
        tooltip="Let it go faster or slower, in messages a second, without a stop",
        places=_ON_RUN,
        danger=Danger.CHANGE,
        role="operator",
        rule=against.steerable("rate"),
        command="rate",
    ),
    Action(
        id="account",
        key="f4",
        label="switch account",
        tooltip="Let the rest go out by the fallback account, or by the main one again",
        places=_ON_RUN,
        danger=Danger.DESTRUCTIVE,
        role="operator",
        needs_reason=True,
        rule=against.steerable("account"),
        command="account",
    ),
)
