"""Starts a campaign, once. Everything is compared at the last moment, and no reply of listmonk's is believed: the
campaign is read again after every write.

No write carries a condition, so a change or a start by somebody else between the last look and the write can't be
refused. It is a fraction of a second; whoever starts a running campaign again starts nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.campaigns import CANCELLED, COMING, DRAFT, FINISHED, PAUSED, RUNNING, SCHEDULED, Campaign
from backends.listmonk.client import MANAGES, SENDS, LostReply
from backends.listmonk.control import Control, Look
from backends.listmonk.editing import without_date
from backends.listmonk.runwords import picked_up
from opsconsole.plan import Actual, Plan, compare, say_stale
from opsconsole.ports import MaybeStarted, OutOfReach, Refused, Started, Trouble

PICK_UP: Final = timedelta(seconds=15)  # it looks every 5 s, unless another campaign's batch keeps it
ASK_AGAIN: Final = (0.2, 0.5, 1.0, 2.0, 3.0)
NOTHING: Final = "Nothing was started."
OURS_TO_CHANGE: Final = ("updated_at",)  # parts that a change of its date changes as well


@dataclass(frozen=True)
class Starter:
    control: Control
    pick_up: timedelta = PICK_UP
    sleep: Callable[[float], None] = time.sleep

    def start(self, plan: Plan, by: str) -> Started:
        """Compare, put it to running, read it again, wait for the pick-up.

        Raises Refused or OutOfReach (nothing was started), MaybeStarted (nobody knows); another Trouble says that
        nothing was started, and what was changed.
        """
        control = self.control
        if stale := compare(plan, Actual(), control.now):
            raise Refused(say_stale(stale), NOTHING)
        known = control.find(plan.slug)
        with control.claims.alone(known):
            if control.claims.is_void(known, plan.run_id):
                raise Refused(f"This very run ({plan.run_id}) was given up.", NOTHING, "Make a new plan.")
            campaign = control.find(plan.slug)
            joined = self._already(plan, campaign)
            if joined is not None:
                return joined
            self._check(plan, campaign)
            undated = self._allowed(campaign)
            control.claims.put(campaign, plan, by, control.now)
            try:
                if undated:
                    campaign = self._without_date(plan, campaign)
                return self._set_going(plan, campaign)
            except MaybeStarted:
                raise
            except Trouble:
                control.claims.drop(campaign, plan.run_id)
                raise
            finally:
                control.changed()

    # Before anything is done.

    def _already(self, plan: Plan, campaign: Campaign) -> Started | None:
        """The very run of this plan, if it goes or went; Refused where another one does."""
        if campaign.status in COMING and not (campaign.status == SCHEDULED and campaign.started_at):
            return None
        claim = self.control.claims.of(campaign)
        if claim is not None and claim.run_id == plan.run_id:
            state = self.control.look(plan.slug).state
            if state is not None and state.run_id == plan.run_id:
                return Started(state=state, fresh=False)
        raise _taken(self.control, plan.slug, campaign)

    def _check(self, plan: Plan, campaign: Campaign) -> None:
        """Content and audience as they are now. Raises Refused that names the part and both values."""
        control = self.control
        actual = Actual(
            digests=control.digests(campaign),
            audience=control.audience(campaign),
            host=control.identity() or None if plan.host else None,
        )
        if stale := compare(plan, actual, control.now):
            raise Refused(say_stale(stale), NOTHING)

    def _allowed(self, campaign: Campaign) -> bool:
        """Whether its date has to go first. Raises Refused where the token may not do all that is needed."""
        control = self.control
        profile = control.client.profile()
        if not profile.may(*SENDS):
            raise _lacks(control, "campaigns:send", "start campaigns")
        dated = campaign.send_at is not None and campaign.send_at > control.now
        if dated and not profile.may(*MANAGES):
            raise _lacks(
                control,
                "campaigns:manage",
                f"take away the date ({_at(campaign.send_at)}) that would keep it from starting now",
            )
        gone = [name for number, name in (*campaign.lists, *campaign.media) if number is None]
        if dated and gone:  # to take the date away is an edit, and an edit forgets what is deleted
            raise Refused(
                f"{campaign.name} names what is deleted in listmonk: {', '.join(gone)[:200]}.",
                f"{NOTHING} Without its date it would be another campaign than the planned one.",
                "Save it anew in listmonk, without its date, then run the dry run again.",
            )
        if campaign.status == SCHEDULED and not dated:
            raise Refused(
                f"{campaign.name} is scheduled and due since {_at(campaign.send_at)}: listmonk starts it by itself "
                "at its next look, every 5 s.",
                "Nothing was started from here.",
                "If it doesn't start, its scheduler isn't at work: look at listmonk and its log first.",
            )
        return dated

    # Doing.

    def _without_date(self, plan: Plan, campaign: Campaign) -> Campaign:
        """Back to a draft without a date: with one, `running` would only mean `scheduled`."""
        control = self.control
        if campaign.status == SCHEDULED:
            put = "It is as it was."
            self._write(campaign, lambda: control.client.put_status(campaign.id, DRAFT), "put back to draft", put)
            campaign = control.find(plan.slug)
            if campaign.status != DRAFT:
                raise _moved(plan.slug, campaign, DRAFT)
        draft = "It is a draft now, so nothing starts it by itself."
        self._write(campaign, lambda: without_date(control.client, campaign.id), "rid of its date", draft)
        campaign = control.find(plan.slug)
        if campaign.status != DRAFT or campaign.send_at is not None:
            raise _moved(plan.slug, campaign, "draft without a date")
        changed = _differ(plan.digests, control.digests(campaign))
        if changed:
            raise Refused(
                f"The plan is stale: {', '.join(changed)} of {plan.slug} changed while its date was taken away.",
                "Nothing was started; it is a draft without a date now, so nothing starts it by itself.",
                "Look who edits it, then run the dry run again.",
            )
        return campaign

    def _write(self, campaign: Campaign, write: Callable[[], None], what: str, otherwise: str) -> None:
        """A write that sends nothing; of a lost reply the next look tells what came of it."""
        try:
            write()
        except LostReply:
            self.sleep(ASK_AGAIN[2])
        except (Refused, OutOfReach) as error:
            raise Refused(
                f"{campaign.name} could not be {what}: {error.what}",
                f"{NOTHING} {otherwise}",
                error.next_step,
            ) from error

    def _set_going(self, plan: Plan, campaign: Campaign) -> Started:
        control, slug = self.control, plan.slug
        asked = control.now
        lost: LostReply | None = None
        try:
            control.client.put_status(campaign.id, RUNNING)
        except LostReply as error:
            lost = error
        except Refused:
            there = control.find(slug)  # somebody else may have been faster
            if there.status not in COMING:
                raise _taken(control, slug, there) from None
            raise
        there = self._read_after(slug, lost)
        if there.status == SCHEDULED and there.started_at is None and _in_future(there, control.now):
            self._undo(slug, there)
        if there.status == DRAFT:
            why = lost.what if lost else "listmonk said yes to the start."
            raise MaybeStarted(
                f"{why} {slug} is still a draft there.",
                f"Run {plan.run_id} may start any moment.",
                "Look at it in a moment; don't start it by other means.",
            )
        return self._picked_up(plan, asked)

    def _read_after(self, slug: str, lost: LostReply | None) -> Campaign:
        """As it is after the write. A lost reply gets more looks, as the write may still be under way."""
        found: Campaign | None = None
        trouble: Trouble | None = None
        for pause in (0.0, *ASK_AGAIN):
            if pause:
                self.sleep(pause)
            try:
                found = self.control.find(slug)
            except Trouble as error:
                trouble = error
                continue
            if found.status != DRAFT or lost is None:
                break
        if found is None:
            raise MaybeStarted(
                f"The start of {slug} was asked for, and it can't be looked at: {trouble.what if trouble else ''}",
                "It may be going.",
                "Look at it once listmonk is in reach; don't start it by other means.",
            )
        return found

    def _undo(self, slug: str, campaign: Campaign) -> None:
        """Somebody gave it a date in the last moment: it would start then, by nobody's plan."""
        control = self.control
        try:
            control.client.put_status(campaign.id, DRAFT)
            after = control.find(slug)
        except Trouble as error:
            raise MaybeStarted(
                f"Somebody gave {slug} a date just now, so listmonk scheduled it for {_at(campaign.send_at)}.",
                f"It will start by itself then: it couldn't be put back to draft ({error.what}).",
                "Put it back to draft in listmonk.",
            ) from error
        if after.status != DRAFT:
            raise MaybeStarted(
                f"Somebody gave {slug} a date just now; it is {after.status} in listmonk.",
                "It may start by itself.",
                "Look at it in listmonk.",
            )
        raise Refused(
            f"Somebody gave {slug} a date just now ({_at(campaign.send_at)}), and a campaign with a date isn't "
            "started but scheduled.",
            "Nothing was started; it was put back to draft.",
            "Ask who edits it, then run the dry run again.",
        )

    def _picked_up(self, plan: Plan, asked: datetime) -> Started:
        """Its state once listmonk is at work on it, or when the time for that is over: then its note says why."""
        control, look = self.control, None
        waited, step = 0.0, 0.1
        while True:
            try:
                look = control.look(plan.slug)
            except (Trouble, OSError):
                if look is None and waited >= self.pick_up.total_seconds():
                    raise MaybeStarted(
                        f"{plan.slug} was set to running, and listmonk can't be asked any more.",
                        f"Run {plan.run_id} is going, as far as is known.",
                        "Look at it once listmonk is in reach; don't start it by other means.",
                    ) from None
            if look is not None and (_at_work(look, asked) or waited >= self.pick_up.total_seconds()):
                break
            self.sleep(step)
            waited, step = waited + step, min(step * 2, 1.0)
        state = look.state
        if state is None or state.run_id != plan.run_id:
            raise MaybeStarted(
                f"{plan.slug} was set to running, and is {look.campaign.status} now.",
                "It may start by itself, or be another's run.",
                "Look at it in listmonk.",
            )
        if not _at_work(look, asked):
            late = f"not picked up within {self.pick_up.total_seconds():.0f} s"
            note = "; ".join(filter(None, (late, state.word.note)))
            state = replace(state, word=replace(state.word, note=note))
        return Started(state=state, fresh=True)


def _at_work(look: Look, asked: datetime) -> bool:
    if look.campaign.status in (PAUSED, CANCELLED, FINISHED) or look.trail.stuck:
        return True
    return look.campaign.status == RUNNING and picked_up(look.campaign)


def _in_future(campaign: Campaign, now: datetime) -> bool:
    return campaign.send_at is not None and campaign.send_at > now


def _differ(planned: Mapping[str, str], actual: Mapping[str, str]) -> list[str]:
    names = {*planned, *actual} - set(OURS_TO_CHANGE)
    return sorted(name for name in names if planned.get(name) != actual.get(name))


def _taken(control: Control, slug: str, campaign: Campaign) -> Refused:
    """Who has it, and since when, as far as that is known: listmonk itself doesn't keep who."""
    claim = control.claims.of(campaign)
    since = campaign.started_at or campaign.updated_at
    when = f" since {_at(since)}" if since else ""
    who = (
        f"It was started here by {claim.by} at {_at(claim.at)}, run {claim.run_id}."
        if claim
        else "Who started it isn't known: listmonk keeps no record of that."
    )
    sent = f", {campaign.sent:,} of {campaign.to_send:,} sent" if picked_up(campaign) else ""
    if campaign.status == PAUSED:
        step = "Resume it if it is to go on: those who got it don't get it again."
    elif campaign.status == RUNNING or campaign.status == SCHEDULED:
        step = "Attach to it and watch."
    else:
        step = "A campaign goes out once; clone it in listmonk for another one."
    return Refused(f"{slug} is {campaign.status} on {control.name}{when}{sent}. {who}", NOTHING, step)


def _moved(slug: str, campaign: Campaign, wanted: str) -> Refused:
    return Refused(
        f"{slug} was to be a {wanted}, and is {campaign.status} in listmonk: somebody else is at it.",
        NOTHING,
        "Look at it, then run the dry run again.",
    )


def _lacks(control: Control, permission: str, to: str) -> Refused:
    return Refused(
        f"The user {control.client.user} of listmonk {control.name} lacks {permission}, which is needed to {to}.",
        NOTHING,
        "Give its role that permission, or do it in listmonk's own pages.",
    )


def _at(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC" if instant else "no instant that is known"
