"""The form for a new due time: shown in every zone that matters before it is recorded, and never guessed at."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from opsconsole.schedule import Doubled, Due, InGap, ScheduleError, resolve_due, say_clocks, say_distance
from screens.form import Form
from screens.safe import safe

NO_ZONE = (
    "The campaign names no time zone, so a local time means nothing. Add timezone to its metadata, or to its "
    "system's table of the configuration."
)


class DueForm(Form[tuple[str, str, int | None]]):
    """Dismissed with (the reason, the local time as typed, which of a doubled one), or None.

    `zone` is the campaign's, `local_zone` the operator's. A time that a change of the clocks skips is answered
    with both neighbours, one that it repeats with both instants, and the operator chooses.
    """

    AUTO_FOCUS = "#time"

    def __init__(self, title: str, zone: str, local_zone: str, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self.form_title, self.zone, self.local_zone, self._clock = title, zone, local_zone, clock
        self.fold: int | None = None
        self._offered: ScheduleError | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(self.form_title, 200, "bold"), id="title")
            yield Static(safe(f"New due time, in {self.zone or 'a zone nobody named'}:"), classes="ask")
            yield Input(placeholder="2026-05-12 10:00", id="time", compact=True)
            yield Static("", id="clocks")
            yield OptionList(id="choices", classes="none", compact=True)
            yield Static("Why? (recorded)", classes="ask")
            yield Input(placeholder="a few words", id="reason", compact=True)
            yield from self.ending()

    def on_mount(self) -> None:
        self.set_interval(10.0, self._show)  # "in 2 h 14 min" goes on

    @on(Input.Changed, "#time")
    def judge(self) -> None:
        self.fold = None
        self._show()

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "reason":
            self.query_one("#go").focus()
        else:
            self.query_one("#choices" if self._offered and self.fold is None else "#reason").focus()

    @on(OptionList.OptionSelected)
    def chosen(self, event: OptionList.OptionSelected) -> None:
        """Of a doubled time, which; of one that is skipped, the neighbour becomes the time."""
        event.stop()
        offered = self._offered
        if isinstance(offered, InGap):
            self.query_one("#time", Input).value = (offered.before, offered.after)[event.option_index]
        else:
            self.fold = event.option_index
            self._show()
        self.query_one("#reason").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        reason = self.query_one("#reason", Input).value.strip()
        wrong = self._wrong()
        if wrong or not reason:
            self.complain(wrong or "Say in a few words why.", "#time" if wrong else "#reason")
        else:
            self.dismiss((reason, self._time, self.fold))

    @property
    def _time(self) -> str:
        return self.query_one("#time", Input).value.strip()

    def _due(self) -> Due:
        """Raises ScheduleError."""
        if not self.zone:
            raise ScheduleError(NO_ZONE)
        return resolve_due(self._time, self.zone, self.fold)

    def _wrong(self) -> str:
        try:
            due = self._due()
        except ScheduleError as error:
            return str(error)
        return "" if due.instant > self._clock() else "That has passed already: choose a time to come."

    def _show(self) -> None:
        """What the time means now: three clocks, or what to choose from."""
        words, offered = "", None
        try:
            words = self._say(self._due().instant)
        except (InGap, Doubled) as error:
            offered = error
        except ScheduleError:
            pass  # not written out yet; `go` says what is wrong
        said = f"{offered} Choose below: ↓, then enter." if offered else words
        self.query_one("#clocks", Static).update(safe(said, 300, "bold" if words else ""))
        self.query_one("#state", Static).update(safe(self._wrong() if words else "", 200))
        if str(offered) != str(self._offered):
            self._offer(offered)

    def _offer(self, offered: ScheduleError | None) -> None:
        choices, self._offered = self.query_one("#choices", OptionList), offered
        choices.set_class(offered is None, "none")
        choices.clear_options()
        if isinstance(offered, InGap):
            choices.add_options([Option(safe(f"take {text}")) for text in (offered.before, offered.after)])
        elif isinstance(offered, Doubled):
            pairs = (("the first", offered.first), ("the second", offered.second))
            choices.add_options(
                [Option(safe(f"{which}: {self._offset(at)} · {self._say(at)}")) for which, at in pairs]
            )

    def _offset(self, at: datetime) -> str:
        text = at.astimezone(ZoneInfo(self.zone)).strftime("%z")
        return f"UTC{text[:3]}:{text[3:]}"

    def _say(self, at: datetime) -> str:
        return f"{say_clocks(at, self.zone, self.local_zone)}, {say_distance(at, self._clock())}"
