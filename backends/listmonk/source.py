"""One look at a listmonk as a report: what was seen, what is known of each run, and all of it in words."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final

from backends.listmonk.campaigns import COMING, Campaign, Running
from backends.listmonk.control import Control
from backends.listmonk.looks import Looks, Seen
from backends.listmonk.othermail import other_mail_trouble
from backends.listmonk.runwords import run_word
from backends.listmonk.trail import BLIND
from backends.listmonk.words import Place, Ran, archived, machine, report
from opsconsole.observation import Report, RunWord, Says
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
        """By the newest look; "" before the first."""
        return machine(self._looks.seen) if self._looks.seen else ""

    def _ran(self, slug: str, it: Campaign, seen: Seen) -> Ran:
        """Of one that has been over for a while it stays the same."""
        state = (slug, it.status, it.updated, it.sent, it.to_send)
        known = self._over.get(it.id)
        if known is not None and known[0] == state:
            return known[1]
        beat = seen.beats.get(it.id)
        running, moved_at = seen.running.get(it.id), beat.at if beat else None
        try:
            look = self._control.judge(slug, it, running, seen.tuning, moved_at)
        except OSError:  # nothing can be kept here now, which the look has said; what listmonk says still counts
            return Ran(*_by_row_alone(it, seen, running, moved_at), BLIND)
        ran = Ran(look.says, look.word, look.trail)
        if look.says is Says.ENDED and it.updated_at is not None and seen.at - it.updated_at > SETTLED:
            self._over[it.id] = state, ran
        return ran


def _by_row_alone(
    it: Campaign, seen: Seen, running: Running | None, moved_at: datetime | None
) -> tuple[Says, RunWord | None]:
    return run_word(it, BLIND, remembered=None, tuning=seen.tuning, running=running, moved_at=moved_at, now=seen.at)
