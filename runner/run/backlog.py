"""The messages still to be sent by this process: those ready, those to be tried again later, those in hand."""

import asyncio
import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from runner.campaign.address import Address

ROOM = 400
_LATER_ROOM = 10_000  # so many retries waiting, and nothing new is claimed
_LONGEST_WAIT = 1.0


@dataclass(slots=True)
class Item:
    """`attempt` is the number of the try to come; `claimed` is False when it has to be claimed (again) first,
    `begun` is True from the journal's begin until what came of it is written down."""

    row: int
    values: list[str]
    address: Address
    attempt: int = 1
    losses: int = 0
    claimed: bool = False
    begun: bool = False


class Backlog:
    """Filled by one feeder, emptied by the workers. One event loop; clocks are monotonic seconds."""

    def __init__(self) -> None:
        self._ready: deque[Item] = deque()
        self._later: list[tuple[float, int, Item]] = []
        self._changed = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()  # workers without work
        self.closed = False
        self.in_hand = 0

    # -- for the feeder

    def offer(self, items: Iterable[Item]) -> None:
        for item in items:
            self._ready.append(item)
            self._wake()

    @property
    def has_room(self) -> bool:
        return len(self._ready) <= ROOM and len(self._later) <= _LATER_ROOM

    @property
    def empty(self) -> bool:
        """Nothing is ready, to be tried later or in hand."""
        return not (self._ready or self._later or self.in_hand)

    def due(self, clock: float, most: int) -> list[Item]:
        """Those whose time has come, the earliest first; they have to be offered (again)."""
        found: list[Item] = []
        while self._later and self._later[0][0] <= clock and len(found) < most:
            found.append(heapq.heappop(self._later)[2])
        return found

    async def change(self, clock: float) -> None:
        """Wait until something of all this may be different, a second at most."""
        wait = min(_LONGEST_WAIT, self._later[0][0] - clock) if self._later else _LONGEST_WAIT
        self._changed.clear()
        try:
            async with asyncio.timeout(max(0.001, wait)):
                await self._changed.wait()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Nobody gets anything any more."""
        self.closed = True
        self._changed.set()
        while self._idle:
            self._wake()

    # -- for the workers

    def take(self, beside: int = 0) -> Item | None:
        """The next one, its owner being the caller until done(), give_back() or defer(), when there are more than
        `beside`; None: wait for more()."""
        if len(self._ready) <= beside or self.closed:
            return None
        self.in_hand += 1
        if len(self._ready) <= ROOM:
            self._changed.set()
        return self._ready.popleft()

    async def more(self) -> bool:
        """Wait until take() may give something; False when it never will again."""
        if not self.closed and not self._ready:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter
        return not self.closed

    def done(self) -> None:
        self.in_hand -= 1
        if not self.in_hand:
            self._changed.set()

    def give_back(self, item: Item) -> None:
        """To be sent by anybody, at once."""
        self.add(item)
        self.done()

    def add(self, item: Item) -> None:
        """As give_back(), of one that was kept aside; one that has to be claimed again takes the feeder's way."""
        if item.claimed:
            self.offer((item,))
        else:
            self.defer(item, 0.0)

    def defer(self, item: Item, until: float) -> None:
        """Try again at that moment; whether it is still in hand is told by done()."""
        heapq.heappush(self._later, (until, item.row, item))
        self._changed.set()

    def _wake(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
