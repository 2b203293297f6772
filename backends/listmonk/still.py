"""Why a running campaign stands still, by its log, by the others, and by what was done to it. Pure."""

from datetime import datetime, timedelta
from typing import Final

from backends.listmonk.campaigns import RUNNING, Campaign
from backends.listmonk.looks import Seen
from backends.listmonk.trail import FRESH, Trail
from opsconsole.schedule import say_instant
from runner.policy.bounces import bounce_class

PUSH_TIMED_OUT: Final = "message push timed out"
AT_TURN: Final = timedelta(minutes=2)  # another that moved within this has its turn


def why_still(campaign: Campaign, trail: Trail, seen: Seen, zone: str) -> str:
    """One or two reasons, the surest first; "" where there is nothing to go by.

    listmonk has one queue for all campaigns: what holds it up holds up every one.
    """
    now = seen.at
    if trail.stuck:
        return f"listmonk can't process it: {trail.stuck}"
    if trail.sleeps_until is not None and trail.sleeps_until > now:
        until = say_instant(trail.sleeps_until, zone, now)
        return f"its sliding window is used up: listmonk sends nothing at all until {until}"
    reasons = [_resumed_too_early(campaign, trail, seen, zone), _refused(trail, seen), _pushes(seen)]
    if trail.exceeded:
        reasons.append("too many errors: listmonk is pausing it")
    reasons += [_not_picked_up(campaign, trail, seen), _others(campaign, seen)]
    found = [reason for reason in reasons if reason]
    if not found and not trail.read:
        return "its log can't be read, which alone could tell why"
    return "; ".join(found[:2]) or "its log says nothing of why: look whether listmonk and its database are well"


def what_refusal(why: str) -> str:
    """An error of sending in the words of the runner's classes: `rate limited`; "" for none that is known."""
    code = next((int(word) for word in why.replace("-", " ").split() if len(word) == 3 and word.isdecimal()), 0)
    return bounce_class(code, why) if 400 <= code < 600 else ""


def _resumed_too_early(campaign: Campaign, trail: Trail, seen: Seen, zone: str) -> str:
    """A pause isn't over before its drain: resumed in that time it stays running, and nothing is sent."""
    paused = seen.paused_at.get(campaign.id)
    if paused is None or not trail.read:
        return ""
    if any(at is not None and at >= paused - timedelta(seconds=5) for at in (trail.drained, trail.picked_up)):
        return ""
    at = say_instant(paused, zone, seen.at)
    return f"it was paused {at} and resumed before it had drained: pause it, wait for the drain, then resume"


def _refused(trail: Trail, seen: Seen) -> str:
    if trail.last_error_at is None or seen.at - trail.last_error_at > FRESH:
        return ""
    said = what_refusal(trail.last_error)
    kind = f" ({said})" if said and said != "other" else ""
    most = ", ".join(f"{number:,} × {name}" for name, number in trail.classes[:3])
    return f"the mail server takes nothing: {most or 'errors'}; the last{kind}: {trail.last_error[:160]}"


def _pushes(seen: Seen) -> str:
    recent = [
        entry for entry in seen.entries if entry.at >= seen.at - FRESH and entry.text.startswith(PUSH_TIMED_OUT)
    ]
    return f"its queue is full: {len(recent):,} messages couldn't be put into it" if recent else ""


def _not_picked_up(campaign: Campaign, trail: Trail, seen: Seen) -> str:
    if campaign.to_send or trail.picked_up is not None:
        return ""
    return (
        "listmonk hasn't picked it up, which it does within 5 s: its manager is down, or this one is passive, or "
        "nobody is on its lists"
    )


def _others(campaign: Campaign, seen: Seen) -> str:
    """Campaigns take turns batch by batch."""
    names = [
        it.name[:60]
        for it in seen.campaigns.values()
        if it.id != campaign.id and it.status == RUNNING and _moved(it, seen.at, seen)
    ]
    return (
        f"{' and '.join(names[:2])} {'has' if len(names) == 1 else 'have'} the turn, a batch at a time"
        if names
        else ""
    )


def _moved(campaign: Campaign, now: datetime, seen: Seen) -> bool:
    beat = seen.beats.get(campaign.id)
    return beat is not None and now - beat.at < AT_TURN
