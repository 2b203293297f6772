"""listmonk's log lines, kept: its own are in memory, at most 5,000, and lost whenever it starts again.

One file a platform, a line for each of theirs: its instant in UTC, a tab, and the line redacted and masked. The
file itself tells what was kept before, so two consoles of one user share it under a lock without keeping a line
twice. It is bounded: beyond FULL bytes it becomes the former one (`.1`), and the former one before it is gone.
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from backends.listmonk.loglines import cleaned, parted

LOCKED_FOR: Final = 10.0  # s that another console may hold the files; it needs fractions of one
RING: Final = 5000  # lines listmonk keeps itself
FULL: Final = 4 * 1024 * 1024
MARK: Final = "--- "
RUNS_KEPT: Final = timedelta(days=400)  # a year's campaigns can be compared with the last one's
UNDATED: Final = "?"  # behind an instant: the zone of the log wasn't known yet
RESTARTED: Final = MARK + "listmonk was started again: its log begins anew"
ROLLED: Final = MARK + "listmonk logged more than it keeps between two looks"
_ZONE_STEP = timedelta(minutes=15)
_LOOKS_APART = timedelta(minutes=6)  # within which a new line's own time tells the zone of the log


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept line: when, as far as its zone is known, and what it says without its own time."""

    at: datetime
    text: str

    @property
    def restart(self) -> bool:
        return self.text.startswith(RESTARTED)

    @property
    def gap(self) -> bool:
        """Whether lines may be missing just before it."""
        return self.text.startswith((RESTARTED, ROLLED))


class KeptLog:
    """The kept log of one platform in `folder`. Safe for several threads and several consoles."""

    def __init__(self, folder: Path, full: int = FULL) -> None:
        self.folder = folder
        self._path, self._former = folder / "listmonk.log", folder / "listmonk.log.1"
        self._full = full
        self._thread_lock = threading.RLock()
        self._entries: list[Entry] = []
        self._known: set[str] = set()
        self._inode, self._read_to = 0, 0
        self._offset = timedelta(0)  # of the log's clock, from UTC
        self._tidied = False
        self._dated = False  # whether that offset is known, and not only the best guess
        self._undated: list[tuple[int, datetime]] = []  # entries that wait for it, by the log's own clock
        self._last = ""  # the last line with a time of its own

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the folder's files, among threads and consoles. Raises OSError, also for another that stands
        still with them, as on a laptop that was shut."""
        with self._thread_lock:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                hold(lock, LOCKED_FOR)
                yield
            finally:
                os.close(lock)

    def take(self, lines: Sequence[str], now: datetime) -> tuple[Entry, ...]:
        """Keep what is new of the log as it was asked for at `now`; gives that, markers of gaps among it."""
        with self.locked():
            self._tidy(now)
            self._refresh()
            new, met = self._unknown(lines)
            before = self._looked(now)
            if not new:
                return ()
            self._learn_zone([parted(line)[0] for line in new], before, now)
            entries: list[tuple[Entry, str]] = []
            for line in new:
                stamp, text = parted(line)
                at = stamp.replace(tzinfo=UTC) - self._offset if stamp else (entries[-1][0].at if entries else now)
                entries.append((Entry(at, text), line))
            if self._entries and not met:  # as old as what follows it, so that lines stay in order
                entries.insert(0, (Entry(entries[0][0].at, self._say_gap(lines, now)), ""))
            self._write(entries)
            return tuple(entry for entry, _ in entries)

    def entries(self, since: datetime | None = None) -> tuple[Entry, ...]:
        """Everything kept, or what was logged at or after `since`; oldest first. Of files that can't be read, what
        was read of them before."""
        with self._thread_lock:
            with suppress(OSError), self.locked():
                self._refresh()
            if since is None:
                return tuple(self._entries)
            return tuple(entry for entry in self._entries if entry.at >= since)

    def _unknown(self, lines: Sequence[str]) -> tuple[list[str], bool]:
        """What isn't known of these lines, and whether any of them was; most looks see at once that all are."""
        behind: list[str] = []
        met = False
        for line in reversed(lines):
            behind.append(cleaned(line))
            met = parted(behind[-1])[0] is not None and behind[-1] in self._known
            if met:
                break
        keys = list(_keyed(behind[::-1]))
        found = [text for key, text in keys if key not in self._known]
        return found, met or len(found) < len(keys)

    def _tidy(self, now: datetime) -> None:
        """Once a console: logs of runs that nobody added to for so long are gone, and so are halves of files."""
        if self._tidied:
            return
        self._tidied = True
        for pattern, age in (("run-*.log", RUNS_KEPT), ("*.part", timedelta(days=1))):
            for path in self.folder.glob(pattern):
                with suppress(OSError):
                    if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > age:
                        path.unlink()

    def _looked(self, now: datetime) -> datetime | None:
        """When anybody last looked, which is now from here on; None when nobody did."""
        mark = self.folder / "looked"
        try:
            before = datetime.fromtimestamp(mark.stat().st_mtime, UTC)
        except FileNotFoundError:
            mark.touch(mode=0o600)
            before = None
        os.utime(mark, (now.timestamp(), now.timestamp()))
        return before

    def _say_gap(self, lines: Sequence[str], now: datetime) -> str:
        since = f"lines between {self._entries[-1].at:%Y-%m-%d %H:%M:%S} and {now:%H:%M:%S} UTC may be lost"
        return f"{ROLLED if len(lines) >= RING else RESTARTED}; {since}"

    def _learn_zone(self, stamps: Sequence[datetime | None], before: datetime | None, now: datetime) -> None:
        """The log names no zone. A line that wasn't there at the last look was written since."""
        newest = next((stamp.replace(tzinfo=UTC) for stamp in reversed(stamps) if stamp), None)
        if newest is None:
            return
        if before is not None and timedelta(0) <= now - before <= _LOOKS_APART:
            self._offset, self._dated = round((newest - now) / _ZONE_STEP) * _ZONE_STEP, True
        elif newest - self._offset > now + timedelta(minutes=2):  # nothing is logged in the future
            self._offset = -((now - newest) // _ZONE_STEP) * _ZONE_STEP

    def _write(self, entries: Sequence[tuple[Entry, str]]) -> None:
        if self._read_to > self._full:
            os.replace(self._path, self._former)
        doubt = "" if self._dated else UNDATED
        text = "".join(f"{entry.at.isoformat()}{doubt}\t{line or entry.text}\n" for entry, line in entries)
        append(self._path, text.encode())
        self._refresh()

    def _refresh(self) -> None:
        """Read what another console, or this one, added; all of it again when the file is another."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            self._forget(0)
            return
        if there.st_ino != self._inode or there.st_size < self._read_to:
            self._forget(there.st_ino)
            if self._former.exists():
                self._learn(self._former.read_bytes())
        if there.st_size > self._read_to:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
            self._read_to += len(data)
            self._learn(data)

    def _forget(self, inode: int) -> None:
        self._entries, self._known, self._last, self._undated = [], set(), "", []
        self._inode, self._read_to = inode, 0

    def _learn(self, data: bytes) -> None:
        kept = []
        for line in data.decode("utf-8", "replace").split("\n"):
            instant, tab, text = line.partition("\t")
            try:
                at = datetime.fromisoformat(instant.removesuffix(UNDATED))
            except ValueError:
                continue  # a line that was cut when a console was killed
            if tab and at.tzinfo is not None:
                kept.append((at, instant.endswith(UNDATED), text))
        for (at, undated, text), (key, _) in zip(kept, _keyed([one[2] for one in kept], self._last), strict=True):
            stamp, said = parted(text)
            if stamp is not None:
                self._last, self._offset = text, stamp.replace(tzinfo=UTC) - at
                self._dated = self._dated or not undated
            if undated:
                self._undated.append((len(self._entries), at + self._offset))
            self._known.add(key)
            self._entries.append(Entry(at, said))
        if self._dated and self._undated:
            self._date()

    def _date(self) -> None:
        """The zone is known by now: so is when those lines were written that were kept before."""
        for number, written in self._undated:
            self._entries[number] = Entry(written - self._offset, self._entries[number].text)
        self._undated = []


def _keyed(lines: Sequence[str], before: str = "") -> Iterator[tuple[str, str]]:
    """Each line with what it is known again by: its own time, for one without that the line before it as well."""
    for line in lines:
        if parted(line)[0] is not None:
            before = line
            yield line, line
        else:
            yield f"{before}\n{line}", line


def hold(lock: int, seconds: float) -> None:
    """Lock an open file, waiting so long for whoever has it. Raises OSError when that wasn't enough."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends:
                raise OSError(errno.EWOULDBLOCK, "another console of yours holds it and doesn't let go") from None
        time.sleep(0.01)


def append(path: Path, data: bytes) -> None:
    """Add whole lines; behind a line that was cut, on a line of their own. Raises OSError, as for a full disk: what
    is there then may be a cut line, which every reader leaves out."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            data = b"\n" + data
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)
