"""The cron tables of a host as triggers of its campaigns. Pure: the instant is an argument."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from backends.blasthost.cronswitch import Key, digest
from opsconsole.campaign import is_slug
from opsconsole.cron import (
    CronFile,
    CronLine,
    is_send,
    mentions,
    next_fire,
    previous_fire,
    read_cron,
    say_off,
    unmarked,
)
from opsconsole.hostfacts import CronFact, HostFacts, Kind
from opsconsole.observation import Trigger
from opsconsole.schedule import ScheduleError, load_zone, say_instant
from opsconsole.settings import BlastHost

_WORD = re.compile(r"[a-z0-9][a-z0-9._-]*")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_CAMPAIGN = re.compile(r"--campaign(?:=|\s+)['\"]?([^\s'\";&|<>]+)")
_KEPT = 20_000


@dataclass(frozen=True)
class Tables:
    """What all tables of a host say: triggers by slug, troubles of whole files, and why any went unread."""

    triggers: dict[str, tuple[Trigger, ...]]
    findings: tuple[str, ...]
    unread: str = ""


def read_tables(facts: HostFacts, settings: BlastHost, now: datetime, source: str) -> Tables:
    """The triggers of every campaign in `facts`, which must be of a look at all of them. `source` is the host's
    name in the console."""
    zone = host_zone(facts)
    found: dict[str, list[Trigger]] = {}
    findings: list[str] = []
    unread = ""
    for fact in facts.cron:
        if fact.text is None:
            if fact.file.kind is not Kind.MISSING:
                unread = f"{fact.file.path} can't be read: {fact.file.trouble or fact.file.kind}"
                findings.append(f"{unread}. Cron may start campaigns from it unseen.")
            continue
        table = _table(fact, settings.cron_owner)
        if table.ignored_because and (table.lines or table.disabled):
            findings.append(f"cron ignores all of {fact.file.path}: {table.ignored_because}.")
        lines = _concerning(source, fact.text, table, frozenset(facts.campaigns), settings)
        for line, timeless, slugs in lines:
            trigger = _timed(timeless, line, zone, now)
            for slug in slugs:
                found.setdefault(slug, []).append(trigger)
            findings.extend(_orphan(line, trigger, facts, settings, now))
    return Tables({slug: tuple(triggers) for slug, triggers in found.items()}, tuple(findings), unread)


def host_zone(facts: HostFacts) -> ZoneInfo:
    """The host's zone; UTC when its name isn't one."""
    try:
        return load_zone(facts.zone or "UTC")
    except ScheduleError:
        return ZoneInfo("UTC")


def _table(fact: CronFact, owner: str) -> CronFile:
    return _read(fact.file.path, fact.text or b"", fact.file.mode, fact.file.owner, owner)


@lru_cache(maxsize=16)
def _read(path: str, text: bytes, mode: int, owner: str, expected: str) -> CronFile:
    return read_cron(path, text, mode=mode, owner=owner, expected_owner=expected)


Concerning = tuple[tuple[CronLine, Trigger, tuple[str, ...]], ...]
_known_lines: dict[tuple[object, ...], Concerning] = {}


def _concerning(
    source: str, text: bytes, table: CronFile, campaigns: frozenset[str], settings: BlastHost
) -> Concerning:
    """Each line, the trigger it is but for its times, and the campaigns it concerns; kept while they stay."""
    runner, campaigns_dir = settings.runner, settings.campaigns_dir
    key = (source, table.name, text, table.ignored_because, campaigns, runner, campaigns_dir)
    if key not in _known_lines:
        if len(_known_lines) >= 16:
            _known_lines.clear()
        keys = _Keys(source, table, text)
        _known_lines[key] = tuple(
            (line, _trigger(table, line, keys, off), tuple(_slugs(line, campaigns, runner, campaigns_dir)))
            for off, lines in ((False, table.lines), (True, table.disabled))
            for line in lines
        )
    return _known_lines[key]


class _Keys:
    """The keys of a table's lines, by which they can be switched; "" for those that can't."""

    def __init__(self, source: str, table: CronFile, text: bytes) -> None:
        self._source, self._path, self._digest = source, table.name, digest(text)
        self._lines = [] if table.ignored_because else text.split(b"\n")

    def of(self, line: CronLine) -> str:
        if not 1 <= line.number <= len(self._lines):
            return ""
        said = digest(unmarked(self._lines[line.number - 1]))
        return str(Key(self._source, self._path, line.number, said, self._digest))


def _slugs(line: CronLine, campaigns: Collection[str], runner: str, campaigns_dir: str) -> Iterator[str]:
    """Those of `campaigns` that the line concerns: words of it first, as asking for each would take seconds."""
    text = f"{line.shell} {line.stdin or ''}"
    text += " " + _VARIABLE.sub(lambda name: line.env.get(name[1] or name[2], ""), text)
    text += " " + re.sub(r"[\\'\"]", "", text)
    for word in sorted(set(_WORD.findall(text))):
        if word in campaigns and mentions(line, word, runner, campaigns_dir):
            yield word


def _trigger(table: CronFile, line: CronLine, keys: _Keys, off: bool) -> Trigger:
    return Trigger(
        where=f"{table.name}:{line.number}",
        text=_shown(f"{line.schedule} {line.user} {line.command}"),
        sends=is_send(line) is not False,
        ignored_because=table.ignored_because or (say_off(line) if off else ""),
        key=keys.of(line),
        off=off,
        at_boot=line.schedule == "@reboot",
    )


def _timed(trigger: Trigger, line: CronLine, zone: ZoneInfo, now: datetime) -> Trigger:
    if trigger.ignored_because:
        return trigger
    previous, following = _fires(line, zone, now)
    return replace(trigger, previous_fire=previous, next_fire=following)


_known_fires: dict[tuple[str, str], tuple[datetime, datetime | None, datetime | None]] = {}


def _fires(line: CronLine, zone: ZoneInfo, now: datetime) -> tuple[datetime | None, datetime | None]:
    """(previous, next). Between two fires the answer stays: foretelling a thousand lines takes a second."""
    key = (line.schedule, zone.key)
    known = _known_fires.get(key)
    if known:
        asked, previous, following = known
        if asked <= now < (following or asked + timedelta(days=1)):
            return previous, following
    local = now.astimezone(zone)
    previous, following = previous_fire(line, local), next_fire(line, local)
    previous, following = (at.astimezone(UTC) if at else None for at in (previous, following))
    if len(_known_fires) >= _KEPT:
        _known_fires.clear()
    _known_fires[key] = (now, previous, following)
    return previous, following


def _orphan(
    line: CronLine, trigger: Trigger, facts: HostFacts, settings: BlastHost, now: datetime
) -> Iterator[str]:
    """A line that runs the runner for a campaign whose folder isn't there."""
    name = settings.runner.rpartition("/")[2]
    if trigger.ignored_because or not trigger.sends or name not in line.shell:
        return
    for slug in _CAMPAIGN.findall(line.shell):
        if not is_slug(slug):
            continue
        folder = facts.campaigns.get(slug)
        if folder is None or folder.folder is Kind.MISSING:
            when = f", next {say_instant(trigger.next_fire, facts.zone, now)}" if trigger.next_fire else ""
            yield f"{trigger.where} sends {slug}{when}, but there is no such campaign on the host."


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
