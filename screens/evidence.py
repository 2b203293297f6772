"""The form in which evidence is chosen that a campaign went out: the most telling is chosen already."""

from datetime import datetime

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Button, Input, SelectionList, Static
from textual.widgets.selection_list import Selection

from opsconsole.grounds import OWN_WORD, Ground, doubtful, grounds, strongest
from opsconsole.verdict import Verdict
from screens.form import Form
from screens.safe import safe


class EvidenceForm(Form[tuple[Ground, ...]]):
    """Dismissed with the evidence that was chosen, with what the operator said themselves at its end; or None."""

    AUTO_FOCUS = "SelectionList"

    def __init__(self, title: str, verdict: Verdict, operator: str, now: datetime) -> None:
        super().__init__()
        self.form_title, self.verdict, self.operator, self.now = title, verdict, operator, now
        self.known = grounds(verdict, now)

    def compose(self) -> ComposeResult:
        first = strongest(self.verdict, self.now)
        with Vertical(id="box"):
            yield Static(safe(self.form_title, 200, "bold"), id="title")
            yield Static("What tells that it went out? space chooses", classes="ask")
            yield SelectionList[int](
                *(
                    Selection(self.line(ground, ground in first), number, ground in first)
                    for number, ground in enumerate(self.known)
                ),
                compact=True,
            )
            yield Static("What you know yourself, in your own words:", classes="ask")
            yield Input(placeholder="the provider shows 1,204 accepted", id="own", compact=True)
            yield from self.ending("Go on …", "tab goes on · two questions follow")

    def on_mount(self) -> None:
        self.judge()
        if not self.known:
            self.query_one("#own").focus()

    @on(Button.Pressed, "#go")
    def go(self) -> None:
        self.dismiss(self.chosen())

    @on(Input.Submitted)
    def on_to_the_button(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#go").focus()

    def line(self, ground: Ground, chosen: bool) -> Text:
        """Textual draws the same box for both, in another colour: whether it is chosen must be readable without."""
        return Text("✓ " if chosen else "  ").append_text(
            safe(ground.say(self.verdict.details.zone, self.now), 400)
        )

    @on(SelectionList.SelectedChanged)
    def tick(self) -> None:
        chosen = self.query_one(SelectionList)
        for number, ground in enumerate(self.known):
            chosen.replace_option_prompt_at_index(number, self.line(ground, number in chosen.selected))

    @on(Input.Changed)
    @on(SelectionList.SelectedChanged)
    def judge(self) -> None:
        """What must be said before this is taken for proof."""
        said = doubtful(self.chosen(), self.verdict, self.now)
        self.query_one("#state", Static).update(safe(said, 300))

    def chosen(self) -> tuple[Ground, ...]:
        selected = sorted(self.query_one(SelectionList).selected)
        own = self.query_one("#own", Input).value.strip()
        word = (Ground(source=self.operator, label=OWN_WORD, text=own),) if own else ()
        return (*(self.known[number] for number in selected), *word)
