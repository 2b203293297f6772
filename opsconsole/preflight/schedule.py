"""May it go out now: approval, due time, window, and what cron will do by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from opsconsole.cron import CronFile, CronLine, in_words, next_fire, own_table, previous_fire, read_cron
from opsconsole.cronbelongs import belongs
from opsconsole.digests import short
from opsconsole.hostfacts import CronFact, Kind
from opsconsole.preflight import reading
from opsconsole.preflight.check import (
    CannotJudge,
    Check,
    Finding,
    Outcome,
    Situation,
    everything,
    failed,
    many,
    outside,
    passed,
    shown,
    warned,
)
from opsconsole.schedule import ScheduleError, latest_start, load_zone, say_instant, say_span

_SAME = timedelta(seconds=60)  # cron knows whole minutes only


def judge_approval(situation: Situation, _: Situation) -> Finding:
    approval, zone, now = situation.approval, situation.details.zone, situation.now
    if approval is None:
        return failed("Nobody has approved it.", "Ask for an approval, in the dashboard or here.")
    who = f"{approval.said_by() or 'somebody'}{f' ({approval.reference})' if approval.reference else ''}"
    at = f" {say_instant(approval.at, zone, now)}" if approval.at else ""
    if approval.at and approval.at > now + timedelta(minutes=1):
        return failed(
            f"The approval by {who} is dated{at}, which is still to come.",
            "Ask for a new approval.",
            [f"now: {now}"],
        )
    if approval.expires and approval.expires <= now:
        return failed(
            f"The approval by {who} has expired.",
            f"Ask {approval.by or 'them'} to approve it again.",
            [f"approved{at}", f"expired {say_instant(approval.expires, zone, now)}"],
        )
    if situation.policy.four_eyes and not (approval.digest and approval.expires):
        lacks = "never expires" if approval.digest else "names no content"
        return failed(
            f"The approval by {who} {lacks}, and four eyes are asked for here.",
            "Let somebody else than who plans the send approve it in the console.",
        )
    if not approval.digest:
        return passed(f"Approved by {who}{at}.", "The approval names no content, so it can't be compared.")
    actual = reading.digest(situation)
    if actual != approval.digest:
        return failed(
            f"The approval by {who} was for other content.",
            f"Ask {approval.by or 'them'} to approve what is there now, or put back what was approved.",
            [
                f"approved: {short(approval.digest)}",
                f"{'on the host' if situation.on_host else 'there now'}: {short(actual)}",
            ],
        )
    return passed(f"Approved by {who}{at}, for exactly this content.", f"digest {short(actual)}")


def judge_due(situation: Situation, _: Situation) -> Finding:
    details, now, policy = situation.details, situation.now, situation.policy
    due = details.due
    if due is None:
        in_a_file = situation.on_host is not None or situation.facts is None
        return failed(
            "No source knows when it is due.",
            f'Add "due_at" and "timezone" to {situation.path("blast_metadata.json")}.'
            if in_a_file
            else "Give it a due time: reschedule it here, or set its date there.",
            (problem for problem in details.problems if "due_at" in problem or "timezone" in problem),
        )
    zone = details.zone or due.zone
    tz = load_zone(zone)
    latest = details.latest_start or latest_start(due, details.window, policy.latest_start_after)
    facts = [
        f"due {say_instant(due.instant, zone, now)}",
        f"latest start {say_instant(latest, zone, now)}",
        f"now {say_instant(now, zone, now)}",
    ]
    if details.window:
        facts.append(f"window {details.window}")
    if _clocks_change(due.instant, tz):
        facts.append(f"the clocks of {zone} change that day; due is {due.instant:%H:%M} UTC")
    if now < due.instant - policy.early_tolerance:
        return failed(
            f"It is not due yet: {say_span(due.instant - now)} to go.",
            f"Wait until {say_instant(due.instant, zone, now)}, or reschedule it.",
            facts,
        )
    if now > latest:
        return failed(
            f"It is too late: the latest start was {say_span(now - latest)} ago.",
            "Reschedule it, with a new approval if the day matters.",
            facts,
        )
    if details.window and details.window.closing(now, tz) is None:
        opening = details.window.next_opening(now, tz)
        when = f"Wait until {say_instant(opening, zone, now)}" if opening else "Give the window some days"
        return failed("The send window is shut now.", f"{when}, or reschedule it.", facts)
    if now >= due.instant + policy.start_grace:
        return warned(
            f"It is {say_span(now - due.instant)} late, and still in time.",
            "Ask whether a late mail still makes sense.",
            facts,
        )
    return passed(f"It is due now{', and its window is open' if details.window else ''}.", *facts)


def _clocks_change(instant: datetime, tz: ZoneInfo) -> bool:
    """Whether the local day of `instant` is one on which the clocks are changed."""
    midnight = instant.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


@dataclass(frozen=True, slots=True)
class CronTable:
    """A cron table as found and as cron reads it; `read` is None when it could not be looked into."""

    fact: CronFact
    read: CronFile | None


def cron_tables(situation: Situation) -> tuple[CronTable, ...]:
    return tuple(CronTable(fact, _read(fact, situation)) for fact in situation.host.cron)


def _read(fact: CronFact, situation: Situation) -> CronFile | None:
    if fact.text is None:
        return None
    return read_cron(
        fact.file.path,
        fact.text,
        mode=fact.file.mode or None,
        owner=fact.file.owner or None,
        expected_owner=situation.settings.cron_owner,
        has_user_column=not own_table(fact.file.path),
    )


def gather_tables(situation: Situation) -> tuple[CronTable, ...]:
    return situation.once(cron_tables)


def judge_cron_file(tables: Sequence[CronTable], situation: Situation) -> Finding:
    hidden = [t.fact.file for t in tables if t.read is None and t.fact.file.kind is not Kind.MISSING]
    if hidden:
        file = hidden[0]
        return failed(
            f"{file.path} can't be read, so nobody knows what cron will start.",
            f"Let {situation.host.user or 'the login user'} read it: chmod o+r {file.path}",
            [f"{f.path}: {f.trouble or f.kind.value}" for f in hidden],
        )
    ignored = [t.read for t in tables if t.read and t.read.ignored_because]
    if ignored:
        concerned = [f.name for f in ignored if any(_concerns(line, situation) for line in f.lines)]
        return failed(
            f"Cron ignores {'all of ' + ignored[0].name if len(ignored) == 1 else many(len(ignored), 'whole file')}"
            f"{', where this campaign has a line' if concerned else ''}.",
            "Correct what is named; within a minute cron will start the other lines of the file again.",
            shown(f"{file.name}: {file.ignored_because}" for file in ignored),
            blocks=False,
        )
    odd = [f"{t.read.name}, {warning}" for t in tables if t.read for warning in t.read.warnings]
    if odd:
        return warned("Cron reads some lines otherwise than they look.", "Correct the lines named.", shown(odd))
    there = [t.read.name for t in tables if t.read]
    return passed("Cron obeys its tables." if there else "There is no cron table.", *there)


@dataclass(frozen=True, slots=True)
class Starter:
    """A cron line that starts this campaign, with its last and next start by the host's clock and zone."""

    file: CronFile
    line: CronLine
    last: datetime | None
    next: datetime | None

    @property
    def where(self) -> str:
        return f"{self.file.name}, line {self.line.number}"


def gather_starters(situation: Situation) -> tuple[Starter, ...]:
    tables = situation.once(cron_tables)
    if not tables and situation.settings.cron_files:
        raise CannotJudge(
            f"No cron table of {situation.host.host} was looked at.",
            "Repeat the pre-flight; correct cron_files in the configuration if it happens again.",
        )
    hidden = [t.fact.file.path for t in tables if t.read is None and t.fact.file.kind is not Kind.MISSING]
    if hidden:
        raise CannotJudge(f"{hidden[0]} can't be read.", f"Make {hidden[0]} readable first.")
    clock = (situation.now + timedelta(seconds=situation.host.clock_offset)).astimezone(_zone(situation))
    return tuple(
        Starter(t.read, line, previous_fire(line, clock), next_fire(line, clock))
        for t in tables
        if t.read
        for line in t.read.lines
        if line.enabled and _concerns(line, situation)
    )


def judge_starters(starters: Sequence[Starter], situation: Situation) -> Finding:
    zone, now = situation.details.zone, situation.now
    due = situation.details.due

    def say(instant: datetime | None) -> str:
        return say_instant(instant, zone, now) if instant else "never"

    lines = [
        f"{s.where}: next start {say(s.next)} ({in_words(s.line).rstrip('.')}): {outside(s.line.command)}"
        for s in starters
    ]
    if not starters:
        return passed("No cron line starts it: it goes out only from here.")
    off = f"Switch off {starters[0].where} ({_switch(starters[0], situation)}), then repeat the pre-flight."
    if len(starters) > 1:
        places = " and ".join(s.where for s in starters[:3])
        return failed(f"{len(starters)} cron lines start it.", f"Keep one of them at most: {places}.", shown(lines))
    one = starters[0]
    # Only our own runner makes the same claim as the console, whoever starts it.
    safe = situation.our_runner
    if one.next is None:
        return warned(f"A cron line names it but never fires by the clock: {one.line.schedule}.", off, lines)
    if due is None:
        return _will_send("A cron line starts it, and no due time is known to compare with.", off, lines, safe)
    if abs(one.next - due.instant) < _SAME:
        return _will_send(f"Cron starts it by itself {say(one.next)}, when it is due.", off, lines, safe)
    lines.append(f"due: {say(due.instant)}")
    if one.last is not None and abs(one.last - due.instant) < _SAME:
        return _will_send(
            f"Cron had its time {say(one.last)} and starts it again {say(one.next)}: cron has no year.",
            off,
            lines,
            True,
        )
    return failed(
        f"Cron starts it {say(one.next)}, but it is due {say(due.instant)}.",
        f"Correct the time of {one.where}, or switch the line off ({_switch(one, situation)}).",
        lines,
        blocks=not safe,
    )


def _will_send(says: str, remedy: str, lines: Sequence[str], safe: bool) -> Finding:
    outcome = Outcome.WARN if safe else Outcome.FAIL
    return Finding(outcome, says, shown(lines), remedy, blocks=not safe)


def _switch(starter: Starter, situation: Situation) -> str:
    return f"key F, or opsconsole trigger off {situation.slug} --line {starter.file.name}:{starter.line.number}"


def _concerns(line: CronLine, situation: Situation) -> bool:
    """Also by a script that the line calls."""
    scripts = {script.path: script for script in situation.host.scripts}
    about = belongs(line, (situation.slug,), scripts, situation.settings)
    return bool(about.campaigns) and about.sends is not False


def _zone(situation: Situation) -> ZoneInfo:
    """The host's zone; UTC when its name is none that is known here."""
    try:
        return load_zone(situation.host.zone or "UTC")
    except ScheduleError:
        return ZoneInfo("UTC")


CHECKS: tuple[Check[Any], ...] = (
    Check("approval-valid", "It is approved as it is", "schedule", everything, judge_approval),
    Check("due-and-window", "It may go out now", "schedule", everything, judge_due),
    Check("cron-lines", "Cron won't send it as well", "schedule", gather_starters, judge_starters),
    Check("cron-file", "Cron obeys its tables", "schedule", gather_tables, judge_cron_file),
)
