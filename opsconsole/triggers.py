"""What can still start a campaign by itself, by the newest word of every source. Pure."""

from datetime import datetime

from opsconsole.observation import Observation, Trigger
from opsconsole.ports import NotThere, Refused
from opsconsole.schedule import say_instant
from opsconsole.verdict import Status, Verdict

TRIGGER_OFF, TRIGGER_ON = "trigger-off", "trigger-on"
CHANGED = "Look at it again: opsconsole trigger show"


def live(verdict: Verdict, now: datetime) -> tuple[Trigger, ...]:
    """Every trigger that can still start it, the soonest first; one at a restart could come at any instant.

    None of them proves that none is left only while `unseen` is empty as well.
    """
    found = (trigger for o in verdict.observations for trigger in o.triggers if trigger.live)
    return tuple(sorted(found, key=lambda trigger: (trigger.next_fire or now, trigger.where)))


def unseen(verdict: Verdict, now: datetime) -> tuple[str, ...]:
    """Why a trigger may be there that nobody saw, a sentence each; empty when every source was read just now."""
    said = []
    for o in verdict.observations:
        if o.triggers_unread:
            said.append(f"{o.source}: {o.triggers_unread}")
        elif not o.is_fresh(now) and (o.keeps_traces or o.triggers):
            said.append(f"{o.source} was not heard just now: what would start it there isn't known")
    return tuple(said)


def switchable(verdict: Verdict, *, on: bool) -> tuple[tuple[Observation, Trigger], ...]:
    """The triggers that can be switched on (or off) from here, each with the word it comes from."""
    return tuple((o, t) for o in verdict.observations for t in o.triggers if t.key and t.off is on)


def chosen(verdict: Verdict, where: str, *, on: bool) -> Trigger:
    """The one trigger to be switched on (or off) that `where` means: its place, `SOURCE:PLACE`, or "" when there
    is but one.

    Raises NotThere when none or several fit, with all there are; Refused when there is none at all.
    """
    there = switchable(verdict, on=on)
    fitting = [t for o, t in there if where in ("", t.where, f"{o.source}:{t.where}")]
    if len(fitting) == 1:
        return fitting[0]
    if not there:
        word = "on" if on else "off"
        raise Refused(f"{verdict.slug} has no trigger that can be switched {word} from here.", "Nothing was done.")
    places = [t.where for _, t in there]
    known = ", ".join(t.where if places.count(t.where) == 1 else f"{o.source}:{t.where}" for o, t in there)
    what = f"{verdict.slug} has no such trigger as {where}" if not fitting else f"{len(fitting)} triggers are meant"
    raise NotThere(f"{what}.", "Nothing was done.", f"Say which, with --line: {known}")


def by_key(verdict: Verdict, key: str, *, on: bool) -> tuple[Observation, Trigger]:
    """The very trigger that was looked at. Raises Refused when it isn't what it was."""
    found = next(((o, t) for o, t in switchable(verdict, on=on) if t.key == key), None)
    if found is None:
        raise Refused(
            f"The trigger of {verdict.slug} has changed since it was looked at, or is switched already.",
            "Nothing was changed.",
            CHANGED,
        )
    return found


def starts_by(verdict: Verdict, key: str) -> bool:
    """Whether the trigger that `key` names is one of this campaign, too."""
    return any(trigger.key == key for o in verdict.observations for trigger in o.triggers)


def seen_at(word: Observation, where: str, key: str) -> Trigger | None:
    """The trigger at `where` in what a source says now, if it is the one that `key` named: what it says is the
    first part of a key, and stays when it is switched."""
    said = key.partition(":")[0]
    return next((t for t in word.triggers if t.where == where and t.key and t.key.partition(":")[0] == said), None)


def say_switch(verdict: Verdict, key: str, *, on: bool) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What is to be read before a trigger is switched: lines with their labels, and warnings. Raises Refused."""
    o, trigger = by_key(verdict, key, on=on)
    lines = [("trigger", f"{trigger.where} on {o.source}"), ("it says", trigger.text)]
    if trigger.off:
        lines.append(("it is", trigger.ignored_because))
    elif trigger.next_fire:
        lines.append(
            ("next", say_instant(trigger.next_fire, verdict.details.zone, o.observed_at or trigger.next_fire))
        )
    over = verdict.status in (Status.SENT, Status.CANCELLED, Status.PARTIAL, Status.IN_DOUBT)
    warns = on and over and trigger.sends
    return tuple(lines), (f"It is {verdict.status}: switched on, this can send it once more.",) if warns else ()
