"""moto's SQS for queues of thousands and several workers. Import it before the server starts.

moto looks at every message several times for each one that it gives out or deletes, and makes a new list of all the
others meanwhile: messages that come just then are lost. Here each call has the queues for itself, except while it
waits, and looks as far as it must.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.sqs import models
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Queue, SQSBackend

_LOCK = threading.RLock()
_POLL_SECONDS = 0.02
_receive = SQSBackend.receive_message


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with _LOCK:
            return method(*args, **kwargs)

    return locked


def _patient(
    self: Any, queue_name: str, count: int, wait_seconds_timeout: int, visibility_timeout: int, names: Any = None
) -> Any:
    end = time.monotonic() + wait_seconds_timeout
    while True:
        with _LOCK:
            found = _receive(self, queue_name, count, 0, visibility_timeout, names)
        if found or time.monotonic() >= end:
            return found
        time.sleep(_POLL_SECONDS)


def _valid(self: Any, queue_name: str, message: Any) -> bool:
    period = self.queues[queue_name].message_retention_period
    return bool(period + message.sent_timestamp / 1000 > time.time())


def _delete(self: Any, receipt_handle: str) -> None:
    if receipt_handle in self.deleted_messages:
        return
    for place, message in enumerate(self._messages):
        if receipt_handle == message.receipt_handle or receipt_handle in message._old_receipt_handles:
            self.pending_messages.discard(message)
            self.deleted_messages.update(message.all_receipt_handles)
            del self._messages[place]
            return
    raise ReceiptHandleIsInvalid


def _ready(self: Any) -> Any:
    """Those that can be taken, looked for one by one, over a copy: messages may go to a dead-letter queue."""
    now = time.time() * 1000
    return (
        message for message in list(self._messages) if message.visible_at < now and message.delayed_until <= now
    )


def _how_many(self: Any) -> int:
    return sum(1 for _ in _ready(self))


# mypy: each of these is a method of moto's put in another's place
models.unix_time_millis = lambda *_: time.time() * 1000  # type: ignore[assignment]
SQSBackend.receive_message = _patient  # type: ignore[method-assign]
SQSBackend.is_message_valid_based_on_retention_period = _valid  # type: ignore[method-assign]
SQSBackend.change_message_visibility = _alone(SQSBackend.change_message_visibility)  # type: ignore[method-assign]
Queue.add_message = _alone(Queue.add_message)  # type: ignore[method-assign]
Queue.delete_message = _alone(_delete)  # type: ignore[method-assign]
Queue.messages = property(_ready)  # type: ignore[assignment]
Queue.approximate_number_of_messages = property(_alone(_how_many))  # type: ignore[assignment]
