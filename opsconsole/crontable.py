"""The cron tables of a host as people read them: when each line fires, in words, and what it sends. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opsconsole.cron import in_words, is_send, mentions, next_fire, read_cron
from opsconsole.cronsyntax import CronLine
from opsconsole.hostfacts import CronFact, HostFacts
from opsconsole.settings import BlastHost


@dataclass(frozen=True, slots=True, kw_only=True)
class CronRow:
    """One line. `next_at` is an instant in UTC, None for never; `campaigns` are those it names."""

    number: int
    schedule: str
    words: str
    user: str
    command: str
    next_at: datetime | None
    campaigns: tuple[str, ...]
    sends: bool | None
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTable:
    """One file. `ignored_because` is "" when cron obeys it, else none of its lines fire. `zone` is the host's."""

    path: str
    ignored_because: str
    zone: str
    rows: tuple[CronRow, ...] = ()
    warnings: tuple[str, ...] = ()


def cron_tables(
    facts: HostFacts, settings: BlastHost, campaigns: Iterable[str], now: datetime
) -> tuple[CronTable, ...]:
    """Every table of the host, as it stands in the newest look at it."""
    slugs = tuple(campaigns)
    return tuple(_table(fact, facts, settings, slugs, now) for fact in facts.cron)


def _table(
    fact: CronFact, facts: HostFacts, settings: BlastHost, slugs: tuple[str, ...], now: datetime
) -> CronTable:
    zone = _zone(facts.zone)
    if fact.text is None:
        why = fact.file.trouble or f"it is {fact.file.kind}"
        return CronTable(path=fact.file.path, ignored_because=why, zone=zone.key)
    name = fact.file.path.rsplit("/", 1)[-1]
    file = read_cron(
        name, fact.text, mode=fact.file.mode, owner=fact.file.owner, expected_owner=settings.cron_owner
    )
    here = now.astimezone(zone)

    def row(line: CronLine, off: bool) -> CronRow:
        at = None if off or file.ignored_because else next_fire(line, here)
        named = tuple(s for s in slugs if mentions(line, s, settings.runner, settings.campaigns_dir))
        return CronRow(
            number=line.number,
            schedule=line.schedule,
            words=in_words(line),
            user=line.user or "",
            command=line.command,
            next_at=at.astimezone(UTC) if at else None,
            campaigns=named,
            sends=is_send(line),
            off=off,
        )

    return CronTable(
        path=fact.file.path,
        ignored_because=file.ignored_because,
        zone=zone.key,
        rows=(*(row(line, False) for line in file.lines), *(row(line, True) for line in file.disabled)),
        warnings=file.warnings,
    )


def _zone(name: str) -> ZoneInfo:
    """The zone of that name; UTC when a host tells none, or one that isn't known here."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
