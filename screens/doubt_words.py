"""A broken run as text: what the journal, the mail log and everybody else say of it. No widget here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.text import Text

from opsconsole.observation import Observation, Says
from opsconsole.ports import Doubt, Fate, Unknown
from opsconsole.schedule import say_instant, say_span
from opsconsole.verdict import Verdict
from screens.safe import safe
from screens.widgets.rows import CAUTION, DANGER, DIM, MARKS, PLAIN, status_words

SAID = {None: ("·", DIM), Fate.SENT: ("✓ sent", PLAIN), Fate.RESEND: ("↻ send again", CAUTION)}


def say_head(verdict: Verdict | None, slug: str, doubt: Doubt | None) -> Text:
    """Status and sentence; the run they are about."""
    text = Text(" ")
    if verdict is not None:
        text.append_text(status_words(verdict)).append("  ")
    text.append_text(safe(slug, style="bold"))
    if doubt is not None:
        text.append_text(safe(f"  run {doubt.run_id}  attempt {doubt.attempt}", 60, DIM))
    if verdict is not None:
        text.append("\n ").append_text(safe(verdict.why, 600))
    return text


def say_journal(doubt: Doubt, carrier: str, read: datetime, now: datetime, short: bool = False) -> Text:
    """Everybody of the run in one of four heaps; `short` on one line."""
    counts = doubt.counts
    if short:
        text = _title("Journal", _ago(read, now))
        text.append(f"  {counts.accepted:,} accepted")
        for number, words in ((counts.failed, "refused"), (doubt.unknown_total, "unknown")):
            text.append(f" · {number:,} {words}", DANGER if number else DIM)
        return text.append(f" · {doubt.unsent:,} unsent", "bold" if doubt.unsent else DIM)
    text = _title("Journal", f"{carrier}, read {_ago(read, now)}")
    total = f" of {counts.total:,}" if counts.total is not None else ""
    text.append(f"\n {counts.accepted:,} accepted{total}")
    for number, words in (
        (counts.failed, "refused for good"),
        (doubt.unknown_total, "unknown: handed over, no answer on record"),
    ):
        text.append(f"\n {number:,} {words}", DANGER if number else DIM)
    return text.append(
        f"\n {doubt.unsent:,} never handed over, or to get it again", "bold" if doubt.unsent else DIM
    )


def say_maillog(doubt: Doubt, carrier: str, read: datetime, now: datetime, short: bool = False) -> Text:
    """Which log was read, and of how many unknown it has a word; `short` on one line."""
    if short:
        text = _title("Mail log", _ago(read, now))
        known = sum(bool(one.maillog) for one in doubt.unknown)
        about = f"  has {known:,} of {len(doubt.unknown):,} unknown · " if doubt.unknown else "  "
        return text.append(about).append_text(safe(doubt.maillog or "none was read", 120))
    text = _title("Mail log", f"{carrier}, read {_ago(read, now)}")
    text.append("\n ").append_text(safe(doubt.maillog or "none was read", 200))
    if doubt.unknown:
        known = sum(bool(one.maillog) for one in doubt.unknown)
        text.append(f"\n has a word of {known:,}", "" if known else DIM)
        text.append(
            f"\n has none of {len(doubt.unknown) - known:,}", CAUTION if known < len(doubt.unknown) else DIM
        )
    return text


def say_others(verdict: Verdict | None, carrier: str, now: datetime, short: bool = False) -> Text:
    """Dashboard, provider and this console's own store: each with what it has and when it was seen; `short` on a
    line each."""
    others = [
        o
        for o in (verdict.observations if verdict else ())
        if o.source != carrier and (o.says is not Says.ABSENT or o.trouble)
    ]
    lines = [_other(o, verdict, now, 0 if short else 3) for o in others]
    if not lines:
        lines = [Text("nobody else knows of it", DIM)]
    if short:
        return Text("\n ").join([_title("Others", "").append("  ").append_text(lines[0]), *lines[1:2]])
    return Text("\n ").join([_title("Others", ""), *lines])


def _other(observation: Observation, verdict: Verdict | None, now: datetime, most: int) -> Text:
    zone = verdict.details.zone if verdict else ""
    seen = _ago(observation.observed_at, now) if observation.observed_at else "never heard"
    text = Text().append_text(safe(f"{observation.source}  ", 24, "bold"))
    text.append_text(safe(observation.note or str(observation.says), 80))
    counts = observation.run.counts if observation.run else None
    if counts is not None:
        text.append(f", {counts.accepted:,} accepted")
    if observation.since is not None:
        text.append(f", {say_instant(observation.since, zone, now)}")
    text.append(f"  {seen}", DIM if observation.is_fresh(now) else CAUTION)
    for evidence in observation.evidence[:most]:
        text.append(f"\n   {evidence.mark} ", MARKS.get(evidence.mark, PLAIN))
        text.append_text(safe(f"{evidence.label} {evidence.text}", 120))
    return text


def say_row(one: Unknown, fate: Fate | None, short: bool = False) -> Text:
    """All of one recipient, for the lines under the table; `short` without the message's id."""
    word, style = SAID[fate]
    decided = "not decided yet" if fate is None else f"you mean: {word}"
    text = (
        Text().append(f" row {one.row:,}  ", "bold").append_text(safe(one.who, 80)).append(f"   {decided}", style)
    )
    text.append("\n journal   ", DIM).append_text(safe(one.why, 300))
    maillog = one.maillog or "nothing of this message"
    text.append("\n mail log  ", DIM).append_text(safe(maillog, 300, "" if one.maillog else CAUTION))
    if short:
        return text
    return text.append("\n message   ", DIM).append_text(safe(one.message_id or "no id on record", 200))


def say_marks(fates: Mapping[int, Fate], total: int) -> str:
    """`3 of 12 marked: 2 sent, 1 send again`."""
    if not fates:
        return f"none of {total:,} marked: space marks one, * marks all"
    counts = Counter(fates.values())
    parts = [f"{counts[fate]:,} {SAID[fate][0].split(maxsplit=1)[1]}" for fate in Fate if counts[fate]]
    return f"{len(fates):,} of {total:,} marked: {', '.join(parts)}"


def say_every(fate: Fate, total: int) -> str:
    """`all 2,412 marked: sent`, also those that aren't listed."""
    return f"all {total:,} marked: {SAID[fate][0].split(maxsplit=1)[1]}"


def say_rows(rows: Sequence[int]) -> str:
    """`rows 12, 15, 19 …`."""
    named = ", ".join(f"{row:,}" for row in sorted(rows)[:12])
    return f"row{'s' * (len(rows) != 1)} {named}{' …' * (len(rows) > 12)}"


def short_id(message_id: str, width: int) -> str:
    """The telling part of a Message-ID: before the @, its end when it is long."""
    local = message_id.strip("<>").partition("@")[0]
    return local if len(local) <= width else "…" + local[-(width - 1) :]


def _title(name: str, about: str) -> Text:
    return Text(" ").append(name, "bold underline").append_text(safe(f"  {about}" if about else "", 80, DIM))


def _ago(instant: datetime, now: datetime) -> str:
    seconds = (now - instant).total_seconds()
    return "just now" if seconds < 5 else f"{say_span(now - instant)} ago"
