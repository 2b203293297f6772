"""Carries the outbox to the systems that must hear of it, until each acknowledges. Never sends mail."""

from collections.abc import Callable, Mapping
from datetime import datetime

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import OutboxItem
from opsconsole.audit.store import AuditStore
from opsconsole.ports import OutOfReach, Recorder, Trouble


class Delivery:
    """Tries what is due, once a call. A failure is kept with its reason and tried again later; newer words on the
    same campaign wait for it."""

    def __init__(
        self,
        store: Callable[[], AuditStore],
        recorders: Mapping[str, Recorder],
        clock: Callable[[], datetime],
        environment: str,
    ) -> None:
        """`environment` is the one the recorders belong to: a store serves several, with systems of equal names."""
        self._store, self._recorders, self._clock = store, recorders, clock
        self._environment = environment

    def deliver(self) -> tuple[int, int]:
        """How many were acknowledged, how many failed in this call."""
        outbox, done, failed, away = Outbox(self._store()), 0, 0, set[str]()
        waiting = outbox.waiting()
        for item in outbox.due(self._clock()):
            recorder = self._recorders.get(item.destination)
            if recorder is None or item.payload.get("environment", self._environment) != self._environment:
                continue
            if item.destination in away:
                continue  # it has just been waited for: once a call is enough, others want to hear too
            if any(_precedes(other, item) for other in waiting):
                continue  # the older word would come after the newer one, and undo it
            if not outbox.claim(item, self._clock()):
                continue  # another console of the team has it
            try:
                recorder.record(item.payload)
            except Exception as error:  # whatever it is, it must not keep back what others are to be told
                said = str(error) if isinstance(error, Trouble) else f"{type(error).__name__}; please report this."
                outbox.failed(item.id, said, self._clock())
                failed += 1
                if isinstance(error, OutOfReach):
                    away.add(item.destination)
            else:
                outbox.done(item.id)
                waiting = [other for other in waiting if other.id != item.id]
                done += 1
        return done, failed

    def waiting(self) -> list[OutboxItem]:
        return Outbox(self._store()).waiting()


def _precedes(other: OutboxItem, item: OutboxItem) -> bool:
    """Whether `other` is an older word on the same campaign, or of the same thread, for the same system, not
    acknowledged yet."""
    about = _about(item)
    return (
        other.id < item.id
        and bool(about)
        and other.destination == item.destination
        and _about(other) == about
        and other.payload.get("environment") == item.payload.get("environment")
    )


def _about(item: OutboxItem) -> object:
    return item.payload.get("thread") or item.payload.get("slug")
