"""One campaign in the engine's memory: what it sent, its errors, how much of it is still on its way."""

import time
from collections import deque
from collections.abc import Mapping
from threading import Event, Lock
from typing import Any, Protocol

from backends.embedded.listmonk import render
from backends.embedded.listmonk.database import Database, Missing
from backends.embedded.listmonk.golog import GoLog
from backends.embedded.listmonk.message import letter
from backends.embedded.listmonk.post import Letter
from backends.embedded.listmonk.rows import Campaign, Subscriber

MINUTE = 60.0


class Engine(Protocol):
    """What a pipe needs of the engine that has it."""

    database: Database
    settings: Mapping[str, Any]
    log: GoLog
    root_url: str
    dead: Event

    def notify(self, campaign: Campaign, status: str, reason: str) -> None: ...

    def forget(self, campaign: int) -> None: ...


class Pipe:
    """It lives until its last message was sent or dropped."""

    def __init__(self, manager: Engine, campaign: Campaign) -> None:
        """Raises render.Uncompilable."""
        self.manager, self.campaign = manager, campaign
        self.template = manager.database.template_body(campaign.template_id)
        render.compiled(self.template, campaign.body, campaign.subject)
        self.stopped = self.with_errors = False
        self._sent = self._last_id = self._errors = 0
        self._open = 1  # one for the batches to come, one for each message on its way
        self._times: deque[float] = deque()
        self._lock = Lock()

    def made(self, person: Subscriber) -> Letter | None:
        """The message, now on its way; none, and a line in the log, when it can't be rendered."""
        try:
            made = letter(self.campaign, self.template, person, self.manager.root_url)
        except render.Unrenderable as error:
            self.manager.log.write(f"error rendering message ({self.campaign.name}) ({person.email}): {error}")
            return None
        with self._lock:
            self._open += 1
        return made

    def sent(self, subscriber: int) -> None:
        with self._lock:
            self._sent += 1
            self._last_id = max(self._last_id, subscriber)
            self._times.append(time.monotonic())

    def failed(self) -> None:
        limit = int(self.manager.settings["app.max_send_errors"])
        if limit < 1:
            return
        with self._lock:
            self._errors += 1
            over = self._errors >= limit
        if over:
            self.stop(with_errors=True)
            self.manager.log.write(f"error count exceeded {limit}. pausing campaign {self.campaign.name}")

    def stop(self, *, with_errors: bool = False) -> None:
        """Only a mark: what is queued is dropped by the workers as they come to it."""
        if not self.stopped:
            self.with_errors = with_errors
            self.stopped = True

    def done(self) -> None:
        """One message less on its way; the last one ends it."""
        with self._lock:
            self._open -= 1
            ended = self._open == 0
        if ended and not self.manager.dead.is_set():
            self._end()

    def flushed(self) -> int:
        """How many were sent since the last time this was asked."""
        with self._lock:
            count, self._sent = self._sent, 0
            return count

    def rate(self) -> int:
        """Messages in the last minute."""
        with self._lock:
            since = time.monotonic() - MINUTE
            while self._times and self._times[0] < since:
                self._times.popleft()
            return len(self._times)

    def _end(self) -> None:
        database, log, campaign = self.manager.database, self.manager.log, self.campaign
        try:
            database.update_counts(campaign.id, self.flushed(), self._last_id)
            if self.with_errors:
                database.update_status(campaign.id, "paused")
                log.write(f"set campaign ({campaign.name}) to paused")
                self.manager.notify(campaign, "paused", "Too many errors")
                return
            if self.stopped:
                log.write(f"stop processing campaign ({campaign.name})")
                return
            self._finish()
        finally:
            self.manager.forget(campaign.id)

    def _finish(self) -> None:
        database, log, campaign = self.manager.database, self.manager.log, self.campaign
        try:
            status = database.campaign(campaign.id).status
        except Missing:
            log.write(f"error fetching campaign ({campaign.name}) for ending: sql: no rows in result set")
            return
        if status in ("running", "scheduled"):
            status = "finished"
            database.update_status(campaign.id, status)
            log.write(f"campaign ({campaign.name}) finished")
        else:
            log.write(f"finish processing campaign ({campaign.name})")
        self.manager.notify(campaign, status, "")
