"""One line of text that repaints only when its words changed."""

from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
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
        words = self.words(self.size.width)
        if words != self._shown:
            self._shown = words
            self.refresh(layout=self.grows)

    grows = False
    """Whether the number of lines may change."""

    def on_resize(self) -> None:
        self.refresh_words()

    def render(self) -> Any:
        if self._shown is None and self.size.width:
            self._shown = self.words(self.size.width)
        return self._shown or Text()
