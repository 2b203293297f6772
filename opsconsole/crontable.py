"""A host's cron tables as they were read: each line, what it is about, and when it fires. Pure.

What was worked out is kept while it holds: a thousand lines take a second.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opsconsole.cron import CronFile, next_fire, own_table, previous_fire, read_cron
from opsconsole.cronbelongs import Belongs, belongs
from opsconsole.cronsyntax import CronLine
from opsconsole.hostfacts import CronFact, HostFacts, Kind
from opsconsole.schedule import ScheduleError, load_zone
from opsconsole.settings import BlastHost

_KEPT_TABLES, _KEPT_FIRES = 16, 20_000
Fires = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of a table, and what it is about. `off`: it was switched off by the console."""

    line: CronLine
    about: Belongs
    off: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was read: what cron makes of the file, and its lines in order."""

    file: CronFile
    lines: tuple[TableLine, ...]


_known_tables: dict[tuple[object, ...], Table] = {}
_known_fires: dict[tuple[str, str], tuple[datetime, datetime | None, datetime | None]] = {}


def read_table(fact: CronFact, facts: HostFacts, settings: BlastHost) -> Table:
    """The table of `fact`, which was readable. A campaign counts as there while its folder is."""
    there = frozenset(slug for slug, folder in facts.campaigns.items() if folder.folder is not Kind.MISSING)
    known = frozenset(facts.campaigns)
    paths = (settings.runner, settings.campaigns_dir, settings.log_dir, settings.state_dir, settings.credentials)
    file = (fact.file.path, fact.text, fact.file.mode, fact.file.owner, settings.cron_owner)
    key = (*file, known, there, facts.scripts, paths)
    if key not in _known_tables:
        if len(_known_tables) >= _KEPT_TABLES:
            _known_tables.clear()
        _known_tables[key] = _read(fact, facts, settings, known, there)
    return _known_tables[key]


def _read(
    fact: CronFact, facts: HostFacts, settings: BlastHost, known: frozenset[str], there: frozenset[str]
) -> Table:
    text, at = fact.text or b"", fact.file
    file = read_cron(
        at.path,
        text,
        mode=at.mode,
        owner=at.owner,
        expected_owner=settings.cron_owner,
        has_user_column=not own_table(at.path),
    )
    scripts = {script.path: script for script in facts.scripts}

    def about(line: CronLine) -> Belongs:
        found = belongs(line, known, scripts, settings)
        gone = tuple(slug for slug in found.campaigns if slug not in there)
        return replace(found, strangers=(*found.strangers, *gone))

    lines = [TableLine(line, about(line), off=False) for line in file.lines]
    lines += [TableLine(line, about(line), off=True) for line in file.disabled]
    return Table(file, tuple(sorted(lines, key=lambda each: each.line.number)))


def host_zone(facts: HostFacts) -> ZoneInfo:
    """The host's zone; UTC when its name isn't one."""
    try:
        return load_zone(facts.zone or "UTC")
    except ScheduleError:
        return ZoneInfo("UTC")


def foretell(line: CronLine, zone: ZoneInfo, now: datetime) -> Fires:
    """(previous, next) in UTC, as if cron obeyed the line. Between two fires the answer stays."""
    key = (line.schedule, zone.key)
    known = _known_fires.get(key)
    if known:
        asked, previous, following = known
        if asked <= now < (following or asked + timedelta(days=1)):
            return previous, following
    line, local = replace(line, enabled=True), now.astimezone(zone)
    previous, following = previous_fire(line, local), next_fire(line, local)
    previous, following = (at.astimezone(UTC) if at else None for at in (previous, following))
    if len(_known_fires) >= _KEPT_FIRES:
        _known_fires.clear()
    _known_fires[key] = (now, previous, following)
    return previous, following
