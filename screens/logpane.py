"""A live log: only the lines in sight are ever read, masked, coloured and painted, however long it is.

Lines are not wrapped; left and right show the rest of a long one.
"""

from datetime import UTC
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from opsconsole.redact import mask_addresses
from opsconsole.runlog import RunEvent, read_line
from opsconsole.runwords import say_event
from screens.logfile import LogFile
from screens.safe import safe

EVERY = 0.1  # seconds between two looks at the file: fast for the eye, light for a slow link

DIM, BAD, GOOD, FOUND = (Style.parse(s) for s in ("dim", "#ff8a80", "bold #8bc98b", "black on #d9a441"))


class LogPane(ScrollView, can_focus=True):
    """Shows a LogFile and follows its end until somebody scrolls up."""

    DEFAULT_CSS = """
    LogPane { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; scrollbar-gutter: stable; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", show=False),
        Binding("k", "scroll_up", "up", show=False),
        Binding("j", "scroll_down", "down", show=False),
        Binding("g", "scroll_home", "first", show=False),
        Binding("G", "scroll_end", "last", show=False),
    ]

    class Moved(Message):
        """More lines came, or the log was scrolled."""

    def __init__(self) -> None:
        super().__init__()
        self.file: LogFile | None = None
        self.following, self.masked, self.words = True, True, ""
        self.shown = 0  # lines of the file that the pane knows of
        self._strips: dict[int, Strip] = {}

    def on_mount(self) -> None:
        self.set_interval(EVERY, self.look)

    @property
    def below(self) -> int:
        """Lines under the last one in sight."""
        return max(self.shown - self.scroll_offset.y - self.scrollable_content_region.height, 0)

    def show(self, file: LogFile) -> None:
        """Show this file from now on, from its end."""
        self.file, self.shown = file, 0
        self._strips.clear()
        self.look()

    def look(self) -> None:
        """Paint what came since the last look; nothing at all when nothing came."""
        if self.file is None or (self.file.lines, self.file.size) == (self.shown, self._size_shown):
            return
        self.file.calm.clear()
        self.call_after_refresh(self.file.calm.set)
        last, self.shown, self._size_shown = self.shown, self.file.lines, self.file.size
        self._strips.pop(last - 1, None)  # it may have grown
        self.virtual_size = Size(self._widest, self.shown)
        if self.following:
            self.scroll_end(animate=False, force=True, immediate=True, x_axis=False)
        if self.following or last - 1 <= self.scroll_offset.y + self.size.height:
            self.refresh()
        self.post_message(self.Moved())

    _size_shown = 0
    _sized = Size(0, 0)
    _widest = 0

    def go_to(self, line: int) -> None:
        """Bring a line into sight, in the middle of the pane."""
        self.following = False
        self.scroll_to(y=line - self.size.height // 2, animate=False, force=True, immediate=True)
        self.repaint()

    def repaint(self) -> None:
        """What is in sight is to look different: another search, or masked no longer."""
        self._strips.clear()
        self.refresh()

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if round(old) != round(new):
            if self.size == self._sized:  # a pane that only changed its size was not scrolled by anybody
                self.following = new >= self.max_scroll_y
            self.post_message(self.Moved())

    def on_resize(self, event: events.Resize) -> None:
        self._sized = event.size
        if self.following:
            self.scroll_end(animate=False, force=True, immediate=True, x_axis=False)

    def action_follow(self) -> None:
        self.following = not self.following
        if self.following:
            self.scroll_end(animate=False, force=True, immediate=True, x_axis=False)
        self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        x, top = self.scroll_offset
        style = self.rich_style  # asked for once: it is put together anew each time
        strip = self._line(top + y).crop_extend(x, x + self.scrollable_content_region.width, style)
        return strip.apply_style(style)

    def _line(self, number: int) -> Strip:
        if number >= self.shown or self.file is None:
            return Strip.blank(1)
        strip = self._strips.get(number)
        if strip is None:
            if len(self._strips) > 1000:
                self._strips.clear()
            height = max(self.size.height, 1)
            for offset, line in enumerate(self.file.read(number, height)):
                self._strips[number + offset] = self._paint(line)
            strip = self._strips.get(number, Strip.blank(1))
            if self._widest > self.virtual_size.width:
                self.call_later(self._widen)
        return strip

    def _paint(self, line: str) -> Strip:
        event = read_line(line)
        words = _said(event) if event is not None and event.ours else line
        text = safe(mask_addresses(words) if self.masked else words)
        if event is not None:
            bad = event.rc if event.ours else event.error  # ours repeats the last error on every line
            text.stylize(BAD if bad else GOOD if event.ends else DIM if event.ours else "")
        if self.words:
            _mark(text, self.words)
        strip = Strip(text.render(self.app.console))
        self._widest = max(self._widest, strip.cell_length)
        return strip

    def _widen(self) -> None:
        self.virtual_size = Size(self._widest, self.shown)


def _said(event: RunEvent) -> str:
    """A line of our runner for people; the file keeps its bytes."""
    stamp = f"{event.told_at.astimezone(UTC):%H:%M:%S} UTC  " if event.told_at else ""
    return stamp + say_event(event)


def _mark(text: Text, words: str) -> None:
    plain, wanted = text.plain.casefold(), words.casefold()
    at = plain.find(wanted)
    while wanted and at >= 0:
        text.stylize(FOUND, at, at + len(wanted))
        at = plain.find(wanted, at + len(wanted))
