"""How a campaign looks in one line of the board, and in which order the lines stand. No widget here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from opsconsole.board import Board
from opsconsole.observation import Mark, RunWord
from opsconsole.present import moved_words, round_mark
from opsconsole.redact import mask_addresses
from opsconsole.schedule import say_distance, say_instant, say_span
from opsconsole.verdict import Group, Status, Verdict
from screens.safe import safe

if TYPE_CHECKING:
    from opsconsole.filters import Query

DANGER = Style.parse("bold #ff6b60")
CAUTION = Style.parse("bold #e0b050")
BUSY = Style.parse("bold #7fb3d5")
DIM = Style(dim=True)
PLAIN = Style()

LOOKS: dict[Status, tuple[str, Style]] = {
    Status.CONFLICT: ("✖", DANGER),
    Status.IN_DOUBT: ("!", DANGER),
    Status.STALLED: ("■", DANGER),
    Status.PARTIAL: ("◑", DANGER),
    Status.FAILED: ("✗", DANGER),
    Status.OVERDUE: ("▲", DANGER),
    Status.ERROR: ("!", DANGER),
    Status.CLAIMED: ("◌", CAUTION),
    Status.UNKNOWN: ("?", CAUTION),
    Status.EXPIRED: ("▽", CAUTION),
    Status.SENDING: ("▶", BUSY),
    Status.PAUSED: ("‖", BUSY),
    Status.DUE: ("△", Style(bold=True)),
    Status.PENDING: ("·", PLAIN),
    Status.HELD: ("⊘", PLAIN),
    Status.UNAPPROVED: ("◇", PLAIN),
    Status.SENT: ("✓", DIM),
    Status.CANCELLED: ("–", DIM),
}
MARKS = {Mark.BAD: DANGER, Mark.UNSEEN: CAUTION, Mark.MOVING: BUSY, Mark.WAITING: BUSY, Mark.NO: DIM}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the board; numbers stand to the right."""

    id: str
    title: str
    width: int
    right: bool = False


STARTED = frozenset({Status.SENT, Status.PARTIAL, Status.SENDING, Status.PAUSED, Status.STALLED, Status.IN_DOUBT})


def columns(width: int, longest: int) -> tuple[Column, ...]:
    """The columns that `width` cells have room for. `longest` is the longest of a slug with its round on show.

    What is lost first is also told below the table: when it moved, what each source says, the clock time.
    """
    status = Column("status", "STATUS", 12)
    audience = Column("audience", "AUDIENCE", 9, right=True)
    slug = max(12, min(longest, 34 if width >= 130 else 28 if width >= 105 else 24))
    chosen = [status, Column("campaign", "CAMPAIGN", slug)]
    if width >= 105:
        chosen += [Column("due", "DUE", 19), Column("distance", "", 12), audience]
        chosen += [Column("says", "SAYS", 10)]
    else:
        chosen += [Column("distance", "DUE", 12), audience]
    if width >= 130:
        chosen.append(Column("moved", "MOVED", 9, right=True))
    used = sum(column.width + 1 for column in chosen) + 1
    return (*chosen, Column("why", "WHY", max(width - used - 1, 8)))


def arrange(
    board: Board, group: Group | None, query: "Query | None", sort: str, reverse: bool
) -> tuple[Verdict, ...]:
    """The verdicts to show, in order. Without a sort they stand as the board has them: what needs you first."""
    shown = board.group(group)
    if query:
        shown = query.of(shown)
    if sort or reverse:
        from opsconsole.ordering import ordered  # the first paint needs neither

        shown = ordered(shown, sort, reverse)
    return shown


def campaign_width(verdict: Verdict) -> int:
    """The cells that its slug and its round take."""
    return len(verdict.slug) + (len(round_mark(verdict)) + 1 if verdict.details.round is not None else 0)


def line(verdict: Verdict, now: datetime, layout: Sequence[Column]) -> Text:
    """One line of the board, as wide as its columns and no wider."""
    text = Text(no_wrap=True, end="")
    for column in layout:
        cell = _cell(verdict, column, now)
        cell.truncate(column.width, overflow="ellipsis")
        gap = column.width - cell.cell_len
        if column.right:
            text.append(" " * gap)
            gap = 0
        text.append_text(cell)
        text.append(" " * (gap + 1))
    return text


def status_words(verdict: Verdict) -> Text:
    """Glyph and word, coloured by what they ask for; something done that can still do harm is amber."""
    glyph, style = LOOKS[verdict.status]
    if verdict.group is Group.ATTENTION and verdict.status in (Status.SENT, Status.CANCELLED):
        style = CAUTION
    return Text.assemble((f"{glyph} {verdict.status}", style), end="")


def _cell(verdict: Verdict, column: Column, now: datetime) -> Text:
    quiet = DIM if verdict.group is Group.DONE else PLAIN
    due, zone = verdict.details.due, verdict.details.zone
    match column.id:
        case "status":
            return status_words(verdict)
        case "campaign":
            return _campaign(verdict, quiet or Style(bold=verdict.group is Group.ATTENTION), column.width)
        case "due":
            return Text(say_instant(due.instant, zone, now) if due else "–", quiet, end="")
        case "distance":
            return Text(distance(verdict, now), quiet, end="")
        case "audience":
            return Text(f"{verdict.audience:,}" if verdict.audience is not None else "–", quiet, end="")
        case "says":
            return says(verdict)
        case "moved":
            return Text(moved_words(verdict, now), quiet, end="")
        case _:
            return why(verdict, quiet, column.width)


def _campaign(verdict: Verdict, style: Style, width: int) -> Text:
    """The slug, and which round it is: that is never cut off, since the slugs of rounds look alike."""
    mark = round_mark(verdict)
    text = safe(verdict.slug, style=style)
    if mark:
        text.truncate(max(width - len(mark) - 1, 1), overflow="ellipsis")
        text.append(f" {mark}", DIM)
    return text


def distance(verdict: Verdict, now: datetime) -> str:
    """How far off the due time is; of what has started, how late or early it did; "–" where nobody knows."""
    due = verdict.details.due
    if due is None:
        return "–"
    started = verdict.run.started_at if verdict.run else None
    if started is not None and verdict.status in STARTED:
        late = started - due.instant
        if abs(late) < timedelta(minutes=1):
            return "on time"
        return f"{say_span(abs(late))} {'late' if late > timedelta(0) else 'early'}"
    return "–" if verdict.status in STARTED else say_distance(due.instant, now)


def says(verdict: Verdict) -> Text:
    """The letter of each piece of evidence with its mark: `D✓F✓C–L–`; the worst mark where a letter repeats."""
    worst = list(MARKS)
    marks: dict[str, Mark] = {}
    for observation in verdict.observations:
        for evidence in observation.evidence:
            known = marks.get(evidence.letter)
            ranks = [worst.index(m) if m in worst else len(worst) for m in (evidence.mark, known) if m]
            if known is None or ranks[0] < ranks[1]:
                marks[evidence.letter] = evidence.mark
    text = Text(end="")
    for letter, mark in marks.items():
        text.append_text(safe(letter, 2)).append(str(mark), MARKS.get(mark, PLAIN))
    return text


def why(verdict: Verdict, style: Style, width: int) -> Text:
    """The sentence why; for a run that is going its progress, for a harm still to come the alarm."""
    if verdict.status in (Status.SENDING, Status.PAUSED, Status.STALLED) and verdict.run:
        progress = say_progress(verdict.run, min(18, width // 3))
        if progress is not None:
            return progress
    alarm = next((f.text for f in verdict.findings if f.alarm), "")
    if alarm and verdict.status in (Status.SENT, Status.CANCELLED):
        return safe(alarm, 300)
    sentence = verdict.why
    if sentence.startswith("approved by ") and "," in sentence:  # by whom and when is told below the table
        sentence = "approved" + sentence[sentence.index(",") :]
    return safe(sentence, 300, style)


def say_progress(run: RunWord, bar: int) -> Text | None:
    """`███████░░░ 61 %  1,587 · 0 failed · 3 min left`; None when nothing was counted yet."""
    counts = run.counts
    if counts is None:
        return None
    text = Text(end="")
    if counts.total:
        share = min(counts.settled / counts.total, 1.0)
        full = round(share * bar)
        text.append("█" * full, BUSY).append("░" * (bar - full), DIM)
        text.append(f" {share:.0%}".replace("%", " %")).append("  ")
    text.append(f"{counts.accepted:,} · ")
    text.append(f"{counts.failed:,} failed", DANGER if counts.failed else PLAIN)
    if counts.unknown:
        text.append(f" · {counts.unknown:,} unknown", DANGER)
    if run.eta_s is not None:
        text.append(f" · {say_span(timedelta(seconds=run.eta_s))} left")
    if run.going.why:
        text.append(" · ").append_text(safe(mask_addresses(run.going.why), 120, CAUTION))
    return text
