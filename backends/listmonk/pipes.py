"""Whether listmonk is at work on anything: a restart then loses what was fetched and not sent, in silence."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from backends.listmonk.campaigns import CANCELLED, PAUSED, RUNNING, SCHEDULED, Campaign
from backends.listmonk.control import Control
from backends.listmonk.runwords import drained, picked_up, say_blind, stopping
from opsconsole.ports import Refused

MAY_BE_AT_WORK: Final = (RUNNING, PAUSED, SCHEDULED, CANCELLED)
SOON: Final = timedelta(seconds=60)  # what starts so soon may be at work when it is restarted


def alive(control: Control) -> tuple[str, ...]:
    """Everything that speaks against a restart now, one sentence each. Raises Trouble where it can't be asked."""
    control.log()
    found = control.client.campaigns()  # those that are over too: they may have the name of one that isn't
    at_work = [campaign for campaign in found.campaigns if campaign.status in MAY_BE_AT_WORK]
    said = [why for campaign in at_work if (why := _why(control, campaign, found.campaigns))]
    said += [f"A campaign can't be read, so it may be at work: {row}" for row in found.unread]
    if (importing := _importing(control)) is not None:
        said.append(importing)
    return tuple(said)


def _why(control: Control, campaign: Campaign, listed: Sequence[Campaign]) -> str:
    now, tuning = control.now, control.tuning()
    if campaign.status == RUNNING:
        return f"{campaign.name} is running: pause it and wait until it is drained."
    if campaign.status == SCHEDULED:
        if campaign.started_at is not None:
            return f"{campaign.name} is being resumed: pause it and wait until it is drained."
        if campaign.send_at is not None and campaign.send_at <= now + SOON:
            return (
                f"{campaign.name} starts by itself at {campaign.send_at:%H:%M:%S} UTC: put it back to draft first."
            )
        return ""
    if not picked_up(campaign):
        return ""
    trail = control.trail(campaign, others=listed)
    if campaign.status == CANCELLED:
        is_alive = stopping(campaign, trail, now)
        return f"{campaign.name} was cancelled and isn't drained yet: wait for it." if is_alive else ""
    rest = drained(campaign, trail, tuning, now)
    if rest:
        return ""
    if rest is None:
        blind = control.log_trouble or f"{say_blind(trail)}."
        return f"Whether {campaign.name}, which is paused, is drained isn't known: {blind}"
    return f"{campaign.name} is paused and not drained yet: wait until the log says so."


def _importing(control: Control) -> str | None:
    try:
        going = control.client.importing()
    except Refused:
        return None  # the token may not ask
    if not going.going:
        return None
    return f"An import is going on ({going.imported:,} of {going.total:,}): it would be cut off."
