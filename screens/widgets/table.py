"""The campaigns, one a line. Only the lines in sight are ever computed, so ten thousand cost what forty do.

A DataTable measures every cell of every row when it is filled: 1.4 s for 10,000. This one has nothing to fill.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from opsconsole.verdict import Verdict
from screens.safe import safe
from screens.widgets.line import Line
from screens.widgets.rows import Column, campaign_width, columns, line

CURSOR = Style.parse("on #2d4a66")


class CampaignTable(ScrollView, can_focus=True):
    """Lines of campaigns with a cursor that stays on its campaign whatever comes or goes around it.

    Until it was used for the first time it stands on the first line: what that is, is known once all have answered.
    """

    DEFAULT_CSS = """
    CampaignTable { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "ends(0)", "first", show=False),
        Binding("end,G", "ends(1)", "last", show=False),
    ]

    class Moved(Message):
        """The operator moved the cursor to another campaign."""

        def __init__(self, slug: str) -> None:
            super().__init__()
            self.slug = slug

    class Opened(Message):
        """The campaign under the cursor was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: Sequence[Verdict] = ()
        self.cursor = 0
        self.layout_columns: tuple[Column, ...] = ()
        self.empty = ""
        self.used = False
        self._now: datetime | None = None
        self._longest = 0
        self._strips: dict[int, Strip] = {}

    @property
    def slug(self) -> str:
        return self.verdicts[self.cursor].slug if self.cursor < len(self.verdicts) else ""

    def show(self, verdicts: Sequence[Verdict], now: datetime, empty: str = "") -> None:
        """Show these. The cursor stays on its campaign, or on its line when that campaign is gone.

        Posts no Moved: who calls this looks at `slug` afterwards.
        """
        before = self.slug if self.used else ""
        self.verdicts, self._now, self.empty = verdicts, now, empty
        self._longest = max(map(campaign_width, verdicts), default=0)
        index = next((i for i, v in enumerate(verdicts) if v.slug == before), None) if before else 0
        self.cursor = min(self.cursor, max(len(verdicts) - 1, 0)) if index is None else index
        self.virtual_size = Size(self.size.width, max(len(verdicts), 1))
        self._lay_out()
        self._repaint()
        self._keep_in_sight()

    def select(self, index: int) -> None:
        """Move the cursor to a line, within bounds."""
        index = max(0, min(index, len(self.verdicts) - 1))
        if index == self.cursor or not self.verdicts:
            return
        old, self.cursor = self.cursor, index
        for row in (old, index):
            self._again(row)
        self._keep_in_sight()
        self.post_message(self.Moved(self.slug))

    def render_line(self, y: int) -> Strip:
        return self._strip(self.scroll_offset.y + y)

    def on_resize(self) -> None:
        self._lay_out()
        self._strips.clear()
        self._keep_in_sight()

    def on_key(self) -> None:
        self.used = True

    def on_focus(self) -> None:
        self._again(self.cursor)

    def on_blur(self) -> None:
        self._again(self.cursor)

    def on_click(self, event: events.Click) -> None:
        self.used = True
        row = self.scroll_offset.y + event.y
        if row == self.cursor and event.chain == 2:
            self.post_message(self.Opened())
        self.select(row)

    def action_move(self, by: int) -> None:
        self.select(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.select(self.cursor + by * max(self.size.height - 1, 1))

    def action_ends(self, last: int) -> None:
        self.select(len(self.verdicts) - 1 if last else 0)

    def _again(self, row: int) -> None:
        self._strips.pop(row, None)
        self.refresh_line(row)

    def _lay_out(self) -> None:
        self.layout_columns = columns(self.scrollable_content_region.width or self.size.width, self._longest)

    def _repaint(self) -> None:
        """Compute the lines in sight again and paint those that changed."""
        old, self._strips = self._strips, {}
        top = self.scroll_offset.y
        for row in range(top, top + self.size.height):
            if old.get(row) != self._strip(row):
                self.refresh_line(row)

    def _keep_in_sight(self) -> None:
        height = max(self.scrollable_content_region.height, 1)
        top = self.scroll_offset.y
        if not top <= self.cursor < top + height:
            target = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=target, animate=False, force=True, immediate=True)

    def _strip(self, row: int) -> Strip:
        strip = self._strips.get(row)
        if strip is None:
            if len(self._strips) > 500:
                self._strips.clear()
            strip = self._strips[row] = self._compute(row)
        return strip

    def _compute(self, row: int) -> Strip:
        width = self.scrollable_content_region.width or self.size.width
        base = self.rich_style
        if row >= len(self.verdicts) or self._now is None:
            text = safe(f"  {self.empty}" if row == 0 and not self.verdicts else "", width)
        else:
            text = Text("▌" if row == self.cursor else " ", end="")
            text.append_text(line(self.verdicts[row], self._now, self.layout_columns))
            if row == self.cursor:
                base += CURSOR if self.has_focus else Style(bold=True)
        segments = list(text.render(self.app.console))
        return Strip(segments).adjust_cell_length(width).apply_style(base)


class Heads(Line):
    """The names of the columns over the table, with an arrow at the one it is sorted by."""

    DEFAULT_CSS = "Heads { text-style: bold; }"

    def __init__(self, table: CampaignTable) -> None:
        super().__init__()
        self._table = table
        self.sort, self.reverse = "", False

    def words(self, width: int) -> Text:
        text = Text(" ", no_wrap=True, style="dim")
        for column in self._table.layout_columns:
            arrow = ("▲" if self.reverse else "▼") if column.title and column.id == self._sorted else ""
            name = "BY SERIES" if self.sort == "series" and column.id == "campaign" else column.title
            title = f"{name} {arrow}".strip()[: column.width]
            cell = title.rjust(column.width) if column.right else title.ljust(column.width)
            sort = "due" if column.id == "distance" else column.id
            text.append(cell, Style(meta={"@click": f"screen.sort_by('{sort}')"})).append(" ")
        return text

    @property
    def _sorted(self) -> str:
        """The column on show that carries the arrow: a narrow board has the distance alone for the due time."""
        shown = {column.id for column in self._table.layout_columns}
        if self.sort == "due" and "due" not in shown:
            return "distance"
        return "campaign" if self.sort == "series" else self.sort
