"""Tells keys that are meant from keys that are held, pasted or pressed before there was anything to read."""

from typing import ClassVar, Protocol, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Button, Input

SETTLE = 0.5  # seconds in which a new step takes no key: nobody has read it yet
REPEAT = 0.15  # seconds between two presses of one key; a held key comes faster
BURST_GAP = 0.010  # seconds between two characters; nobody types faster
BURST = 5  # so many characters in one burst are a paste, even without its brackets
ACTIVATING = frozenset({"enter", "space"})


class Guard:
    """Times are those at which keys arrived, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.opened = 0.0
        self._last: dict[str, float] = {}
        self._typed_at = 0.0
        self._burst = 0

    def open(self, now: float) -> None:
        """A new step is on the screen from `now` on."""
        self.opened, self._burst = now, 0

    def accepts(self, key: str, at: float) -> bool:
        """Whether this key was pressed on purpose. Each look counts as a press."""
        before = self._last.get(key)
        self._last[key] = at
        if at - self.opened < SETTLE:
            return False
        return not (key in ACTIVATING and before is not None and at - before < REPEAT)

    def settled(self, at: float) -> bool:
        return at - self.opened >= SETTLE

    def pasted(self, at: float) -> bool:
        """Whether the character that came at `at` makes a burst that no hand types."""
        self._burst = self._burst + 1 if at - self._typed_at < BURST_GAP else 1
        self._typed_at = at
        return self._burst >= BURST


class Guarded(Protocol):
    guard: Guard


class DeliberateButton(Button):
    """A button that held keys and clicks that come too early don't press."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press", "press", show=False)]

    def on_key(self, event: events.Key) -> None:
        if not cast(Guarded, self.screen).guard.accepts(event.key, event.time) and event.key != "escape":
            event.stop().prevent_default()

    async def _on_click(self, event: events.Click) -> None:
        event.stop()
        if cast(Guarded, self.screen).guard.settled(event.time) and not self.has_class("-active"):
            self.press()


class TypedInput(Input):
    """Takes what is typed, key by key. Pasted text is refused; enter only goes on to the next field."""

    class Pasted(Message):
        """Text was pasted (or came as fast as if it were), and was not taken."""

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(placeholder=placeholder, id=id, compact=True)

    async def _on_key(self, event: events.Key) -> None:
        guard = cast(Guarded, self.screen).guard
        if event.key == "escape":
            return
        if not guard.accepts(event.key, event.time):
            event.stop().prevent_default()
        elif event.key == "enter":
            event.stop().prevent_default()
            self.screen.focus_next()
        elif event.is_printable and guard.pasted(event.time):
            event.stop().prevent_default()
            self.value = ""
            self.post_message(self.Pasted())
        else:
            await super()._on_key(event)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop().prevent_default()
        self.post_message(self.Pasted())

    def action_paste(self) -> None:
        self.post_message(self.Pasted())
