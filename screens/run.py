"""A run, live: how far it is, its log, and the keys that steer it. Leaving the screen ends nothing."""

import textwrap
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from opsconsole.actions import Place
from opsconsole.observation import Counts, Says
from opsconsole.redact import mask_addresses
from opsconsole.runlog import Progress, say_duration
from opsconsole.verdict import Status, Verdict
from screens.attach import Attachment
from screens.base import registry_bindings
from screens.logscreen import LogScreen
from screens.safe import safe, say
from screens.widgets.line import Line
from screens.widgets.rows import CAUTION, DANGER, DIM, LOOKS

CLASSES = 6  # kinds of failure that are named
LOOK_EVERY = 0.25  # seconds; the head is painted only when its words changed


class RunHead(Line):
    """A few lines: what it is doing, how far, and what was wrong."""

    DEFAULT_CSS = "RunHead { height: auto; max-height: 13; padding: 0 0 1 0; }"
    grows = True

    def words(self, width: int) -> Text:
        screen = self.screen
        assert isinstance(screen, RunScreen)
        return head(screen.attachment, self.ops.get(screen.slug), self.ops.where, width)


class RunScreen(LogScreen):
    """Attached to a run (the newest, or `attempt`) from the first byte of its log."""

    PLACE = Place.RUN
    BINDINGS: ClassVar[list[BindingType]] = [
        *registry_bindings(Place.RUN),
    ]

    def __init__(self, slug: str, attempt: int | None = None) -> None:
        super().__init__(slug)
        self._attempt = attempt
        self.attachment: Attachment | None = None

    @property
    def crumbs(self) -> tuple[str, ...]:
        return ("board", self.slug, "run")

    @property
    def quit_warning(self) -> str:
        if self.attachment is None or not self.attachment.live:
            return ""
        return f"{self.slug} is still going. Leaving ends nothing: it goes on where it is; attach again with a."

    def body(self) -> ComposeResult:
        yield RunHead()
        yield self.log_view

    def on_mount(self) -> None:
        super().on_mount()
        self.attachment = Attachment(self.console, self.slug, self._attempt, self.ops.data_dir / "logs")
        self.attachment.start()
        self.set_interval(LOOK_EVERY, self.look)

    def on_unmount(self) -> None:
        if self.attachment is not None:
            self.attachment.leave()

    def look(self) -> None:
        attachment = self.attachment
        if attachment is not None and attachment.stream is not None and self.log_view.stream is None:
            self.log_view.show(attachment.stream)
        self.query_one(RunHead).refresh_words()


def head(attachment: Attachment | None, verdict: Verdict | None, where: dict[str, str], width: int) -> Text:
    """What stands over the log."""
    if attachment is None or (attachment.run is None and not attachment.trouble):
        lost = attachment.lost if attachment else ""
        return safe(f" Looking for the run … {lost}", width, CAUTION if lost else DIM)
    progress = attachment.stream.skimmer.progress if attachment.stream else Progress()
    lines = [_title(attachment, verdict, where), *progress_lines(attachment, progress, verdict, width)]
    if attachment.end is None and (why := progress.why):
        waits = textwrap.wrap(say(mask_addresses(why), 300), max(width - 2, 10))
        lines += [Text(f" {line}", CAUTION) for line in waits]
    if progress.classes:
        lines += flow([Text("failed by class", DIM), *_classes(progress)], width)
    if error := progress.last_error:
        lines.append(Text.assemble((" last error  ", DIM), safe(mask_addresses(error), 300, DANGER)))
    if link := attachment.link:
        words = f" link lost, the run goes on; trying again ({link})"
        lines.append(safe(words, 300, CAUTION))
    if attachment.trouble:
        lines.append(safe(f" {attachment.trouble}", 500, DANGER))
    if attachment.end is not None:
        recorded = " · ".join(attachment.recorded) or "recording the end …"
        lines.append(safe(f" {recorded}", 300))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", end="").join(lines)


def _title(attachment: Attachment, verdict: Verdict | None, where: dict[str, str]) -> Text:
    state, style = _state(attachment, verdict)
    line = Text(" ").append(state, style).append("  ")
    line.append_text(safe(attachment.slug, style="bold"))
    run = attachment.run
    if run is not None:
        line.append(f"  attempt {run.attempt}", DIM).append_text(
            safe(f"  run {run.run_id or 'without an id'}", 40, DIM)
        )
    if attachment.carrier:
        line.append_text(safe(f"  on {where.get(attachment.carrier) or attachment.carrier}", 60, DIM))
    if verdict is not None and verdict.details.subject:
        line.append_text(safe(f"  “{verdict.details.subject}”", 80, DIM))
    return line


def _state(attachment: Attachment, verdict: Verdict | None) -> tuple[str, str]:
    """In one word, by the freshest that is known: the run's own end, its log, what the board says."""
    end = attachment.end
    if end is not None:
        counts, rc = end.word.counts, end.word.rc
        if counts is not None and not counts.accepted and not counts.unknown:
            return "✗ FAILED", str(DANGER)
        short = counts is not None and counts.total is not None and counts.accepted < counts.total
        whole = rc in (0, None) and not short and (counts is None or not (counts.failed or counts.unknown))
        return ("✓ ENDED", "bold") if whole else ("◑ ENDED, not whole", str(DANGER))
    state = attachment.stream.skimmer.progress.state if attachment.stream else ""
    status = verdict.status if verdict is not None else Status.SENDING
    if state == "paused" or (not state and attachment.run and attachment.run.says is Says.PAUSED):
        status = Status.PAUSED
    elif status not in (Status.STALLED, Status.PAUSED, Status.SENDING, Status.IN_DOUBT):
        status = Status.SENDING
    glyph, style = LOOKS[status]
    waits = f" ({state})" if state not in ("", "sending", "paused", "running") else ""
    return f"{glyph} {status}{waits}", str(style)


def progress_lines(attachment: Attachment, progress: Progress, verdict: Verdict | None, width: int) -> list[Text]:
    """How far, how fast, how long still: as many lines as it takes, for nothing of it may be cut off."""
    counts = _counts(attachment, progress, verdict)
    if counts is None:
        return [Text(" nobody counted yet", DIM)]
    total = counts.total or (verdict.audience if verdict else None)
    parts = [Text(f"{counts.settled:,} settled")]
    if total:
        share = min(counts.settled / total, 1.0)
        cells = max(min(width // 4, 40), 10)
        full = int(share * cells)
        parts = [
            Text.assemble(("█" * full, "#7fb3d5"), ("░" * (cells - full), DIM), (f" {int(share * 100)} %", "bold"))
        ]
        parts[0].append(f"  {counts.settled:,} of {total:,}")
    parts.append(Text(f"{counts.failed:,} failed", DANGER if counts.failed else ""))
    parts += [Text(f"{counts.unknown:,} unknown", DANGER)] if counts.unknown else []
    parts += [Text(f"{counts.deferred:,} to be tried again", CAUTION)] if counts.deferred else []
    parts += [Text(f"{counts.suppressed:,} suppressed", DIM)] if counts.suppressed else []
    if attachment.end is not None:
        word = attachment.end.word
        if word.started_at and word.ended_at:
            parts.append(Text(f"took {say_duration((word.ended_at - word.started_at).total_seconds())}"))
        return flow(parts, width)
    return flow([*parts, *_speed(progress, verdict)], width)


def _speed(progress: Progress, verdict: Verdict | None) -> list[Text]:
    run = verdict.run if verdict is not None else None
    rate = progress.rate if progress.rate is not None else run.rate if run else None
    left = progress.eta_s if progress.eta_s is not None else run.eta_s if run else None
    parts = []
    if progress.rate_1s is not None and progress.rate_30s is not None:
        if progress.rate_1s or progress.rate_30s:
            parts.append(Text(f"{progress.rate_1s:,.1f}/s, over 30 s {progress.rate_30s:,.1f}/s"))
    elif rate:
        parts.append(Text(f"{rate:,.1f}/s"))
    if left is not None:
        parts.append(Text(f"{say_duration(left)} left"))
    if progress.rate_limit not in ("", "none"):
        parts.append(safe(f"limit {progress.rate_limit}/s", 30, DIM))
    if progress.account not in ("", "main"):
        parts.append(safe(f"{progress.account} account", 30, CAUTION))
    return parts


def _classes(progress: Progress) -> list[Text]:
    parts = [safe(f"{number:,} {kind}", 60, DANGER) for kind, number in progress.classes[:CLASSES]]
    more = len(progress.classes) - CLASSES
    return [*parts, Text(f"and {more} more", DIM)] if more > 0 else parts


def flow(parts: list[Text], width: int) -> list[Text]:
    """The parts with dots between, on as many lines as they need."""
    lines = [Text(" ")]
    for part in parts:
        line = lines[-1]
        if line.cell_len > 1 and line.cell_len + 3 + part.cell_len > width:
            lines.append(line := Text(" "))
        if line.cell_len > 1:
            line.append(" · ", DIM)
        line.append_text(part)
    return lines


def _counts(attachment: Attachment, progress: Progress, verdict: Verdict | None) -> Counts | None:
    if attachment.end is not None:
        return attachment.end.word.counts or progress.counts
    if progress.counts is not None:
        return progress.counts
    return verdict.run.counts if verdict is not None and verdict.run else None
