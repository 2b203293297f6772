"""The groups of the board with how many are in each, and what the list is narrowed to."""

from rich.style import Style
from rich.text import Text

from opsconsole.verdict import Group
from screens.safe import safe
from screens.widgets.line import Line

TABS: tuple[Group | None, ...] = (*Group, None)
SHORT = {Group.ATTENTION: "Attention", Group.IN_FLIGHT: "Flight", Group.UPCOMING: "Upcoming", Group.DONE: "Done"}


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
