"""Tells keys that are meant from keys that are held, pasted or pressed before there was anything to read."""

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Protocol, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Button, Input

SETTLE = 0.5  # seconds in which a new step takes no key: nobody has read it yet
REPEAT = 0.15  # seconds between two presses of one key; a held key comes faster
HELD = 1.2  # seconds of silence after which the same key is a new press: slow keyboards wait 1 s before they repeat
BURST_GAP = 0.010  # seconds between two characters; nobody types faster
BURST = 5  # so many characters in one burst are a paste, even without its brackets
PACE, PACED = (
    0.015,
    8,
)  # seconds a character at the least, over so many: a paste that is handed out slowly is one too
ASLEEP = 2.0  # seconds without a beat: the process was stopped or the machine slept, and nobody was reading
ACTIVATING = frozenset({"enter", "space"})


def awake_clock() -> float:
    """Seconds that go on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Guard:
    """Times are those at which keys arrived, in seconds of the monotonic clock that events carry.

    `beat` must be called at least every second while the question is open; `clock` is what it is held against.
    """

    def __init__(self, clock: Callable[[], float] = awake_clock) -> None:
        self.opened = 0.0
        self._clock = clock
        self._beat = clock()
        self._last: dict[str, float] = {}
        self._before = ("", float("-inf"))  # the newest key of all, and when it came
        self._typed: deque[float] = deque(maxlen=PACED)
        self._typed_at = float("-inf")
        self._burst = 0

    def open(self, now: float) -> None:
        """A new step is on the screen from `now` on, or the same one is looked at again."""
        self.opened = now
        self._typed.clear()

    def beat(self) -> None:
        self._beat = self._clock()

    def settled(self, at: float) -> bool:
        """Whether somebody can have read what is on the screen."""
        if self._clock() - self._beat > ASLEEP:
            self.open(at)
        self.beat()
        return at - self.opened >= SETTLE

    def accepts(self, key: str, at: float, *, presses: bool = True) -> bool:
        """Whether this key may do its work; the rules are harder where it presses a button. Each look counts as a
        press."""
        same, (newest, newest_at) = self._last.get(key, float("-inf")), self._before
        self._last[key], self._before = at, (key, at)
        if not self.settled(at):
            return False
        if key not in ACTIVATING:
            return True
        if at - same < REPEAT or at - newest_at < BURST_GAP:
            return False
        return not presses or newest != key or at - newest_at >= HELD

    def pasted(self, key: str, at: float) -> bool:
        """Whether the character that came at `at` belongs to text that no hand types."""
        self._before = (key, at)
        self._burst = self._burst + 1 if at - self._typed_at < BURST_GAP else 1
        self._typed_at = at
        self._typed.append(at)
        paced = len(self._typed) == PACED and at - self._typed[0] < PACE * (PACED - 1)
        if self._burst >= BURST or paced:
            self.open(at)  # what is left of it, a line's end too, falls on deaf ears
            return True
        return False


class Guarded(Protocol):
    guard: Guard


class Pasted(Message):
    """Text was pasted (or came as fast as if it were), and was not taken."""


class DeliberateButton(Button):
    """A button that held keys, pasted line ends and clicks that come too early don't press."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press", "press", show=False)]

    def on_key(self, event: events.Key) -> None:
        guard = cast(Guarded, self.screen).guard
        if event.key == "escape":
            return
        accepted = guard.accepts(event.key, event.time)
        if event.is_printable and guard.pasted(event.key, event.time):
            self.post_message(Pasted())
        if not accepted:
            event.stop().prevent_default()

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        if cast(Guarded, self.screen).guard.settled(event.time) and not self.has_class("-active"):
            self.press()


class TypedInput(Input):
    """Takes what is typed, key by key. Pasted text is refused; enter only goes on to the next field."""

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(placeholder=placeholder, id=id, compact=True)

    async def _on_key(self, event: events.Key) -> None:
        guard = cast(Guarded, self.screen).guard
        if event.key == "escape":
            return
        if event.is_printable:
            settled = guard.settled(event.time)
            if guard.pasted(event.key, event.time):
                self._refuse()
            elif settled:
                await super()._on_key(event)
                return
            event.stop().prevent_default()
        elif not guard.accepts(event.key, event.time, presses=False):
            event.stop().prevent_default()
        elif event.key == "enter":
            event.stop().prevent_default()
            self.screen.focus_next()
        else:
            await super()._on_key(event)

    def _refuse(self) -> None:
        self.value = ""
        self.post_message(Pasted())

    def _on_paste(self, event: events.Paste) -> None:
        event.stop().prevent_default()
        self._refuse()

    def action_paste(self) -> None:
        self._refuse()
