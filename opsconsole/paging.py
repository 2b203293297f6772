"""From alarms to what others are told of them, once for a whole team; with words for people and for machines."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from opsconsole.attention import Alarm, Event, Transition, still_standing
from opsconsole.audit import tidings
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.store import AuditStore
from opsconsole.redact import JSON

NAMED = 12
"""So many campaigns of one message are named; the rest are counted."""


def page(
    store: AuditStore, environment: str, transitions: Iterable[Transition], standing: Iterable[Alarm]
) -> tuple[str, ...]:
    """Put what changed into the outbox, each once whichever console saw it first. The destinations that will hear
    something new. Raises AuditUnavailable, and then the same may be asked again."""
    outbox, ears = Outbox(store), store.rules.told.get(environment, ())
    told, stands = [], tuple(standing)
    anchor = store.head()
    for thread, changes in _by_thread(transitions).items():
        begins = changes[0].event is Event.TRIGGER
        if not begins and still_standing(thread, stands):
            continue  # others of whom the same is unknown still are
        payload = {**message(changes), **tidings.head(anchor.seq, anchor.mac)}
        for ear in ears:
            heard = ear.hears(tidings.ATTENTION, changes[0].alarm.severity)
            if heard and outbox.put_turn(ear.destination, thread, begins, payload):
                told.append(ear.destination)
    return tuple(dict.fromkeys(told))


def end_forgotten(store: AuditStore, environment: str, threads: Collection[str], now: datetime) -> None:
    """End whatever was told and isn't among `threads`, those of all alarms there are now: who watched then is gone
    with its memory, and an end that nobody tells would swallow the next beginning. Raises AuditUnavailable."""
    outbox, anchor = Outbox(store), store.head()
    for ear in store.rules.told.get(environment, ()):
        for item in outbox.begun(ear.destination):
            told, thread = item.payload, str(item.payload.get("thread", ""))
            if told.get("environment") == environment and thread and thread not in threads:
                outbox.put_turn(
                    ear.destination, thread, False, {**_ended(told, now), **tidings.head(anchor.seq, anchor.mac)}
                )


def _ended(told: Mapping[str, Any], now: datetime) -> dict[str, JSON]:
    """The end of what was told so, in words that hold whatever became of it."""
    facts = told.get("fields") or {}
    about, status = str(facts.get("campaign", "")), str(facts.get("status", ""))
    said = tidings.message(
        str(told.get("severity", tidings.WARNING)),
        f"no longer {status}",
        campaign=about,
        environment=str(told.get("environment", "")),
    )
    return {
        **said,
        "text": f"{said['text']}, seen {_say(now)} by a watcher that was started since",
        "thread": told["thread"],
        "fields": facts,
        "alarm": {**(told.get("alarm") or {}), "event": str(Event.RESOLVE), "until": now.isoformat()},
    }


def message(changes: Sequence[Transition]) -> dict[str, JSON]:
    """What is told of alarms of one thread that began, or ended, together."""
    first = changes[0]
    alarm, ends = first.alarm, first.event is Event.RESOLVE
    names = [change.alarm.campaign for change in changes]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    about = names[0] if len(names) == 1 else f"{len(names)} campaigns"
    what = f"no longer {alarm.status}" if ends else f"{alarm.status}: {alarm.why}"
    said = tidings.message(alarm.severity, what, campaign=about, environment=alarm.environment)
    text = f"{said['text']}\nsince {_say(alarm.since)}" + (f", until {_say(first.at)}" if ends else "")
    if len(names) > 1:
        text += f"\n{', '.join(names[:NAMED])}{more}"
    facts: dict[str, JSON] = {"campaign": about, "environment": alarm.environment, "status": alarm.status}
    return {
        **said,
        "text": text,
        "thread": alarm.thread,
        "fields": {**facts, "since": alarm.since.isoformat(), "noticed": alarm.noticed.isoformat()},
        "alarm": {
            "key": alarm.thread,
            "event": str(first.event),
            "since": alarm.since.isoformat(),
            **({"until": first.at.isoformat()} if ends else {}),
        },
    }


def standing_messages(alarms: Iterable[Alarm], ear: tidings.Ear) -> list[Mapping[str, JSON]]:
    """One for each thread that stands and that this one hears of: for who forgets what isn't said again."""
    changes = (Transition(event=Event.TRIGGER, alarm=alarm, at=alarm.since) for alarm in alarms)
    found = _by_thread(changes).values()
    return [message(same) for same in found if ear.hears(tidings.ATTENTION, same[0].alarm.severity)]


def _by_thread(transitions: Iterable[Transition]) -> dict[str, list[Transition]]:
    """In order; what ends and what begins under one thread in the same turn cancels out to what begins."""
    found: dict[str, list[Transition]] = {}
    for change in transitions:
        same = found.setdefault(change.alarm.thread, [])
        if same and same[0].event is not change.event:
            same.clear()
        same.append(change)
    return found


def _say(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
