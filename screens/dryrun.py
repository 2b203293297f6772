"""The dry run, live, and what came of it: counts, troubles, and whether a send may follow. Sends nothing."""

import threading
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from opsconsole.actions import Place
from opsconsole.campaign import FILES
from opsconsole.digests import short
from opsconsole.plan import DryRun
from opsconsole.redact import mask_addresses
from opsconsole.runlog import say_duration
from screens.attach import Stream
from screens.base import registry_bindings
from screens.logscreen import LogScreen
from screens.safe import safe
from screens.widgets.line import Line
from screens.widgets.rows import CAUTION, DANGER, DIM
from screens.work import in_thread

Answer = tuple[DryRun, tuple[str, ...]]


class DryRunHead(Line):
    """What came of it, over the log."""

    DEFAULT_CSS = "DryRunHead { height: auto; max-height: 14; padding: 0 0 1 0; }"
    grows = True

    def words(self, width: int) -> Text:
        screen = self.screen
        assert isinstance(screen, DryRunScreen)
        lines = []
        for line in head(screen):
            first, *more = list(line.wrap(self.app.console, width - 3))[:4] or [Text()]
            lines += [Text(" ").append_text(first), *(Text("   ").append_text(rest) for rest in more)]
        return Text("\n", end="").join(lines[:13])


class DryRunScreen(LogScreen):
    """Rehearses when opened. Leaving it breaks the rehearsal off: nothing is sent either way."""

    PLACE = Place.CAMPAIGN
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.CAMPAIGN),
        Binding("d", "again", "again", show=False),
    ]

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.result: DryRun | None = None
        self.against: tuple[str, ...] = ()  # why no send may follow
        self.trouble = ""
        self.running = False
        self._stop = threading.Event()

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "dry run")

    def body(self) -> ComposeResult:
        yield DryRunHead()
        yield self.log_view

    def on_mount(self) -> None:
        super().on_mount()
        self.action_again()

    def on_unmount(self) -> None:
        self._stop.set()

    def action_again(self) -> None:
        if self.running:
            return
        try:
            stream = Stream(self.ops.data_dir / "logs" / f"{self.slug}.dry-run.log")
        except OSError as error:
            self.trouble = f"Its output can't be kept ({error.strerror}): free some disk, then d tries again."
            self.freshen()
            return
        self.running, self.result, self.trouble, self.against = True, None, "", ()
        self.log_view.show(stream)

        def work() -> Answer:
            try:
                result = self.console.dry_run(self.slug, stream.take, self._stop)
            finally:
                stream.close()
            return result, self.console.why_no_send(self.slug)

        in_thread(self, work, self._ended, self._failed, name="dry-run")
        self.freshen()

    def freshen(self) -> None:
        super().freshen()
        for part in self.query(DryRunHead):
            part.refresh_words()

    def _ended(self, answer: Answer) -> None:
        self.running = False
        self.result, self.against = answer
        self.freshen()

    def _failed(self, error: Exception) -> None:
        self.running, self.trouble = False, str(error)
        self.freshen()


def head(screen: DryRunScreen) -> list[Text]:
    """The lines over the log."""
    if screen.trouble:
        return [safe(f"The dry run did not run: {screen.trouble}", 1200, DANGER)]
    result = screen.result
    if result is None:
        return [Text("Rehearsing on the carrier; nothing is sent …", DIM)]
    word, style = ("✓ OK", "bold") if result.ok else ("✖ FAILED", DANGER)
    counted = f"{result.audience:,} counted" if result.audience is not None else "nobody counted"
    line = Text().append(word, style).append(f"  {counted}", "bold")
    line.append(f" · {result.refused:,} refused", DANGER if result.refused else "")
    line.append(f" · {result.duplicates:,} twice", CAUTION if result.duplicates else "")
    if result.suppressed:
        line.append(f" · {result.suppressed:,} suppressed")
    if result.largest:
        line.append(f" · {result.largest / 1024:,.1f} KiB the largest")
    if result.duration_s:
        line.append(f" · took {say_duration(result.duration_s)}")
    lines = [line]
    digests = "   ".join(f"{name} {short(result.digests[name])}" for name in FILES if name in result.digests)
    lines.append(safe(digests, 400, DIM))
    if result.server:
        lines.append(safe(mask_addresses(result.server), 300, DIM))
    sample = result.sample or {}
    lines += [
        safe(f"{name}: {mask_addresses(str(sample[name]))}", 160, DIM)
        for name in ("to", "subject")
        if sample.get(name)
    ]
    lines += [safe(f"✖ {mask_addresses(trouble)}", 400, DANGER) for trouble in result.troubles[:4]]
    if screen.against:
        lines += [safe(f"– no send: {reason}", 500, CAUTION) for reason in screen.against]
    else:
        lines.append(Text("S sends exactly this, after two confirmations.", "bold"))
    return lines
