"""When `sent` last grew, by campaign: listmonk's own `updated_at` moves with each batch only.

Kept in a file, so that a console that is started anew, or looks only once, knows it too.
"""

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backends.listmonk.campaigns import Running

SMALLEST_STEP = 20.0  # s between two writes of the file, which is read only when a console starts


@dataclass(frozen=True, slots=True)
class Beat:
    """So many were sent, and more than before when it was seen `at`."""

    sent: int
    at: datetime


class Heartbeats:
    """The beats of one platform's running campaigns, kept in `path`. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._beats = _load(path)
        self._written: datetime | None = None

    def seen(self, running: Mapping[int, Running], now: datetime) -> dict[int, Beat]:
        """The beats after this look. One that was never seen before moved when listmonk says: now, while it counts
        messages in its last minute, else when it fetched its last batch."""
        with self._lock:
            before, self._beats = self._beats, {}
            for number, it in running.items():
                known = before.get(number)
                if known is not None and it.sent == known.sent:
                    self._beats[number] = known
                elif known is not None or it.rate > 0:
                    self._beats[number] = Beat(it.sent, now)
                else:
                    moved = max((at for at in (it.started_at, it.updated_at) if at), default=now)
                    self._beats[number] = Beat(it.sent, min(moved, now))
            if self._beats != before:
                self._save(now, hurry=self._beats.keys() != before.keys())
            return dict(self._beats)

    def _save(self, now: datetime, hurry: bool) -> None:
        if not hurry and self._written and abs((now - self._written).total_seconds()) < SMALLEST_STEP:
            return
        self._written = now
        document = {str(number): [beat.sent, beat.at.isoformat()] for number, beat in self._beats.items()}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        with suppress(OSError):  # a full disk costs only what a new console would know
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part.write_text(json.dumps(document), encoding="utf-8")
            part.replace(self._path)


def _load(path: Path) -> dict[int, Beat]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        beats = {
            int(number): Beat(int(sent), datetime.fromisoformat(at)) for number, (sent, at) in document.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {number: beat for number, beat in beats.items() if beat.at.tzinfo is not None}
