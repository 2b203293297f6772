"""What everything that controls a campaign looks at and works with: one object a platform.

Every look is made anew: listmonk's replies to writes are echoes, and its log is gone with its next start.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from backends.listmonk import runwords
from backends.listmonk.campaigns import PAUSED, RUNNING, Campaign, Running
from backends.listmonk.claims import Claims, key_of
from backends.listmonk.client import Client
from backends.listmonk.kept import Entry, KeptLog
from backends.listmonk.runfile import RunFile
from backends.listmonk.system import Tuning
from backends.listmonk.trail import BLIND, Trail, shared, span_of, trail
from opsconsole.observation import RunWord, Says
from opsconsole.ports import Refused, Remembered, RunState, Surroundings, Verb
from opsconsole.settings import Listmonk

ONE_MOMENT: Final = timedelta(minutes=1)  # a start takes no longer
TUNING_KEPT: Final = timedelta(seconds=30)  # settings change rarely; a write of ours forgets them


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A campaign and all that is known of its run at `now`. `tuning` None: the token may not read the settings."""

    slug: str
    campaign: Campaign
    trail: Trail
    tuning: Tuning | None
    running: Running | None
    says: Says
    word: RunWord | None
    now: datetime
    out_size: int = 0

    @property
    def state(self) -> RunState | None:
        """None when it has no run."""
        if self.word is None:
            return None
        return RunState(
            slug=self.slug,
            run_id=self.word.run_id,
            attempt=self.word.attempt,
            says=self.says,
            word=self.word,
            out_size=self.out_size,
            can=self._can(),
        )

    def _can(self) -> frozenset[Verb]:
        if self.campaign.status not in (RUNNING, PAUSED):
            return frozenset()  # over, or on its way from one to the other
        can = runwords.CAN.get(self.says, frozenset())
        return can if self.drained or self.campaign.status == RUNNING else can - {Verb.RESUME}

    @property
    def drained(self) -> bool | None:
        return runwords.drained(self.campaign, self.trail, self.tuning, self.now)


def nothing() -> None:
    """Nobody wants to know."""


class Control:
    """`find` reads the campaign of a slug anew, with its body, and raises NotThere. `digests` and `audience` are
    those of dry run and observation, `audience` None where the token may not count. `changed` is called once
    something was changed. `identity` tells this listmonk from others, "" where that isn't known yet.

    Safe for several threads.
    """

    def __init__(
        self,
        name: str,
        settings: Listmonk,
        around: Surroundings,
        client: Client,
        find: Callable[[str], Campaign],
        digests: Callable[[Campaign], Mapping[str, str]],
        audience: Callable[[Campaign], int | None],
        changed: Callable[[], None] = nothing,
        identity: Callable[[], str] = lambda: "",
        counts_exactly: Callable[[], bool] = lambda: True,
        listed: Callable[[], Iterable[Campaign]] = tuple,
    ) -> None:
        self.name, self.settings, self.around, self.client = name, settings, around, client
        self.find, self.digests, self.audience, self._changed = find, digests, audience, changed
        self.identity, self._counts_exactly, self._listed = identity, counts_exactly, listed
        self.kept = KeptLog(folder(around.data_dir, name))
        self.claims = Claims(self.kept.folder)
        self._files: dict[str, RunFile] = {}
        self._tuning: tuple[datetime, Tuning | None] | None = None
        self._lock = threading.Lock()
        self.log_trouble = ""  # why the log can't be read; "" when it can

    @property
    def now(self) -> datetime:
        return self.around.clock()

    def changed(self) -> None:
        """Something was changed in listmonk: what was read of it before is old."""
        self._tuning = None
        self._changed()

    def file(self, campaign: Campaign) -> RunFile:
        name = key_of(campaign)
        with self._lock:
            return self._files.setdefault(name, RunFile(self.kept, name))

    def log(self) -> tuple[Entry, ...]:
        """Its log read and kept; what is new of it. None of it where the token may not: `log_trouble` says so."""
        asked = self.now
        try:
            lines = self.client.logs()
        except Refused as refusal:
            self.log_trouble = str(refusal)
            return ()
        return self.take(lines, asked)

    def take(self, lines: Sequence[str], asked: datetime) -> tuple[Entry, ...]:
        """Keep a log that was read elsewhere. What can't be kept can't be relied on: `log_trouble` says so."""
        try:
            new = self.kept.take(lines, asked)
        except OSError as error:
            self.log_trouble = f"Its log can't be kept in {self.kept.folder}: {error.strerror}."
            return ()
        self.log_trouble = ""
        return new

    def tuning(self) -> Tuning | None:
        """How it sends; None where the token may not read its settings."""
        known, now = self._tuning, self.now
        if known is None or now - known[0] > TUNING_KEPT:
            try:
                known = now, self.client.tuning()
            except Refused:
                known = now, None
            self._tuning = known
        return known[1]

    def look(self, slug: str, *, closely: bool = False) -> Look:
        """Everything, asked now. `closely`: with all campaigns, as those that came and went since they were listed
        last may have its name. Raises NotThere, OutOfReach, Trouble."""
        campaign = self.find(slug)
        running = None
        if campaign.status == RUNNING:
            running = next((one for one in self.client.running() if one.id == campaign.id), None)
        others = self.client.campaigns().campaigns if closely else ()
        self.log()
        return self.judge(slug, campaign, running, self.tuning(), others=others)

    def judge(
        self,
        slug: str,
        campaign: Campaign,
        running: Running | None,
        tuning: Tuning | None,
        moved_at: datetime | None = None,
        others: Iterable[Campaign] = (),
    ) -> Look:
        """What is known of it without asking anybody; its run's log gets what is new."""
        now = self.now
        remembered = self.remembered(slug, campaign)
        found = self.trail(campaign, remembered, others)
        says, word = runwords.run_word(
            campaign,
            found,
            remembered=remembered,
            tuning=tuning,
            running=running,
            moved_at=moved_at,
            now=now,
        )
        look = Look(
            slug=slug,
            campaign=campaign,
            trail=found,
            tuning=tuning,
            running=running,
            says=says,
            word=word,
            now=now,
        )
        if word is None:
            return look
        file = self.file(campaign)
        with suppress(OSError):  # a full disk costs the log of it, and no word on its state
            self._write(file, look, remembered)
        moved = moved_at or file.moved_at
        return replace(look, out_size=file.size, word=replace(word, progress_at=moved or word.progress_at))

    def trail(
        self, campaign: Campaign, remembered: Remembered | None = None, others: Iterable[Campaign] = ()
    ) -> Trail:
        """`others` are campaigns that were read just now, besides those that the looks know."""
        if self.log_trouble:
            return BLIND
        since = remembered.at if remembered and runwords.is_ours(campaign, remembered) else None
        kept = self.kept.entries()
        if not kept:
            return BLIND  # listmonk logs its own start: nothing was ever read
        return shared(trail(kept, campaign, since), campaign, (*others, *self._listed()))

    def remembered(self, slug: str, campaign: Campaign) -> Remembered | None:
        """The newest start that this user's consoles know of: by the store, else by the claim written beside it.

        What was planned for "at most so many" isn't held against who was reached: nobody of these is missing.
        """
        found = self._newest(slug, campaign)
        return found if found is None or self._counts_exactly() else replace(found, planned=None)

    def _newest(self, slug: str, campaign: Campaign) -> Remembered | None:
        known = self.around.started(self.name, slug)
        claim = self.claims.of(campaign)
        # Whoever comes second in the same moment has put its intent on record, and no claim.
        if claim is not None and (
            known is None or known.run_id == claim.run_id or known.at < claim.at + ONE_MOMENT
        ):
            return Remembered(
                run_id=claim.run_id,
                attempt=claim.attempt,
                at=claim.at,
                by=claim.by,
                planned=claim.planned,
                over=known.over if known and known.run_id == claim.run_id else False,
            )
        return known

    def _write(self, file: RunFile, look: Look, remembered: Remembered | None) -> None:
        ours = remembered is not None and runwords.is_ours(look.campaign, remembered)
        span = span_of(look.campaign, remembered.at if remembered and ours else None)
        if span is not None and not self.log_trouble:
            file.absorb(span.of(self.kept.entries(span.since - timedelta(minutes=1))))
        if look.word is not None:
            file.progress(progress(look), look.now)


def progress(look: Look) -> dict[str, Any]:
    """A line of progress in the keys of our runner. `summary` marks the last one."""
    word = look.word or RunWord()
    counts = word.counts
    document: dict[str, Any] = {"state": state_word(look)}
    if counts is not None:
        document |= {
            "total": counts.total,
            "processed": counts.settled,
            "accepted": counts.accepted,
            "failed": counts.failed,
            "unknown": counts.unknown,
        }
    document |= {"rate": word.rate, "eta_s": word.eta_s, "classes": dict(look.trail.classes)}
    if why := word.note:
        document["why"] = why[:300]
    if look.trail.last_error:
        document["last_error"] = look.trail.last_error
    if look.says is Says.ENDED:
        document["summary"] = True
    return document


def state_word(look: Look) -> str:
    """`pausing` until it is drained: a word that our runner hasn't, as it has no such time."""
    match look.says, look.campaign.status:
        case Says.PAUSED, _:
            return "paused" if look.drained else "pausing"
        case Says.ENDED, status:
            return status
        case _, "cancelled":
            return "cancelling"
        case _ if not runwords.picked_up(look.campaign):
            return "starting"
    return "sending"


def folder(data_dir: Path, name: str) -> Path:
    """Where the logs and claims of one platform lie. Names of the configuration are no paths."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80]
    return data_dir / f"listmonk-{safe}"
