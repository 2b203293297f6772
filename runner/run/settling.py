"""What is made of an outcome: done, tried again, failed, or kept aside until it is clear whom it concerns."""

import random
import time
from collections.abc import Callable
from typing import Protocol

from runner.channel.port import Kind, Outcome
from runner.errors import SOME_FAILED
from runner.policy import retries
from runner.policy.pacer import SLOW_DOWN, Pace
from runner.policy.refusals import Refusal, Refusals, concerns_all
from runner.run.backlog import Backlog, Item
from runner.run.ledger import Ledger
from runner.run.progress import Progress

_LOSSES = 5  # connections one message may lose in one of its tries
_LOSSES_EACH = 10  # connections in a row that may be lost, for each there is, before the server is out of reach
_LOSSES_LEAST = _LOSSES * retries.TRIES + 1  # one message alone doesn't put the server out of reach
NOT_SENT = (Kind.LOST, Kind.UNREACHABLE, Kind.SENDER_REFUSED)


class Brakes(Protocol):
    """Whom the settling tells that it can't go on like this."""

    @property
    def paused(self) -> bool:
        """Is the send paused for a reason of the server's?"""

    def pause(self, reason: str, code: int) -> None:
        """Nothing may be begun until a person says so."""

    def stop(self, reason: str, rc: int) -> None:
        """The send is over."""


class Settling:
    """`retry_base` is the least first wait of a retry, in seconds; `connections` are how many there may be."""

    def __init__(
        self,
        ledger: Ledger,
        backlog: Backlog,
        pace: Pace,
        progress: Progress,
        brakes: Brakes,
        retry_base: float,
        connections: int,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._ledger = ledger
        self._backlog = backlog
        self._pace = pace
        self._progress = progress
        self._brakes = brakes
        self._retry_base = retry_base
        self._connections = connections
        self._most_losses = max(_LOSSES_LEAST, _LOSSES_EACH * connections)
        self._chance = chance
        self._refusals = Refusals()
        self._losses = 0  # in a row, over all connections

    def settle(self, item: Item, outcome: Outcome) -> bool:
        """Write down what became of a message; False when it goes back to the backlog. Raises JournalError."""
        kind, code, text = outcome.kind, outcome.code, outcome.text
        if kind is Kind.ACCEPTED:
            self._losses = 0
            if self._refusals.kept:
                self.those_kept_failed()  # one goes through, so the refusals before were about the messages
            self._ledger.accepted(item, code, text)
            return True
        if code in SLOW_DOWN:
            # before there is a rate to halve: as if each connection had had one a second
            self._pace.slow_down(time.monotonic(), self._progress.rate(1) or self._connections)
        if kind in NOT_SENT:
            self._ledger.taken_back(item, code, text)
        if kind is Kind.LOST or kind is Kind.UNREACHABLE:
            return self._lost(item, outcome)
        self._losses = 0
        if kind is Kind.UNKNOWN:
            self._ledger.unknown(item, code, text)
        elif concerns_all(outcome, retries.due(item.attempt, 1, 0) is None):
            return self._keep_aside(Refusal(item, code, text, kind))
        else:
            self._refuse(item, kind, code, text)
        return True

    def those_kept_failed(self) -> None:
        """The refusals kept aside were about those messages alone. Raises JournalError."""
        for refusal in self._refusals.take_all():
            self._refuse(refusal.item, refusal.kind, refusal.code, refusal.text)

    def _refuse(self, item: Item, kind: Kind, code: int, text: str) -> None:
        """Refused, about this recipient: for now or for good."""
        wait = None
        if kind is Kind.DEFERRED:
            wait = retries.due(item.attempt, self._retry_base, self._chance())
        if wait is None:
            self._ledger.failed(item, code, text)
            return
        self._ledger.deferred(item, wait, code, text)
        item.attempt += 1
        item.claimed = False
        self._backlog.defer(item, time.monotonic() + wait)

    def _lost(self, item: Item, outcome: Outcome) -> bool:
        """Provably not sent: again, without spending a try, but not for ever. Idle workers would use up what one
        message may lose in an instant, so after that it has to wait."""
        self._losses += 1
        self._progress.error(outcome.code, outcome.text)
        if self._losses >= self._most_losses:
            self._brakes.stop(f"the mail server is out of reach: {outcome.text}", SOME_FAILED)
        if outcome.kind is Kind.LOST:
            item.losses += 1
        if item.losses >= _LOSSES:
            why = f"the connection was lost {item.losses} times before the message: {outcome.text}"
            item.losses = 0
            self._refuse(item, Kind.DEFERRED, outcome.code, why)
            return True
        return False

    def _keep_aside(self, refusal: Refusal) -> bool:
        """Perhaps none will go through; False when it goes back to the backlog."""
        self._ledger.taken_back(refusal.item, refusal.code, refusal.text)
        if self._brakes.paused:
            return False  # it was in flight when the send was paused for this
        if not self._refusals.fits(refusal):
            self.those_kept_failed()
        if self._refusals.keep(refusal):
            kept = self._refusals.take_all()
            reason = f"the mail server refused {len(kept)} mails in a row: {refusal.code} {refusal.text}"
            self._brakes.pause(reason, refusal.code)
            for former in kept:
                self._backlog.add(former.item)
        return True
