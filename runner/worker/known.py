"""Campaigns as they were read last: the item for a second at most, what is compiled of it for as long as its
content is the same."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from runner.worker.mail import Content, ContentError
from runner.worker.schema import CONTENT, Status
from runner.worker.steps import Item

FRESH_SECONDS: Final = 1.0
_KEPT: Final = 50
_MAILED: Final = ("run_id", "campaign_name", "content_seal", *CONTENT)


class Reads(Protocol):
    def campaign(self, campaign_id: str) -> Item | None: ...

    def set_processing(self, campaign_id: str) -> bool: ...


@dataclass(slots=True)
class _Known:
    item: Item | None
    at: float
    content: Content | ContentError | None = None


class Campaigns:
    """Thread-safe; `reads` raises what it raises."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def item(self, campaign_id: str) -> Item | None:
        """At most a second old. A queued campaign that may be mailed is processing from here on."""
        with self._lock:
            known = self._known.get(campaign_id)
            if known is not None and time.monotonic() - known.at < FRESH_SECONDS:
                return known.item
        item = self._reads.campaign(campaign_id)
        if item is not None and item.get("status") == Status.QUEUED and not item.get("paused"):
            self._reads.set_processing(campaign_id)
            item = self._reads.campaign(campaign_id)
        self.learn(campaign_id, item)
        return item

    def learn(self, campaign_id: str, item: Item | None) -> None:
        """It was just read elsewhere."""
        with self._lock:
            former = self._known.pop(campaign_id, None)
            same = former and former.item and item and all(former.item.get(k) == item.get(k) for k in _MAILED)
            self._known[campaign_id] = _Known(item, time.monotonic(), former.content if former and same else None)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)

    def content(self, item: Item) -> Content:
        """What an item mails. For one thread. Raises ContentError."""
        campaign_id = str(item["campaign_id"])
        with self._lock:
            known = self._known.get(campaign_id)
        if known is None or known.item is not item:
            return Content(item)
        if known.content is None:
            try:
                known.content = Content(item)
            except ContentError as error:
                known.content = error
        if isinstance(known.content, ContentError):
            raise ContentError(str(known.content))
        return known.content
