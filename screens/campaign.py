"""One campaign: the verdict and its evidence, its files, what a recipient would get, and its timeline."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from opsconsole.actions import Place
from opsconsole.board import Board
from opsconsole.present import say_series
from opsconsole.redact import mask_addresses
from screens import campaign_words as words
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe, say
from screens.story import say_story
from screens.widgets.line import Line
from screens.widgets.rows import DIM
from screens.work import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsconsole.audit.records import OutboxItem
    from opsconsole.hostfacts import FolderFacts
    from opsconsole.preview import Preview
    from opsconsole.timeline import Entry

    Story = tuple[datetime, tuple[Entry, ...], tuple[str, ...]]  # when it was put together, and what wasn't seen

VIEWS = ("verdict", "files", "content", "timeline")  # "files" are the parts of another carrier's content


class Views(Line):
    """Which of the four parts is on show."""

    def words(self, width: int) -> Text:
        screen = self.screen
        assert isinstance(screen, CampaignScreen)
        line = Text(no_wrap=True)
        files = screen.in_files
        for number, name in enumerate(VIEWS, 1):
            here, name = name == screen.view, "parts" if name == "files" and not files else name
            line.append("▌" if here else " ").append(f"{number} ", "dim").append(
                f"{name}   ", "bold" if here else "dim"
            )
        return line


class RowNumber(Input):
    """Asks for the number of a recipient."""

    DEFAULT_CSS = "RowNumber { border: none; height: 1; padding: 0 1; background: $panel; display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "put_away", "away", show=False)]

    def __init__(self) -> None:
        super().__init__(placeholder="number of the recipient, from 1", type="integer", compact=True)

    def action_put_away(self) -> None:
        self.display, self.value = False, ""
        self.screen.query_one(VerticalScroll).focus()


class CampaignScreen(ConsoleScreen):
    """Everything known of `slug`. What blocks is asked for only when its part is first looked at."""

    PLACE = Place.CAMPAIGN
    KEYS = (
        ("1-4", "parts"),
        ("n", "next recipient"),
        ("b", "before"),
        ("g", "go to"),
        ("y", "source"),
        ("v", "reveal"),
    )
    AUTO_FOCUS = "VerticalScroll"
    CSS_PATH = "campaign.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.CAMPAIGN),
        *(Binding(str(number), f"view('{name}')", name, show=False) for number, name in enumerate(VIEWS, 1)),
        Binding("n", "recipient(1)", "next recipient", show=False),
        Binding("b", "recipient(-1)", "recipient before", show=False),
        Binding("g", "ask_number", "go to recipient", show=False),
        Binding("y", "source", "source", show=False),
        Binding("v", "reveal", "reveal", show=False),
    ]

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.view = "verdict"
        self.masked, self.raw = True, False
        self.number, self.shown = 1, None  # type: int, Preview | None
        self._previewer: Callable[[int], Preview] | None = None
        self._folder: FolderFacts | None = None
        self._story: Story | None = None
        self._recorded: tuple[OutboxItem, ...] = ()
        self._trouble: dict[str, str] = {}
        self._asking = False

    def body(self) -> ComposeResult:
        yield Static("", id="head")
        yield Views()
        with VerticalScroll(id="part"):
            yield Static("", id="words")
        yield RowNumber()

    def on_mount(self) -> None:
        super().on_mount()
        self.paint()
        self._look_at_outbox()

    def board_changed(self, board: Board) -> None:
        self._folder = None
        self.paint()
        self._look_at_outbox()

    def _look_at_outbox(self) -> None:
        """Who knows how it ended: in a thread, as the store may be across a network."""

        def got(told: "tuple[OutboxItem, ...]") -> None:
            if told != self._recorded:
                self._recorded = told
                self.paint()

        # A store that can't be read has a banner of its own.
        in_thread(self, lambda: self.console.recorded(self.slug), got, lambda error: None, name="campaign-recorded")

    # Which part.

    def action_view(self, name: str) -> None:
        self.view = name
        self.query_one("#part").scroll_home(animate=False)
        self._need()
        self.paint()

    def _need(self) -> None:
        """Ask, in a thread, for what this part shows and isn't there yet."""
        if self.view == "timeline":
            self._ask("timeline", self._look_back, self._got_story)
        elif self.view == "content" and self.shown is None:
            self.action_recipient(0)
        elif self.view == "files" and self._folder is None:
            self._ask("files", self._look_at_files, self._got_folder)

    def _look_back(self) -> "Story":
        from opsconsole.reports.gather import past
        from opsconsole.timeline import timeline

        verdict, now = self.console.verdict(self.slug), self.console.clock()
        found = past(self.console, verdict, now)
        return now, timeline(verdict, found, now), found.unread

    def _got_story(self, story: "Story") -> None:
        self._story = story
        if self.view == "timeline":  # the newest first: what came before is scrolled to
            self.call_after_refresh(self.query_one("#part").scroll_end, animate=False)

    @property
    def in_files(self) -> bool:
        return words.in_files(self.ops.get(self.slug), self.console.host_names())

    def _look_at_files(self) -> "FolderFacts | None":
        facts = self.console.host_facts(self.console.carrier_of(self.slug).name)
        return facts.campaigns.get(self.slug) if facts else None

    def _got_folder(self, folder: "FolderFacts | None") -> None:
        self._folder = folder

    # What a recipient would get.

    def action_recipient(self, by: int) -> None:
        """Render the mail of the recipient `by` further on."""
        if self.view != "content" or self._asking:
            return
        wanted = max(self.number + by, 1)
        self._ask("content", partial(self._render_mail, wanted), self._got_preview)

    def _render_mail(self, number: int) -> "Preview":
        if self._previewer is None:
            self._previewer = self.console.previewer(self.slug)
        return self._previewer(number)

    def _got_preview(self, shown: "Preview") -> None:
        self.shown, self.number = shown, shown.number

    def action_ask_number(self) -> None:
        if self.view == "content":
            field = self.query_one(RowNumber)
            field.display = True
            field.focus()

    @on(Input.Submitted)
    def go_to(self, event: Input.Submitted) -> None:
        event.stop()
        number = int(event.value) if event.value.isdigit() else self.number
        self.query_one(RowNumber).action_put_away()
        self.action_recipient(number - self.number)

    def action_source(self) -> None:
        self.raw = not self.raw
        self.paint()

    def action_reveal(self) -> None:
        """Show addresses; recorded first. A second press masks them again."""
        if not self.masked:
            self._mask(True)
            return
        in_thread(
            self,
            lambda: self.console.reveal(f"{self.view} of a recipient", self.slug),
            lambda _: self._mask(False),
            lambda error: self.ops.tell(f"Not shown: it could not be recorded. {say(error, 200)}", "error"),
        )

    def _mask(self, masked: bool) -> None:
        self.masked = masked
        self.paint()

    # Showing.

    def _ask(self, part: str, work: "words.Work", got: "words.Got") -> None:
        self._asking = True
        self._trouble.pop(part, None)
        self.paint()

        def done(answer: object) -> None:
            self._asking = False
            got(answer)
            self.paint()

        def failed(error: Exception) -> None:
            self._asking = False
            self._trouble[part] = str(error)
            self.paint()

        in_thread(self, work, done, failed, name=f"campaign-{part}")

    def paint(self) -> None:
        if not self.query("#head"):  # a board that came before this screen was composed
            return
        verdict = self.ops.get(self.slug)
        if verdict is None or not self.is_mounted:
            self.query_one("#head", Static).update(safe(f" No source knows {self.slug} now.", style=DIM))
            return
        now, zone = self.ops.now(), self.ops.local_zone
        series = say_series(verdict, self.ops.board.verdicts, now)
        self.query_one("#head", Static).update(words.head(verdict, zone, now, series))
        if self.view in self._trouble:
            text = safe(self._trouble[self.view], 1200, "bold #ff6b60")
        elif self.view == "verdict":
            text = words.say_verdict(verdict, now, self.size.width, self._recorded)
        elif self.view == "files":
            text = words.say_files(verdict, self._folder, self.in_files, now)
        elif self.view == "content":
            text = words.say_preview(self.shown, mask_addresses if self.masked else str, self.raw)
        elif self._story is None:
            text = safe("Putting together what every source tells …", style=DIM)
        else:
            seen, entries, unread = self._story
            text = say_story(entries, verdict.details.zone, seen, self.size.width, unread)
        self.query_one("#words", Static).update(text)
        self.query_one(Views).refresh_words()
