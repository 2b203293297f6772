"""What the operator asks of a running send: the control file and the signals.

The file's first line is the word, `run`, `pause` or `cancel`; further lines say how fast to go (`rate 50`, in
messages a second, or `rate none`) and by whose server (`account main`, `account fallback`). What it doesn't say
stays as it was.
"""

import os
import signal
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import Literal, cast, get_args

from runner.campaign.address import mask_text

Word = Literal["run", "pause", "cancel"]
Account = Literal["main", "fallback"]

_READ = 4096  # bytes of the file that are looked at
_TOLD = 20  # lines not understood that are remembered as told


class Unset(Enum):
    """Nobody asked for a rate: the command line's and the campaign's stand."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass
class Wishes:
    """What one reading of the file says, None and UNSET where it doesn't; `strange`: lines not understood."""

    word: Word | None = None
    rate: float | Unset | None = UNSET
    account: Account | None = None
    strange: tuple[str, ...] = ()


def read(text: str) -> Wishes:
    """The wishes in a control file; of several of one kind the last stands."""
    found, strange = Wishes(), []
    for line in filter(None, map(str.strip, text.splitlines())):
        kind, _, value = line.partition(" ")
        value = value.strip()
        rate = _rate(value) if kind == "rate" else UNSET
        if line in get_args(Word):
            found.word = cast(Word, line)
        elif rate is not UNSET:
            found.rate = rate
        elif kind == "account" and value in get_args(Account):
            found.account = cast(Account, value)
        else:
            strange.append(line)
    found.strange = tuple(strange)
    return found


class Control:
    """The newest wishes. `word` may be asked for anew: `written` changes with every new writing of it, while a
    change of rate or account alone, which must write the word again too, leaves it. `rate` is in messages a second,
    None for no limit, UNSET when nobody asked. `signals` counts SIGTERMs. `complain` hears once of each line not
    understood.
    """

    def __init__(self, complain: Callable[[str], None] = lambda text: None) -> None:
        self.word: Word = "run"
        self.rate: float | Unset | None = UNSET
        self.account: Account = "main"
        self.written: tuple[int, int] = (0, 0)
        self.signals = 0
        self._complain = complain
        self._told: set[str] = set()
        self._path: Path | None = None
        self._seen: tuple[int, int] = (0, 0)

    def follow(self, path: Path, since: float = 0.0) -> None:
        """Take wishes from this file. A word written before `since` (Unix seconds) was for another process; how
        fast and by whose server is asked of the whole run, and still stands."""
        self._path = path
        stamp = self._stamp()
        if stamp[1] < since * 1e9:
            self._take(stamp, heed_word=False)
            self._seen = stamp

    def catch_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that goes away doesn't stop a send

    @property
    def cancelled(self) -> bool:
        return self.word == "cancel" or self.signals > 0

    @property
    def at_once(self) -> bool:
        return self.signals > 1

    def poll(self) -> None:
        """Look at the file; when it is missing, unreadable or says something else the last wishes stand."""
        stamp = self._stamp()
        if stamp not in ((0, 0), self._seen):
            self._take(stamp)

    def _take(self, stamp: tuple[int, int], heed_word: bool = True) -> None:
        wishes = self._read()
        for line in wishes.strange:
            self._tell(line)
        if wishes.word is None and wishes.rate is UNSET and wishes.account is None:
            return  # perhaps it is only half written: looked at again
        former = (self.rate, self.account)
        self.rate = self.rate if wishes.rate is UNSET else wishes.rate
        self.account = wishes.account or self.account
        self._seen = stamp
        if wishes.word is None:
            return
        said_before = wishes.word == self.word and former != (self.rate, self.account)
        if heed_word:
            self.word = wishes.word
        if not said_before:
            self.written = stamp

    def _read(self) -> Wishes:
        try:
            fd = os.open(cast(Path, self._path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                return read(os.read(fd, _READ).decode()) if stat.S_ISREG(os.fstat(fd).st_mode) else Wishes()
            finally:
                os.close(fd)
        except (OSError, UnicodeDecodeError):
            return Wishes()

    def _tell(self, line: str) -> None:
        if line not in self._told and len(self._told) < _TOLD:
            self._told.add(line)
            self._complain(
                f"the control file says {mask_text(line)[:80]!r}: left out. It may say run, pause or cancel, and "
                "on lines of their own rate N, rate none, account main, account fallback"
            )

    def _stamp(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path) if self._path else None
        except OSError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns) if found else (0, 0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1


def _rate(value: str) -> float | Unset | None:
    """Messages a second, None for no limit; UNSET for what is no rate."""
    if value == "none":
        return None
    try:
        rate = float(value)
    except ValueError:
        return UNSET
    return rate if 0 < rate < 1e6 else UNSET
