"""The date of a scheduled campaign, as a trigger: off is a draft that keeps its date, on is scheduled again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from backends.listmonk.campaigns import DRAFT, SCHEDULED, Campaign
from backends.listmonk.client import SENDS, LostReply
from backends.listmonk.control import Control
from opsconsole.ports import Refused, Switched, Trouble

UNCHANGED: Final = "Nothing was changed."
LOOKS: Final = (0.0, 0.3, 1.0, 2.0)


def key(campaign: Campaign) -> str:
    """The handle of a campaign's date: by it the very date is meant, and no later one. "" without a date."""
    return f"campaign:{campaign.id}:{campaign.send_at.isoformat()}" if campaign.send_at else ""


def text(campaign: Campaign) -> str:
    """What the trigger says, as it is shown and recorded."""
    if campaign.send_at is None:
        return f"campaign {campaign.id}: {campaign.status}, no date"
    return f"campaign {campaign.id}: {campaign.status}, sends at {campaign.send_at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True)
class Switcher:
    control: Control
    sleep: Callable[[float], None] = time.sleep

    def switch(self, named: str, on: bool, by: str) -> Switched:
        """Scheduled to draft or back, then read again. The same again changes nothing.

        Raises Refused with nothing changed, also where the date isn't the one that `named` has; Trouble unproven.
        """
        control = self.control
        campaign = self._named(named)
        wanted = SCHEDULED if on else DRAFT
        if campaign.status == wanted:
            return self._switched(campaign, campaign)
        if campaign.status not in (DRAFT, SCHEDULED):
            raise Refused(
                f"{campaign.name} is {campaign.status}: it has started, and its date starts nothing any more.",
                UNCHANGED,
                "Pause or cancel the run instead.",
            )
        if on and campaign.send_at is not None and campaign.send_at <= control.now:
            raise Refused(
                f"The date of {campaign.name} has passed ({campaign.send_at:%Y-%m-%d %H:%M} UTC): switched on, "
                "listmonk would start it within 5 s.",
                UNCHANGED,
                "Send it by a plan, or give it another date in listmonk.",
            )
        if not control.client.profile().may(*SENDS):
            raise Refused(
                f"The user {control.client.user} of listmonk {control.name} lacks campaigns:send.",
                UNCHANGED,
                "Give its role that permission.",
            )
        try:
            control.client.put_status(campaign.id, wanted)
        except LostReply:
            pass  # what came of it is read
        finally:
            control.changed()
        return self._switched(campaign, self._proven(campaign.id, wanted))

    def _named(self, named: str) -> Campaign:
        word, _, rest = named.partition(":")
        number, _, instant = rest.partition(":")
        if word != "campaign" or not number.isdigit() or not _is_instant(instant):
            raise Refused(f"{named[:80]!r} names no date of a campaign.", UNCHANGED)
        campaign = self.control.client.campaign(int(number))
        if key(campaign) != named:
            raise Refused(
                f"{campaign.name} has another date now ({text(campaign)}).", UNCHANGED, "Look at it again."
            )
        return campaign

    def _proven(self, campaign_id: int, wanted: str) -> Campaign:
        there: Campaign | None = None
        for pause in LOOKS:
            if pause:
                self.sleep(pause)
            try:
                there = self.control.client.campaign(campaign_id)
            except Trouble:
                continue
            if there.status == wanted:
                return there
        raise Trouble(
            f"Campaign {campaign_id} was to become {wanted}, and is {there.status if there else 'out of reach'}.",
            "Whether its date still starts it isn't certain." if wanted == DRAFT else "It may not start by itself.",
            "Look at it in listmonk at once.",
        )

    def _switched(self, before: Campaign, after: Campaign) -> Switched:
        name = self.control.name
        undo = "put it to Scheduled" if after.status == DRAFT else "put it to Draft"
        return Switched(
            where=f"{name}: campaign {after.id}",
            before=text(before),
            after=text(after),
            proof=f"read again from {name} at {self.control.now:%H:%M:%S} UTC: {text(after)}",
            undo=f"{undo} in listmonk: {self.control.client.page(f'campaigns/{after.id}')}",
        )


def _is_instant(written: str) -> bool:
    try:
        return datetime.fromisoformat(written).tzinfo is not None
    except ValueError:
        return False
