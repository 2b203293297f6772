"""A person's decision on recipients whose fate isn't known, written into the journal under the campaign's lock."""

import re
from collections.abc import Iterable
from datetime import datetime

from runner.errors import BAD_DATA, BUSY, USAGE, Refused
from runner.record import journal
from runner.record.doubt import Standing, attempt, standing
from runner.record.journal import FATES, Journal, Replay
from runner.record.maillog import Found, look
from runner.run import claim
from runner.settings import Settings

ALL = "all"
_ALL_OF = re.compile(r"all=(\d{1,9})")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_NAMES = {
    journal.PENDING: "not handed over yet",
    journal.CLAIMED: "claimed and provably not handed over",
    journal.DEFERRED: "refused for now, to be tried again",
    journal.ACCEPTED: "accepted by the mail server",
    journal.FAILED: "refused for good",
    journal.TAKEN_FOR_SENT: "decided already: sent",
    journal.RESEND: "decided already: to be sent again",
}
_TOLD = 20

Rows = list[tuple[int, int]] | str | int | None  # ranges, ALL, all if they are so many, or none named


def parse_rows(text: str | None) -> Rows:
    """`3,7,10-12` as ranges, ALL, or for `all=2601` the number. Raises Refused (2)."""
    if text is None or text == ALL:
        return text
    if every := _ALL_OF.fullmatch(text):
        return int(every[1])
    ranges = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if not 1 <= first <= last:
            raise Refused(USAGE, f"{part.strip()[:40]!r} names no rows: write 3,7,10-12 or {ALL}")
        ranges.append((first, last))
    return ranges


def resolve(
    settings: Settings, sent: Rows, resend: Rows, by: str, now: datetime, *, proven: Rows = None
) -> Standing:
    """Decide rows, all of them or, when one can't be decided, none. What is decided so already is left alone.

    Of the rows `proven` those are taken for sent whose mail the mail server's log proves to have been taken over;
    the others stay unknown. Raises Refused (2, 65, 70, 75): rows that aren't unknown are named with their state.
    """
    claim.lock(settings.state_dir / settings.slug)  # kept until this process ends
    run = attempt(settings)
    if claim.released(run.path):
        raise Refused(BUSY, f"{run.path} was given back: there is nothing to decide about it any more")
    if claim.alive(run.path):
        raise Refused(BUSY, f"a run of {settings.slug} is going: decide when it has ended")
    claim.work_alone(run.path, deciding=True)
    found = standing(settings, run)
    if found.old is None:
        raise Refused(BAD_DATA, "nothing was begun in this attempt: no recipient is unknown")
    log, decisions = None, _decisions(found.old, sent, resend)
    why = dict.fromkeys(decisions, by)
    if proven is not None:
        log = _log_of(settings, found)
        for row, fate in _decisions(found.old, proven, None).items():
            if taken := _proof(found, log, row):
                decisions[row] = fate
                why[row] = f"{by}, by the mail log: {' '.join(taken)}"
    if decisions:
        _write(found, decisions, why, now)
    left = standing(settings, run)
    left.log, left.settled = log, len(decisions)
    return left


def _log_of(settings: Settings, found: Standing) -> Found:
    """Raises Refused (65) when no mail log can be read: nothing found isn't nothing sent."""
    log = look(settings.maillogs, list(found.message_ids.values()))
    if found.unknown and not log.read:
        raise Refused(BAD_DATA, f"{log.where}. Nothing was written; name the log with --maillog FILE")
    return log


def _proof(found: Standing, log: Found, row: int) -> list[str]:
    """The queue ids under which the mail server took this mail over. Of a row that was sent twice, because a person
    had it sent again, the log can't tell which of the two it means."""
    assert found.old is not None
    return [] if row in found.old.resent else log.taken(found.message_ids.get(row, ""))


def _decisions(old: Replay, sent: Rows, resend: Rows) -> dict[int, str]:
    """The fate of each row still to be decided."""
    chosen: dict[int, str] = {}
    refused: list[str] = []
    for fate, rows in (("sent", sent), ("resend", resend)):
        for row in _expand(old, rows):
            if chosen.setdefault(row, fate) != fate:
                raise Refused(USAGE, f"row {row} is named as sent and to be sent again")
            state = old.states[row]
            if state not in journal.DOUBTFUL and state != FATES[fate]:
                refused.append(f"row {row}: {_NAMES.get(state, 'not known')}")
    if refused:
        more = f", and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
        raise Refused(
            BAD_DATA,
            f"only unknown recipients can be decided; {'; '.join(refused[:_TOLD])}{more}. Nothing was written",
        )
    return {row: fate for row, fate in chosen.items() if old.states[row] in journal.DOUBTFUL}


def _expand(old: Replay, rows: Rows) -> Iterable[int]:
    if rows is None:
        return
    if isinstance(rows, str | int):
        unknown = list(old.doubtful())
        if rows not in (ALL, len(unknown)):
            raise Refused(BAD_DATA, f"{len(unknown)} recipients are unknown now, not {rows}. Nothing was written")
        yield from unknown
        return
    last_row = len(old.states) - 1
    if sum(last - first + 1 for first, last in rows if last <= last_row) > last_row:
        raise Refused(USAGE, "more rows are named than there are: name each once")
    for first, last in rows:
        if last > last_row:
            raise Refused(BAD_DATA, f"there is no row {last}: this run has {last_row}. Nothing was written")
        yield from range(first, last + 1)


def _write(found: Standing, decisions: dict[int, str], by: dict[int, str], now: datetime) -> None:
    """All on the disk when this returns."""
    path = found.run.path / "journal"
    journal.replay(path, claim.boot_id(), repair=True)  # nothing may be written behind a torn record
    book = Journal(path)
    try:
        for row, fate in sorted(decisions.items()):
            book.decided(row, found.keys.get(row, "-"), fate, now.isoformat(timespec="seconds"), by[row])
        book.sync()
    finally:
        book.close()
