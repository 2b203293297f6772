"""The parts of the campaign screen as text. Everything from outside passes `safe`; no widget here."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from opsconsole import actions
from opsconsole.campaign import FILES
from opsconsole.digests import short
from opsconsole.finding import Severity
from opsconsole.hostfacts import FileFact, FolderFacts
from opsconsole.observation import Content
from opsconsole.schedule import say_clocks, say_instant, say_span
from opsconsole.timeline import timeline
from opsconsole.verdict import Group, Verdict
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM, MARKS, PLAIN, distance, status_words

if TYPE_CHECKING:
    from opsconsole.audit.records import OutboxItem
    from opsconsole.preview import Preview

Work = Callable[[], Any]
Got = Callable[[Any], None]
SEVERITY = {Severity.BLOCK: ("✖", DANGER), Severity.WARN: ("!", CAUTION), Severity.INFO: ("·", DIM)}
HTML_SHOWN = 60_000  # characters


def head(verdict: Verdict, local_zone: str, now: datetime, series: str = "") -> Text:
    """Status, sentence, due time, and `series`, what is said of its other rounds."""
    details = verdict.details
    text = Text().append_text(status_words(verdict)).append("  ").append_text(safe(verdict.slug, style="bold"))
    text.append("  ").append_text(safe(details.name, 80)).append("\n").append_text(safe(verdict.why, 600))
    text.append("\n")
    if details.due:
        text.append(f"due {say_clocks(details.due.instant, details.zone, local_zone)}")
        text.append(f"  {distance(verdict, now)}", "bold")
    audience = f"{verdict.audience:,} people" if verdict.audience is not None else "audience not known"
    text.append(f"  {audience}", "" if verdict.audience is not None else DIM)
    return text.append("\n").append_text(safe(series, 400)) if series else text


def say_verdict(verdict: Verdict, now: datetime, width: int, told: "Sequence[OutboxItem]" = ()) -> Text:
    """Findings, who knows how it ended, next steps, and all evidence in the order in which it happened."""
    text = Text()
    for finding in verdict.findings:
        glyph, style = SEVERITY[finding.severity]
        text.append(f"{glyph} ", style).append_text(safe(finding.code, 40, style)).append("  ")
        text.append_text(safe(finding.text, 600)).append("\n")
        for line in finding.evidence:
            text.append("    ").append_text(safe(line, 300, DIM)).append("\n")
    if verdict.approval is not None and verdict.group is not Group.DONE:
        text.append_text(say_approved(verdict, now)).append("\n")
    for item in told:
        text.append_text(_told(item, now, verdict.details.zone)).append("\n")
    for source, link in links(verdict):
        text.append("Its page: ", "bold").append_text(safe(f"{link}  ({source})", 300)).append("\n")
    steps = [actions.BY_ID[step] for step in verdict.next_steps]
    text.append("Next: ", "bold").append("  ".join(f"[{a.key}] {a.label}" for a in steps)).append("\n\n")
    zone = verdict.details.zone
    for entry in timeline(verdict):
        when = say_instant(entry.at, zone, now) if entry.at else "no instant"
        future = entry.at is not None and entry.at > now
        text.append(f"{when:<22}", DIM if entry.at is None else "bold" if future else "")
        text.append_text(safe(f"{entry.source:<16}", 24, DIM)).append(
            f"{entry.mark} ", MARKS.get(entry.mark, PLAIN)
        )
        text.append_text(safe(entry.text, 400))
        if entry.looked_at and width >= 120:
            text.append(f"   seen {say_span(now - entry.looked_at)} ago", DIM)
        text.append("\n")
    return text


def _told(item: "OutboxItem", now: datetime, zone: str) -> Text:
    from opsconsole.recording import say_recorded

    waits = item.done_utc is None
    glyph, style = ("⧖", CAUTION) if waits else ("✓", DIM)
    return Text().append(f"{glyph} ", style).append_text(safe(say_recorded(item, now, zone), 300, style))


def say_approved(verdict: Verdict, now: datetime) -> Text:
    """Who approved which content, whether it counts, and until when."""
    approval, zone = verdict.approval, verdict.details.zone
    assert approval is not None
    counts = approval in verdict.approvals
    text = Text().append("Approved: ", "bold")
    if approval.alone:
        text.append_text(safe(f"by {approval.said_by()}, nobody else", 120, DANGER))
    else:
        text.append_text(safe(f"by {approval.by}", 80))
    if approval.at:
        text.append(f" {say_instant(approval.at, zone, now)}")
    text.append(f", content {short(approval.digest)}" if approval.digest else ", no content named")
    if approval.expires is not None:
        left = f"{say_span(approval.expires - now)} left" if approval.expires > now else "over"
        text.append(f", until {say_instant(approval.expires, zone, now)} ({left})", "" if counts else str(CAUTION))
    if not counts:
        text.append("  it doesn't count for what lies there now", CAUTION)
    others = [a.by for a in verdict.approvals if a is not approval]
    return text.append_text(safe(f"; also by {', '.join(others)}", 120)) if others else text


def links(verdict: Verdict) -> list[tuple[str, str]]:
    """Where people look at it in the pages of its systems, by source."""
    return [(o.source, o.link) for o in verdict.observations if o.link]


def _content(verdict: Verdict | None) -> Content | None:
    found = (o.content for o in verdict.observations if o.keeps_traces and o.content) if verdict else ()
    return next(iter(found), None)


def in_files(verdict: Verdict | None, machines: Collection[str]) -> bool:
    """Whether its content lies in files, as it does on `machines`; another carrier has parts of its own."""
    carriers = {o.source for o in verdict.observations if o.keeps_traces} if verdict else set()
    return not carriers.isdisjoint(machines) if carriers else bool(machines)


def say_files(verdict: Verdict, folder: FolderFacts | None, files: bool, now: datetime) -> Text:
    """The files, or other parts, with digest, time and rows; then all the metadata says, unknown keys too."""
    text = Text()
    content = _content(verdict)
    digests = dict(content.digests) if content else {}
    if not files and not digests:
        text.append("Its parts were not looked at: that is done for one that is still to be sent.\n", DIM)
    for name in FILES if files else sorted(digests):
        fact = folder.files.get(name) if folder else None
        text.append_text(safe(f"{name:<22}", 40, "bold"))
        if fact is not None:
            text.append_text(_file(fact, now))
        elif name in digests:
            text.append(short(digests[name]))
        else:
            text.append("not seen", DIM)
        text.append("\n")
    if content and content.rows is not None:
        text.append(f"{content.rows:,} rows{'' if content.rows_exact else ', about'}\n")
    details = verdict.details
    text.append("\nMetadata\n", "bold")
    known: dict[str, object] = {
        "name": details.name,
        "subject": details.subject,
        "from": details.sender,
        "reply_to": details.reply_to,
        "due": f"{details.due.text} {details.due.zone}" if details.due else "",
        "window": f"{details.window} {details.zone}" if details.window else "",
        "expected_recipients": details.expected_recipients,
        "series": details.series,
        "round": f"{details.round} of {details.rounds}" if details.round else "",
        "owner": details.owner,
        "list_unsubscribe": details.list_unsubscribe,
        "max_rate": details.max_rate,
        "channel": "" if details.channel == "email" else details.channel,
        "email_column" if details.channel == "email" else "phone_column": details.recipient_column if files else "",
        "max_segments": details.max_segments,
    }
    for key, value in known.items():
        if value not in ("", None):
            text.append(f"  {key:<20}", DIM).append_text(safe(value, 400)).append("\n")
    if details.extra:
        text.append("Keys that the console doesn't know\n", "bold")
        for key, value in details.extra.items():
            text.append_text(safe(f"  {key:<20}", 60, CAUTION)).append_text(safe(_json(value), 300)).append("\n")
    for problem in details.problems:
        text.append_text(safe(f"! {problem}", 400, CAUTION)).append("\n")
    return text


def _file(fact: FileFact, now: datetime) -> Text:
    if not fact.there:
        return safe(f"{fact.kind} {fact.trouble}".strip(), 200, DANGER)
    age = say_span(now - datetime.fromtimestamp(fact.mtime_ns / 1e9, UTC))
    rows = f"  {fact.rows:,} rows" if fact.rows is not None else ""
    words = f"{short(fact.sha256 or ''):<13}{fact.size:>9,} B  changed {age} ago{rows}"
    return Text(words).append_text(safe(f"  {fact.owner} {fact.mode:04o}", 40, DIM))


def say_preview(shown: "Preview | None", mask: Callable[[str], str], raw: bool) -> Text:
    """The mail of one recipient, the text of it or its HTML; and the row it was made of."""
    if shown is None:
        return Text("Reading its content and rendering the first recipient …", DIM)
    text = Text(f"recipient {shown.number:,}", "bold", end="").append(
        "   n next · b before · g go to · y source", DIM
    )
    text.append("\n")
    for name, value in shown.values.items():
        text.append_text(safe(f"  {name:<16}", 40, DIM)).append_text(safe(mask(value), 200)).append("\n")
    if shown.trouble:
        return text.append("\n").append_text(safe(f"✖ {mask(shown.trouble)}", 800, DANGER))
    text.append("\n")
    for name, value in shown.headers.items():
        text.append(f"{name:<13}", DIM).append_text(safe(mask(value), 300, "bold" if name == "subject" else ""))
        text.append("\n")
    if not raw and shown.html and not shown.text:
        text.append("\nIt has no plain text; y shows its HTML.\n", DIM)
    body = shown.html if raw else shown.text
    return text.append("\n").append_text(safe(mask(body[:HTML_SHOWN]), lines=True))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
