"""Its sending engine: a scan every few seconds, one goroutine that fetches batches, and workers that send.

What it keeps in memory dies with it: `kill` is what kill -9, a restart of the machine and a reload of the settings
come to. A batch that was fetched and not sent is skipped for good then, for the checkpoint is behind it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread
from typing import Any

from backends.embedded.listmonk import durations, message, render
from backends.embedded.listmonk.database import Database
from backends.embedded.listmonk.golog import GoLog
from backends.embedded.listmonk.lanes import Closed, Lanes
from backends.embedded.listmonk.pipe import Pipe
from backends.embedded.listmonk.post import Cut, Letter, Post, Undelivered
from backends.embedded.listmonk.rows import Campaign, Subscriber

CAMPAIGNS, ALONE = 0, 1  # the lanes: messages of campaigns and their tests; transactional ones and notices


@dataclass(frozen=True, slots=True)
class Waits:
    """In seconds, as they really are; tests shorten them."""

    scan: float = 5.0
    second: float = 1.0  # that a worker rests after `message_rate` messages
    push: float = 3.0  # for room in the queue, before "message push timed out"
    reload: float = 0.5  # from a saved setting to the restart
    down: float = 0.3  # of a restart


class PushTimedOut(Exception):
    """The queue was full for too long."""


class Manager:
    """`settings` are those in force, read once. A passive one never scans; `held` puts the next scan off."""

    def __init__(
        self, database: Database, settings: Mapping[str, Any], log: GoLog, post: Post,
        clock: Callable[[], datetime], *, waits: Waits, passive: bool = False,
        held: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.database, self.settings, self.log, self.clock = database, settings, log, clock
        self.root_url = str(settings["app.root_url"])
        self.dead = Event()
        self._post, self._waits, self._passive, self._held = post, waits, passive, held
        self._workers, self._rate = (
            max(int(settings["app.concurrency"]), 1),
            max(int(settings["app.message_rate"]), 1),
        )
        self._messages: Lanes[tuple[Letter, Pipe | None]] = Lanes(self._workers * self._rate * 2, self._workers)
        self._next: SimpleQueue[Pipe | None] = SimpleQueue()
        self._pipes: dict[int, Pipe] = {}
        self._lock = RLock()
        self._window_start, self._window_count = clock(), 0
        self._threads: list[Thread] = []

    def start(self) -> None:
        jobs = [self._run, *([self._work] * self._workers), *([] if self._passive else [self._scan])]
        self._threads = [Thread(target=job, name="listmonk-engine", daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def kill(self) -> None:
        """Nothing is drained, flushed or written any more; returns when no thread of it is left."""
        self.dead.set()
        self._messages.close()
        self._next.put(None)
        for thread in self._threads:
            thread.join(5)

    # --- what the API asks of it

    def has_messenger(self, name: str) -> bool:
        return name in self.messengers()

    def messengers(self) -> list[str]:
        named = [str(block["name"]) for block in self._servers() if block["name"]]
        return ["email", *named, *self._postbacks()]

    def running(self) -> bool:
        """Whether any campaign is in its memory, a paused one that still drains as well."""
        with self._lock:
            return bool(self._pipes)

    def rate(self, campaign: int) -> int:
        with self._lock:
            pipe = self._pipes.get(campaign)
        return pipe.rate() if pipe else 0

    def waiting(self) -> int:
        """Messages in its queue."""
        return self._messages.waiting()

    def stop_campaign(self, campaign: int) -> None:
        with self._lock:
            if pipe := self._pipes.get(campaign):
                pipe.stop()

    def push_test(self, campaign: Campaign, person: Subscriber) -> None:
        """Queued, not sent. Raises render.Uncompilable, render.Unrenderable, PushTimedOut."""
        template = self.database.template_body(campaign.template_id)
        render.compiled(template, campaign.body, campaign.subject)
        self._push(CAMPAIGNS, message.letter(campaign, template, person, self.root_url, test=True))

    def push_alone(self, letter: Letter) -> None:
        """Queued, not sent. Raises PushTimedOut."""
        self._push(ALONE, letter)

    def _push(self, lane: int, letter: Letter) -> None:
        try:
            taken = self._messages.put(lane, (letter, None), self._waits.push)
        except Closed as error:
            raise PushTimedOut("message push timed out") from error
        if not taken:
            self.log.write(f"message push timed out: '{letter.subject}'")
            raise PushTimedOut("message push timed out")

    # --- what its pipes ask of it

    def forget(self, campaign: int) -> None:
        with self._lock:
            self._pipes.pop(campaign, None)

    def notify(self, campaign: Campaign, status: str, reason: str) -> None:
        """A mail to the admins, through the same servers."""
        for address in self.settings["app.notify_emails"]:
            text = f"{campaign.name}: {status} {reason}".strip()
            with suppress(Closed):
                sender = str(self.settings["app.from_email"])
                notice = Letter(sender, str(address), f"Campaign {status}", text, "html", "email")
                self._messages.put(ALONE, (notice, None), 0)

    # --- its goroutines

    def _scan(self) -> None:
        while not self.dead.wait(self._waits.scan):
            if self._held():
                continue
            with self._lock:
                sent = {number: pipe.flushed() for number, pipe in self._pipes.items()}
            for campaign in self.database.next_campaigns(sent):
                try:
                    pipe = self._new_pipe(campaign)
                except (render.Uncompilable, ValueError) as error:
                    self.log.write(f"error processing campaign ({campaign.name}): {error}")
                    continue
                self.log.write(f"start processing campaign ({campaign.name})")
                self._next.put(pipe)

    def _new_pipe(self, campaign: Campaign) -> Pipe:
        if not self.has_messenger(campaign.messenger):
            self.database.update_status(campaign.id, "cancelled")
            raise ValueError(f"unknown messenger {campaign.messenger} on campaign {campaign.name}")
        pipe = Pipe(self, campaign)
        with self._lock:
            self._pipes[campaign.id] = pipe
        return pipe

    def _run(self) -> None:
        """One for all campaigns: whoever sleeps here lets every other one wait."""
        while not self.dead.is_set():
            with suppress(Empty, Closed):
                pipe = self._next.get()
                if pipe is None:
                    return
                if self._batch(pipe):
                    self._next.put(pipe)
                else:
                    pipe.done()

    def _batch(self, pipe: Pipe) -> bool:
        """Whether there was one. Raises Closed."""
        people = self.database.next_subscribers(pipe.campaign.id, max(int(self.settings["app.batch_size"]), 1))
        span = durations.parsed(str(self.settings["app.message_sliding_window_duration"]))
        most = int(self.settings["app.message_sliding_window_rate"])
        sliding = self.settings["app.message_sliding_window"] and most > 0 and span > timedelta(seconds=1)
        for person in people:
            letter = pipe.made(person)
            if letter is None:
                continue
            self._messages.put(CAMPAIGNS, (letter, pipe))
            if sliding:
                self._slide(span, most)
        return bool(people)

    def _slide(self, span: timedelta, most: int) -> None:
        """The window is everybody's, counts what was queued, and its sleep doesn't look whether anybody stopped."""
        gone = self.clock() - self._window_start
        if gone >= span:
            self._window_start, self._window_count = self.clock(), 0
            return
        self._window_count += 1
        if self._window_count >= most:
            rest = span - gone
            self.log.write(
                f"messages exceeded ({self._window_count}) for the window ({durations.shown(span)} since "
                f"{self._window_start:%d %b %y %H:%M %z}). Sleeping for {durations.shown(rest)}."
            )
            self._window_count = 0
            self.dead.wait(rest.total_seconds())

    def _work(self) -> None:
        count = 0
        with suppress(Closed, Cut):
            while True:
                letter, pipe = self._messages.get()
                if pipe is not None and pipe.stopped:
                    pipe.done()
                    continue
                if letter.campaign_id is not None:  # the rate isn't asked of transactional messages
                    if count >= self._rate:
                        self.dead.wait(self._waits.second)
                        count = 0
                    count += 1
                self._send(letter, pipe)

    def _send(self, letter: Letter, pipe: Pipe | None) -> None:
        """Raises Cut."""
        error = ""
        try:
            self._post.push(letter, self._blocks(letter.messenger, letter.sender), self.clock(), self.dead)
        except Undelivered as why:
            error = str(why)
        if self.dead.is_set():
            raise Cut
        if error and letter.campaign_id is not None:
            self.log.write(
                f"error sending message in campaign {letter.campaign}: subscriber {letter.subscriber_id}: {error}"
            )
        elif error:
            self.log.write(f"error sending message '{letter.subject}': {error}")
        if pipe is not None:
            if error:
                pipe.failed()
            else:
                pipe.sent(letter.subscriber_id)
            pipe.done()

    # --- servers

    def _servers(self) -> list[Mapping[str, Any]]:
        return [block for block in self.settings["smtp"] if block["enabled"]]

    def _postbacks(self) -> list[str]:
        return [str(one["name"]) for one in self.settings["messengers"] if one.get("enabled")]

    def _blocks(self, messenger: str, sender: str) -> list[Mapping[str, Any]]:
        """Where its messages may go: for `email` those of the sender's address or domain, else any; one by name."""
        if messenger == "email":
            address = parseaddr(sender)[1].lower()
            theirs = {address, address.partition("@")[2]}
            servers = self._servers()
            return [block for block in servers if theirs & set(block.get("from_addresses", ()))] or servers
        named = [block for block in self._servers() if block["name"] == messenger]
        return named or [{"host": one, "port": 0} for one in self._postbacks() if one == messenger]
