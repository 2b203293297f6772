"""The keys that work on a screen and what each does, from the action registry."""

from typing import TYPE_CHECKING

from rich.text import Text

from opsconsole.actions import Action, Danger, offered
from opsconsole.verdict import Status
from screens.safe import safe
from screens.widgets.aside import Aside
from screens.widgets.rows import CAUTION, DANGER, LOOKS

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

ANYWHERE = (
    (": ctrl+p", "every command by name"),
    ("?", "this page"),
    ("esc", "back, or out of a question: nothing is done"),
    ("q ctrl+q", "leave the console; a run that is going goes on without it"),
)
MEANINGS = {
    Status.CONFLICT: "sources contradict each other about whether it went out",
    Status.IN_DOUBT: "a run started and has no end: it may have been sent",
    Status.STALLED: "running, and nothing moves",
    Status.PARTIAL: "ended, and counts disagree or some failed",
    Status.FAILED: "tried, and nobody was mailed",
    Status.OVERDUE: "approved, past its time, never started",
    Status.UNKNOWN: "a source that would know is blind: not late, and not safe",
    Status.EXPIRED: "too late to be sent as planned",
    Status.ERROR: "judging it failed: a fault of the console",
}


class HelpScreen(Aside):
    """Help on the screen it was called from."""

    def __init__(self, on: "ConsoleScreen") -> None:
        super().__init__(help_text(on))


def help_text(on: "ConsoleScreen") -> Text:
    """All keys of the screen, those that can do harm marked; what can't be done now says why."""
    text = Text(" › ".join(on.crumbs) or "board", "bold", end="").append("\n")
    for heading, danger in (
        ("Looking", Danger.LOOK),
        ("Changing: recorded, can be undone", Danger.CHANGE),
        ("For good: confirmed twice", Danger.DESTRUCTIVE),
    ):
        chosen = [action for action in offered(on.PLACE) if action.danger is danger]
        if chosen:
            _heading(text, heading)
        for action in chosen:
            _action(text, action, on.ops.disabled_reason(action.id, on.slug))
    if on.KEYS:
        _heading(text, "On this screen")
        for key, label in on.KEYS:
            _key(text, key, label)
    _heading(text, "Anywhere")
    for key, label in ANYWHERE:
        _key(text, key, label)
    if not on.crumbs:
        _heading(text, "What needs attention")
        for status, meaning in MEANINGS.items():
            glyph, style = LOOKS[status]
            text.append(f"  {glyph} {status:<11}", style).append(f"{meaning}\n")
        text.append("  SAYS: a letter for each piece of evidence; ✓ there, – not there, ✖ bad, ? not seen\n", "dim")
    return text


def _heading(text: Text, words: str) -> None:
    text.append(f"\n{words}\n", "bold underline")


def _key(text: Text, key: str, label: str) -> None:
    text.append(f"  {key:<11}", "bold").append(f"{label}\n")


def _action(text: Text, action: Action, reason: str) -> None:
    text.append(f"  {action.key:<11}", DANGER if action.danger is Danger.DESTRUCTIVE else "bold")
    text.append(f"{action.label:<16}", "bold").append(f"{action.tooltip}\n")
    if reason:
        text.append(" " * 13).append_text(safe(f"not now: {reason}", 160, CAUTION)).append("\n")
