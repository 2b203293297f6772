"""A host's cron tables as people read them: when each line fires, what it starts, what is wrong. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from opsconsole.cron import dst_warning, in_words, say_off
from opsconsole.cronsyntax import CronLine, parse_schedule
from opsconsole.crontable import TableLine, foretell, host_zone, read_table
from opsconsole.hostfacts import CronFact, HostFacts, Kind
from opsconsole.schedule import say_distance, say_instant
from opsconsole.settings import BlastHost
from opsconsole.verdict import Verdict

ABOUT_TRIGGERS = ("fires-again", "fires-off-time", "scheduled-twice")
"""Findings of a campaign that speak of the line they begin with, or name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing to know of a line, by a code and in a sentence. `alarm` calls for somebody."""

    code: str
    text: str
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CronRow:
    """One line. Instants are UTC, None for never; of a line that is `off` they say when it would fire. `zone` is
    its campaign's, "" for none. `via` is the script that names a campaign the line itself doesn't."""

    number: int
    schedule: str
    words: str
    user: str
    command: str
    next_at: datetime | None
    last_at: datetime | None
    campaigns: tuple[str, ...]
    zone: str
    sends: bool | None
    via: str = ""
    off: str = ""  # by whom and when it was switched off
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTable:
    """One file. `ignored_because` is "" when cron obeys it, else none of its lines fire. `zone` is the host's,
    `local_zone` the operator's."""

    path: str
    ignored_because: str
    zone: str
    local_zone: str
    rows: tuple[CronRow, ...] = ()
    warnings: tuple[str, ...] = ()


def cron_tables(
    facts: HostFacts, settings: BlastHost, verdicts: Iterable[Verdict], now: datetime, local_zone: str = ""
) -> tuple[CronTable, ...]:
    """Every table of the host, as it stands in the newest look at it. `verdicts` are those of the board."""
    known = {verdict.slug: verdict for verdict in verdicts}
    return tuple(_table(fact, facts, settings, known, now, local_zone) for fact in facts.cron)


def _table(
    fact: CronFact,
    facts: HostFacts,
    settings: BlastHost,
    verdicts: dict[str, Verdict],
    now: datetime,
    local_zone: str,
) -> CronTable:
    zone, path = host_zone(facts), fact.file.path
    if fact.text is None:
        why = "it isn't there" if fact.file.kind is Kind.MISSING else fact.file.trouble or f"it is {fact.file.kind}"
        return CronTable(path=path, ignored_because=why, zone=zone.key, local_zone=local_zone)
    table = read_table(fact, facts, settings)
    ignored = table.file.ignored_because
    return CronTable(
        path=path,
        ignored_because=ignored,
        zone=zone.key,
        local_zone=local_zone,
        rows=tuple(
            _row(each, f"{path}:{each.line.number}", bool(ignored), verdicts, zone, now) for each in table.lines
        ),
        warnings=table.file.warnings,
    )


def _row(
    each: TableLine, where: str, ignored: bool, verdicts: dict[str, Verdict], zone: ZoneInfo, now: datetime
) -> CronRow:
    line, about = each.line, each.about
    last, following = (None, None) if ignored else foretell(line, zone, now)
    quiet = ignored or each.off
    details = [verdicts[slug].details for slug in about.campaigns if slug in verdicts]
    return CronRow(
        number=line.number,
        schedule=line.schedule,
        words=in_words(line),
        user=line.user or "",
        command=line.command,
        next_at=following,
        last_at=last,
        campaigns=about.campaigns,
        zone=next((d.zone for d in details if d.zone), ""),
        sends=about.sends,
        via=about.via,
        off=say_off(line) if each.off else "",
        notes=() if quiet else tuple(_notes(each, where, verdicts, zone, following, now)),
    )


def _notes(
    each: TableLine,
    where: str,
    verdicts: dict[str, Verdict],
    zone: ZoneInfo,
    following: datetime | None,
    now: datetime,
) -> Iterable[Note]:
    line, about = each.line, each.about
    sends = about.sends is not False
    for slug in about.strangers if sends else ():
        yield Note(code="orphan", text=f"{slug} is no campaign on this host", alarm=True)
    if about.blind and sends:
        yield Note(code="unseen", text=about.blind, alarm=True)
    for slug in about.campaigns:
        for finding in verdicts[slug].findings if slug in verdicts else ():
            if finding.code in ABOUT_TRIGGERS and f"{where} " in f"{finding.text} ":
                yield Note(code=finding.code, text=f"{slug}: {finding.text}", alarm=finding.alarm)
    if following is not None and sends and (about.campaigns or about.strangers) and _yearly(line):
        after = foretell(line, zone, following + timedelta(minutes=1))[1]
        if after is not None:
            text = f"cron knows no year: after that it fires again {say_instant(after, zone.key, now)}"
            yield Note(code="yearly", text=text)
    if clocks := dst_warning(line, zone, now):
        yield Note(code="clocks", text=clocks)


def _yearly(line: CronLine) -> bool:
    """Whether it names a day and a month, as one does who means a single date."""
    fields = parse_schedule(line.schedule).expression.split()
    return len(fields) == 5 and not fields[2].startswith("*") and not fields[3].startswith("*")


def in_zones(at: datetime, table: CronTable, row: CronRow, now: datetime) -> tuple[tuple[str, str], ...]:
    """One instant on the host's, the campaign's and the operator's clock, each text with whose it is."""
    found: dict[str, list[str]] = {}
    for whose, zone in (("host", table.zone), ("campaign", row.zone), ("you", table.local_zone)):
        if zone:
            found.setdefault(say_instant(at, zone, now), []).append(whose)
    return tuple((" and ".join(whose), text) for text, whose in found.items())


def say_fire(at: datetime | None, table: CronTable, row: CronRow, now: datetime) -> str:
    """`today 15:00 PDT (host and campaign), 22:00 … (you)  in 3 h`; `never`."""
    if at is None:
        return "at every restart" if row.schedule == "@reboot" else "never"
    clocks = ", ".join(f"{text} ({whose})" for whose, text in in_zones(at, table, row, now))
    return f"{clocks}  {say_distance(at, now)}"


def table_json(table: CronTable, now: datetime) -> dict[str, Any]:
    return {
        "file": table.path,
        "zone": table.zone,
        "ignored_because": table.ignored_because,
        "lines": [_row_json(table, row, now) for row in table.rows],
        "warnings": list(table.warnings),
    }


def _row_json(table: CronTable, row: CronRow, now: datetime) -> dict[str, Any]:
    def fire(at: datetime | None) -> dict[str, Any] | None:
        if at is None:
            return None
        clocks = {whose: at.astimezone(ZoneInfo(zone)).isoformat() for whose, zone in zones if zone}
        return {"at": at.isoformat(), **clocks}

    zones = (("host", table.zone), ("campaign", row.zone), ("operator", table.local_zone))
    fires = fire(row.next_at)
    return {
        "line": row.number,
        "where": f"{table.path}:{row.number}",
        "schedule": row.schedule,
        "words": row.words,
        "user": row.user,
        "command": row.command,
        "campaigns": list(row.campaigns),
        "via": row.via or None,
        "sends": row.sends,
        "off": row.off or None,
        "next": None if row.off else fires,
        "would_fire": fires if row.off else None,
        "last": fire(row.last_at),
        "notes": [{"code": note.code, "text": note.text, "alarm": note.alarm} for note in row.notes],
    }
