"""A log on disk while it grows: the file is the store, and memory holds only where some of its lines begin."""

import fcntl
import os
import re
import threading
from array import array
from bisect import bisect_right
from contextlib import suppress
from pathlib import Path

PIECE = 64 * 1024  # bytes taken in at a time, and the most that a block of lines usually holds
BLOCK_LINES = 64
READ_CAP = 256 * 1024  # bytes read for one block: a line longer than that is shown cut
LINE_CAP = 8 * 1024  # bytes of one line that are shown
SEARCH_STEP = 1 << 20
AT_MOST = 0.05  # seconds that a flood waits for the screen to be painted
CUT = " … (line cut)"


class LogFile:
    """Appended to by one thread, read by any. Bytes go to the file unchanged, as they come; mode 0600."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file can't be made."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path, self._handle = _open(path)
        self._lines_at, self._bytes_at = array("Q", [0]), array("Q", [0])  # every block's first line, and its place
        self._newlines = self._size = self._whole = 0
        self.calm = threading.Event()  # cleared while the screen paints: a flood would take its time away
        self.calm.set()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    @property
    def lines(self) -> int:
        """Lines so far; one that has no end yet counts."""
        return self._newlines + (self._size > self._whole)

    def append(self, data: bytes) -> None:
        """Write `data` behind what is there. Raises OSError when the disk takes no more."""
        view = memoryview(data)
        for start in range(0, len(data), PIECE):
            self.calm.wait(AT_MOST)
            self._take(bytes(view[start : start + PIECE]))

    def _take(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        newlines = piece.count(b"\n")
        if newlines:
            first = self._size + piece.index(b"\n") + 1
            long = first - self._bytes_at[-1] >= PIECE
            if self._newlines + 1 - self._lines_at[-1] >= BLOCK_LINES or long:
                self._bytes_at.append(first)
                self._lines_at.append(self._newlines + 1)
            self._whole = self._size + piece.rindex(b"\n") + 1
        self._newlines += newlines
        self._size += len(piece)

    def read(self, first: int, count: int) -> list[str]:
        """Up to `count` lines from line `first` (the first is 0), undecodable bytes replaced."""
        found: list[str] = []
        block = bisect_right(self._lines_at, first) - 1
        while len(found) < count and block < len(self._lines_at):
            lines = self._block(block)
            skip = max(first - self._lines_at[block], 0)
            found += lines[skip : skip + count - len(found)]
            block += 1
        return found

    def _block(self, block: int) -> list[str]:
        start = self._bytes_at[block]
        last = block + 1 == len(self._lines_at)
        end = self._size if last else self._bytes_at[block + 1]
        raw = os.pread(self._handle, min(end - start, READ_CAP), start)
        pieces = raw.split(b"\n")
        if pieces[-1] == b"":
            pieces.pop()
        if not last:  # lines behind one that is cut off by READ_CAP keep their numbers
            wanted = self._lines_at[block + 1] - self._lines_at[block]
            pieces += [b""] * (wanted - len(pieces))
        return [_text(piece) for piece in pieces]

    def find(self, words: str, line: int, forward: bool = True) -> int | None:
        """The next line after `line` (or before it) that holds `words`, ASCII case ignored; else None.

        May read the whole file: not for the screens' own thread.
        """
        needle = re.compile(re.escape(words.encode()), re.IGNORECASE)
        blocks = range(len(self._lines_at))
        here = bisect_right(self._lines_at, max(line, 0)) - 1
        for block in blocks[here:] if forward else reversed(blocks[: here + 1]):
            base, start = self._lines_at[block], self._bytes_at[block]
            end = self._bytes_at[block + 1] if block + 1 < len(self._bytes_at) else self._size
            raw = os.pread(self._handle, min(end - start, SEARCH_STEP), start)
            hits = [base + raw.count(b"\n", 0, match.start()) for match in needle.finditer(raw)]
            wanted = [hit for hit in hits if (hit > line if forward else hit < line)]
            if wanted:
                return wanted[0] if forward else wanted[-1]
        return None

    def save(self, path: Path) -> int:
        """Copy everything so far to `path`, which must be new; how many bytes. Raises OSError."""
        size, at = self._size, 0
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            while at < size and (chunk := os.pread(self._handle, min(SEARCH_STEP, size - at), at)):
                out.write(chunk)
                at += len(chunk)
        return at

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._handle)


def _open(path: Path) -> tuple[Path, int]:
    """The file, emptied; another name when a second console is writing this one."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        path = path.with_suffix(f".{os.getpid()}-{os.urandom(2).hex()}{path.suffix}")
        handle = os.open(path, flags | os.O_EXCL, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(handle, 0)
    return path, handle


def _text(line: bytes) -> str:
    cut = len(line) > LINE_CAP
    text = line[:LINE_CAP].removesuffix(b"\r").decode("utf-8", "replace")
    return text + CUT if cut else text
