"""The proof that nothing will start a campaign any more, which calling it off rests on. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.observation import Observation, Says, Trigger
from opsconsole.ports import Refused
from opsconsole.schedule import say_instant, say_span
from opsconsole.triggers import live, unseen
from opsconsole.verdict import Verdict


class StillTriggered(Refused):
    """Something can still start the campaign. `switchable`: at least one of it can be switched off from here."""

    def __init__(
        self, verdict: Verdict, triggers: tuple[Trigger, ...], schedulers: tuple[str, ...], now: datetime
    ) -> None:
        zone, many = verdict.details.zone, len(triggers) + len(schedulers)
        words = [_say(trigger, zone, now) for trigger in triggers]
        words += [f"{source} says that it will start it by itself" for source in schedulers]
        self.switchable = any(trigger.key for trigger in triggers)
        by_hand = bool(schedulers) or not all(trigger.key for trigger in triggers)
        steps = [f"Switch off first what can be (key F, or `opsconsole trigger off {verdict.slug}`)"]
        steps = steps if self.switchable else []
        steps += ["take out by hand what can't be switched from here"] if by_hand else []
        steps += ["then call it off", "or hold it meanwhile (key h)"]
        super().__init__(
            f"{f'{many} triggers' if many > 1 else 'A trigger'} can still start it: {'; '.join(words)}",
            "It was not called off, as it could go out all the same",
            _capital(", ".join(steps)),
        )


class Unproven(Refused):
    """A source that may know of a trigger couldn't be asked just now."""

    def __init__(self, blind: tuple[str, ...]) -> None:
        super().__init__(
            "; ".join(blind),
            "That nothing will start it can't be proven, so it was not called off",
            "Hold it instead (key h), and call it off once every source answers",
        )
        self.blind = blind


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one source said of triggers, and when it was looked at. `left` are those that can't fire, and why."""

    source: str
    at: datetime
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Every source, read just now: none has a trigger that can start the campaign."""

    looks: tuple[Look, ...]

    def say(self, now: datetime) -> tuple[str, ...]:
        """A line a source: `blast-mail-prod: no trigger, looked at 2 s ago`."""
        return tuple(
            f"{look.source}: {'; '.join(look.left) or 'no trigger'}, looked at {say_span(now - look.at)} ago"
            for look in self.looks
        )

    def record(self) -> dict[str, Any]:
        looks = [
            {"source": look.source, "looked_at": look.at.isoformat(), "left": list(look.left)}
            for look in self.looks
        ]
        return {"live_triggers": 0, "looks": looks}


def prove_no_trigger(verdict: Verdict, now: datetime) -> Proof:
    """Raises StillTriggered, or Unproven where a source is stale, out of reach or half read."""
    found = live(verdict, now)
    schedulers = tuple(o.source for o in verdict.observations if o.says is Says.SCHEDULED and not o.triggers)
    if found or schedulers:
        raise StillTriggered(verdict, found, schedulers, now)
    if blind := (*unseen(verdict, now), *_silent(verdict, now)):
        raise Unproven(blind)
    return Proof(looks=tuple(_looks(verdict.observations)))


def _silent(verdict: Verdict, now: datetime) -> Iterator[str]:
    """Those `unseen` doesn't speak of: a system that only records may have a schedule of its own."""
    for o in verdict.observations:
        if not (o.is_fresh(now) or o.keeps_traces or o.triggers or o.triggers_unread):
            yield f"{o.source} was not heard just now: whether it would start it isn't known"


def _looks(observations: tuple[Observation, ...]) -> Iterator[Look]:
    for o in observations:
        if o.observed_at is not None:
            left = tuple(f"{t.where} can't fire: {_why(t)}" for t in o.triggers)
            yield Look(source=o.source, at=o.observed_at, left=left)


def _why(trigger: Trigger) -> str:
    if trigger.off:
        return "switched off"
    return trigger.ignored_because or ("it never fires again" if trigger.sends else "it sends nothing")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _say(trigger: Trigger, zone: str, now: datetime) -> str:
    when = f"{say_instant(trigger.next_fire, zone, now)}, " if trigger.next_fire else "at any restart, "
    return f"{when}{trigger.where}: {trigger.text}"
