"""What can still start a campaign by itself, by the newest word of every source. Pure."""

from datetime import datetime

from opsconsole.observation import Observation, Trigger
from opsconsole.ports import NotThere, Refused
from opsconsole.verdict import Verdict


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
