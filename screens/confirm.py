"""The two steps before something destructive: read what will happen, then type what it is about."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from opsconsole.deliberate import Guard
from opsconsole.safety import Confirmation
from opsconsole.schedule import say_span
from screens.deliberate import DeliberateButton, Pasted, TypedInput
from screens.safe import safe
from screens.whereabouts import Whereabouts

PASTED = "Pasted text is not taken, and that it was tried is recorded. Type it, key by key."
ONE_PASTE = 1.0  # seconds within which refused pieces are one paste
SMALL = 20  # lines of a terminal
AROUND = 12  # lines above and below what is read
LOUD, CALM = "bold white on #b3261e", "bold black on #7fb3d5"

Ends = Sequence[tuple[str, datetime]]


class ConfirmScreen(ModalScreen[tuple[str, str] | None]):
    """Dismissed with (what was typed, the reason), or None. Cancel has the focus; escape always cancels.

    `ends` are the instants after which it can't be confirmed any more, each with what ends then (`plan`, `approval
    by ana`). `live` is the machine that answers now. `refused_paste` is told, on the loop, in which step somebody
    tried to paste; it must not block.
    """

    CSS_PATH = "confirm.tcss"
    AUTO_FOCUS = "#cancel"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel", show=False),
        Binding("up", "scroll(-1)", "up", show=False),
        Binding("down", "scroll(1)", "down", show=False),
        Binding("tab,right", "turn(1)", "next", show=False),
        Binding("shift+tab,left", "turn(-1)", "before", show=False),
    ]

    def __init__(
        self,
        confirmation: Confirmation,
        *,
        live: Whereabouts | None = None,
        ends: Ends = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        refused_paste: Callable[[str], object] = lambda where: None,
    ) -> None:
        super().__init__()
        self.confirmation, self.live, self.ends = confirmation, live, sorted(ends, key=lambda end: end[1])
        self.danger = confirmation.danger or bool(live and live.against)
        self.guard = Guard()
        self.step = 1
        self._clock, self._refused_paste = clock, refused_paste
        self._pasted_at = float("-inf")

    def compose(self) -> ComposeResult:
        with Vertical(id="box", classes="danger" if self.danger else ""):
            yield Static(self._where(), classes="where")
            yield Static(safe(self.confirmation.title, 160, "bold"))
            yield Static("", id="ends", classes="" if self.ends else "none")
            with Vertical(id="reading", classes="step"):
                yield from self._reading()
            with Vertical(id="typing", classes="step"):
                yield from self._typing()

    def on_mount(self) -> None:
        self.app.clear_notifications()  # they lie where the buttons are
        self._show(1)
        self._tick()
        self.set_interval(0.5, self._tick)
        self.app.app_resume_signal.subscribe(self, lambda _: self._look_again(), immediate=True)
        self.watch(self.app, "app_focus", lambda focused: self._look_again() if focused else None, init=False)

    def on_resize(self) -> None:
        """On the smallest terminal the buttons stay in sight; what is read above them scrolls."""
        self.set_class(self.app.size.height < SMALL, "small")
        self.query_one("#lines").styles.max_height = max(self.app.size.height - AROUND, 2)

    def _show(self, step: int) -> None:
        self.step = step
        self.query_one("#reading").display = step == 1
        self.query_one("#typing").display = step == 2
        self.query_one("#cancel" if step == 1 else "#typed").focus()
        self.query_one(".where", Static).update(self._where())
        self._look_again()

    def _look_again(self) -> None:
        """Nobody has read it since: keys count for nothing for a moment."""
        # The guard's clock is the events' own: an event is made when its key arrives.
        self.guard.open(Message().time)

    def _where(self) -> Text:
        """The environment, loud where it is dangerous, with the machine that answers; and which step it is."""
        text = Text().append_text(safe(f" {self.confirmation.environment} ", 60, LOUD if self.danger else CALM))
        if self.live and self.live.identity and self.live.identity not in self.confirmation.environment:
            text.append_text(safe(f"  {self.live.identity}", 60, "bold"))
        return text.append(f"   step {self.step} of 2", "dim")

    # Step 1: what will happen.

    def _reading(self) -> ComposeResult:
        confirmation, lines = self.confirmation, list(self.confirmation.lines)
        warnings = list(confirmation.warnings)
        if self.live is not None:
            if self.live.calls_itself:
                lines.append(("machine", f"calls itself {self.live.calls_itself}"))
            if self.live.against:
                warnings.insert(0, self.live.against)
        with VerticalScroll(id="lines", can_focus=False):
            for label, text in lines:
                with Horizontal(classes="line"):
                    yield Label(safe(label), classes="label")
                    yield Static(safe(text, 600), classes="text")
            for warning in warnings:
                yield Static(Text("! ", "bold").append_text(safe(warning, 600)), classes="warning")
        with Horizontal(classes="buttons"):
            yield DeliberateButton("Cancel", id="cancel", compact=True)
            yield DeliberateButton("Go on …", id="on", compact=True)
        yield Static("tab chooses · enter presses · escape leaves, nothing done", classes="note")

    # Step 2: type what it is about.

    def _typing(self) -> ComposeResult:
        confirmation = self.confirmation
        yield Static("To go ahead, type exactly:", classes="ask")
        yield Static(safe(confirmation.phrase, style="bold"), id="phrase")
        yield TypedInput(id="typed", placeholder="type it here")
        asked = "Why? A reason is needed, and recorded:" if confirmation.needs_reason else "Why? (recorded)"
        yield Static(asked, classes="ask")
        yield TypedInput(id="reason", placeholder="a few words")
        yield Static("", id="state")
        with Horizontal(classes="buttons"):
            yield DeliberateButton("Cancel", id="back", compact=True)
            yield DeliberateButton(safe(confirmation.title), id="go", variant="error", compact=True, disabled=True)
        yield Static("tab chooses · enter presses a button · escape leaves, nothing done", classes="note")

    # What is done.

    @on(Button.Pressed, "#cancel, #back")
    def action_cancel(self) -> None:
        self.dismiss(None)

    @on(Button.Pressed, "#on")
    def go_on(self) -> None:
        if self.step == 1 and not self._over():
            self._show(2)

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        if self.step == 2 and not self._missing():
            self.dismiss((self._value("typed"), self._value("reason")))

    @on(Input.Changed)
    def judge(self) -> None:
        """The last button can be pressed only while the phrase stands there, exactly, and nothing has run out."""
        missing = self._missing()
        self.query_one("#go", Button).disabled = bool(missing)
        self._say(missing if self._value("typed") or self._over() else "")

    @on(Pasted)
    def refuse_paste(self, event: Pasted) -> None:
        event.stop()
        self._say(PASTED)
        self.call_after_refresh(self._say, PASTED)  # behind the word on the input's change
        if event.time - self._pasted_at >= ONE_PASTE:
            self._refused_paste(f"step {self.step}")
        self._pasted_at = event.time

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(Pasted())

    def action_scroll(self, by: int) -> None:
        for lines in self.query("#lines"):
            lines.scroll_relative(y=by, animate=False)

    def action_turn(self, by: int) -> None:
        """To the next field or button; on a screen nobody can have read yet, nowhere."""
        if self.guard.settled(Message().time):
            if by > 0:
                self.focus_next()
            else:
                self.focus_previous()

    # What runs out.

    def _tick(self) -> None:
        self.guard.beat()
        if not self.ends:
            return
        over = self._over()
        if over:
            text = safe(over, 300, LOUD)
        else:
            now = self._clock()
            left = " · ".join(f"{what} good for {say_span(at - now)} more" for what, at in self.ends)
            text = safe(left, 200, "dim")
        self.query_one("#ends", Static).update(text)
        self.query_one("#on", Button).disabled = bool(over)
        if self.query_one("#go", Button).disabled != bool(self._missing()):
            self.judge()

    def _over(self) -> str:
        """What ran out while the question was open; "" when all still counts."""
        now = self._clock()
        gone = [what for what, at in self.ends if at <= now]
        if not gone:
            return ""
        return (
            f"Too late: the {' and the '.join(gone)} ran out. Nothing was done; leave with escape and begin anew."
        )

    def _missing(self) -> str:
        confirmation = self.confirmation
        if over := self._over():
            return over
        if self._value("typed") != confirmation.phrase:
            return f"Not yet the same as {confirmation.phrase}"
        if confirmation.needs_reason and not self._value("reason").strip():
            return "A reason is needed."
        return ""

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _say(self, text: str) -> None:
        self.query_one("#state", Static).update(safe(text, 300))
