"""A report, written and then shown: what happened to one campaign, or what the next shift has to know."""

import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from opsconsole.actions import Place
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe, say
from screens.widgets.rows import BUSY, CAUTION, DANGER, DIM
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.reports.model import Model, Section
    from opsconsole.reports.writing import Written

LABEL = 16  # cells for the name of a fact
FRAME = 4
TONES = {"bad": DANGER, "busy": BUSY}


class ReportScreen(ConsoleScreen):
    """The incident report of `slug`, or with "" the hand-over of the whole board; made anew when opened."""

    PLACE = Place.EVERYWHERE
    KEYS = (("↑ ↓", "scroll"), ("esc", "back"))
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    ReportScreen #where { height: auto; padding: 0 1; }
    ReportScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; padding: 0 1; }
    ReportScreen #report { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*registry_bindings(Place.EVERYWHERE)]

    def __init__(self, slug: str = "") -> None:
        super().__init__(slug)
        self.written: Written | None = None

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "report") if self.slug else ("board", "hand-over")

    def body(self) -> ComposeResult:
        yield Static(Text(" Gathering what every source tells …", DIM), id="where")
        with VerticalScroll():
            yield Static("", id="report")

    def on_mount(self) -> None:
        super().on_mount()
        in_thread(self, self._write, self._show, self._failed, name="report")

    def _write(self) -> "Written":
        from opsconsole.reports.writing import write_both

        model, at = self._model()
        return write_both(self.console, model, at, self.ops.data_dir, self.slug)

    def _model(self) -> "tuple[Model, datetime]":
        from opsconsole.reports import gather

        if self.slug:
            from opsconsole.reports.incident import incident_model

            incident = gather.incident(self.console, self.slug)
            return incident_model(incident), incident.setting.at
        from opsconsole.reports.handover import handover_model

        shift = gather.shift(self.console)
        return handover_model(shift), shift.setting.at

    def _show(self, written: "Written") -> None:
        self.written = written
        text = Text()
        for path in written.files:
            text.append(" written  ", DIM).append_text(safe(path)).append("\n")
        if written.unrecorded:
            text.append_text(safe(f" not on record: {written.unrecorded}", 600, CAUTION)).append("\n")
        self.query_one("#where", Static).update(text)
        self._paint()

    def _failed(self, error: Exception) -> None:
        self.query_one("#where", Static).update(safe(f" {error}", 800, DANGER))

    def on_resize(self, event: events.Resize) -> None:
        self._paint()

    def _paint(self) -> None:
        if self.written is not None:
            text = say_report(self.written.model, max(self.size.width - FRAME, 20))
            self.query_one("#report", Static).update(text)


def say_report(model: "Model", width: int) -> Text:
    """The report in lines of at most `width` cells."""
    text = (
        safe(model.title, style="bold").append("  ").append_text(safe(model.lead, style=_tone(model))).append("\n")
    )
    _add(text, model.sentence, width)
    for label, value in model.about:
        _fact(text, label, value, width)
    for section in model.sections:
        text.append_text(safe(f"\n{section.title.upper()}\n", style="bold", lines=True))
        _section(text, section, width)
    return text.append("\n").append_text(safe(model.foot, style=DIM))


def _tone(model: "Model") -> Style:
    return TONES.get(model.tone, Style(bold=True))


def _section(text: Text, section: "Section", width: int) -> None:
    for line in section.text:
        _add(text, line, width, DIM)
    for label, value in section.pairs:
        _fact(text, label, value, width)
    for row in section.rows:
        head, *cells = row
        heads = section.heads[1:] if section.labelled else ("",) * len(cells)
        rest = [
            f"{name}: {cell}" if name else cell for name, cell in zip(heads, cells, strict=False) if cell != "–"
        ]
        lines = list(_wrapped(" · ".join(filter(None, (head, *rest))), width, "  "))
        cut = min(len(head), len(lines[0]))
        text.append_text(safe(lines[0][:cut], style="bold")).append_text(safe(lines[0][cut:])).append("\n")
        for line in lines[1:]:
            text.append_text(safe(line)).append("\n")
    if section.empty:
        _add(text, section.nothing, width, DIM)


def _fact(text: Text, label: str, value: str, width: int) -> None:
    lines = list(_wrapped(value, width - LABEL, ""))
    text.append_text(safe(f"{label:<{LABEL}}", style=DIM)).append_text(safe(lines[0])).append("\n")
    for line in lines[1:]:
        text.append(" " * LABEL).append_text(safe(line)).append("\n")


def _add(text: Text, words: str, width: int, style: "str | Style" = "") -> None:
    for line in _wrapped(words, width, ""):
        text.append_text(safe(line, style=style)).append("\n")


def _wrapped(words: str, width: int, hang: str) -> Iterator[str]:
    """At least one line, those after the first behind `hang`."""
    wrapped = textwrap.wrap(say(words), width, subsequent_indent=hang, break_on_hyphens=False)
    yield from wrapped or [""]
