"""Two bounded queues that the same workers take from, as Go's `select` over two channels does."""

from collections import deque
from threading import Condition, Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """Nothing goes in or comes out any more."""


class Lanes(Generic[T]):
    """`capacities` are those of the lanes. Whoever waits is woken by `close`."""

    def __init__(self, *capacities: int) -> None:
        self._capacities = capacities
        self._lanes: tuple[deque[T], ...] = tuple(deque() for _ in capacities)
        self._turn = 0
        self._open = True
        lock = Lock()  # one for all; who waits for a message isn't woken by room for one
        self._filled = Condition(lock)
        self._emptied = tuple(Condition(lock) for _ in capacities)

    def put(self, lane: int, item: T, timeout: float | None = None) -> bool:
        """Waits for room; False when there was none within `timeout` seconds. Raises Closed."""
        with self._emptied[lane]:
            room = self._emptied[lane].wait_for(
                lambda: not self._open or len(self._lanes[lane]) < self._capacities[lane], timeout
            )
            if not self._open:
                raise Closed
            if room:
                self._lanes[lane].append(item)
                self._filled.notify()
            return room

    def get(self) -> T:
        """The next item, from the lanes by turns. Raises Closed."""
        with self._filled:
            self._filled.wait_for(lambda: not self._open or any(self._lanes))
            if not self._open:
                raise Closed
            count = len(self._lanes)
            order = [(self._turn + step) % count for step in range(count)]
            lane = next(number for number in order if self._lanes[number])
            self._turn = (lane + 1) % count
            item = self._lanes[lane].popleft()
            self._emptied[lane].notify()
            return item

    def waiting(self) -> int:
        with self._filled:
            return sum(len(lane) for lane in self._lanes)

    def close(self) -> None:
        """What still waits in it is lost."""
        with self._filled:
            self._open = False
            for lane in self._lanes:
                lane.clear()
            for waiting in (self._filled, *self._emptied):
                waiting.notify_all()
