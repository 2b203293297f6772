"""Its log: lines as Go's log package writes them, the last 5000 of them, gone with the process."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from queue import Full, Queue
from threading import Lock

LINES = 5000
EVENTS = 100  # waiting for one listener; more are dropped

# Where the lines come from in its code; a made-up line number of about the right place.
PLACES = {
    "start processing": "manager.go:430",
    "stop processing": "pipe.go:245",
    "finish processing": "pipe.go:267",
    "campaign (": "pipe.go:264",
    "error count exceeded": "pipe.go:158",
    "set campaign": "pipe.go:236",
    "error sending message": "manager.go:548",
    "error rendering message": "pipe.go:93",
    "messages exceeded": "pipe.go:120",
    "error processing campaign": "manager.go:426",
    "message push timed out": "manager.go:270",
}


class GoLog:
    """`clock` is the process's own."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lines: deque[str] = deque(maxlen=LINES)
        self._listeners: list[Queue[str]] = []
        self._lock = Lock()

    def write(self, text: str) -> None:
        place = next((at for words, at in PLACES.items() if text.startswith(words)), "main.go:240")
        line = f"{self._clock():%Y/%m/%d %H:%M:%S.%f} {place}: {text}"
        with self._lock:
            self._lines.append(line)
            for listener in self._listeners:
                if "error" in line:
                    try:
                        listener.put_nowait(line)
                    except Full:
                        continue

    def lines(self) -> list[str]:
        with self._lock:
            return list(self._lines)

    @property
    def listeners(self) -> int:
        with self._lock:
            return len(self._listeners)

    def listen(self) -> Queue[str]:
        """A queue of the lines to come that have the word "error"."""
        listener: Queue[str] = Queue(EVENTS)
        with self._lock:
            self._listeners.append(listener)
        return listener

    def leave(self, listener: Queue[str]) -> None:
        with self._lock:
            self._listeners.remove(listener)
