"""How fast to go to each domain, so that one big provider isn't flooded. Pure; clocks are monotonic seconds."""

from collections.abc import Mapping

OTHERS = "*"  # the key of the rate for each domain that isn't named

_LATE = 0.1  # seconds: a slot that was looked at so much too late isn't lost
_KEPT = 10_000  # domains remembered before those that may go again are forgotten


class DomainLimits:
    """`rates` holds messages a second by domain in lower case, OTHERS for each other one. False when it
    limits nobody.

    Over any length of time a domain gets no more than rate * (seconds + 0.1) + 1. Looking and taking are apart, so
    that a recipient of a busy domain can be put back and another be taken.
    """

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._intervals = {domain: 1.0 / rate for domain, rate in rates.items() if domain != OTHERS}
        self._others = 1.0 / rates[OTHERS] if OTHERS in rates else None
        self._next: dict[str, float] = {}
        self._back: dict[str, float] = {}
        self._room = _KEPT

    def __bool__(self) -> bool:
        return bool(self._intervals) or self._others is not None

    def wait(self, domain: str, clock: float) -> float:
        """Seconds until the next message to this domain may begin; 0.0: now. Takes nothing."""
        at = self._next.get(domain)
        return 0.0 if at is None or at <= clock else at - clock

    def put_back(self, domain: str, clock: float) -> float:
        """A recipient of a domain that has to wait is put back: seconds after which to look at this one again.
        Those put back come again one by one, or each slot would find all of them."""
        at = max(self._back.get(domain, 0.0), self._next.get(domain, clock))
        self._back[domain] = at + self._intervals.get(domain, self._others or 0.0)
        return max(0.0, at - clock)

    def taken(self, domain: str, clock: float) -> None:
        """A message to this domain begins."""
        interval = self._intervals.get(domain, self._others)
        if interval is None:
            return
        if len(self._next) >= self._room:
            self._next = {name: at for name, at in self._next.items() if at > clock}
            self._back = {name: at for name, at in self._back.items() if at > clock}
            self._room = max(_KEPT, 2 * len(self._next))
        self._next[domain] = max(self._next.get(domain, 0.0), clock - _LATE) + interval


def lowest(*limits: Mapping[str, float]) -> dict[str, float]:
    """Several tables as one that keeps to them all: what one says of others binds domains that another names."""
    names = {name for table in limits for name in table}
    return {
        name: min(rate for table in limits if (rate := table.get(name, table.get(OTHERS))) is not None)
        for name in names
    }
