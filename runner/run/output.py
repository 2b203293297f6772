"""Where words go: stdout and stderr that may be closed or never read, the attempt's `out`, the campaign's log."""

import errno
import json
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from runner.campaign.address import mask, mask_text

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_quoted = json.encoder.encode_basestring
_AT_ONCE = 250  # delivery lines made in one go: about a millisecond in which nothing else happens
_KEPT = 2000  # lines waiting for a slow reader; the oldest are dropped


class Output:
    """Lines to stdout and stderr, written by a thread: a full pipe or a closed one never holds up the send."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._wake = threading.Condition()
        self._busy = False
        self._closing = False
        self._streams = {1: _Stream(1), 2: _Stream(2)}
        self._copy: _Stream | None = None
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """One line to stdout, and to the copy when there is one."""
        self._put(1, f"{text}\n".encode(errors="replace"))

    def complain(self, text: str) -> None:
        """One line to stderr, and to the copy when there is one."""
        self._put(2, f"mail-blast-runner: {text}\n".encode(errors="replace"))

    @property
    def lost(self) -> int:
        """Lines that a full disk swallowed, in the place that lost most."""
        return max(stream.lost for stream in (*self._streams.values(), self._copy) if stream)

    def copy_to(self, path: Path) -> None:
        """From now on write every line to this file too."""
        try:
            self._copy = _Stream(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
        except OSError as error:
            self.complain(f"{path} can't be written: {error.strerror}; going on without it")

    def close(self, patience: float = 2.0) -> None:
        """Wait until everything is written, at most `patience` seconds."""
        end = time.monotonic() + patience
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            while (self._waiting or self._busy) and (left := end - time.monotonic()) > 0:
                self._wake.wait(left)

    def _put(self, fd: int, data: bytes) -> None:
        if self._copy is not None:
            self._copy.line(data)
        with self._wake:
            self._waiting.append((fd, data))
            self._wake.notify_all()

    def _write_all(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    if self._closing:
                        return
                    self._wake.wait()
                fd, data = self._waiting.popleft()
                self._busy = True
            self._streams[fd].line(data)
            with self._wake:
                self._busy = False
                self._wake.notify_all()


class RunLog:
    """The campaign's log for people: one timestamped line at a time. Failing to write it is said once."""

    def __init__(self, path: Path, output: Output) -> None:
        self._file = _Growing(path, 0o666, output, "{stamp} {lost} lines are missing here: {why}")

    def line(self, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        self._file.add([f"{stamp} {text}"])


class DeliveryLog:
    """One JSON line a recipient, the address masked; kept in memory until flush().

    A file for each attempt, opened anew at each flush: whoever rotates it may just rename it.
    """

    def __init__(self, path: Path, output: Output) -> None:
        self._raw: list[tuple[float, int, str, int, str, str]] = []
        self._lines: list[str] = []
        self._file = _Growing(path, 0o600, output, '{{"t": "{stamp}", "lost": {lost}}}')

    def add(self, row: int, outcome: str, code: int, text: str, to: str) -> None:
        """`to` is the address; it is masked when the line is made, and so are those in `text`."""
        self._raw.append((time.time(), row, outcome, code, text, to))
        if len(self._raw) >= _AT_ONCE:
            self._make()

    def flush(self) -> None:
        """Write what was added; to be called a few times a second."""
        self._make()
        if self._lines:
            lines, self._lines = self._lines, []
            self._file.add(lines)

    def _make(self) -> None:
        """The lines, by hand: json.dumps takes more than twice as long, and the send waits meanwhile."""
        raw, self._raw = self._raw, []
        second, stamp = -1, ""
        for at, row, outcome, code, text, to in raw:
            if int(at) != second:
                second = int(at)
                stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._lines.append(
                f'{{"t": "{stamp}.{int(at % 1 * 1000):03d}+00:00", "row": {row}, "to": {_quoted(mask(to))}, '
                f'"outcome": "{outcome}", "code": {code}, "text": {_quoted(mask_text(text)[:200])}}}'
            )


class _Growing:
    """A file that whole lines are added to. What a full disk swallowed is said, and marked once there is room."""

    def __init__(self, path: Path, mode: int, output: Output, mark: str) -> None:
        self._path, self._mode, self._output, self._mark = path, mode, output, mark
        self._lost, self._why = 0, ""

    def add(self, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        if self._lost:  # the last line there may be cut in its middle
            stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            text = f"\n{self._mark.format(stamp=stamp, lost=self._lost, why=self._why)}\n{text}"
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, self._mode)
            try:
                _write(fd, text.encode(errors="replace"))
            finally:
                os.close(fd)
            self._lost = 0
        except OSError as error:
            if not self._why:
                self._why = error.strerror or str(error)
                self._output.complain(
                    f"{self._path} can't be written: {self._why}; it is cut there, and sending goes on"
                )
            self._lost += len(lines)


def keep_standard_descriptors() -> None:
    """Give 0, 1 and 2 to /dev/null where they are closed, so that no file of ours gets one of those numbers."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one


class _Stream:
    """A descriptor for lines. A full disk loses lines until there is room again; any other failure is for good."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._missing = 0
        self._dead = False
        self.lost = 0  # lines, in all

    def line(self, data: bytes) -> None:
        if self._dead:
            return
        if self._missing:  # the last line there may be cut in its middle
            data = b"\nmail-blast-runner: %d lines are missing here, the disk was full\n" % self._missing + data
        try:
            _write(self._fd, data)
            self._missing = 0
        except OSError as error:
            self._dead = error.errno not in _FULL
            self._missing += 1
            self.lost += 1


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
