"""The form for another rate: a number, and a reason where it goes faster."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input, Static

from opsconsole.ports import Refused
from opsconsole.wishes import Wish, checked, faster, say_wish
from screens.form import Form
from screens.safe import safe


class RateForm(Form[tuple[str, str]]):
    """Dismissed with the rate as a command takes it and the reason, or None. `now` is the limit in force, "" where
    it isn't told; `speed` says how fast it goes."""

    AUTO_FOCUS = "#rate"

    def __init__(self, slug: str, now: str, speed: str) -> None:
        super().__init__()
        self.slug, self.now, self.speed = slug, now, speed

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Static(safe(f"Change rate: {self.slug}", 200, "bold"), id="title")
            limit = say_wish(Wish.RATE, self.now)
            for label, text in (("limit now", limit), ("it goes at", self.speed or "not told")):
                yield Static(safe(f"{label:<12}", 20, "dim").append_text(safe(text, 60)), classes="line")
            yield Static("Messages a second, or none for no limit", classes="ask")
            yield Input(placeholder="50", id="rate", compact=True, max_length=12)
            yield Static("Why? (recorded; needed to go faster)", classes="ask")
            yield Input(placeholder="a few words", id="reason", compact=True)
            yield from self.ending()

    @on(Input.Submitted)
    def next_field(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#reason" if event.input.id == "rate" else "#go").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        reason = self.query_one("#reason", Input).value.strip()
        try:
            rate = checked(Wish.RATE, self.query_one("#rate", Input).value)
        except Refused as error:
            self.complain(str(error), "#rate")
            return
        if faster(self.now, rate) and not reason:
            self.complain("That may be faster than now: say in a few words why.", "#reason")
        else:
            self.dismiss((rate, reason))
