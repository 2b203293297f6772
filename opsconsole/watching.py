"""Watching without a screen: what changed is told once, and a sign of life is given while somebody looks."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from opsconsole.alive import leave_mark
from opsconsole.attention import Transition, alarm_of
from opsconsole.audit.outbox import told
from opsconsole.console import Console
from opsconsole.errors import AuditUnavailable
from opsconsole.lookout import Lookout, sees_all
from opsconsole.paging import end_forgotten, page, standing_messages
from opsconsole.ports import Trouble
from opsconsole.schedule import say_span
from opsconsole.verdict import Group

AT_LEAST_EVERY_S = 5.0
"""Time alone changes a board: what was due becomes late."""
AT_MOST_EVERY_S = 0.3
RENEW_EVERY_S = 60.0
SEEN_EVERY_S = 10.0


@runtime_checkable
class Renews(Protocol):
    """A receiver that forgets what isn't told again."""

    def renew(self, payloads: Sequence[Mapping[str, Any]]) -> None: ...


class Watcher:
    """Looks whenever a source has answered, and now and then. A read-only console tells nobody."""

    def __init__(self, console: Console, lookout: Lookout) -> None:
        self._console, self._lookout = console, lookout
        self._changed, self._stopped = threading.Event(), threading.Event()
        self._put_right = False
        self.trouble = ""  # why others can't be told now
        self.turned = time.monotonic()
        console.watch.on_change(lambda name: self._changed.set())

    def turn(self) -> tuple[Transition, ...]:
        """What changed since the last turn. It waits in the outbox for those who hear of it when this returns."""
        changes = self._lookout.look(self._console)
        if self._console.read_only:
            self._lookout.settle()
        elif self._lookout.owed:
            environment = self._console.identity.environment
            try:
                page(self._console.store(), environment, self._lookout.owed, self._lookout.standing.values())
            except AuditUnavailable as error:  # they stay owed, and the sign of life stops
                self.trouble = str(error)
            else:
                self.trouble = ""
                self._lookout.settle()
        if not (self._console.read_only or self._put_right):
            self._put_right = self._end_forgotten()
        self.turned = time.monotonic()
        return changes

    def _end_forgotten(self) -> bool:
        """Once, when every source is seen: end what an earlier watcher told of and nobody keeps in mind."""
        board = self._console.board()
        if not sees_all(self._console, board):
            return False
        environment, policy = self._console.identity.environment, self._console.policy
        now = (alarm_of(verdict, environment, policy, board.at) for verdict in board.group(Group.ATTENTION))
        threads = {alarm.thread for alarm in (*self._lookout.standing.values(), *now)}
        with suppress(AuditUnavailable):
            end_forgotten(self._console.store(), environment, threads, board.at)
            return True
        return False

    def run(self, each: Callable[[Transition], None]) -> None:
        """Turn until `stop` is called, from a signal or another thread."""
        while not self._stopped.is_set():
            for change in self.turn():
                each(change)
            self._changed.wait(AT_LEAST_EVERY_S)
            self._changed.clear()
            self._stopped.wait(AT_MOST_EVERY_S)

    def stop(self) -> None:
        self._stopped.set()
        self._changed.set()

    def wait(self, seconds: float) -> bool:
        """False after so long, True once it was stopped."""
        return self._stopped.wait(seconds)

    def why_silent(self, blind_after: timedelta) -> str:
        """Why no sign of life may be given: nobody really looks, or nobody could be told. "" when all is well."""
        limit = blind_after.total_seconds()
        if time.monotonic() - self.turned > max(limit, 60.0):
            return "the watcher itself stands still"
        unanswered = self._console.watch.unanswered_for
        if unanswered is None or unanswered > limit:
            ever = "no source has answered yet"
            return ever if unanswered is None else f"no source has answered for {say_span(blind_after)}"
        return f"nobody can be told: {self.trouble}" if self.trouble else ""

    def renew(self) -> None:
        """Tell those who forget what still stands. Raises Trouble when one of them can't be told."""
        if self._console.read_only:
            return
        store = self._console.store()
        for ear in store.rules.told.get(self._console.identity.environment, ()):
            receiver: object = self._console.also_told.get(ear.destination)
            if isinstance(receiver, Renews):
                messages = standing_messages(tuple(self._lookout.standing.values()), ear)
                receiver.renew([told(message, store.redactor) for message in messages])  # as through the outbox

    def untold(self) -> dict[str, str]:
        """By destination, why it could not be told when it was last tried."""
        found = (item for item in self._console.waiting() if item.destination.startswith("notify:") and item.tries)
        return {item.destination: item.last_error for item in found}


class Signs:
    """The watcher's signs of life, from a thread of its own: at `beat` for somebody else to miss, and a mark beside
    the audit store, by which the screens of this machine see that nobody is paged any more."""

    def __init__(
        self,
        watcher: Watcher,
        *,
        mark: Path | None,
        clock: Callable[[], datetime],
        say: Callable[[str], None],
        beat: Callable[[], None] | None = None,
        every: timedelta = timedelta(minutes=1),
        blind_after: timedelta = timedelta(minutes=5),
    ) -> None:
        self._watcher, self._mark, self._clock, self._say = watcher, mark, clock, say
        self._beat, self._every, self._blind_after = beat, every.total_seconds(), blind_after
        self._due = {"mark": 0.0, "beat": 0.0, "renew": 0.0, "untold": 0.0}
        self._said: dict[str, str] = {}

    def start(self) -> None:
        threading.Thread(target=self._keep, name="signs", daemon=True).start()

    def _keep(self) -> None:
        while not self._watcher.wait(0.5):
            self.turn(time.monotonic())

    def turn(self, now: float) -> None:
        """Give whatever sign is due at `now`, a monotonic instant."""
        silent = self._watcher.why_silent(self._blind_after)
        if self._is_due("mark", now, SEEN_EVERY_S) and self._mark is not None and "stands still" not in silent:
            with suppress(OSError):
                leave_mark(self._mark, self._clock())
        if self._beat is not None and self._is_due("beat", now, self._every):
            self._tell_once("dead man", f"The dead-man signal is not given: {silent}" if silent else "")
            if not silent:
                self._try("dead-man signal", self._beat)
        if self._is_due("renew", now, RENEW_EVERY_S):
            self._try("renewal", self._watcher.renew)
        if self._is_due("untold", now, SEEN_EVERY_S):
            self._tell_once("outbox", self._watcher.trouble)
            with suppress(AuditUnavailable):
                for destination, why in self._watcher.untold().items():
                    self._tell_once(destination, f"{destination} could not be told: {why}")

    def end(self) -> None:
        """Left on purpose: nobody is to miss it here."""
        if self._mark is not None:
            self._mark.unlink(missing_ok=True)

    def _is_due(self, what: str, now: float, every: float) -> bool:
        if now < self._due[what]:
            return False
        self._due[what] = now + every
        return True

    def _try(self, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except (Trouble, AuditUnavailable) as error:
            self._tell_once(what, f"The {what} failed: {error}")
        else:
            self._tell_once(what, "")

    def _tell_once(self, what: str, words: str) -> None:
        if words and self._said.get(what) != words:
            self._say(words)
        elif not words and self._said.get(what):
            self._say(f"The {what} works again." if what != "dead man" else "The dead-man signal is given again.")
        self._said[what] = words
