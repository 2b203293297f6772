"""Whether one more message may begin, and how fast: window, warm-up, the share of the account, rates, domains."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from runner.campaign.metadata import Metadata
from runner.policy.domains import DomainLimits, lowest
from runner.policy.gates import Gate, Wait, WindowGate
from runner.policy.pacer import Pace, least
from runner.run.share import Share
from runner.run.warmup import WarmUp
from runner.settings import Account, Settings


class Permits:
    """Clocks are monotonic seconds, `now` is in Unix seconds. The command line and the operator can only go below
    what the campaign and the account's administrator allow."""

    def __init__(self, settings: Settings, metadata: Metadata, account: Account, clock: float) -> None:
        self._metadata = metadata
        self._folder = settings.state_dir.parent
        self._window = WindowGate(metadata.window) if metadata.window else None
        self._most = metadata.max_rate
        self.pace = Pace(
            least(settings.rate, self._most), account.limits.burst, settings.batch_size, settings.batch_pause
        )
        self._share: Share | None = None
        self._enter(account, clock)

    def use(self, account: Account, now: float, clock: float) -> None:
        """Another account, with other limits."""
        self.close(now)
        self._enter(account, clock)

    def wish(self, rate: float | None, clock: float) -> None:
        """The operator wants so many messages a second; None: no limit of theirs."""
        self.pace.change(least(rate, self._most), clock)

    def look(self, now: float, clock: float, paused: bool) -> None:
        """At each tick: who else sends by this account, and whether the server's last complaint is long ago."""
        if self._share is not None:
            wanting = not paused and not any(gate.wait(now) for gate in self._own)
            if self._share.look(clock, wanting):
                self.pace.cap(self._share.rate, clock)
        self.pace.recover(clock)

    def wait(self, now: float) -> Wait | None:
        """None when a message may begin."""
        for gate in self._gates:
            if (wait := gate.wait(now)) is not None:
                return wait
        return None

    @property
    def gated(self) -> bool:
        """Is there anything that wait() could wait for?"""
        return bool(self._gates)

    @property
    def unlimited(self) -> bool:
        """Neither a gate nor a rate: nothing to wait for before a message."""
        return self.pace.free and not self._gates

    def taken(self) -> Callable[[], None]:
        """A message begins. What is returned is to be called when it was provably not sent: another account, or
        another day, may be had by then."""
        return partial(self._warm_up.give_back, self._warm_up.taken()) if self._gates else _nothing

    def close(self, now: float) -> None:
        """Leave to others what wasn't used."""
        self._warm_up.close(now)
        if self._share is not None:
            self._share.leave()

    def _enter(self, account: Account, clock: float) -> None:
        limits = account.limits
        steps = (limits.warmup, self._metadata.warmup)
        self._warm_up = WarmUp(self._folder / "warm-up", account.ident, *steps)
        self._share = None
        if limits.rate:
            folder: Path = self._folder / "shares" / account.ident
            self._share = Share(folder, self._metadata.priority, limits.rate)
        self.pace.cap(limits.rate, clock)
        self.domains = DomainLimits(lowest(limits.domains, self._metadata.domain_rates))
        self._own: list[Gate] = [gate for gate in (self._window, self._warm_up if any(steps) else None) if gate]
        self._gates: list[Gate] = [*self._own, *([self._share] if self._share else [])]


def _nothing() -> None:
    """Where nothing is counted, nothing is given back."""
