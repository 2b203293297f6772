"""What must not be overlooked: a broken store, intents left open, a fault of a source as a whole."""

from rich.text import Text

from screens.safe import safe
from screens.widgets.line import Line

ROOMY = 30  # lines of a terminal that has room for every note
NOTE = "black on #d9a441"


class Banner(Line):
    """Nothing at all when there is nothing to say."""

    DEFAULT_CSS = "Banner { height: auto; max-height: 6; display: none; }  Banner.shown { display: block; }"
    grows = True

    def refresh_words(self) -> None:
        self.set_class(bool(self.ops.banners()), "shown")
        super().refresh_words()

    def words(self, width: int) -> Text:
        """The dangerous whole; the others on one line each, and on a small terminal only the first."""
        found = self.ops.banners()
        dangers, notes = [text for text, danger in found if danger], [text for text, danger in found if not danger]
        lines: list[Text] = []
        for text in dangers:
            line = safe(f" ✖ {text} ", max(width * 2, 40), "bold white on #b3261e")
            lines.extend(wrapped for wrapped in line.wrap(self.app.console, width))
        kept = notes if self.app.size.height >= ROOMY else notes[:1]
        for text in kept:
            more = f" (and {len(notes) - 1} more)" if len(kept) < len(notes) else ""
            line = safe(f" ! {text}", max(width - len(more) - 1, 20), NOTE)
            lines.append(line.append(more, NOTE))
        for line in lines:
            line.pad_right(width - line.cell_len)
        return Text("\n", end="").join(lines)
