"""Switching a trigger off by key: which one, where there are several, then the question, then what was proven."""

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from opsconsole.observation import Trigger
from opsconsole.ports import Switched
from opsconsole.schedule import say_distance, say_instant
from opsconsole.triggers import TRIGGER_OFF, switchable
from screens.perform import confirmed
from screens.safe import safe

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp


class TriggerChoice(ModalScreen[str | None]):
    """Dismissed with the key of the trigger that was chosen, or None. `lines` are the triggers, each in words."""

    CSS_PATH = "triggers.tcss"
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel", show=False)]

    def __init__(self, title: str, lines: tuple[tuple[str, Text], ...]) -> None:
        super().__init__()
        self.form_title, self.lines = title, lines

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(self.form_title, 200, "bold"), id="title")
            yield OptionList(*(Option(text, id=str(n)) for n, (_, text) in enumerate(self.lines)), compact=True)
            yield Static("enter chooses · escape leaves, nothing done", classes="note")

    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self.lines[event.option_index][0])


def switch_off(ops: "OpsConsoleApp", slug: str) -> None:
    """Ask which trigger of `slug`, if that isn't plain, and whether it is meant; then switch it off."""
    verdict = ops.get(slug)
    there = [trigger for _, trigger in switchable(verdict, on=False)] if verdict else []
    if len(there) == 1:
        _ask(ops, slug, there[0].key)
    elif there and not ops.asking:
        zone = (verdict.details.zone if verdict else "") or "UTC"
        lines = tuple((trigger.key, _say(ops, trigger, zone)) for trigger in there)

        def chosen(key: str | None) -> None:
            if key is not None:
                _ask(ops, slug, key)

        ops.push_screen(TriggerChoice(f"Switch which trigger of {slug} off?", lines), chosen)


def _ask(ops: "OpsConsoleApp", slug: str, key: str) -> None:
    console = ops.ops_console

    def done(result: object) -> None:
        if isinstance(result, Switched):
            ops.tell(f"Switched off: {result.where}. {result.proof}. Recorded.")

    def do(typed: str, reason: str) -> Switched:
        return console.switch_trigger(slug, key, False, typed, reason)

    confirmed(ops, TRIGGER_OFF, slug, do, done, key=key)


def _say(ops: "OpsConsoleApp", trigger: Trigger, zone: str) -> Text:
    now, at = ops.now(), trigger.next_fire
    never = "at every restart" if trigger.at_boot else "never"
    head = f"{say_instant(at, zone, now)}  {say_distance(at, now)}" if at else never
    text = safe(f"{trigger.where}  {head}", 200, "bold")
    return text.append("\n").append_text(safe(f"  {trigger.text}", 400, "dim"))
