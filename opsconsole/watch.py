"""Asks every source, in threads of its own, and keeps the newest word of each.

A slow source never delays another, and two looks at one source never overlap. One that fails is asked less and
less often, up to eight times the usual wait and never over `LONGEST`. After the machine slept or its clock was set,
every source is asked at once. Nothing here changes anything.
"""

import difflib
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from opsconsole import clocks, snapshot
from opsconsole.board import merge
from opsconsole.clocks import Jump
from opsconsole.observation import Report
from opsconsole.ports import NotThere, Source
from opsconsole.redact import mask_addresses, redact, visible

LONGEST = timedelta(minutes=1)
"""A source that fails is asked at least so often, unless it is asked less often when all is well."""
PATIENCE_S = 60.0
"""So long a source that doesn't come back to us keeps what the others say from counting as looked at anew."""
TICK_S = 0.5
"""How often the clocks are compared."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and how often it is asked."""

    source: Source
    every: timedelta


class Watch:
    """The newest report of each source. `on_change` is called from the asking thread after each answer."""

    def __init__(
        self, watched: Iterable[Watched], clock: Callable[[], datetime], snapshot_path: Path | None
    ) -> None:
        self._watched = {w.source.name: w for w in watched}
        self._clock = clock
        self._path = snapshot_path
        self._lock = threading.Lock()
        self._turns = {name: threading.Lock() for name in self._watched}
        self._saving = threading.Lock()
        self._stop = threading.Event()
        self._listeners: list[Callable[[str], None]] = []
        self._jumped: list[Callable[[Jump, float], None]] = []
        self._wake = {name: threading.Event() for name in self._watched}
        self._failures = dict.fromkeys(self._watched, 0)
        self._looks = dict.fromkeys(self._watched, 0)  # how often each was asked, and has answered or failed
        self._answered: float | None = None
        self._anew_since = time.monotonic()
        self._before = dict.fromkeys(self._watched, 0)  # as many when it had to be asked anew
        self._reports = self._remembered()
        self._saved: dict[str, tuple[Report, bytes]] = {}  # each source's report as it was saved
        self._asking: set[str] = set()

    def reports(self) -> Mapping[str, Report]:
        return self.heard()[0]

    def heard(self) -> tuple[Mapping[str, Report], frozenset[str]]:
        """The newest reports, and the sources of which there is none: they never answered so far."""
        with self._lock:
            return dict(self._reports), frozenset(self._watched.keys() - self._reports.keys())

    @property
    def asking(self) -> frozenset[str]:
        """The sources that are being asked right now."""
        with self._lock:
            return frozenset(self._asking)

    @property
    def looked_anew(self) -> bool:
        """Every source was asked, and has answered or failed, since the start and since the clocks last jumped."""
        with self._lock:
            late = time.monotonic() - self._anew_since > PATIENCE_S
            return late or all(self._looks[name] > count for name, count in self._before.items())

    @property
    def unanswered_for(self) -> float | None:
        """Seconds since any source but the console's own store answered; None when none ever did."""
        with self._lock:
            return None if self._answered is None else time.monotonic() - self._answered

    def nobody_knows(self, slug: str) -> NotThere:
        """The error for a campaign no source has named, with the one that was probably meant."""
        known = {o.slug for report in self.reports().values() for o in report.observations}
        close = difflib.get_close_matches(slug, sorted(known), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "See `opsconsole board` for those there are."
        return NotThere(f"No source knows a campaign {slug!r}.", "", hint)

    def on_change(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    def on_jump(self, listener: Callable[[Jump, float], None]) -> None:
        """Called, with the kind of jump and its seconds, before everything is asked again because of it."""
        self._jumped.append(listener)

    def refresh(self, names: Iterable[str] | None = None) -> None:
        """Ask these sources (all of them by default) at the same time, and return when each has answered."""
        threads = [
            threading.Thread(target=self._ask, args=(name,), name=f"ask-{name}", daemon=True)
            for name in (self._watched if names is None else names)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def start(self) -> None:
        """Ask each source now and then every so often, until `stop`."""
        for name in self._watched:
            threading.Thread(target=self._keep_asking, args=(name,), name=f"watch-{name}", daemon=True).start()
        threading.Thread(target=self._compare_clocks, name="watch-clocks", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        for wake in self._wake.values():
            wake.set()

    def next_after(self, name: str) -> timedelta:
        """How long until a source is asked again by itself, as often as it has failed in a row; without jitter."""
        every = self._watched[name].every
        times = (1, 1, 2, 4, 8)[min(self._failures[name], 4)]
        return min(every * times, max(every, LONGEST))

    def jump(self, kind: Jump, seconds: float) -> None:
        """The machine slept, or its clock was set: whatever was known is old, so everything is asked at once."""
        with self._lock:
            # A look that is under way began before it; what counts is the one after.
            self._anew_since = time.monotonic()
            self._before = {n: count + (n in self._asking) for n, count in self._looks.items()}
        for heed in self._jumped:
            with suppress(Exception):  # who can't heed it must not keep the others from being asked
                heed(kind, seconds)
        for wake in self._wake.values():
            wake.set()
        self._tell("clock")

    def _compare_clocks(self) -> None:
        before = clocks.read()
        while not self._stop.wait(TICK_S):
            after = clocks.read()
            for kind, seconds in clocks.jumps(before, after, TICK_S):
                self.jump(kind, seconds)
            before = after

    def _keep_asking(self, name: str) -> None:
        wake = self._wake[name]
        while not self._stop.is_set():
            wake.clear()
            self._ask(name)
            if not self._stop.is_set():
                wait = self.next_after(name).total_seconds()
                wake.wait(wait * random.uniform(0.9, 1.1))  # noqa: S311 - only spreads the load

    def _ask(self, name: str) -> None:
        with self._turns[name]:
            with self._lock:
                self._asking.add(name)
            report = self._look(name)
            with self._lock:
                self._asking.discard(name)
                self._reports[name] = merge(self._reports.get(name), report)
                self._failures[name] = self._failures[name] + 1 if report.trouble else 0
                self._looks[name] += 1
                if not report.trouble and name != "console":
                    self._answered = time.monotonic()
        self._tell(name)
        self._remember()

    def _tell(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)

    def _look(self, name: str) -> Report:
        source, every = self._watched[name].source, self._watched[name].every
        try:
            return source.observe()
        except Exception as error:  # a fault in one backend must not blind the others
            now = self._clock()
            said = visible(mask_addresses(redact(str(error))), 500)  # it goes into the last known state, too
            text = f"Asking {name} failed: {type(error).__name__}: {said}. Please report this."
            return Report(source=name, looked_at=now, fresh_for=2 * every, trouble=text, out_of_reach_since=now)

    def _remembered(self) -> dict[str, Report]:
        if self._path is None:
            return {}
        return {r.source: r for r in snapshot.load(self._path) if r.source in self._watched}

    def _remember(self) -> None:
        if self._path is None:
            return
        with self._saving, suppress(OSError):  # a disk that is full costs the fast start, nothing else
            for name, report in self.reports().items():
                if name not in self._saved or self._saved[name][0] is not report:
                    self._saved[name] = (report, snapshot.encoded(report))
            snapshot.save_encoded(self._path, [data for _, data in self._saved.values()])
