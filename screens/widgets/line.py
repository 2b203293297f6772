"""Lines of text that repaint only where their words changed: over a slow link every cell counts."""

from typing import TYPE_CHECKING, Any, cast

from rich.cells import cell_len
from rich.text import Text
from textual.geometry import Region
from textual.widget import Widget

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp
    from screens.base import ConsoleScreen


class Line(Widget):
    """A widget of a few lines whose text `words` computes from the app's state and the width it has."""

    DEFAULT_CSS = """
    Line {
        height: 1; width: 1fr;
        link-style: not underline; link-color: $foreground; link-background: initial;
        link-style-hover: bold; link-color-hover: $foreground; link-background-hover: $boost;
    }
    """

    _shown: Text | None = None

    @property
    def ops(self) -> "OpsConsoleApp":
        return cast("OpsConsoleApp", self.app)

    @property
    def console_screen(self) -> "ConsoleScreen":
        return cast("ConsoleScreen", self.screen)

    def words(self, width: int) -> Text:
        raise NotImplementedError

    def refresh_words(self) -> None:
        """Compute the words again; paint them if they are others than before."""
        if not self.size.width:
            return
        before, self._shown = self._shown, self.words(self.size.width)
        old = list(before.split("\n", allow_blank=True)) if before is not None else []
        new = list(self._shown.split("\n", allow_blank=True))
        if self.grows and len(old) != len(new):
            self.refresh(layout=True)
            return
        height = min(max(len(old), len(new)), self.size.height)
        nothing = Text()
        regions = []
        for y in range(height):
            was, now = (lines[y] if y < len(lines) else nothing for lines in (old, new))
            if was != now or was.spans != now.spans:
                regions.append(_changed(was, now, self.size.width).translate((0, y)))
        if regions:
            self.refresh(*regions)

    grows = False
    """Whether the number of lines may change."""

    def on_resize(self) -> None:
        self.refresh_words()

    def render(self) -> Any:
        if self._shown is None and self.size.width:
            self._shown = self.words(self.size.width)
        return self._shown or Text()


def _changed(was: Text, now: Text, width: int) -> Region:
    """The part of a line to paint again: what lies between the first and the last cell that changed."""
    if was.spans != now.spans or len(was) != len(now):
        return Region(0, 0, width, 1)
    places = [i for i, (a, b) in enumerate(zip(was.plain, now.plain, strict=True)) if a != b]
    left, right = cell_len(now.plain[: places[0]]), max(cell_len(t.plain[: places[-1] + 1]) for t in (was, now))
    if cell_len(was.plain) != cell_len(now.plain):
        right = width
    return Region(left, 0, right - left, 1)
