"""A log pane with what belongs to it: where it stands, search, save and reveal. Shared by run and dry run."""

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from screens.attach import Stream
from screens.logpane import LogPane
from screens.safe import safe, say
from screens.widgets.line import Line
from screens.work import in_thread

if TYPE_CHECKING:
    from screens.app import OpsConsoleApp
    from screens.base import ConsoleScreen

KEYS = (("f", "follow"), ("/", "search"), ("n", "next"), ("N", "previous"), ("w", "save"), ("v", "reveal"))


class LogFoot(Line):
    """One line under the log: how many lines, what is below, what was found."""

    DEFAULT_CSS = "LogFoot { background: $boost; }"

    def __init__(self, pane: LogPane) -> None:
        super().__init__()
        self.pane, self.found, self.trouble = pane, "", ""

    def words(self, width: int) -> Text:
        pane = self.pane
        line = Text(f" {pane.shown:,} lines", no_wrap=True, overflow="ellipsis")
        if pane.following:
            line.append("  following the end", "dim")
        elif pane.below:
            line.append(f"  +{pane.below:,} lines below", "bold").append("  f follows", "dim")
        else:
            line.append("  not following", "bold").append("  f follows", "dim")
        line.append("" if pane.masked else "  addresses shown (recorded)", "bold #e0b050")
        if self.found:
            line.append("  ").append_text(safe(self.found, 80))
        if self.trouble:
            line.append("  ").append_text(safe(self.trouble, 160, "bold #ff6b60"))
        return line


class SearchLine(Input):
    """The words to look for; enter looks, escape puts it away."""

    DEFAULT_CSS = "SearchLine { border: none; height: 1; padding: 0 1; background: $panel; display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "put_away", "away", show=False)]

    def __init__(self) -> None:
        super().__init__(placeholder="look for", compact=True)

    def action_put_away(self) -> None:
        self.display = False
        cast(LogView, self.parent).pane.focus()


class LogView(Vertical):
    """Shows a Stream. Its keys work wherever the focus is on the screen around it."""

    DEFAULT_CSS = "LogView { height: 1fr; }"

    def __init__(self, slug: str) -> None:
        super().__init__()
        self.slug, self.stream = slug, cast("Stream | None", None)
        self.pane = LogPane()
        self.foot = LogFoot(self.pane)
        self.search = SearchLine()
        self._at = -1

    @property
    def ops(self) -> "OpsConsoleApp":
        return cast("ConsoleScreen", self.screen).ops

    def compose(self) -> ComposeResult:
        yield self.pane
        yield self.foot
        yield self.search

    def show(self, stream: Stream) -> None:
        self.stream = stream
        self.pane.show(stream.file)

    @on(LogPane.Moved)
    def say_where(self) -> None:
        self.foot.trouble = self.stream.disk_trouble if self.stream else ""
        self.foot.refresh_words()

    def action_follow(self) -> None:
        self.pane.action_follow()

    def action_search(self) -> None:
        self.search.display = True
        self.search.focus()

    @on(Input.Submitted)
    def look_for(self, event: Input.Submitted) -> None:
        event.stop()
        self.search.action_put_away()
        self.pane.words = event.value
        self.pane.repaint()
        self._at = self.pane.scroll_offset.y - 1
        self.action_find(1)

    def action_find(self, direction: int) -> None:
        """Go to the next line (or the one before) with the words; the whole file is looked through."""
        words, stream = self.pane.words, self.stream
        if not words or stream is None:
            self._say("" if words else "nothing to look for: / asks")
            return
        look = partial(stream.file.find, words, self._at, direction > 0)
        in_thread(self, look, partial(self._found, words))

    def _found(self, words: str, line: int | None) -> None:
        if line is None:
            self._say(f"{words!r}: no more that way")
            return
        self._at = line
        self._say(f"{words!r} on line {line + 1:,}")
        self.pane.go_to(line)

    def action_save(self) -> None:
        """Copy the whole log, not only what is in sight, to a file for this user alone."""
        stream = self.stream
        if stream is None:
            return
        path = self.ops.data_dir / "logs" / f"saved-{self.slug}-{time.strftime('%Y%m%dT%H%M%S')}.log"
        in_thread(
            self,
            lambda: stream.file.save(path),
            lambda size: self.ops.tell(f"{size:,} bytes saved to {path}"),
            lambda error: self.ops.tell(f"The log was not saved: {say(error, 200)}", "error"),
        )

    def action_reveal(self) -> None:
        """Show addresses; recorded first. A second press masks them again."""
        if not self.pane.masked:
            self._mask(True)
            return
        in_thread(
            self,
            lambda: self.ops.ops_console.reveal("addresses in the log", self.slug),
            lambda _: self._mask(False),
            lambda error: self.ops.tell(f"Not shown: it could not be recorded. {say(error, 200)}", "error"),
        )

    def _mask(self, masked: bool) -> None:
        self.pane.masked = masked
        self.pane.repaint()
        self.foot.refresh_words()

    def _say(self, text: str) -> None:
        self.foot.found = text
        self.foot.refresh_words()
