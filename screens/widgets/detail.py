"""The campaign under the cursor in a few lines: why, what is wrong, what each source says, what to do next."""

from datetime import datetime, timedelta

from rich.style import Style
from rich.text import Text

from opsconsole import actions
from opsconsole.finding import Severity
from opsconsole.schedule import say_clocks, say_instant, say_span
from opsconsole.verdict import Verdict
from screens.safe import safe
from screens.widgets.line import Line
from screens.widgets.rows import CAUTION, DANGER, DIM, MARKS, PLAIN, distance, status_words

HANG = 3  # cells in front of each line of a sentence
SEVERITY = {Severity.BLOCK: ("✖", DANGER), Severity.WARN: ("!", CAUTION), Severity.INFO: ("·", DIM)}


class Detail(Line):
    """As many lines as it has room for, the most telling first; says so when some don't fit."""

    DEFAULT_CSS = "Detail { height: 38%; min-height: 8; max-height: 18; border-top: solid $panel-lighten-2; }"

    def refresh_words(self) -> None:
        self._shown = None if self._height != self.size.height else self._shown
        self._height = self.size.height
        super().refresh_words()

    _height = 0

    def words(self, width: int) -> Text:
        verdict = self.ops.get(self.console_screen.slug)
        if verdict is None:
            return Text()
        now, height = self.ops.now(), max(self.size.height, 3)
        lines = []
        for text in (*_heading(verdict, self.ops.local_zone, now, width), *_findings(verdict)):
            lines += _wrapped(text, width - 2, self)
        room = height - 1 - len(lines)
        evidence = _evidence(verdict, now, width, 1)
        if len(evidence) > room and width >= 140:
            evidence = _evidence(verdict, now, width, 2)
        lines += evidence
        if len(lines) > height - 1:
            lines = [*lines[: height - 2], Text(" … enter shows the rest", DIM)]
        return Text("\n", end="").join([*lines, self._next(verdict, width)])

    def _next(self, verdict: Verdict, width: int) -> Text:
        text = Text(no_wrap=True, end="").append(" Next: ", "bold")
        for step in verdict.next_steps:
            action = actions.BY_ID[step]
            off = bool(self.ops.disabled_reason(step, verdict.slug))
            style = Style(dim=off, meta={"@click": f"screen.perform('{step}')"})
            text.append(f"[{action.key}] {action.label}   ", style)
        text.truncate(width, overflow="ellipsis")
        return text


def _heading(verdict: Verdict, local_zone: str, now: datetime, width: int) -> list[Text]:
    details = verdict.details
    title = Text(" ").append_text(status_words(verdict)).append("  ").append_text(safe(verdict.slug, style="bold"))
    if details.name:
        title.append("  ").append_text(safe(details.name, 80))
    if details.round:
        title.append(f"  round {details.round}" + (f" of {details.rounds}" if details.rounds else ""), DIM)
    due = Text(" ")
    if details.due:
        due.append(f"due {say_clocks(details.due.instant, details.zone, local_zone)}")
        due.append(f"  {distance(verdict, now)}", Style(bold=True))
        if verdict.latest_start and verdict.run is None and width >= 100:
            due.append(f"  latest start {say_instant(verdict.latest_start, details.zone, now)}", DIM)
    else:
        due.append("no due time is known")
    if details.subject and width >= 100:
        due.append("  subject: ", DIM).append_text(safe(details.subject, 120))
    return [title, Text(" ").append_text(_sentence(verdict)), due]


def _sentence(verdict: Verdict) -> Text:
    sentence = verdict.why[:1].upper() + verdict.why[1:]
    return safe(sentence if sentence.endswith((".", "?", "!")) else f"{sentence}.", 600)


def _findings(verdict: Verdict) -> list[Text]:
    lines = []
    for finding in verdict.findings:
        glyph, style = SEVERITY[finding.severity]
        lines.append(Text.assemble(" ", (f"{glyph} ", style)).append_text(safe(finding.text, 300)))
    return lines


def _evidence(verdict: Verdict, now: datetime, width: int, columns: int) -> list[Text]:
    """Each piece of evidence with its source and age, in one column or two."""
    cells = []
    room = min((width - 1) // columns - 2, 118)
    for observation in verdict.observations:
        seen = observation.observed_at
        age = "never heard" if seen is None else _age(now - seen)
        if observation.out_of_reach_since:
            age = f"out of reach {say_span(now - observation.out_of_reach_since)}"
        style = PLAIN if observation.is_fresh(now) else CAUTION
        for evidence in observation.evidence:
            head = Text(end="").append_text(safe(observation.source, 16, DIM))
            head.pad_right(max(17 - head.cell_len, 1))
            head.append_text(safe(evidence.label, 18))
            head.pad_right(max(36 - head.cell_len, 1))
            head.append(f"{evidence.mark} ", MARKS.get(evidence.mark, PLAIN))
            head.append_text(safe(evidence.text, 200))
            head.truncate(room - len(age) - 2, overflow="ellipsis", pad=True)
            cells.append(Text(" ", end="").append_text(head).append(f"  {age}", style or DIM))
        if not observation.evidence and observation.trouble:
            cells.append(safe(f" {observation.source}: {observation.trouble}", room, CAUTION))
    if columns == 1:
        return cells
    half = (len(cells) + 1) // 2
    rows = []
    for index in range(half):
        row = cells[index].copy()
        if half + index < len(cells):
            row.pad_right(max(room + 2 - row.cell_len, 1))
            row.append_text(cells[half + index])
        rows.append(row)
    return rows


def _age(age: timedelta) -> str:
    """In minutes: a figure that changed every second would be painted every second, over a slow link too."""
    return f"{say_span(age)} ago" if age >= timedelta(minutes=1) else "< 1 min ago"


def _wrapped(text: Text, width: int, owner: Line) -> list[Text]:
    """The lines of a sentence, hanging under its first word. A path too long for a line is broken where it ends."""
    mark = len(text.plain) - len(text.plain.lstrip(" ✖!·"))
    head, sentence = text.divide([mark]) if mark else (Text(), text)
    lines = list(sentence.wrap(owner.app.console, width - HANG))
    return [(Text("   ") if number else head).append_text(more) for number, more in enumerate(lines)]
