"""A system that is no machine, as it tells of itself: how it stands, what of it is reached, allowed and missing."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from opsconsole.board import SourceState
from opsconsole.ports import Told, Trouble
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM

if TYPE_CHECKING:
    from opsconsole.console import Console

ASK_AGAIN_AFTER = 30.0  # seconds: what it tells of itself costs it several calls


@dataclass(frozen=True)
class SystemLook:
    """All that is shown of one. `told` is None for a system that tells nothing of itself."""

    name: str
    where: str
    source: SourceState | None
    campaigns: int
    told: tuple[Told, ...] | None
    trouble: str = ""  # why it couldn't be asked


class Systems:
    """Looks at systems, and keeps what each told of itself for a while."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, tuple[Told, ...] | None, str]] = {}

    def look(self, console: "Console", name: str) -> SystemLook:
        """Blocks: call it in a thread."""
        board = console.board()
        at, told, trouble = self._kept.get(name, (float("-inf"), None, ""))
        if time.monotonic() - at > ASK_AGAIN_AFTER:
            told, trouble = _asked(console, name)
            self._kept[name] = (time.monotonic(), told, trouble)
        return SystemLook(
            name=name,
            where=console.where(name),
            source=next((s for s in board.sources if s.name == name), None),
            campaigns=sum(
                any(o.source == name and o.says != "absent" for o in v.observations) for v in board.verdicts
            ),
            told=told,
            trouble=trouble,
        )


def _asked(console: "Console", name: str) -> tuple[tuple[Told, ...] | None, str]:
    system = console.inspected().get(name)
    if system is None:
        return None, ""
    try:
        return system.inspect(), ""
    except Trouble as error:
        return (), str(error)


def say_system(look: SystemLook) -> Text:
    """The whole screen as text."""
    source = look.source
    text = Text().append_text(safe(look.name, 60, "bold")).append("  ")
    if source is None:
        text.append("○ never heard", DANGER)
    elif source.fresh:
        text.append("● answers")
        text.append(f"  {source.latency_ms:.0f} ms" if source.latency_ms is not None else "")
    else:
        text.append("○ out of reach" if source.trouble else "◐ not heard just now", DANGER)
    text.append("\n").append(f"  {'identity':<13}", DIM).append_text(safe(look.where, 200)).append("\n")
    text.append(f"  {'campaigns':<13}", DIM).append(f"{look.campaigns:,}\n")
    if source is not None and source.trouble:
        text.append_text(safe(f"✖ {source.trouble}", 800, DANGER)).append("\n")
    for finding in source.findings if source else ():
        text.append_text(safe(f"! {finding}", 800, CAUTION)).append("\n")
    for name in source.foreign if source else ():
        text.append_text(safe(f"! not a campaign's name, left alone: {name}", 200, CAUTION)).append("\n")
    text.append("\nWhat it tells of itself\n", "bold")
    if look.trouble and not (source and source.trouble):
        text.append_text(safe(f"✖ {look.trouble}", 800, DANGER)).append("\n")
    elif not look.told:
        text.append("  nothing\n" if look.told is None else "  it can't be asked now\n", DIM)
    for told in look.told or ():
        glyph, style = ("!", CAUTION) if told.warn else ("✓", DIM) if told.ok else ("✖", DANGER)
        text.append(f"{glyph} ", style).append_text(safe(told.says, 600)).append("\n")
    return text
