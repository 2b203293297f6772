"""The mails still to be sent by this process: those ready, those to be tried again later, those in hand."""

import asyncio
import heapq
import time
from collections import deque
from dataclasses import dataclass

from runner.campaign.address import Address

ROOM = 400
_LATER_ROOM = 10_000  # so many retries waiting, and nothing new is claimed


@dataclass(slots=True)
class Item:
    """`attempt` is the number of the try to come, `retry` that it has to be claimed again first."""

    row: int
    values: list[str]
    address: Address
    attempt: int = 1
    losses: int = 0
    retry: bool = False


class Backlog:
    """Filled by one feeder, emptied by the workers. Not for several threads."""

    def __init__(self) -> None:
        self._ready: deque[Item] = deque()
        self._later: list[tuple[float, int, Item]] = []
        self._changed = asyncio.Event()
        self._feeding = True
        self._stopped = False
        self.in_hand = 0

    async def offer(self, items: list[Item]) -> None:
        """Add what was claimed, then wait until there is room for more."""
        self._ready.extend(items)
        self._notify()
        while not self._stopped and (len(self._ready) > ROOM or len(self._later) > _LATER_ROOM):
            await self._wait(1.0)

    def fed(self) -> None:
        self._feeding = False
        self._notify()

    async def take(self) -> Item | None:
        """The next mail, its owner being the caller until done() or give_back(); None when there is no more."""
        while not self._stopped:
            now = time.monotonic()
            if self._later and self._later[0][0] <= now:
                self.in_hand += 1
                return heapq.heappop(self._later)[2]
            if self._ready:
                self.in_hand += 1
                self._notify()
                return self._ready.popleft()
            if not self._feeding and not self._later and not self.in_hand:
                return None
            await self._wait(self._later[0][0] - now if self._later else 1.0)
        return None

    def done(self) -> None:
        self.in_hand -= 1
        self._notify()

    def give_back(self, item: Item) -> None:
        self._ready.append(item)
        self.done()

    def defer(self, item: Item, seconds: float) -> None:
        """Try again in so many seconds; the item isn't in hand any more or never was."""
        item.retry = True
        heapq.heappush(self._later, (time.monotonic() + seconds, item.row, item))
        self._notify()

    def add(self, item: Item) -> None:
        self._ready.append(item)
        self._notify()

    def stop(self) -> None:
        """Nobody gets anything any more."""
        self._stopped = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()

    async def _wait(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(max(0.0, min(seconds, 1.0))):
                await self._changed.wait()
        except TimeoutError:
            pass
