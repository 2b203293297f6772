"""The keys that work on a screen and what each does, from the action registry."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from opsconsole.actions import Action, Danger
from opsconsole.board import Board
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
    ("M", "be silent when a campaign comes to need attention, or loud again"),
    ("q ctrl+q", "leave the console; a run that is going goes on without it"),
)
ABOUT = {
    Danger.LOOK: "changes nothing",
    Danger.CHANGE: "recorded, and can be undone",
    Danger.DESTRUCTIVE: "confirmed twice",
}
MEANINGS = {
    Status.CONFLICT: "sources contradict each other about whether it went out",
    Status.IN_DOUBT: "a run started and has no end: it may have been sent",
    Status.STALLED: "running, and nothing moves",
    Status.CLAIMED: "a run was claimed and never started: provably nobody was mailed",
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


def help_text(on: "ConsoleScreen") -> Table:
    """All keys of the screen, those that can do harm marked; what can't be done now says why."""
    page = Table.grid(padding=(0, 2))
    page.add_column(max_width=10, no_wrap=True)
    page.add_column(max_width=20, no_wrap=True)
    page.add_column(ratio=1)
    page.add_row(Text("Keys", "bold"), "", safe(" › ".join(on.crumbs) or "board", 100, "bold"))
    for heading, danger in (
        ("Look", Danger.LOOK),
        ("Change", Danger.CHANGE),
        ("For good", Danger.DESTRUCTIVE),
    ):
        chosen = [action for action in on.offered if action.danger is danger]
        if chosen:
            _heading(page, heading, ABOUT[danger])
        for action in chosen:
            _action(page, action, on.disabled_reason(action.id))
    if on.KEYS:
        _heading(page, "Here", "on this screen")
        for key, label in on.KEYS:
            page.add_row(Text(key, "bold"), Text(label), "")
    _heading(page, "Anywhere", "")
    for key, label in ANYWHERE:
        page.add_row(Text(key, "bold"), "", Text(label))
    if not on.crumbs:
        _heading(page, "Attention", "what these words mean")
        for status, meaning in MEANINGS.items():
            glyph, style = LOOKS[status]
            page.add_row("", Text(f"{glyph} {status}", style), Text(meaning))
        page.add_row("", "SAYS", Text("a letter for each piece of evidence: ✓ there  – not there  ✖ bad  ? unseen"))
        for letter, source, meaning in letters(on.ops.board):
            page.add_row("", safe(f"  {letter} {source}", 40, "bold"), safe(meaning, 120))
    return page


def letters(board: Board) -> list[tuple[str, str, str]]:
    """Each letter of the SAYS column with its source and what it stands for, as the sources use them now."""
    found: dict[tuple[str, str], list[str]] = {}
    for verdict in board.verdicts:
        for observation in verdict.observations:
            for evidence in observation.evidence:
                labels = found.setdefault((evidence.letter, observation.source), [])
                if evidence.label not in labels:
                    labels.append(evidence.label)
    return [(letter, source, ", ".join(labels[:4])) for (letter, source), labels in sorted(found.items())]


def _heading(page: Table, words: str, about: str) -> None:
    page.add_row("", "", "")
    page.add_row(Text(words, "bold underline"), "", Text(about, "dim"))


def _action(page: Table, action: Action, reason: str) -> None:
    style = DANGER if action.danger is Danger.DESTRUCTIVE else "bold"
    about = Text(action.tooltip)
    if reason:
        about.append("\n").append_text(safe(f"not now: {reason}", 160, CAUTION))
    page.add_row(Text(action.key, style), Text(action.label, style), about)
