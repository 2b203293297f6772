"""What became of each recipient, written down: in the journal at once, in the counters, in the delivery log."""

import time

from runner.channel.port import Message
from runner.record.journal import Journal
from runner.run.backlog import Item
from runner.run.output import DeliveryLog
from runner.run.progress import Counts, Progress


class Ledger:
    """Each method raises JournalError when the journal can't be written: nothing may be sent after that."""

    def __init__(
        self, journal: Journal, counts: Counts, progress: Progress, delivery: DeliveryLog | None, deferred: set[int]
    ) -> None:
        self._journal = journal
        self._counts = counts
        self._progress = progress
        self._delivery = delivery
        self._deferred = deferred

    def begin(self, item: Item, message: Message) -> None:
        item.begun = True
        self._journal.begin(item.row, item.address.hexkey, item.attempt, message.ident)

    def taken_back(self, item: Item, code: int, text: str) -> None:
        """It was begun, and provably not sent: without this a death of the process would leave it in doubt.

        It has to be claimed again, or a power cut would let it look unsent when it is sent next."""
        if item.begun:
            item.begun = item.claimed = False
            now = time.time()
            self._journal.deferred(item.row, item.address.hexkey, item.attempt - 1, now, code, text)

    def accepted(self, item: Item, code: int, text: str) -> None:
        self._journal.accepted(item.row, item.address.hexkey, code, text)
        self._counts.accepted += 1
        self._settled(item, "accepted", code, text)

    def unknown(self, item: Item, code: int, text: str) -> None:
        self._journal.unknown(item.row, item.address.hexkey, text)
        self._counts.unknown += 1
        self._progress.error(code, text)
        self._settled(item, "unknown", code, text)

    def failed(self, item: Item, code: int, text: str) -> None:
        self._journal.failed(item.row, item.address.hexkey, code, text)
        self._counts.failed += 1
        self._progress.error(code, text, failed=True)
        self._settled(item, "failed", code, text)

    def unsendable(self, row: int, why: str) -> None:
        """Of a row without an address."""
        self._journal.failed(row, "-", 0, why)
        self._counts.failed += 1
        self._progress.error(0, why, failed=True)
        if self._delivery is not None:
            self._delivery.add(row, "failed", 0, why, "•••")

    def deferred(self, item: Item, wait: float, code: int, text: str) -> None:
        """To be tried again after so many seconds."""
        item.begun = False
        self._journal.deferred(item.row, item.address.hexkey, item.attempt, time.time() + wait, code, text)
        self._deferred.add(item.row)
        self._counts.deferred = len(self._deferred)
        self._progress.error(code, text)
        if self._delivery is not None:
            self._delivery.add(item.row, "deferred", code, text, item.address.text)

    def _settled(self, item: Item, outcome: str, code: int, text: str) -> None:
        if self._deferred:
            self._deferred.discard(item.row)
            self._counts.deferred = len(self._deferred)
        if self._delivery is not None:
            self._delivery.add(item.row, outcome, code, text, item.address.text)
