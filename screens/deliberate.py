"""Widgets that take only keys that are meant: the rules are the Guard's."""

from typing import ClassVar, Protocol, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Button, Input

from opsconsole.deliberate import Guard


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
