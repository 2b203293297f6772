"""The keys that work here, from the action registry: what can't be done now is dim, the rest is not."""

from rich.style import Style
from rich.text import Text

from opsconsole.actions import Place
from screens.widgets.line import Line

ALWAYS = ((":", "commands", "app.command_palette"), ("?", "help", "app.help"))


class KeyBar(Line):
    DEFAULT_CSS = "KeyBar { dock: bottom; background: $panel; }"

    def words(self, width: int) -> Text:
        screen = self.console_screen
        back = ("q", "quit", "app.quit") if screen.crumbs == () else ("esc", "back", "screen.back")
        tail = self._join([self._hint(*hint) for hint in (*ALWAYS, back)])
        hints = [self._hint(key, label, "") for key, label in screen.KEYS]
        on: list[Text] = []
        off: list[Text] = []
        for action in screen.offered:
            reason = screen.disabled_reason(action.id)
            everywhere = Place.EVERYWHERE in action.places
            hint = self._hint(action.key, action.label, f"screen.perform('{action.id}')", dim=bool(reason))
            (off if reason or everywhere else on).append(hint)
        line = Text(" ", no_wrap=True)
        for hint in [*on[:4], *hints, *on[4:], *off]:
            if line.cell_len + hint.cell_len + tail.cell_len + 4 > width:
                break
            line.append_text(hint).append("  ")
        line.pad_right(max(0, width - line.cell_len - tail.cell_len - 1))
        return line.append_text(tail)

    def _hint(self, key: str, label: str, action: str, dim: bool = False) -> Text:
        meta = {"@click": action} if action else None
        style = Style(dim=dim, meta=meta)
        return Text.assemble((key, Style(bold=not dim, dim=dim, meta=meta)), (f" {label}", style))

    def _join(self, hints: list[Text]) -> Text:
        return Text("  ").join(hints)
