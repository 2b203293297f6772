"""What a screen around a log has in common, whoever writes the log: its keys, and where they go."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from screens.base import ConsoleScreen
from screens.logview import KEYS, LogView

LOG_KEYS: tuple[BindingType, ...] = (
    Binding("f", "log('follow')", "follow", show=False),
    Binding("slash", "log('search')", "search", show=False),
    Binding("n", "find(1)", "next", show=False),
    Binding("N", "find(-1)", "previous", show=False),
    Binding("w", "log('save')", "save", show=False),
    Binding("v", "log('reveal')", "reveal", show=False),
)


class LogScreen(ConsoleScreen):
    """A screen with a LogView as `log_view`; its keys work wherever the focus is."""

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = KEYS
    AUTO_FOCUS = "LogPane"
    BINDINGS: ClassVar[list[BindingType]] = list(LOG_KEYS)

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.log_view = LogView(slug)

    def action_log(self, what: str) -> None:
        getattr(self.log_view, f"action_{what}")()

    def action_find(self, direction: int) -> None:
        self.log_view.action_find(direction)
