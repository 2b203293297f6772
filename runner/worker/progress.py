"""What a worker tells of itself: counters, and a line of JSON made of them, in the words of the runner's own."""

import json
import threading
from collections import Counter, deque
from datetime import datetime
from typing import Any, Final

from runner.campaign.address import mask_text
from runner.policy.bounces import bounce_class

_KEPT_SECONDS: Final = 10.0
SETTLED: Final = ("accepted", "failed", "missing", "suppressed", "unknown")
COUNTED: Final = (*SETTLED, "deferred", "paused", "busy", "held", "duplicates", "dropped", "given_back", "dead")


class Tally:
    """Counts since the process began. Thread-safe.

    `accepted`, `failed`, `missing`, `suppressed` and `unknown` are recipients that came to an end here. The others
    are messages: `deferred` come again as one more try, `paused`, `busy` and `held` wait, `duplicates` were settled
    before, `dropped` were of a cancelled campaign, `given_back` were not begun, `dead` can't be worked on.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._error: dict[str, Any] | None = None
        self._samples: deque[tuple[float, int]] = deque(maxlen=200)

    def __getitem__(self, kind: str) -> int:
        with self._lock:
            return self._counts[kind]

    @property
    def settled(self) -> int:
        """Recipients that came to an end here."""
        with self._lock:
            return sum(self._counts[kind] for kind in SETTLED)

    def add(self, kind: str) -> None:
        with self._lock:
            self._counts[kind] += 1

    def error(self, code: int, text: str, *, kind: str = "", failed: bool = False) -> None:
        """Remember the newest error; `failed`: a recipient failed for good by it, which is counted by class."""
        kind = kind or bounce_class(code, text)
        text = mask_text(text)[:200]
        with self._lock:
            same = self._error is not None and (self._error["code"], self._error["class"]) == (code, kind)
            times = self._error["n"] + 1 if same and self._error else 1
            self._error = {"code": code, "class": kind, "text": text, "n": times}
            if failed:
                self._classes[kind] += 1

    def line(self, state: str, inflight: int, now: datetime, clock: float, why: str = "") -> str:
        """`clock` is monotonic, in seconds."""
        with self._lock:
            settled = sum(self._counts[kind] for kind in SETTLED)
            self._samples.append((clock, settled))
            while len(self._samples) > 2 and clock - self._samples[1][0] >= _KEPT_SECONDS:
                self._samples.popleft()
            (then, before) = self._samples[0]
            span = clock - then
            fields: dict[str, Any] = {
                "v": 1,
                "t": now.isoformat(timespec="milliseconds"),
                "worker": self._worker,
                "state": state,
                **{kind: self._counts[kind] for kind in COUNTED},
                "inflight": inflight,
                "rate": round((settled - before) / span, 1) if span > 0 else 0.0,
                "last_error": self._error,
                "classes": dict(self._classes.most_common()),
            }
        if why:
            fields["why"] = mask_text(why)
        return json.dumps(fields)

    def summary(self, rc: int, why: str = "") -> str:
        """The last line."""
        with self._lock:
            counts = {kind: self._counts[kind] for kind in COUNTED}
        closing: dict[str, Any] = {"v": 1, "summary": True, "mode": "worker", "rc": rc, "counts": counts}
        return json.dumps(closing | ({"error": mask_text(why)} if why else {}))
