"""Pause, resume and cancel. Each is read again after the write, as the reply is only an echo.

A paused campaign is not at rest until its log says so: workers finish what they have in hand, and a resume before
that does nothing, or ends the campaign with most of it unsent, by version.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from backends.listmonk.campaigns import CANCELLED, FINISHED, OVER, PAUSED, RUNNING, SCHEDULED, Campaign
from backends.listmonk.client import LostReply
from backends.listmonk.control import Control, Look
from backends.listmonk.runwords import say_blind, say_in_flight
from opsconsole.ports import Refused, RunState, Trouble, Verb

LOOKS: Final = (0.0, 0.3, 0.7, 1.0, 1.0, 2.0)  # s between the looks after a write
UNCHANGED: Final = "Nothing was changed."
TOO_EARLY: Final = "Resumed before that it does nothing, or is called finished with the rest unsent, by version."

_ASKS: Final = {Verb.PAUSE: PAUSED, Verb.RESUME: RUNNING, Verb.CANCEL: CANCELLED}
_FROM: Final = {Verb.PAUSE: (RUNNING,), Verb.RESUME: (PAUSED,), Verb.CANCEL: (RUNNING, PAUSED)}
_COMES: Final = {
    Verb.PAUSE: (PAUSED, *OVER),
    Verb.RESUME: (RUNNING, SCHEDULED, FINISHED),  # with a date it goes by way of `scheduled`
    Verb.CANCEL: OVER,
}


@dataclass(frozen=True)
class Signaller:
    control: Control
    sleep: Callable[[float], None] = time.sleep

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        """Tell it; its state afterwards, in whose note stands what is still in flight.

        Raises Refused (nothing was changed), OutOfReach, or Trouble where what came of it isn't known.
        """
        control = self.control
        look = control.look(slug, closely=verb is Verb.RESUME)
        self._check(look, attempt, verb)
        lost: LostReply | None = None
        try:
            control.client.put_status(look.campaign.id, _ASKS[verb])
        except LostReply as error:
            lost = error
        except Refused as error:
            after = control.find(slug)
            if after.status not in _COMES[verb]:  # it changed by itself meanwhile: then it isn't a refusal
                raise Refused(error.what, UNCHANGED, f"It is {after.status} now; look at it again.") from error
        finally:
            control.changed()
        return self._after(slug, verb, lost)

    def _check(self, look: Look, attempt: int, verb: Verb) -> None:
        campaign, slug = look.campaign, look.slug
        state = look.state
        if state is not None and state.attempt != attempt:
            raise Refused(f"Attempt {attempt} of {slug} isn't the one that listmonk has.", UNCHANGED, "Look again.")
        if verb is Verb.PAUSE and campaign.status == SCHEDULED and campaign.started_at:
            raise Refused(
                f"{slug} is being resumed: listmonk picks it up within 5 s, and only then it can be paused.",
                UNCHANGED,
                "Try again in a moment.",
            )
        if campaign.status not in _FROM[verb]:
            raise _not_from(slug, campaign, verb)
        if verb is not Verb.RESUME:
            return
        if campaign.send_at is not None and campaign.send_at > look.now:
            raise Refused(
                f"{slug} has a date to come, {campaign.send_at:%Y-%m-%d %H:%M} UTC: it would wait for that.",
                UNCHANGED,
                "Take the date away in listmonk first.",
            )
        if not look.drained:
            raise self._not_drained(look)

    def _not_drained(self, look: Look) -> Refused:
        slug = look.slug
        if look.drained is None:
            blind = self.control.log_trouble or f"{say_blind(look.trail)}."
            return Refused(
                f"Whether {slug} is drained isn't known: {blind}",
                f"{UNCHANGED} {TOO_EARLY}",
                f"{'Give the token settings:get, or wait' if self.control.log_trouble else 'Wait'} until it "
                "can't be otherwise: an hour after the pause, or the sliding windows of one batch.",
            )
        return Refused(
            f"{slug} is still pausing: {say_in_flight(look.tuning)}, and its log has no word of the end.",
            f"{UNCHANGED} {TOO_EARLY}",
            "Wait until it is drained; with a sliding window that may take hours.",
        )

    def _after(self, slug: str, verb: Verb, lost: LostReply | None) -> RunState:
        look: Look | None = None
        for pause in LOOKS:
            if pause:
                self.sleep(pause)
            try:
                look = self.control.look(slug)
            except Trouble:
                continue
            if look.campaign.status in _COMES[verb] and self._settled(look, verb):
                break
        if look is None or look.campaign.status not in _COMES[verb] or look.state is None:
            there = look.campaign.status if look else "out of reach"
            raise Trouble(
                f"{slug} was told to {verb}, and is {there}{f': {lost.what}' if lost else '.'}",
                "Whether it will isn't known.",
                "Look at it in a moment, then decide anew.",
            )
        return look.state

    def _settled(self, look: Look, verb: Verb) -> bool:
        """Whether there is nothing more to wait for: a drain that takes long is told by the state's note."""
        if verb is Verb.RESUME:
            return look.campaign.status != SCHEDULED
        return bool(look.drained)


def _not_from(slug: str, campaign: Campaign, verb: Verb) -> Refused:
    if campaign.status == SCHEDULED:
        step = "Switch its date off instead: that makes it a draft."
    elif campaign.status in OVER:
        step = "It is over: nothing of it will be sent any more."
    else:
        step = "Look at it again."
    return Refused(f"{slug} is {campaign.status}, and listmonk can't {verb} it from there.", UNCHANGED, step)
