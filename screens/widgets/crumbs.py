"""The way from the board to where the operator stands."""

from rich.text import Text

from screens.safe import safe
from screens.widgets.line import Line


class Crumbs(Line):
    DEFAULT_CSS = "Crumbs { display: none; }  Crumbs.shown { display: block; }"

    def refresh_words(self) -> None:
        self.set_class(bool(self.console_screen.crumbs), "shown")
        super().refresh_words()

    def words(self, width: int) -> Text:
        crumbs = self.console_screen.crumbs
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        for number, crumb in enumerate(crumbs):
            line.append(" › " if number else "", "dim")
            line.append_text(safe(crumb, 70, "bold" if number == len(crumbs) - 1 else "dim"))
        return line
