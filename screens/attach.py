"""Following one run, in threads of its own: its log goes to disk as it comes, its end into words."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opsconsole.ports import Followed, RunState, Trouble
from screens.logfile import LogFile
from screens.skim import Skimmer

if TYPE_CHECKING:
    from opsconsole.console import Console

T = TypeVar("T")

SKIM_EVERY = 0.1
ASK_AGAIN = (1.0, 2.0, 5.0, 10.0)  # seconds between tries while the link is lost
LOOK_AT_OUTBOX_EVERY = 5.0


class Stream:
    """A log as it comes: kept in `file`, unchanged, and read for where it stands."""

    def __init__(self, path: Path) -> None:
        self.file, self.skimmer = LogFile(path), Skimmer()
        self.disk_trouble = ""
        self._over = threading.Event()
        threading.Thread(target=self._keep_skimming, name="skim-log", daemon=True).start()

    def take(self, data: bytes) -> None:
        """More of the log. A full disk stops the copy, never the following."""
        self.skimmer.feed(data)
        if not self.disk_trouble:
            try:
                self.file.append(data)
            except OSError as error:
                self.disk_trouble = (
                    f"The copy of the log stopped ({error.strerror}); the run goes on. Free some disk."
                )

    def close(self) -> None:
        self._over.set()
        self.skimmer.close()

    def _keep_skimming(self) -> None:
        while not self._over.wait(SKIM_EVERY):
            self.skimmer.catch_up()


class Attachment:
    """One run being followed from byte 0. Attributes are set by its thread and only read by others."""

    def __init__(self, console: "Console", slug: str, attempt: int | None, folder: Path) -> None:
        self._console, self.slug, self._attempt, self._folder = console, slug, attempt, folder
        self.stream: Stream | None = None
        self.run: RunState | None = None
        self.end: RunState | None = None
        self.carrier = ""
        self.trouble = ""  # why nothing can be followed
        self.lost = ""  # why nothing comes now; it is tried again
        self.recorded: tuple[str, ...] = ()
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._work, name=f"follow-{self.slug}", daemon=True).start()

    def leave(self) -> None:
        """Stop following. The run goes on."""
        self._stop.set()

    @property
    def live(self) -> bool:
        return self.run is not None and self.end is None and not self.trouble

    @property
    def link(self) -> str:
        """ "" while the link is well; else what is wrong with it."""
        if self.end is not None or self.run is None:
            return ""
        state = self._console.connection(self.carrier).get("state") if self.carrier else None
        return self.lost or ("the link to the host is down" if state not in (None, "", "connected") else "")

    def _work(self) -> None:
        try:
            run = self._until_reached(self._find)
            if run is None:
                self.trouble = self.trouble or f"No run of {self.slug} is known to its carrier."
                return
            self.stream = Stream(self._folder / f"{self.slug}.{run.attempt}.log")
            self.run = run
            followed = self._until_reached(lambda: self._follow(run.attempt))
            self.stream.close()
            if followed is not None:
                self.end = followed.end
            self._keep_telling()
        except Exception as error:  # whatever it is, it belongs on the screen and not in a dead thread
            self.trouble = str(error)
        finally:
            if self.stream is not None:
                self.stream.close()

    def _find(self) -> RunState | None:
        self.carrier = self._console.carrier_of(self.slug).name
        return self._console.run_state(self.slug, self._attempt)

    def _follow(self, attempt: int) -> Followed | None:
        """Follow until the end is known; a carrier that stops without one is asked again."""
        assert self.stream is not None
        stream, stop = self.stream, self._stop

        def take(data: bytes) -> None:
            self.lost = ""
            stream.take(data)

        while not stop.is_set():
            followed = self._console.follow(self.slug, attempt, stream.skimmer.taken, take, stop)
            if followed.end is not None or stop.is_set():
                return followed
            stop.wait(ASK_AGAIN[0])
        return None

    def _until_reached(self, ask: Callable[[], T]) -> T | None:
        """The answer to `ask`, tried again for as long as the carrier can't be asked; None once left."""
        tries = 0
        while not self._stop.is_set():
            try:
                answer = ask()
            except Trouble as error:
                self.lost = error.what
                self._stop.wait(ASK_AGAIN[min(tries, len(ASK_AGAIN) - 1)])
                tries += 1
            else:
                self.lost = ""
                return answer
        return None

    def _keep_telling(self) -> None:
        """What was recorded of the end and who was told, until everybody was or nobody looks any more."""
        while self.end is not None and not self._stop.is_set():
            waiting = False
            with suppress(Exception):  # a broken store has a banner of its own
                self.recorded, waiting = say_end(self._console, self.end)
            if not waiting:
                return
            self._stop.wait(LOOK_AT_OUTBOX_EVERY)


def say_end(console: "Console", end: RunState) -> tuple[tuple[str, ...], bool]:
    """What the audit store and the outbox hold of this end, in lines; and whether somebody waits to be told."""
    from opsconsole import recording

    records = [r for r in console.store().for_run(end.run_id) if r.detail.get("result") == "ended"]
    lines = [f"recorded: {r.detail.get('status', 'ended')}, audit record {r.seq}" for r in records[-1:]]
    if not lines:
        lines = ["not recorded here: this console didn't start it"]
    told = console.recorded(end.slug) if records else ()
    lines += [recording.say_recorded(item, console.clock(), console.local_zone) for item in told]
    return tuple(lines), any(item.done_utc is None for item in told)
