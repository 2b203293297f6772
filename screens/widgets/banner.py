"""What must not be overlooked: a broken store, intents left open, a fault of a source as a whole."""

from rich.text import Text

from screens.safe import safe
from screens.widgets.line import Line


class Banner(Line):
    """Nothing at all when there is nothing to say."""

    DEFAULT_CSS = "Banner { height: auto; max-height: 6; display: none; }  Banner.shown { display: block; }"
    grows = True

    def refresh_words(self) -> None:
        self.set_class(bool(self.ops.banners()), "shown")
        super().refresh_words()

    def words(self, width: int) -> Text:
        lines: list[Text] = []
        for text, danger in self.ops.banners():
            style, glyph = ("bold white on #b3261e", "✖") if danger else ("black on #d9a441", "!")
            line = safe(f" {glyph} {text} ", max(width * 2, 40), style)
            lines.extend(wrapped for wrapped in line.wrap(self.app.console, width))
        for line in lines:
            line.pad_right(width - line.cell_len)
        return Text("\n", end="").join(lines)
