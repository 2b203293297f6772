"""The send: a feeder claims rows, workers hand messages over, every outcome goes to the journal at once.

A delivery is never cancelled half-way: whoever wants the send to stop sets a flag, and each worker ends after
the answer it is waiting for.
"""

import asyncio
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from runner.campaign import survey
from runner.campaign.address import mask_text
from runner.channel.port import Kind, Message, Outcome, ServerRefusesUs, Wire
from runner.errors import CANCELLED, CONFIG, OK, SOME_FAILED, Refused
from runner.message.mail import RowRefused
from runner.policy import retries
from runner.policy.bounces import bounce_class
from runner.policy.gates import WINDOW, Wait
from runner.record.journal import DEFERRED
from runner.run.backlog import Backlog, Item
from runner.run.control import UNSET, Unset
from runner.run.feed import Feed
from runner.run.ledger import Ledger
from runner.run.permits import Permits
from runner.run.progress import Progress
from runner.run.settling import NOT_SENT, Settling
from runner.run.task import Task
from runner.run.voice import Voice

_TICK = 0.25
_SWEEP = 1.0
_ABORT_SECONDS = 3.0
_Delivery = tuple[Item, Awaitable[Outcome]]
_Taker = Callable[[Message, Callable[[], None]], Awaitable[Outcome]]


class _CalledOff(Exception):
    """This message must not be begun any more."""


class Sender:
    """One use each."""

    def __init__(self, task: Task) -> None:
        assert task.surveyed.composer is not None
        settings, metadata = task.settings, task.campaign.metadata
        self._settings = settings
        self._compose = task.surveyed.composer.compose
        self._wires = task.wires
        self._journal = task.journal
        self._counts = task.counts
        self._control = task.control
        self._output = task.output
        self._delivery = task.delivery
        self._switch = task.switch
        self.progress = Progress(task.counts, zone=metadata.zone, classify=bounce_class)
        self._voice = Voice(task.output, self.progress, settings.verbose)
        deferred = {row for row in task.tries if task.states[row] == DEFERRED}
        self._ledger = Ledger(task.journal, task.counts, self.progress, task.delivery, deferred)
        self._permits = Permits(settings, metadata, task.account, time.monotonic())
        self._pace = self._permits.pace
        self._account = "main"
        self._wished: tuple[float | Unset | None, str] = (UNSET, "main")
        self._backlog = Backlog()
        self._settling = Settling(
            self._ledger, self._backlog, self._pace, self.progress, self, settings.retry_base, len(task.wires)
        )
        self._feed = Feed(
            task.campaign,
            task.surveyed,
            task.journal,
            task.states,
            dict(task.tries),
            self._backlog,
            lambda row, why: self._ledger.unsendable(row, f"address: {why}"),
            self._settling.those_kept_failed,
            retries.longest(settings.retry_base),
        )
        self._reason: str | None = None
        self._rc = OK
        self._breaker: str | None = None
        self._breaker_from = task.control.written
        self._served = False  # did the server ever look at a recipient?
        self._inflight = 0
        self._swept = 0.0
        self._ended = asyncio.Event()
        self._open = False
        self._wait: Wait | None = None

    async def run(self) -> tuple[int, str | None]:
        """Send until all is done, cancelled or impossible: the exit code, and the reason when it was stopped."""
        self._tick()
        ticker = asyncio.create_task(self._tick_on())
        tasks = [asyncio.create_task(self._guarded(self._feed.run(self._gate, self._claim_size)))]
        tasks += [asyncio.create_task(self._guarded(self._work(wire))) for wire in self._wires]
        pending = set(tasks)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=_TICK)
            if self._control.at_once and pending:
                await self._drop_everything(pending)
        self._ended.set()
        await ticker
        self._permits.close(time.time())
        rc = self._exit_code()
        await self._guarded(self._tell_end(rc))
        return (self._rc, self._reason) if self._reason else (rc, None)

    # -- what may happen now

    @property
    def _stopping(self) -> bool:
        return self._control.cancelled or self._reason is not None

    @property
    def paused(self) -> bool:
        """Is it paused for a reason of the server's?"""
        return self._breaker is not None

    def pause(self, reason: str, code: int) -> None:
        """Begin nothing until a person says `run` again."""
        self._breaker = mask_text(reason)
        self._breaker_from = self._control.written
        self._open = False
        self.progress.error(code, reason)

    def stop(self, reason: str, rc: int) -> None:
        """End with this exit code; the first reason stands."""
        if self._reason is None:
            self._reason, self._rc = mask_text(reason), rc
        self._open = False
        self._backlog.close()

    @property
    def _is_open(self) -> bool:
        return self._open and not self._control.signals

    def _may_begin(self) -> bool:
        """As far as pause, breaker and gates go."""
        if self._breaker and self._control.word == "run" and self._control.written != self._breaker_from:
            self._breaker = None  # a person said `run` again after it
        return self._breaker is None and self._control.word != "pause" and not self._must_wait()

    def _must_wait(self) -> bool:
        self._wait = self._permits.wait(time.time())
        return self._wait is not None

    async def _gate(self, wire: Wire[Any] | None = None) -> bool:
        """Wait until a message may be begun; False when none may any more."""
        while not self._stopping:
            if self._is_open:
                return True
            if wire is not None:
                await wire.close()  # servers cut idle connections anyway
            await self._nap(0.1)
        self._backlog.close()
        return False

    async def _nap(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:  # noqa: ASYNC110 - two things end it
            await asyncio.sleep(min(left, 0.1))

    def _claim_size(self) -> int:
        """Rows to claim at once: little is in doubt after a power cut when the rate is low."""
        rate = self._pace.rate
        return max(1, min(survey.BLOCK, int(rate * 0.1))) if rate else survey.BLOCK

    # -- sending

    async def _work(self, wire: Wire[Any]) -> None:
        """Hand over one message after the other; what keeps a connection from coming about is waited out."""
        losses = 0
        delivery: _Delivery | None = None
        try:
            while True:
                if delivery is None and (delivery := await self._next(wire)) is None:
                    return
                (item, answer), delivery = delivery, self._followed(wire)
                outcome = await self._outcome(answer)
                self._settle(item, outcome)
                if delivery is not None and (outcome is None or outcome.kind is Kind.LOST):
                    (item, answer), delivery = delivery, None
                    behind = await self._outcome(answer)  # its connection went first: no loss of its own
                    self._settle(item, behind if behind is None or behind.kind is not Kind.LOST else None)
                if outcome is not None and outcome.kind in (Kind.LOST, Kind.UNREACHABLE):
                    losses += 1
                    await self._nap(retries.reconnect(losses, self._settings.retry_base))
                else:
                    losses = 0
        finally:
            await wire.close()

    async def _next(self, wire: Wire[Any]) -> _Delivery | None:
        """A delivery begun, once it may be; None when nothing is to be sent any more."""
        while True:
            if (item := self._backlog.take()) is None:
                if not await self._backlog.more():
                    return None
            elif self._permits.domains and self._passed_over(item):
                self._backlog.done()
            elif not (self._is_open and self._permits.unlimited) and not await self._slot(wire):
                self._backlog.give_back(item)
            elif delivery := self._handed(item, wire.deliver):
                return delivery

    def _followed(self, wire: Wire[Any]) -> _Delivery | None:
        """One more to a connection that takes it behind the one it has, where nothing has to be waited for and no
        other connection would go without."""
        if (
            self._permits.domains
            or not (self._is_open and self._permits.unlimited)
            or (take := wire.follow) is None
        ):
            return None
        item = self._backlog.take(beside=len(self._wires))
        return self._handed(item, take) if item is not None else None

    def _settle(self, item: Item, outcome: Outcome | None) -> None:
        """None goes back as it came."""
        if outcome is not None and self._settling.settle(item, outcome):
            self._backlog.done()
        else:
            self._backlog.give_back(item)

    def _handed(self, item: Item, take: _Taker) -> _Delivery | None:
        """None when this row can become no message, which is then written down."""
        try:
            message = self._compose(item.values, item.address, time.time())
        except RowRefused as error:
            self._ledger.failed(item, 0, f"{error.kind}: {error}")
            self._backlog.done()
            return None
        return item, take(message, partial(self._begin, item, message))

    def _passed_over(self, item: Item) -> bool:
        """Must others go before it, since its domain had enough for now?"""
        domain = item.address.text.rpartition("@")[2].lower()
        clock = time.monotonic()
        if self._permits.domains.wait(domain, clock) > 0:
            self._backlog.defer(item, clock + self._permits.domains.put_back(domain, clock))
            return True
        self._permits.domains.taken(domain, clock)
        return False

    async def _slot(self, wire: Wire[Any]) -> bool:
        """Wait until one more message may be begun; False when none may any more."""
        while self._is_open or await self._gate(wire):
            turn = self._pace.turn
            clock = time.monotonic()
            due = clock + self._pace.reserve(clock)
            while due > clock and turn == self._pace.turn and not self._stopping:
                await self._nap(min(due - clock, _TICK))
                clock = time.monotonic()
            if self._permits.gated and self._must_wait():
                self._open = False
            elif turn == self._pace.turn and self._is_open:
                return True
        return False

    async def _outcome(self, answer: Awaitable[Outcome]) -> Outcome | None:
        """None when it was called off, or the server refuses us now and a person has to mend it. Raises
        ServerRefusesUs if it always did."""
        self._inflight += 1
        give_back = self._permits.taken()
        try:
            outcome = await answer
            if outcome.kind in NOT_SENT:
                give_back()
            else:
                self._served = True
            return outcome
        except _CalledOff:
            give_back()
            return None
        except ServerRefusesUs as error:
            if not self._served:
                raise
            give_back()
            if not self._breaker:
                self.pause(str(error), 0)
            return None
        finally:
            self._inflight -= 1

    def _begin(self, item: Item, message: Message) -> None:
        """A connection or an answer may take minutes to come: what is forbidden by then isn't sent. A rate, a
        warm-up and a share forbid nothing here, their slot was taken before."""
        closed = self._wait is not None and self._wait.state == WINDOW
        if closed or self._stopping or self.paused or self._control.word == "pause":
            raise _CalledOff
        self._ledger.begin(item, message)

    # -- stopping

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one part of the send; what goes wrong in it stops the whole, cleanly."""
        try:
            await work
        except Refused as error:
            self.stop(str(error), error.code)
        except ServerRefusesUs as error:
            self.stop(str(error), CONFIG)
        except Exception as error:  # a fault of ours: say where, not what it held
            where = "".join(traceback.format_tb(sys.exc_info()[2])[-2:])
            self._output.complain(f"internal error {type(error).__name__} at\n{where}")
            self.stop(f"internal error {type(error).__name__}", SOME_FAILED)

    async def _drop_everything(self, pending: "set[asyncio.Task[None]]") -> None:
        """The second SIGTERM: those waiting for the answer to their dot become unknown."""
        for wire in self._wires:
            wire.abort()
        _, stuck = await asyncio.wait(pending, timeout=_ABORT_SECONDS)
        for task in stuck:  # connecting, at most: aborted deliveries have ended
            task.cancel()

    def _exit_code(self) -> int:
        if self._reason:
            return self._rc
        if self._counts.processed < self._counts.total and self._control.cancelled:
            return CANCELLED
        c = self._counts
        return OK if c.accepted == c.total else SOME_FAILED

    async def _tell_end(self, rc: int) -> None:
        state = "failed" if self._reason else "cancelled" if rc == CANCELLED else "finished"
        if self._delivery is not None:
            self._delivery.flush()
        self._say(state)
        await asyncio.to_thread(self._journal.sync)

    # -- telling

    async def _tick_on(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._ended.wait()  # the last tick comes at once
            await self._guarded(self._tick_once())

    async def _tick_once(self) -> None:
        self._tick()

    def _tick(self) -> None:
        """Four times a second: the operator's wishes, the state, a progress line when there is news."""
        self._control.poll()
        self._heed_wishes()
        if self._stopping:
            self._backlog.close()
        clock = time.monotonic()
        paused = self._stopping or self._breaker is not None or self._control.word == "pause"
        self._permits.look(time.time(), clock, paused)
        self._open = not self._stopping and self._may_begin()
        if clock - self._swept >= _SWEEP:
            self._swept = clock
            for wire in self._wires:
                wire.sweep(clock)
        if self._delivery is not None:
            self._delivery.flush()
        self._say(self._state_now())

    def _heed_wishes(self) -> None:
        """The rate and the account that are asked for; never faster than the campaign allows."""
        rate, account = self._control.rate, self._control.account
        before, self._wished = self._wished, (rate, account)
        clock = time.monotonic()
        if not isinstance(rate, Unset) and rate != before[0]:
            self._permits.wish(rate, clock)
        if account == before[1]:
            return
        if (chosen := self._switch(account)) is not None:
            self._permits.use(chosen, time.time(), clock)
            self._account = account
        else:
            self._output.complain("a fallback account was asked for, and there is none; going on with the main one")

    def _state_now(self) -> str:
        if self._stopping:
            return "cancelling"
        if self._open:
            return "sending"
        if self._breaker or self._control.word == "pause" or self._wait is None:
            return "paused"
        return self._wait.state

    def _say(self, state: str) -> None:
        """A progress line when there is news, with the reason of a wait or a stop; a new state is written down."""
        why, until = self._reason or "", None
        if state == "paused":
            why = self._breaker or why
        elif self._wait is not None and state == self._wait.state:
            why = self._wait.why
            until = self._wait.until
        more = {"rate_limit": self._pace.rate, "account": self._account}
        if self._voice.say(state, self._inflight, why, until, **more):
            self._journal.state(state)
