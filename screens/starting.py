"""Between the confirmation and the carrier's answer: what is being done, for how long, and that it is done once."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from opsconsole.actions import Place
from opsconsole.ports import MaybeStarted, Refused, Started
from screens.asking import notice, show, work
from screens.base import ConsoleScreen, registry_bindings
from screens.safe import safe
from screens.widgets.rows import BUSY, CAUTION, DIM
from screens.work import in_thread

if TYPE_CHECKING:
    from opsconsole.audit.records import Record
    from screens.app import OpsConsoleApp

LONG = 15.0  # seconds after which it is said what an answer that stays away means
LOOK_EVERY = 0.5


class StartingScreen(ConsoleScreen):
    """Shows a start that is under way. Leaving it stops nothing, and repeats nothing."""

    PLACE = Place.EVERYWHERE
    BINDINGS: ClassVar[list[BindingType]] = registry_bindings(Place.EVERYWHERE)

    def __init__(self, slug: str, what: str, run_id: str, carrier: str) -> None:
        super().__init__(slug)
        self.what, self.run_id, self.carrier = what, run_id, carrier
        self.then: Callable[[], object] | None = None
        self._begun = time.monotonic()
        self._since: datetime | None = None
        self._records: tuple[Record, ...] = ()
        self._looking = False

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, self.what)

    @property
    def quit_warning(self) -> str:
        return f"{self.slug} is being started, and the answer isn't there yet. Leaving doesn't take it back."

    def body(self) -> ComposeResult:
        yield Static("", id="doing")

    def on_mount(self) -> None:
        super().on_mount()
        self._since = self.ops.now()
        self.set_interval(LOOK_EVERY, self.look)
        self.look()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.go_on()

    def over(self, then: Callable[[], object]) -> None:
        """The answer is there: `then` follows, now or once this screen is in front again."""
        self.then = then
        if self.is_current:
            self.go_on()

    def go_on(self) -> None:
        if self.then is not None and self.is_current:
            then, self.then = self.then, None
            self.dismiss()
            self.ops.call_later(then)

    def look(self) -> None:
        if not self._looking:
            self._looking = True
            in_thread(self, self._read, self._seen, lambda _: self._seen(self._records), name="look-at-start")

    def _read(self) -> "tuple[Record, ...]":
        since = self._since
        records = self.console.store().for_run(self.run_id)
        return tuple(r for r in records if since is None or r.utc >= since)

    def _seen(self, records: "tuple[Record, ...]") -> None:
        self._looking, self._records = False, records
        self.query_one("#doing", Static).update(self.words(time.monotonic() - self._begun))

    def words(self, seconds: float) -> Text:
        """What is done already, by the audit store, and what is waited for."""
        text = Text("\n ").append(f"▶ {self.what}: asked", BUSY).append_text(safe(f"  {self.slug}", 80, "bold"))
        text.append(f"   {seconds:.0f} s\n\n")
        intent = next((r for r in self._records if r.phase == "intent"), None)
        unclear = any(r.action.endswith("-unclear") for r in self._records)
        text.append("   ✓ confirmed twice\n")
        if intent is None:
            text.append("   ▶ looking at every source once more; nothing has been asked of its carrier yet\n", BUSY)
            return text
        text.append("   ✓ every source looked at once more\n")
        text.append(f"   ✓ intent recorded before anything else: audit record {intent.seq}\n")
        if any(r.phase == "outcome" or r.action.endswith("-started") for r in self._records):
            text.append("   ✓ answered\n")
        elif unclear:
            text.append("   ? the answer was lost: asking for the run instead of starting it again\n", CAUTION)
        else:
            line = f"   ▶ {self.carrier} was asked to claim it, to check the plan and to start\n"
            text.append_text(safe(line.strip("\n"), 200, BUSY)).append("\n")
        if seconds >= LONG:
            text.append(
                "\n   The answer is slow. It is waited for for about a minute; if it stays away, the run MAY HAVE\n"
                "   STARTED, and the console asks for it by its id. It is never started a second time.\n",
                CAUTION,
            )
        return text.append("\n   esc leaves this screen; the start goes on, and what came of it is told.\n", DIM)


def start(
    ops: "OpsConsoleApp",
    slug: str,
    what: str,
    run_id: str,
    carrier: str,
    attempt: int,
    job: Callable[[], Started],
) -> None:
    """Do `job`, which starts mail, in a thread; show that it is under way, then the run or why there is none."""
    from screens.run import RunScreen

    if slug in ops.starting:
        ops.tell(f"{slug} is being started already: wait for the answer.", "warning")
        return
    screen = StartingScreen(slug, what, run_id, carrier)
    ops.starting.add(slug)

    def over(then: Callable[[], object], left: Callable[[], object]) -> None:
        """`then` where somebody still waits for it, `left` where they went on to something else."""
        ops.starting.discard(slug)
        if screen.is_attached:
            screen.over(then)
        else:
            left()
        ops.freshen()

    def started(result: Started) -> None:
        def then() -> None:
            if not result.fresh:
                ops.tell(f"This very run of {slug} was there already; nothing was started twice.", "warning")
            show(ops, RunScreen(slug, result.state.attempt))

        over(then, lambda: ops.tell(f"{slug} has started; a attaches to its run."))

    def failed(error: Exception) -> None:
        def unclear() -> None:
            show(ops, RunScreen(slug, attempt))
            notice(ops, f"{slug} may have started: look, don't send again", error)

        def refused() -> None:
            notice(ops, f"{slug} was not sent" if isinstance(error, Refused) else f"Sending {slug}", error)

        then = unclear if isinstance(error, MaybeStarted) else refused
        over(then, refused if then is refused else lambda: notice(ops, f"{slug} MAY HAVE STARTED", error))

    show(ops, screen)
    work(ops, f"{what} {slug}", job, started, failed)
