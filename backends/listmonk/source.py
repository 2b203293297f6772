"""One look at a listmonk as a report: what was seen, what is known of each run, and all of it in words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from backends.listmonk.campaigns import COMING, FINISHED, Campaign
from backends.listmonk.control import Control
from backends.listmonk.looks import Looks, Seen
from backends.listmonk.othermail import other_mail_trouble
from backends.listmonk.runwords import run_word
from backends.listmonk.trail import BLIND, Trail
from backends.listmonk.words import Place, Ran, archived, machine, report
from opsconsole.observation import Report, Says
from opsconsole.ports import Trouble

SETTLED: Final = timedelta(minutes=2)
"""After so long what a campaign that is over left in the log is all there."""


class Observer:
    """The looks of one listmonk, and what of them need not be worked out again."""

    def __init__(self, looks: Looks, control: Control, place: Place, clock: Callable[[], datetime]) -> None:
        self._looks, self._control, self._place, self._clock = looks, control, place, clock
        self._over: dict[int, tuple[tuple[object, ...], Ran]] = {}
        self._lost_at: datetime | None = None

    def observe(self) -> Report:
        """Never raises for a system out of reach: the report says so."""
        began = monotonic()
        try:
            seen = self._looks.look()
        except Trouble as trouble:
            now = self._clock()
            self._lost_at = self._lost_at or now
            return Report(
                source=self._place.source,
                looked_at=now,
                fresh_for=self._place.fresh_for,
                keeps_traces=True,
                trouble=str(trouble),
                out_of_reach_since=self._lost_at,
            )
        self._lost_at = None
        ran = {
            slug: self._ran(slug, it, seen)
            for slug, it in seen.campaigns.items()
            if not archived(it, seen.at, self._place) and (it.status not in COMING or it.started_at is not None)
        }
        told = report(seen, ran, self._place, filter(None, (other_mail_trouble(seen.entries, seen.at),)))
        return replace(told, latency_ms=(monotonic() - began) * 1000)

    def identity(self) -> str:
        """By the newest look, with the name that people know it by in front; "" before the first."""
        itself = machine(self._looks.seen) if self._looks.seen else ""
        return f"{urlsplit(self._place.settings.url).netloc} {itself}" if itself else ""

    def _ran(self, slug: str, it: Campaign, seen: Seen) -> Ran:
        """Of one that has been over for a while it stays the same."""
        state = (slug, it.status, it.updated, it.sent, it.to_send)
        known = self._over.get(it.id)
        if known is not None and known[0] == state:
            return known[1]
        settled = it.updated_at is not None and seen.at - it.updated_at > SETTLED
        try:
            ran = (
                self._by_row(slug, it, seen, Trail())
                if settled and _reached_all(it)
                else self._by_log(slug, it, seen)
            )
        except OSError:  # nothing can be kept here now, which the look has said; what listmonk says still counts
            return self._by_row(slug, it, seen, BLIND)
        if settled and ran.says is Says.ENDED:
            self._over[it.id] = state, ran
        return ran

    def _by_log(self, slug: str, it: Campaign, seen: Seen) -> Ran:
        beat = seen.beats.get(it.id)
        look = self._control.judge(slug, it, seen.running.get(it.id), seen.tuning, beat.at if beat else None)
        return Ran(look.says, look.word, look.trail)

    def _by_row(self, slug: str, it: Campaign, seen: Seen, trail: Trail) -> Ran:
        """Without its log, which is long: there is nothing to be found for one that reached everybody."""
        beat = seen.beats.get(it.id)
        says, word = run_word(
            it,
            trail,
            remembered=self._control.remembered(slug, it),
            tuning=seen.tuning,
            running=seen.running.get(it.id),
            moved_at=beat.at if beat else None,
            now=seen.at,
        )
        return Ran(says, word, trail)


def _reached_all(it: Campaign) -> bool:
    return it.status == FINISHED and it.sent >= it.to_send > 0
