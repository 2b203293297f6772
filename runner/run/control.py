"""What the operator asks of a running send: the control file and the signals."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Literal

Word = Literal["run", "pause", "cancel"]


class Control:
    """`word` is the newest wish, `written` changes with every new writing of it, `signals` counts SIGTERMs."""

    def __init__(self) -> None:
        self.word: Word = "run"
        self.written: tuple[int, int] = (0, 0)
        self.signals = 0
        self._path: Path | None = None

    def follow(self, path: Path, since: float = 0.0) -> None:
        """Take wishes from this file, except one written before `since` (Unix seconds): that was for another
        process."""
        self._path = path
        inode, written = self._stamp()
        if written < since * 1e9:
            self.written = (inode, written)

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
        """Look at the file; when it is missing, unreadable or says something else the last wish stands."""
        if self._path is None:
            return
        stamp = self._stamp()
        if stamp == self.written:
            return
        try:
            said = self._path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return
        if said in ("run", "pause", "cancel"):
            self.word = said  # type: ignore[assignment]
            self.written = stamp

    def _stamp(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path) if self._path else None
        except OSError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns) if found else (0, 0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
