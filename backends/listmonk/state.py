"""The state of a run, by listmonk's row of the campaign, the kept log, and what was started here."""

from datetime import timedelta
from typing import Final

from backends.listmonk.campaigns import COMING
from backends.listmonk.control import Control
from opsconsole.ports import NotThere, RunState, Trouble

MAY_COME_LATE: Final = timedelta(minutes=2)  # a question that was cut off on its way is heard by then, or never


def run_state(control: Control, slug: str, attempt: int | None = None) -> RunState | None:
    """The newest run (or that attempt); None when there is none, or no such campaign. Raises Trouble."""
    try:
        state = control.look(slug).state
    except NotThere:
        return None
    return state if state is not None and attempt in (None, state.attempt) else None


def give_up(control: Control, slug: str, run_id: str) -> RunState | None:
    """The state of this run; None once it is certain that it never started, and from now on it isn't from here.

    listmonk can't be told to refuse a start that is on its way, so for MAY_COME_LATE after it was asked Trouble is
    raised.
    """
    try:
        known = control.find(slug)
    except NotThere:
        return None  # a campaign that is gone sends nothing
    with control.claims.alone(known):
        look = control.look(slug)
        if look.state is not None and look.state.run_id == run_id:
            return look.state
        remembered = control.remembered(slug, look.campaign)
        asked = remembered.at if remembered and remembered.run_id == run_id else None
        if look.campaign.status in COMING and asked is not None and look.now - asked < MAY_COME_LATE:
            raise Trouble(
                f"{slug} is still {look.campaign.status} on {control.name}, and was to be started just now.",
                "The start may still arrive there.",
                "Ask again in two minutes; don't start it by other means.",
            )
        control.claims.void(known, run_id)
        control.claims.drop(known, run_id)
        return None  # a draft, or another's start: this one came to nothing
