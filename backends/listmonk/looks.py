"""Looking at a listmonk as often as it may cost: what runs and its log each time, the list of campaigns rarely.

The list of campaigns is read when it is old, when what runs changed, when the log tells of a change, or when one
came due; those that are over only once, as they change no more. The counts of lists are never asked for here.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from backends.listmonk import audience
from backends.listmonk.campaigns import ACTIVE, COMING, OVER, PAUSED, Campaign, Running, slugs
from backends.listmonk.client import BOUNCES, COUNTS, LOOKS_IN, Client
from backends.listmonk.content import content, digests, template_digest
from backends.listmonk.control import Control
from backends.listmonk.heartbeats import Beat, Heartbeats
from backends.listmonk.kept import Entry
from backends.listmonk.loglines import Kind, told
from backends.listmonk.system import Config, Import, Profile, Tuning
from opsconsole.config import duration
from opsconsole.observation import Content
from opsconsole.ports import NotThere, Trouble
from opsconsole.settings import Listmonk

T = TypeVar("T")

LOOK: Final = 3  # times the limit of a call: after that no further question is begun in a look
OVER_EVERY: Final = timedelta(minutes=20)
COUNT_EVERY: Final = timedelta(minutes=15)
COUNT_BEFORE: Final = timedelta(days=1)  # before it is due its audience is counted again and again
AT_ONCE: Final = 20  # bodies, or bounces of campaigns, that one look reads
COUNTS_AT_ONCE: Final = 3  # audiences that one look counts, which costs its database most
LOG_SHOWN: Final = timedelta(days=3)
CHANGES: Final = (Kind.PICKED_UP, Kind.DRAINED, Kind.FINISHED, Kind.ERRORS_EXCEEDED, Kind.ERROR_PAUSED)
READS_TEMPLATES: Final = ("templates:get",)
IMPORTS: Final = ("subscribers:import",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look. Everything by campaign id but `campaigns`, which are by slug and as new as what runs is.

    `entries` are of the kept log. `paused_at` is when a campaign was last seen to be paused newly, for those
    that were since the console began to look. `unread` says what could not be had, and why.
    """

    at: datetime
    campaigns: Mapping[str, Campaign]
    running: Mapping[int, Running] = field(default_factory=dict)
    beats: Mapping[int, Beat] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    contents: Mapping[int, Content] = field(default_factory=dict)
    bounces: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    paused_at: Mapping[int, datetime] = field(default_factory=dict)
    config: Config | None = None
    profile: Profile | None = None
    tuning: Tuning | None = None
    importing: Import | None = None
    clock_offset: float | None = None
    unread: tuple[str, ...] = ()


class Looks:
    """The looks at one listmonk, and what they remember. Safe for several threads; one looks at a time."""

    def __init__(
        self, settings: Listmonk, client: Client, control: Control, beats: Heartbeats, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._client, self._control, self._beats = settings, client, control, beats
        self._clock = clock
        self._list_every = duration(settings.list_every)
        self._lock = threading.RLock()
        self._campaigns: dict[int, Campaign] = {}
        self._unlisted: tuple[str, ...] = ()  # rows of the list that can't be read
        self._listed_at: datetime | None = None
        self._over_at: datetime | None = None
        self._again = True
        self._running: frozenset[int] = frozenset()
        self._contents: dict[int, tuple[str, str, Content]] = {}
        self._templates: dict[int, str] = {}
        self._counted: dict[int, tuple[str, datetime, int]] = {}
        self._bounces: dict[int, tuple[int, dict[str, int]]] = {}
        self._paused_at: dict[int, datetime] = {}
        self._paused: set[int] = set()
        self._config: Config | None = None
        self._profile: Profile | None = None
        self._tuning: Tuning | None = None
        self._importing: Import | None = None
        self._unread: dict[str, str] = {}
        self._seen: Seen | None = None

    @property
    def seen(self) -> Seen | None:
        """The newest look, without another."""
        return self._seen

    def changed(self) -> None:
        """Something was changed there: the next look reads the list again."""
        self._again = True

    def look(self) -> Seen:
        """Raises Trouble when listmonk can't be asked at all."""
        with self._lock:
            return self._look()

    def find(self, slug: str) -> Campaign:
        """The campaign of this slug, read now and with its body. Raises NotThere and Trouble."""
        it = self._seen.campaigns.get(slug) if self._seen else None
        if it is None:
            with self._lock:
                self._list(self._clock())
                it = slugs(self._campaigns.values(), self._settings.slug_tag).get(slug)
        if it is None:
            raise NotThere(f"listmonk {self._client.name} has no campaign {slug}.", "Nothing was done.")
        return self._client.campaign(it.id)

    def listed(self) -> tuple[Campaign, ...]:
        """All campaigns, as the newest look has them."""
        return tuple(self._campaigns.values())

    def digests(self, campaign: Campaign) -> dict[str, str]:
        """Of its parts, its template read now. Raises Trouble."""
        return digests(campaign, self.template(campaign.template_id))

    def template(self, template_id: int | None) -> str:
        """The digest of a template's text; "" where there is none, or where the token may not read it."""
        if template_id is None or not self.may(*READS_TEMPLATES):
            return ""
        return template_digest(self._client.template(template_id))

    def audience(self, campaign: Campaign) -> int | None:
        """The exact number of people that it would mail now; None where the token may not count. Raises Trouble."""
        if not self.may(*COUNTS):
            return None
        people = self._client.count_subscribers(audience.condition(campaign))
        self._counted[campaign.id] = campaign.updated, self._clock(), people
        return people

    def may(self, *any_of: str) -> bool:
        """Whether the token's user has one of these permissions. Raises Trouble."""
        if self._profile is None:
            self._profile = self._client.profile()
        return self._profile.may(*any_of)

    def _look(self) -> Seen:
        now, ends = self._clock(), time.monotonic() + LOOK * self._client.seconds
        running = {it.id: it for it in self._client.running()}
        if self._due(now):
            self._settle(ends)
        new = self._log(now) if self._profile is None or self._profile.may(*LOOKS_IN) else ()
        if self._wants_list(running, new, now):
            self._list(now)
        self._running = frozenset(running)
        self._merge(running)
        beats = self._beats.seen(running, now)
        self._remember_pauses(now)
        self._read_contents(now, ends)
        self._read_bounces(ends)
        campaigns = slugs(self._campaigns.values(), self._settings.slug_tag)
        self._seen = Seen(
            at=now,
            campaigns=campaigns,
            running=running,
            beats=beats,
            entries=self._control.kept.entries(now - LOG_SHOWN),
            contents={number: it for number, (_, _, it) in self._contents.items()},
            bounces={number: classes for number, (_, classes) in self._bounces.items()},
            paused_at=dict(self._paused_at),
            config=self._config,
            profile=self._profile,
            tuning=self._tuning,
            importing=self._importing,
            clock_offset=self._client.clock_offset,
            unread=(*self._unlisted, *self._unread.values()),
        )
        return self._seen

    def _due(self, now: datetime) -> bool:
        return self._again or self._listed_at is None or now - self._listed_at >= self._list_every

    def _settle(self, ends: float) -> None:
        """Who asks and what is in force."""
        self._profile = self._client.profile()
        self._config = self._had("config", self._client.config, ends) or self._config
        if self._profile.may(*LOOKS_IN):
            self._tuning = self._had("settings", self._client.tuning, ends) or self._tuning
        else:
            self._unread["settings"] = self._control.log_trouble = (
                f"The user {self._client.user} lacks settings:get: neither its log nor its settings can be read, "
                "so errors, and why nothing moves, stay unseen."
            )
        if self._profile.may(*IMPORTS):
            self._importing = self._had("import", self._client.importing, ends)

    def _had(self, name: str, ask: Callable[[], T], ends: float) -> T | None:
        """The answer; None, and why under `unread`, where there is none. The look goes on without."""
        if time.monotonic() >= ends:
            self._unread[name] = f"Its {name} was not asked for: listmonk answers too slowly."
            return None
        try:
            answer = ask()
        except Trouble as trouble:
            self._unread[name] = str(trouble)
            return None
        self._unread.pop(name, None)
        return answer

    def _log(self, now: datetime) -> tuple[Entry, ...]:
        """What is new of its log, now kept."""
        try:
            new = self._control.take(self._client.logs(), now)
        except Trouble as trouble:
            self._unread["log"] = self._control.log_trouble = str(trouble)
            return ()
        if why := self._control.log_trouble:  # it was read, and can't be kept
            self._unread["log"] = why
        else:
            self._unread.pop("log", None)
        return new

    def _wants_list(self, running: Mapping[int, Running], new: tuple[Entry, ...], now: datetime) -> bool:
        if self._due(now) or self._running != running.keys() or self._listed_at is None:
            return True
        last, names = self._listed_at, {it.name for it in self._campaigns.values() if it.status in ACTIVE}
        coming = [it.send_at for it in self._campaigns.values() if it.status in COMING and it.send_at]
        if any(last < send_at <= now for send_at in coming):
            return True
        return any(entry.gap or any(_changes(entry, name) for name in names) for entry in new)

    def _list(self, now: datetime) -> None:
        whole = self._over_at is None or now - self._over_at >= OVER_EVERY
        listed = self._client.campaigns(*(() if whole else ACTIVE))
        found = {it.id: it for it in listed.campaigns}
        if whole:
            self._over_at = now
        else:
            found |= self._ended(found)
        self._campaigns, self._unlisted = found, listed.unread
        self._listed_at, self._again = now, False
        self._templates.clear()

    def _ended(self, active: Mapping[int, Campaign]) -> dict[int, Campaign]:
        """Those known to be over, and what became of those that were active and aren't listed any more."""
        found = {number: it for number, it in self._campaigns.items() if it.status in OVER}
        for number, it in self._campaigns.items():
            if it.status not in OVER and number not in active:
                try:
                    found[number] = replace(self._client.campaign(number), body="", altbody="")
                except NotThere:
                    continue
        return found

    def _merge(self, running: Mapping[int, Running]) -> None:
        """What runs is told newer than the list."""
        for number, it in running.items():
            if (known := self._campaigns.get(number)) is not None:
                started = it.started_at or known.started_at
                self._campaigns[number] = replace(
                    known, status="running", to_send=it.to_send, sent=it.sent, started_at=started
                )

    def _remember_pauses(self, now: datetime) -> None:
        paused = {number for number, it in self._campaigns.items() if it.status == PAUSED}
        for number in paused - self._paused:
            self._paused_at[number] = now
        self._paused = paused
        for number in self._paused_at.keys() - self._campaigns.keys():
            del self._paused_at[number]

    def _read_contents(self, now: datetime, ends: float) -> None:
        """The content of what is still to come, read when it, or its template, was changed."""
        coming = {number: it for number, it in self._campaigns.items() if it.status in COMING}
        for number in self._contents.keys() - coming.keys():
            del self._contents[number]
        read, counts = 0, COUNTS_AT_ONCE
        for number, it in coming.items():
            template = self._template_of(it, ends)
            if template is None:
                continue
            if counts and self._wants_count(it, now):
                counts -= 1
                self._had("audience", partial(self.audience, it), ends)
            people = self._last_count(it)
            known = self._contents.get(number)
            if known is not None and known[:2] == (it.updated, template):
                self._contents[number] = it.updated, template, replace(known[2], rows=people)
                continue
            if read >= AT_ONCE:
                continue
            read += 1
            whole = self._had(f"campaign {number}", partial(self._client.campaign, number), ends)
            if whole is not None:
                self._contents[number] = whole.updated, template, content(whole, template, people)
                self._campaigns[number] = replace(whole, body="", altbody="")
        for name in [name for name in self._unread if name.startswith("campaign ")]:
            if int(name.split()[1]) not in coming:
                del self._unread[name]

    def _template_of(self, it: Campaign, ends: float) -> str | None:
        """The digest of its template as this listing has it; None where it can't be read now."""
        number = it.template_id
        if number is None or self._profile is None or not self._profile.may(*READS_TEMPLATES):
            return ""
        if number not in self._templates:
            found = self._had(f"template {number}", lambda: template_digest(self._client.template(number)), ends)
            if found is None:
                return None
            self._templates[number] = found
        return self._templates[number]

    def _wants_count(self, it: Campaign, now: datetime) -> bool:
        """After an edit, and from time to time while it is soon due."""
        if it.send_at is None or self._profile is None or not self._profile.may(*COUNTS):
            return False
        known = self._counted.get(it.id)
        if known is None or known[0] != it.updated:
            return True
        return it.send_at - now <= COUNT_BEFORE and now - known[1] >= COUNT_EVERY

    def _last_count(self, it: Campaign) -> int | None:
        known = self._counted.get(it.id)
        return known[2] if known is not None and known[0] == it.updated else None

    def _read_bounces(self, ends: float) -> None:
        """By class, where there are other ones than at the last look."""
        for number in self._bounces.keys() - self._campaigns.keys():
            del self._bounces[number]
        if self._profile is None or not self._profile.may(*BOUNCES):
            return
        oldest = self._clock() - duration(self._settings.archived_after)
        read = 0
        for number, it in self._campaigns.items():
            known = self._bounces.get(number, (0, {}))
            recent = it.updated_at is None or it.updated_at >= oldest
            if it.bounces == known[0] or read >= AT_ONCE or not recent:
                continue
            read += 1
            found = self._had("bounces", partial(self._client.bounces, number), ends)
            if found is not None:
                self._bounces[number] = it.bounces, dict(Counter(name or "unknown" for name, _ in found))


def _changes(entry: Entry, name: str) -> bool:
    """Whether this line tells that a campaign of this name is in another state now."""
    word = told(entry.text, name)
    return word is not None and word.kind in CHANGES
