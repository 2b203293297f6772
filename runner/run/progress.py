"""How far a run is: the counters and the lines made of them. Pure but for the instants it is given."""

import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from runner.campaign.address import mask_text
from runner.run.words import human_line, wait_words

_KEPT_SECONDS = 30.0
_CLASSES = 40  # kinds of refusal told apart; a classifier has fewer


@dataclass(slots=True)
class Counts:
    """`total` is every recipient once: accepted, failed, unknown, and those still to come.

    `accepted` holds the `decided` too, those a person took for sent. `deferred` wait for another try. `duplicates`
    are further rows of the same address, `earlier` were mailed by an earlier attempt and `suppressed` asked not to
    be mailed; none of these is in `total`.
    """

    total: int = 0
    accepted: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0
    suppressed: int = 0
    duplicates: int = 0
    earlier: int = 0
    decided: int = 0

    @property
    def processed(self) -> int:
        return self.accepted + self.failed + self.unknown

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Progress:
    """Makes progress lines: remembers the last error, the classes of failure and the speed of the last seconds.

    The engine counts in `counts` and calls `error` where something went wrong; the rest happens in making a line.
    `zone` is the campaign's, for words about instants; `classify` names the class of a reply (code, text).
    """

    def __init__(
        self, counts: Counts, zone: tzinfo = UTC, classify: Callable[[int, str], str] = lambda code, text: ""
    ) -> None:
        self.counts = counts
        self.classes: Counter[str] = Counter()
        self._zone = zone
        self._classify = classify
        self._at_start = counts.processed
        self._samples: deque[tuple[float, int]] = deque(maxlen=500)
        self._state = ""
        self._left_s: float | None = None
        self._error: tuple[int, str] | None = None
        self._error_text = ""
        self._error_times = 0
        self._moved: tuple[datetime, dict[str, int]] | None = None

    @property
    def done_here(self) -> int:
        """Recipients settled by this process."""
        return self.counts.processed - self._at_start

    def error(self, code: int, text: str, *, failed: bool = False) -> None:
        """Remember the newest error; it comes again while code and class are the same. `failed`: a recipient failed
        for good by it, which is counted by class. `text` needn't be cleaned."""
        kind = self._classify(code, text)
        if (code, kind) == self._error:
            self._error_times += 1
        else:
            self._error, self._error_times = (code, kind), 1
        self._error_text = text
        if failed and kind:
            self.classes[kind if kind in self.classes or len(self.classes) < _CLASSES else "other"] += 1

    def line(
        self,
        state: str,
        inflight: int,
        now: datetime,
        clock: float,
        why: str = "",
        until: float | None = None,
        **more: Any,
    ) -> str:
        """One JSON line; `moved` is when a counter last changed, since a heartbeat alone is no progress.

        `clock` is monotonic, in seconds; `why` the reason of a wait or a stop, `until` its end (Unix seconds). A
        `rate_limit` among `more`, in messages a second, bounds the speed by which the time left is told.
        """
        if state != self._state:  # what was before a wait says nothing of the speed after it
            self._state = state
            self._samples.clear()
        self._sample(clock)
        told = self.counts.as_dict()
        if self._moved is None or self._moved[1] != told:
            self._moved = (now, told)
        rate, limit = self.rate(30), more.get("rate_limit")
        speed = min(rate, limit) if limit else rate
        left = self.counts.total - self.counts.processed
        self._left_s = left / speed if speed > 0 and state == "sending" else None
        fields: dict[str, Any] = {
            "v": 1,
            "t": now.isoformat(timespec="milliseconds"),
            "moved": self._moved[0].isoformat(timespec="milliseconds"),
            "state": state,
            **told,
            "inflight": inflight,
            "rate": round(self.rate(10), 1),
            "rate_1s": round(self.rate(1), 1),
            "rate_30s": round(rate, 1),
            "eta_s": None if self._left_s is None else round(self._left_s),
            "last_error": self._last_error(),
            "classes": dict(self.classes.most_common()),
        }
        if words := wait_words(state, inflight, why, until, now, self._zone):
            fields["why"] = words
        if until is not None:
            fields["until"] = datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")
        return json.dumps(fields | more)

    def human(self, state: str, inflight: int, now: datetime, why: str = "", until: float | None = None) -> str:
        """The same for people, after `line`."""
        words = wait_words(state, inflight, why, until, now, self._zone)
        said = human_line(words or state, self.counts, self.rate(1), self.rate(30), self._left_s, self.classes)
        error = self._last_error()
        if error and state == "sending" and not self.rate(1):  # what keeps it from sending, perhaps
            said += f"; last error ({error['n']:,} times): {error['text']}"
        return said

    def rate(self, seconds: float) -> float:
        """Recipients settled a second, over the last so many seconds (30 at most) as far as lines were made."""
        if len(self._samples) < 2:
            return 0.0
        last, after = self._samples[-1]
        for then, before in reversed(self._samples):  # noqa: B007 - the first that is old enough, or the oldest
            if last - then >= seconds:
                break
        return (after - before) / (last - then) if last > then else 0.0

    def _sample(self, clock: float) -> None:
        self._samples.append((clock, self.counts.processed))
        while len(self._samples) > 2 and clock - self._samples[1][0] >= _KEPT_SECONDS:
            self._samples.popleft()

    def _last_error(self) -> dict[str, Any] | None:
        if self._error is None:
            return None
        code, kind = self._error
        return {"code": code, "class": kind, "text": mask_text(self._error_text)[:200], "n": self._error_times}
