"""This campaign's share of its account's rate, beside the others that send by the same account on this host.

Each process that sends holds a locked file in a folder of the account, its priority in the name. A process that
dies loses its lock, and the others, who look every second, divide its share. One that comes waits until all have
seen it, so that together they never go faster than the account may.
"""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path

from runner.policy.gates import Wait
from runner.policy.limits import PRIORITIES, Priority
from runner.policy.shares import portion

STATE = "share"
LOOK_EVERY = 1.0  # seconds
_SEEN_AFTER = 2.5  # seconds until everybody has looked


class Share:
    """A gate, and the rate to keep to. `rate` is the account's, in messages a second. Clocks are monotonic seconds,
    but for wait()'s, as all gates'."""

    def __init__(self, folder: Path, priority: Priority, rate: float) -> None:
        self._folder = folder
        self._priority = priority
        self._whole = rate
        self._file: tuple[int, Path] | None = None
        self._looked = -LOOK_EVERY
        self._from = 0.0  # when all others have seen us
        self._trouble: str | None = None
        self._waiting = False
        self.rate = rate
        self.others = 0

    def look(self, clock: float, wanting: bool = True) -> bool:
        """To be called at each tick; looks once a second. `wanting`: nothing but the share is to be waited for;
        otherwise others may have ours. True when `rate` is another than before."""
        if not wanting:
            self.leave()
            return False
        if clock - self._looked < LOOK_EVERY and self._file is not None:
            self._waiting = clock < self._from
            return False
        self._looked = clock
        before, self._trouble = self.rate, None
        try:
            came = self._file is None
            if came:
                self._enter()
            found = self._going()
        except OSError as error:
            self._trouble = f"who else sends by this account can't be told: {self._folder}: {error.strerror}"
            return False
        if came:
            self._from = clock + _SEEN_AFTER if found else clock
        self.others = len(found)
        self.rate = self._whole * portion(self._priority, found)
        self._waiting = clock < self._from
        return self.rate != before

    def wait(self, now: float) -> Wait | None:
        """None while the share may be used, whenever `now` (Unix seconds) is."""
        if self._trouble is not None:
            return Wait(STATE, self._trouble, None)
        if self._waiting or self._file is None:
            return Wait(STATE, "waiting until others that send by this account have made room", None)
        return None

    def leave(self) -> None:
        """Let the others have it."""
        if self._file is not None:
            fd, mark = self._file
            self._file = None
            with suppress(OSError):
                mark.unlink()
            os.close(fd)

    def _enter(self) -> None:
        """The file is locked before it has a name that others look at."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self._priority}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        hidden = self._folder / f".{name}"
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(hidden, self._folder / name)
        except BaseException:
            os.close(fd)
            raise
        self._file = fd, self._folder / name

    def _going(self) -> list[Priority]:
        """The priorities of the others that are alive; what the dead left is taken away."""
        own = self._file[1].name if self._file else ""
        found: list[Priority] = []
        there = False
        for entry in os.listdir(self._folder):
            if entry == own:
                there = True
                continue
            level = next((level for level in PRIORITIES if entry.startswith(f"{level}.")), None)
            if level is not None and _held(self._folder / entry):
                found.append(level)
        if not there:  # somebody cleared the folder: come again
            self.leave()
            raise OSError(None, "our own mark is gone")
        return found


def _held(mark: Path) -> bool:
    """Does a living process hold this file? One left by a dead process is removed."""
    try:
        fd = os.open(mark, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        with suppress(FileNotFoundError):
            mark.unlink()
        return False
    finally:
        os.close(fd)
