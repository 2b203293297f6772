"""Asks every source, in threads of its own, and keeps the newest word of each.

A slow source never delays another, and two looks at one source never overlap. Nothing here changes anything.
"""

import difflib
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from opsconsole import snapshot
from opsconsole.board import merge
from opsconsole.observation import Report
from opsconsole.ports import NotThere, Source
from opsconsole.redact import mask_addresses, redact, visible


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
        self._reports = self._remembered()
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

    def nobody_knows(self, slug: str) -> NotThere:
        """The error for a campaign no source has named, with the one that was probably meant."""
        known = {o.slug for report in self.reports().values() for o in report.observations}
        close = difflib.get_close_matches(slug, sorted(known), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "See `opsconsole board` for those there are."
        return NotThere(f"No source knows a campaign {slug!r}.", "", hint)

    def on_change(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

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

    def stop(self) -> None:
        self._stop.set()

    def _keep_asking(self, name: str) -> None:
        while not self._stop.is_set():
            self._ask(name)
            every = self._watched[name].every.total_seconds()
            self._stop.wait(every * random.uniform(0.9, 1.1))  # noqa: S311 - only spreads the load

    def _ask(self, name: str) -> None:
        with self._turns[name]:
            with self._lock:
                self._asking.add(name)
            try:
                report = self._look(name)
            finally:
                with self._lock:
                    self._asking.discard(name)
            with self._lock:
                self._reports[name] = merge(self._reports.get(name), report)
        self._remember()
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
            snapshot.save(self._path, self.reports().values())
