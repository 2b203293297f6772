"""Where words go: stdout and stderr that may be closed or never read, the attempt's `out`, the campaign's log."""

import json
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from runner.address import mask_text

_KEPT = 2000  # lines waiting for a slow reader; the oldest are dropped


class Output:
    """Lines to stdout and stderr, written by a thread: a full pipe or a closed one never holds up the send."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._wake = threading.Condition()
        self._busy = False
        self._closing = False
        self._dead: set[int] = set()
        self._copy: int | None = None
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """One line to stdout, and to the copy when there is one."""
        data = f"{text}\n".encode(errors="replace")
        if self._copy is not None:
            _write(self._copy, data)
        self._put(1, data)

    def complain(self, text: str) -> None:
        """One line to stderr, and to the copy when there is one."""
        data = f"mail-blast-runner: {text}\n".encode(errors="replace")
        if self._copy is not None:
            _write(self._copy, data)
        self._put(2, data)

    def copy_to(self, path: Path) -> None:
        """From now on write every line to this file too."""
        try:
            self._copy = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
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
            if fd not in self._dead and not _write(fd, data):
                self._dead.add(fd)
            with self._wake:
                self._busy = False
                self._wake.notify_all()


class RunLog:
    """The campaign's log for people: one timestamped line at a time. Failing to write it is said once."""

    def __init__(self, path: Path, output: Output) -> None:
        self._path = path
        self._output = output
        self._failed = False

    def line(self, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {text}\n")
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._output.complain(f"{self._path} can't be written: {error.strerror}; sending goes on")


class DeliveryLog:
    """One JSON line a recipient, the address masked; kept in memory until flush()."""

    def __init__(self, path: Path, output: Output) -> None:
        self._lines: list[str] = []
        self._path = path
        self._output = output
        self._failed = False

    def add(self, row: int, outcome: str, code: int, text: str, who: str) -> None:
        """`who` is the masked address; addresses in `text` are masked here."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"t": at, "row": row, "to": who, "outcome": outcome, "code": code, "text": mask_text(text)[:200]}
        self._lines.append(json.dumps(line, ensure_ascii=False))

    def flush(self) -> None:
        if not self._lines:
            return
        text, self._lines = "\n".join(self._lines) + "\n", []
        try:
            with open(self._path, "a", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(text)
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._output.complain(f"{self._path} can't be written: {error.strerror}; sending goes on")


def keep_standard_descriptors() -> None:
    """Give 0, 1 and 2 to /dev/null where they are closed, so that no file of ours gets one of those numbers."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one


def _write(fd: int, data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        return False
    return True
