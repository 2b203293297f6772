"""The past of a pipeline's queues and counts, kept between looks and between runs of the console.

It may be lost: then the looks begin anew. So nothing about it ever fails.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from backends.serverless.backlog import History, Sample, added


class Memory:
    """Samples in a file of `folder`, the newest hour of them. Safe for several threads; the last writer wins."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"pipeline-{name}.json"
        self._lock = threading.Lock()
        self._history: History | None = None

    def take(self, samples: Iterable[Sample], now: datetime) -> History:
        """The past with these in it. What claims to be of the future is left out."""
        with self._lock:
            before = self._read() if self._history is None else self._history
            self._history = added(tuple(s for s in before if s.at <= now), (s for s in samples if s.at <= now))
            self._write(self._history)
            return self._history

    def _read(self) -> History:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=tuple[Sample, ...])
        except (OSError, ValueError):
            return ()
        return tuple(s for s in kept if s.at.tzinfo is not None)

    def _write(self, history: History) -> None:
        aside = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            aside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            aside.write_bytes(msgspec.json.encode(history))
            aside.replace(self._path)
