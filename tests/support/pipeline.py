"""A queue beside the mail server, with operations of its own, that does what a story needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from opsconsole.observation import Hold, Observation, Report, Says
from opsconsole.ports import Operated, Operation, OutOfReach, Refused, Trouble

PIPELINE = "bulk"


@dataclass
class Pipeline:
    """`dead` messages lie in its dead-letter queue; `slug` is a campaign of its own.

    `does`: what is asked reaches it, whatever becomes of the answer.
    """

    clock: Callable[[], datetime]
    slug: str
    name: str = PIPELINE
    dead: int = 12
    rate: str = "20"
    trouble: Trouble | None = None
    blind: Trouble | None = None  # raised by every look
    does: bool = True
    holds: tuple[Hold, ...] = ()
    done: list[tuple[str, str, str]] = field(default_factory=list)  # what, value, by whom
    slow: Event = field(default_factory=Event)  # a redrive waits for this after its first message
    on_look: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.slow.set()

    def observe(self) -> Report:
        now, fresh = self.clock(), timedelta(minutes=5)
        word = Observation(
            source=self.name, slug=self.slug, observed_at=now, fresh_for=fresh, says=Says.NOTHING, holds=self.holds
        )
        return Report(source=self.name, looked_at=now, fresh_for=fresh, observations=(word,))

    def close(self) -> None: ...

    def operations(self, slug: str = "") -> tuple[Operation, ...]:
        self.on_look()
        if self.blind is not None:
            raise self.blind
        if slug:
            rate = Operation(
                id="rate",
                source=self.name,
                label="Change the rate",
                slug=slug,
                lines=(("rate now", f"{self.rate} a second"),),
                count=2601,
                asks=f"messages a second, now {self.rate}",
                state=self.rate,
            )
            return (rate,)
        redrive = Operation(
            id="redrive",
            source=self.name,
            label="Send the dead letters on",
            lines=(("dead letters", f"{self.dead:,}"), ("this will", "queue them once more")),
            warnings=("Whoever got it already is kept from a second mail by the worker alone.",),
            count=self.dead,
            against="" if self.dead else "There is no dead letter.",
            mails=True,
        )
        purge = Operation(
            id="purge",
            source=self.name,
            label="Empty the dead-letter queue",
            lines=(("dead letters", f"{self.dead:,}"),),
            count=self.dead,
        )
        return (redrive, purge)

    def operate(
        self, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
    ) -> Operated:
        before = str(self.rate if operation.slug else self.dead)
        stopped = False
        if self.does and not isinstance(self.trouble, Refused | OutOfReach):
            self.done.append((operation.id, value, by))
            if operation.id == "rate":
                self.rate = value
            else:
                on_output(b"1 of 12 moved, for mara@example.com\n")
                while not (self.slow.wait(0.01) or stop.is_set()):
                    pass
                stopped = stop.is_set()
                self.dead = self.dead - 1 if stopped else 0
        if self.trouble is not None:
            raise self.trouble
        after = str(self.rate if operation.slug else self.dead)
        return Operated(
            says=f"It was {before}, and is {after} now.",
            count=operation.count,
            before=before,
            after=after,
            stopped=stopped,
        )

    def held(self, reason: str) -> None:
        self.holds = (Hold(scope=self.slug, by="ana", at=self.clock(), reason=reason),)
