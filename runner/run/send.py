"""The send: a feeder claims rows, workers hand mails over, every outcome goes to the journal at once.

A delivery is never cancelled half-way: whoever wants the send to stop sets a flag, and each worker ends after
the answer it is waiting for.
"""

import asyncio
import itertools
import random
import sys
import time
import traceback
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

from runner.campaign import survey
from runner.campaign.address import BadAddress, check, mask, mask_text
from runner.campaign.csvdata import Row
from runner.campaign.files import Campaign
from runner.channel.port import Kind, Outcome, ServerRefusesUs
from runner.channel.smtp import Wire
from runner.errors import CANCELLED, CONFIG, OK, SOME_FAILED, Refused
from runner.message.mail import RowRefused
from runner.policy.pacer import Pacer
from runner.policy.refusals import Refusal, Refusals
from runner.record.journal import SENDABLE, Journal
from runner.run.backlog import Backlog, Item
from runner.run.control import Control
from runner.run.output import DeliveryLog, Output
from runner.run.progress import Counts, Progress
from runner.run.voice import Voice
from runner.settings import Settings, Smtp

TRIES = 3
_LOSSES = 5  # connections one mail may lose before it is given up
_TICK = 0.25
_ABORT_SECONDS = 3.0


class Sender:
    """One process's share of a run. `states` is the journal's state of each row, `tries` what rows that were
    deferred before have behind them: attempts made and when the next is due (Unix seconds)."""

    def __init__(
        self,
        settings: Settings,
        smtp: Smtp,
        campaign: Campaign,
        surveyed: survey.Survey,
        journal: Journal,
        states: bytearray,
        tries: dict[int, tuple[int, float]],
        counts: Counts,
        control: Control,
        output: Output,
        delivery: DeliveryLog | None,
    ) -> None:
        assert surveyed.composer is not None
        self._settings = settings
        self._campaign = campaign
        self._surveyed = surveyed
        self._composer = surveyed.composer
        self._journal = journal
        self._states = states
        self._tries = tries
        self._counts = counts
        self._control = control
        self._output = output
        self._delivery = delivery
        self.progress = Progress(counts)
        self._voice = Voice(output, self.progress, settings.verbose)
        rates = [rate for rate in (settings.rate, campaign.metadata.max_rate) if rate]
        self._rate = min(rates, default=None)
        self._pacer = Pacer(self._rate, settings.batch_size, settings.batch_pause)
        self._backlog = Backlog()
        self._wires = [Wire(smtp) for _ in range(settings.connections)]
        self._reason: str | None = None
        self._rc = OK
        self._breaker: str | None = None
        self._breaker_from = control.written
        self._refusals = Refusals()
        self._losses = 0
        self._deferred: set[int] = set()
        self._ended = False

    async def run(self) -> tuple[int, str | None]:
        """Send until all is done, cancelled or impossible: the exit code, and the reason when it was stopped."""
        self._tick()
        ticker = asyncio.create_task(self._tick_on())
        tasks = [asyncio.create_task(self._guarded(self._feed()))]
        tasks += [asyncio.create_task(self._guarded(self._work(wire))) for wire in self._wires]
        pending = set(tasks)
        while pending:
            _, pending = await asyncio.wait(pending, timeout=_TICK)
            if self._control.at_once and pending:
                await self._drop_everything(pending)
        if not self._stopping:
            await self._guarded(self._fail_rest())
        self._ended = True
        await ticker
        rc = self._exit_code()
        await self._guarded(self._tell_end(rc))
        return (self._rc, self._reason) if self._reason else (rc, None)

    # -- what may happen now

    @property
    def _stopping(self) -> bool:
        return self._control.cancelled or self._reason is not None

    def _stop(self, reason: str, rc: int) -> None:
        if self._reason is None:
            self._reason, self._rc = mask_text(reason), rc
        self._backlog.stop()

    def _open(self) -> bool:
        """May a mail be begun, as far as pause, breaker and window go?"""
        if self._breaker and self._control.word == "run" and self._control.written != self._breaker_from:
            self._breaker = None  # a person said `run` again after it
        window = self._campaign.metadata.window
        return (
            self._breaker is None
            and self._control.word != "pause"
            and (window is None or window.is_open(datetime.now(UTC)))
        )

    async def _gate(self, wire: Wire | None = None) -> bool:
        """Wait until a mail may be begun; False when none may any more."""
        while not self._stopping:
            if self._open():
                return True
            if wire is not None:
                await wire.close()  # servers cut idle connections anyway
            await self._nap(0.1)
        self._backlog.stop()
        return False

    async def _nap(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:  # noqa: ASYNC110 - two things end it
            await asyncio.sleep(min(left, 0.1))

    # -- claiming

    async def _feed(self) -> None:
        size = survey.BLOCK
        if self._rate:
            size = max(1, min(size, int(self._rate * 0.1)))
        try:
            for block in survey.blocks(self._campaign, self._surveyed):
                await asyncio.sleep(0)
                for start in range(0, len(block), size):
                    items = list(self._sendable(block[start : start + size]))
                    if not items:
                        continue
                    if not await self._gate():
                        return
                    await self._claim([item.row for item in items])
                    await self._backlog.offer([item for item in items if not self._put_off(item)])
        finally:
            self._backlog.fed()

    def _sendable(self, rows: list[Row]) -> Iterator[Item]:
        for row in rows:
            if self._states[row.number] not in SENDABLE:
                continue
            address = check(row.values[self._surveyed.email_index])
            if isinstance(address, BadAddress):
                self._fail(row.number, "-", 0, f"address: {address.why}", "•••")
                continue
            made, _ = self._tries.get(row.number, (0, 0.0))
            yield Item(row.number, row.values, address, attempt=made + 1)

    async def _claim(self, rows: list[int]) -> None:
        """On the disk before any of them may be sent; only rows that will be."""
        for _, group in itertools.groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
            run = [row for _, row in group]
            self._journal.claim(run[0], run[-1])
        await asyncio.to_thread(self._journal.sync)

    def _put_off(self, item: Item) -> bool:
        """A row deferred by an earlier process keeps its waiting time."""
        _, due = self._tries.get(item.row, (0, 0.0))
        wait = due - time.time()
        if item.row in self._tries:
            self._deferred.add(item.row)
        if wait > 0:
            self._backlog.defer(item, wait)
        return wait > 0

    # -- sending

    async def _work(self, wire: Wire) -> None:
        try:
            while (item := await self._backlog.take()) is not None:
                try:
                    again = await self._one(wire, item)
                except BaseException:
                    self._backlog.done()
                    raise
                if again:
                    self._backlog.give_back(item)
                else:
                    self._backlog.done()
                if self._losses:
                    await self._nap(self._backoff())
        finally:
            await wire.close()

    async def _one(self, wire: Wire, item: Item) -> bool:
        """Send one mail if it may be sent; True when it goes back to the backlog."""
        if not await self._gate(wire):
            return True
        if (wait := self._pacer.reserve(time.monotonic())) > 0:
            await self._nap(wait)
            if not await self._gate(wire):
                return True
        if item.retry:
            await self._claim([item.row])
            item.retry = False
        key = item.address.hexkey
        try:
            mail = self._composer.build(self._composer.render(item.values), item.address, datetime.now(UTC))
        except RowRefused as error:
            self._fail(item.row, key, 0, f"{error.kind}: {error}", mask(item.address.text))
            return False
        outcome = await wire.deliver(
            mail.sender,
            item.address.text,
            mail.wire,
            lambda: self._journal.begin(item.row, key, item.attempt, mail.message_id),
        )
        return self._settle(item, outcome)

    def _settle(self, item: Item, outcome: Outcome) -> bool:
        """Write down what became of a mail; True when it goes back to the backlog."""
        kind, code, text = outcome.kind, outcome.code, outcome.text
        key, who = item.address.hexkey, mask(item.address.text)
        if kind in (Kind.LOST, Kind.UNREACHABLE):
            return self._lost(item, kind, code, text)
        self._losses = 0
        if kind is Kind.SENDER_REFUSED:
            return self._sender_refused(Refusal(item, code, text))
        self._fail_refused()  # the sender is taken, so the refusals before were about the mails
        if kind is Kind.ACCEPTED:
            self._journal.accepted(item.row, key, code, text)
            self._counts.accepted += 1
            self._done(item.row, "accepted", code, text, who)
        elif kind is Kind.UNKNOWN:
            self.progress.error(code, text)
            self._journal.unknown(item.row, key, text)
            self._counts.unknown += 1
            self._done(item.row, "unknown", code, text, who)
        elif kind is Kind.DEFERRED and item.attempt < TRIES:
            self.progress.error(code, text)
            wait = self._settings.retry_base * 4 ** (item.attempt - 1) * random.uniform(0.8, 1.2)  # noqa: S311
            self._journal.deferred(item.row, key, item.attempt, time.time() + wait, code, text)
            self._deliver_line(item.row, "deferred", code, text, who)
            self._deferred.add(item.row)
            self._counts.deferred = len(self._deferred)
            item.attempt += 1
            self._backlog.defer(item, wait)
        else:
            self._fail(item.row, key, code, text, who)
        return False

    def _lost(self, item: Item, kind: Kind, code: int, text: str) -> bool:
        """Provably not sent: again, without spending a try, but not for ever."""
        self._losses += 1
        self.progress.error(code, text)
        if self._losses >= 10 * len(self._wires):
            self._stop(f"the mail server is out of reach: {text}", SOME_FAILED)
        if kind is Kind.LOST:
            item.losses += 1
        if item.losses >= _LOSSES:
            why = f"the connection was lost {item.losses} times before the message: {text}"
            self._fail(item.row, item.address.hexkey, code, why, mask(item.address.text))
            return False
        return True

    def _backoff(self) -> float:
        """Seconds to wait after lost connections: 1, 2, 4 ... 60 at the default retry base."""
        unit = self._settings.retry_base / 60
        return float(unit * min(60, 2 ** (self._losses // len(self._wires))))

    def _sender_refused(self, refusal: Refusal) -> bool:
        """Perhaps because of this mail, perhaps none will go through; True when it goes back to the backlog."""
        if self._breaker:
            return True  # it was in flight when the send was paused for this
        if not self._refusals.fits(refusal):
            self._fail_refused()
        if self._refusals.keep(refusal):
            kept = self._refusals.take_all()
            self._breaker = mask_text(
                f"the mail server refused {len(kept)} mails in a row: {refusal.code} {refusal.text}"
            )
            self._breaker_from = self._control.written
            self.progress.error(refusal.code, refusal.text)
            for former in kept:
                self._backlog.add(former.item)
        return False

    def _fail_refused(self) -> None:
        """The refusals kept aside were about those mails."""
        for refusal in self._refusals.take_all():
            item = refusal.item
            self._fail(item.row, item.address.hexkey, refusal.code, refusal.text, mask(item.address.text))

    async def _fail_rest(self) -> None:
        self._fail_refused()

    def _fail(self, row: int, key: str, code: int, text: str, who: str) -> None:
        self._journal.failed(row, key, code, text)
        self._counts.failed += 1
        self.progress.error(code, text)
        self._done(row, "failed", code, text, who)

    def _done(self, row: int, outcome: str, code: int, text: str, who: str) -> None:
        self._deferred.discard(row)
        self._counts.deferred = len(self._deferred)
        self._deliver_line(row, outcome, code, text, who)

    def _deliver_line(self, row: int, outcome: str, code: int, text: str, who: str) -> None:
        if self._delivery is not None:
            self._delivery.add(row, outcome, code, text, who)

    # -- stopping

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run one part of the send; what goes wrong in it stops the whole, cleanly."""
        try:
            await work
        except Refused as error:
            self._stop(str(error), error.code)
        except ServerRefusesUs as error:
            self._stop(str(error), CONFIG)
        except Exception as error:  # a fault of ours: say where, not what it held
            where = "".join(traceback.format_tb(sys.exc_info()[2])[-2:])
            self._output.complain(f"internal error {type(error).__name__} at\n{where}")
            self._stop(f"internal error {type(error).__name__}", SOME_FAILED)

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
        while not self._ended:
            await asyncio.sleep(_TICK)
            await self._guarded(self._tick_once())

    async def _tick_once(self) -> None:
        self._tick()

    def _tick(self) -> None:
        """Four times a second: the operator's wishes, the state, a progress line when there is news."""
        self._control.poll()
        if self._stopping:
            self._backlog.stop()
        if self._delivery is not None:
            self._delivery.flush()
        self._say(self._state_now())

    def _state_now(self) -> str:
        if self._reason is not None or self._control.cancelled:
            return "cancelling"
        if self._open():
            return "sending"
        return "paused" if self._breaker or self._control.word == "pause" else "window"

    def _say(self, state: str) -> None:
        """A progress line when there is news, with the reason of a wait or a stop; a new state is written down."""
        more: dict[str, object] = {}
        window = self._campaign.metadata.window
        if self._reason or (state == "paused" and self._breaker):
            more["reason"] = self._reason or self._breaker
        if state == "window" and window:
            more["next_opening"] = window.next_opening(datetime.now(UTC)).isoformat()
        if self._voice.say(state, self._backlog.in_hand, **more):
            self._journal.state(state)
