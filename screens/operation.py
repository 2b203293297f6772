"""One operation, live: what it prints, what came of it, and the key that stops it."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from opsconsole.actions import Place
from opsconsole.redact import mask_addresses
from screens.base import registry_bindings
from screens.doing import Doing
from screens.logscreen import LogScreen
from screens.logview import KEYS
from screens.safe import safe
from screens.widgets.line import Line
from screens.widgets.rows import CAUTION, DANGER, DIM


class OperationHead(Line):
    """What is done, how it stands, and what was read again."""

    DEFAULT_CSS = "OperationHead { height: auto; max-height: 10; padding: 0 0 1 0; }"
    grows = True

    def words(self, width: int) -> Text:
        screen = self.screen
        assert isinstance(screen, OperationScreen)
        lines: list[Text] = []
        for line in head(screen.doing):
            lines += [Text(" ").append_text(part) for part in list(line.wrap(self.app.console, width - 2))[:4]]
        return Text("\n", end="").join(lines[:9])


class OperationScreen(LogScreen):
    """Leaving it ends nothing: the operation goes on, and its end is told wherever the operator is by then."""

    PLACE = Place.EVERYWHERE
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("f9", "stop"), *KEYS)
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.EVERYWHERE),
        Binding("f9", "stop", "stop", show=False),
    ]

    def __init__(self, doing: Doing) -> None:
        super().__init__(doing.operation.slug)
        self.doing = doing

    @property
    def crumbs(self) -> tuple[str, ...]:
        slug = self.doing.operation.slug
        return ("board", *([slug] if slug else []), "operations", self.doing.operation.label)

    def body(self) -> ComposeResult:
        yield OperationHead()
        yield self.log_view

    def on_mount(self) -> None:
        super().on_mount()
        if self.doing.stream is not None:
            self.log_view.show(self.doing.stream)

    def freshen(self) -> None:
        super().freshen()
        for part in self.query(OperationHead):
            part.refresh_words()

    def action_stop(self) -> None:
        if self.doing.going:
            self.doing.stop.set()
            self.freshen()
        else:
            self.ops.tell("It has ended: there is nothing to stop.")


def head(doing: Doing) -> list[Text]:
    """The lines over the log."""
    operation, result = doing.operation, doing.result
    to = f" to {doing.value}" if doing.value else ""
    title = safe(f"{operation.label}{to}", 200, "bold")
    lines = [title.append_text(safe(f"  on {operation.source}", 60, DIM))]
    if doing.trouble:
        lines.append(safe(f"✖ {doing.trouble}", 800, DANGER))
    elif result is not None:
        glyph, style = ("◑ stopped  ", CAUTION) if result.stopped else ("✓ ", "bold")
        lines.append(Text(glyph, style).append_text(safe(mask_addresses(result.says), 400)))
        for label, text in (("was", result.before), ("is", result.after)):
            if text:
                lines.append(safe(f"{label:<4}", 6, DIM).append_text(safe(mask_addresses(text), 300)))
        lines.append(Text("Recorded.", DIM))
    elif doing.stop.is_set():
        lines.append(Text("Stopping after what is under way …", CAUTION))
    else:
        lines.append(Text("Under way … f9 stops it after the step it is in.", DIM))
    return lines
