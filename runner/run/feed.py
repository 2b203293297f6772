"""From the rows to the backlog: a row is claimed on the disk before anybody may send it."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator

from runner.campaign import survey
from runner.campaign.address import BadAddress
from runner.campaign.csvdata import Row
from runner.campaign.files import Campaign
from runner.channel.choose import channel_for
from runner.record.journal import SENDABLE, Journal
from runner.run.backlog import Backlog, Item

_NEVER_TRIED = (0, 0.0)


class Feed:
    """`states` is the journal's state of each row, `tries` what rows that were deferred before have behind them:
    attempts made and when the next is due (Unix seconds). `refuse(row, why)` is told of rows without an address,
    `let_go()` asked for what was kept aside when nothing else is left. No wait between tries is longer than
    `longest_wait` seconds, whatever a clock that was set back makes of `due`."""

    def __init__(
        self,
        campaign: Campaign,
        surveyed: survey.Survey,
        journal: Journal,
        states: bytearray,
        tries: dict[int, tuple[int, float]],
        backlog: Backlog,
        refuse: Callable[[int, str], None],
        let_go: Callable[[], None],
        longest_wait: float,
    ) -> None:
        self._campaign = campaign
        self._check = channel_for(campaign.metadata.channel).check
        self._surveyed = surveyed
        self._journal = journal
        self._states = states
        self._tries = tries
        self._backlog = backlog
        self._refuse = refuse
        self._let_go = let_go
        self._longest_wait = longest_wait

    async def run(self, gate: Callable[[], Awaitable[bool]], size: Callable[[], int]) -> None:
        """Until every row is settled, or the gate says that none may be begun any more; claims `size()` rows."""
        rows = self._fresh(size)
        more = True
        try:
            while not self._backlog.closed:
                clock = time.monotonic()
                items = self._backlog.due(clock, survey.BLOCK)
                if not items and more and self._backlog.has_room:
                    if (fresh := next(rows, None)) is None:
                        more = False
                    elif not (items := self._ripe(fresh)):
                        await asyncio.sleep(0)
                        continue
                if items:
                    if not await gate():
                        return
                    await self._claim([item for item in items if not item.claimed])
                    self._backlog.offer(items)
                elif not more and self._backlog.empty:
                    self._let_go()
                    if self._backlog.empty:
                        return
                else:
                    await self._backlog.change(clock)
        finally:
            self._backlog.close()

    def _fresh(self, size: Callable[[], int]) -> Iterator[list[Item]]:
        for block in survey.blocks(self._campaign, self._surveyed):
            start = 0
            while start < len(block):
                step = size()
                yield list(self._sendable(block[start : start + step]))
                start += step

    def _sendable(self, rows: list[Row]) -> Iterator[Item]:
        at = self._surveyed.email_index
        for row in rows:
            if self._states[row.number] not in SENDABLE:
                continue
            address = self._check(row.values[at])
            if isinstance(address, BadAddress):
                self._refuse(row.number, address.why)
                continue
            made, _ = self._tries.get(row.number, _NEVER_TRIED)
            yield Item(row.number, row.values, address, attempt=made + 1)

    async def _claim(self, items: list[Item]) -> None:
        """On the disk before any of them may be sent; the disk is waited for in a thread, while others are sent."""
        if not items:
            return
        for _, group in itertools.groupby(enumerate(sorted(i.row for i in items)), lambda pair: pair[1] - pair[0]):
            run = [row for _, row in group]
            self._journal.claim(run[0], run[-1])
        await asyncio.to_thread(self._journal.sync)
        for item in items:
            item.claimed = True

    def _ripe(self, items: list[Item]) -> list[Item]:
        """Without the rows that an earlier process deferred and whose time hasn't come."""
        if not self._tries:
            return items
        ripe = []
        for item in items:
            _, due = self._tries.pop(item.row, _NEVER_TRIED)
            if (wait := min(due - time.time(), self._longest_wait)) > 0:
                self._backlog.defer(item, time.monotonic() + wait)
            else:
                ripe.append(item)
        return ripe
