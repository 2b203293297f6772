"""The groups of the board with how many are in each, the saved views, and what the list is narrowed to."""

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from opsconsole.verdict import Group
from screens.safe import safe
from screens.widgets.line import Line

if TYPE_CHECKING:
    from opsconsole.views import View

TABS: tuple[Group | None, ...] = (*Group, None)
SHORT = {Group.ATTENTION: "Attention", Group.IN_FLIGHT: "Flight", Group.UPCOMING: "Upcoming", Group.DONE: "Done"}
FIRST_VIEW, LAST_VIEW = len(TABS) + 1, 9
"""The keys of views."""


class Tabs(Line):
    chosen: Group | None = None
    text = ""
    found = 0

    def words(self, width: int) -> Text:
        counts = self.ops.known.counts
        line = Text(no_wrap=True)
        for number, group in enumerate(TABS, 1):
            name = "All" if group is None else str(group) if width >= 100 else SHORT[group]
            count = sum(counts.values()) if group is None else counts[group]
            here = group is self.chosen
            if self.text and width < 100 and not here and group is not Group.ATTENTION:
                continue  # the filter needs the room
            alarm = group is Group.ATTENTION and count
            style = Style(bold=here, dim=not here and not alarm, meta={"@click": f"screen.group({number})"})
            line.append("▌" if here else " ", style)
            line.append(f"{number} ", Style(dim=True)).append(f"{name} ", style)
            line.append(f"{count:,}", style + Style.parse("#ff6b60 bold not dim") if alarm else style)
            line.append("  ")
        right = Text("/ to filter ", Style(dim=True), no_wrap=True)
        if self.text:
            right = Text.assemble(
                ("  filter ", "dim"), safe(self.text, 30, "bold"), f"  {self.found:,} found  esc clears "
            )
        line.truncate(max(width - right.cell_len, 1), pad=True)
        return line.append_text(right)


class ViewTabs(Line):
    """The saved views with their keys; no line at all while there are none."""

    DEFAULT_CSS = "ViewTabs { display: none; }  ViewTabs.shown { display: block; }"
    views: "tuple[View, ...]" = ()
    chosen = ""

    def refresh_words(self) -> None:
        self.set_class(bool(self.views), "shown")
        super().refresh_words()

    def words(self, width: int) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        for number, view in enumerate(self.views, FIRST_VIEW):
            here = view.name == self.chosen
            style = Style(bold=here, dim=not here, meta={"@click": f"screen.view({number})"})
            line.append("▌" if here else " ", style)
            line.append(f"{number} " if number <= LAST_VIEW else "", Style(dim=True))
            line.append_text(safe(view.name, 24, style)).append("  ")
        line.truncate(width, overflow="ellipsis")
        return line
