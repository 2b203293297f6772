"""The cron tables of a host as triggers of its campaigns. Pure: the instant is an argument."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from backends.blasthost.cronswitch import Key, digest
from opsconsole.cron import CronFile, CronLine, say_off, unmarked
from opsconsole.cronbelongs import Belongs
from opsconsole.crontable import TableLine, foretell, host_zone, read_table
from opsconsole.hostfacts import HostFacts, Kind
from opsconsole.observation import Trigger
from opsconsole.schedule import say_instant
from opsconsole.settings import BlastHost


@dataclass(frozen=True)
class Tables:
    """What all tables of a host say: triggers by slug, troubles of whole files, why any went unread, and which line
    may start campaigns that can't be told, and why."""

    triggers: dict[str, tuple[Trigger, ...]]
    findings: tuple[str, ...]
    unread: str = ""
    blind: str = ""


def read_tables(facts: HostFacts, settings: BlastHost, now: datetime, source: str) -> Tables:
    """The triggers of every campaign in `facts`, which must be of a look at all of them. `source` is the host's
    name in the console."""
    zone = host_zone(facts)
    found: dict[str, list[Trigger]] = {}
    findings: list[str] = []
    unread = blind = ""
    for fact in facts.cron:
        if fact.text is None:
            if fact.file.kind is not Kind.MISSING:
                unread = f"{fact.file.path} can't be read: {fact.file.trouble or fact.file.kind}"
                findings.append(f"{unread}. Cron may start campaigns from it unseen.")
            continue
        table = read_table(fact, facts, settings)
        if table.file.ignored_because and table.lines:
            findings.append(f"cron ignores all of {fact.file.path}: {table.file.ignored_because}.")
        keys = _Keys(source, table.file, fact.text)
        for each in table.lines:
            if not (each.about.campaigns or each.about.strangers or each.about.blind):
                continue
            trigger = _trigger(table.file, each, keys, zone, now)
            for slug in each.about.campaigns:
                found.setdefault(slug, []).append(trigger)
            findings.extend(_orphans(each.about, trigger, facts, now))
            if each.about.blind and trigger.live:
                blind = blind or f"{trigger.where} may start any campaign: {each.about.blind}"
    return Tables({slug: tuple(triggers) for slug, triggers in found.items()}, tuple(findings), unread, blind)


class _Keys:
    """The keys of a table's lines, by which they can be switched; "" for those that can't."""

    def __init__(self, source: str, table: CronFile, text: bytes) -> None:
        self._source, self._path, self._digest = source, table.name, _digest(text)
        self._lines = [] if table.ignored_because else text.split(b"\n")

    def of(self, line: CronLine) -> str:
        if not 1 <= line.number <= len(self._lines):
            return ""
        said = digest(unmarked(self._lines[line.number - 1]))
        return str(Key(self._source, self._path, line.number, said, self._digest))


def _trigger(table: CronFile, each: TableLine, keys: _Keys, zone: ZoneInfo, now: datetime) -> Trigger:
    line, about = each.line, each.about
    via = f" (by {about.via})" if about.via else ""
    because = table.ignored_because or (say_off(line) if each.off else "")
    previous, following = (None, None) if because else foretell(line, zone, now)
    return Trigger(
        where=f"{table.name}:{line.number}",
        text=_shown(f"{line.schedule} {line.user} {line.command}{via}"),
        sends=about.sends is not False,
        previous_fire=previous,
        next_fire=following,
        ignored_because=because,
        key=keys.of(line),
        off=each.off,
        at_boot=line.schedule == "@reboot",
    )


def _orphans(about: Belongs, trigger: Trigger, facts: HostFacts, now: datetime) -> Iterator[str]:
    """What a line starts that isn't there, or that can't be told."""
    if trigger.ignored_because or not trigger.sends:
        return
    when = f", next {say_instant(trigger.next_fire, facts.zone, now)}" if trigger.next_fire else ""
    for slug in about.strangers:
        yield f"{trigger.where} sends {slug}{when}, but there is no such campaign on the host."
    if about.blind:
        yield f"{trigger.where} may start any campaign{when}: {about.blind}."


_digest = lru_cache(maxsize=16)(digest)


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
