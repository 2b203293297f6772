"""An SQS queue: messages taken from it, and what their verdicts make of them.

As `verdicts` has it, a message that waits is replaced by a copy in a standard queue, and stays unseen in a FIFO one
until the queue would count it out.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from runner.worker.verdicts import Do, Taken, Verdict

MOST: Final = 10  # messages in one call
_LONGEST: Final = 43_200  # seconds that a message may stay unseen
_SPREAD: Final = 0.2
_NO_LIMIT: Final = 1 << 30


class Queue:
    """Thread-safe as its client is. Raises botocore's errors where it takes messages or looks; settling raises
    nothing: a message that couldn't be settled comes again, and its delivery tells what became of it."""

    def __init__(self, sqs: Any, url: str, complain: Callable[[str], object]) -> None:
        self._sqs, self._url, self._complain = sqs, url, complain
        self._fifo = url.endswith(".fifo")
        self._most_receives = 0

    def take(self, seconds: int) -> list[Taken]:
        """Up to ten messages, waited for so long."""
        answer = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=MOST,
            WaitTimeSeconds=seconds,
            AttributeNames=["ApproximateReceiveCount", "MessageGroupId"],
            MessageAttributeNames=["waits"],
        )
        return [_taken(message) for message in answer.get("Messages", [])]

    def visible(self) -> int:
        """About how many messages can be taken now."""
        return int(self._attributes("ApproximateNumberOfMessages").get("ApproximateNumberOfMessages", 0))

    def visibility(self) -> int:
        """Seconds that a message taken stays unseen by others."""
        return int(self._attributes("VisibilityTimeout").get("VisibilityTimeout", 30))

    def settle(self, settled: Sequence[tuple[Taken, Verdict]], *, delete: bool = True) -> set[str]:
        """Do what the verdicts say; the idents of messages that stay in the queue. `delete=False` leaves deleting
        the others to whoever gave them to us."""
        pairs = list(settled)
        stays = {message.ident: verdict for message, verdict in pairs if verdict.do in (Do.BACK, Do.DEAD)}
        waiting = [(message, verdict) for message, verdict in pairs if verdict.do is Do.WAIT]
        copied = self._copy([pair for pair in waiting if self._wants_copy(pair[0])])
        stays |= {message.ident: verdict for message, verdict in waiting if message.ident not in copied}
        self.unseen((message, stays[message.ident].seconds) for message, _ in pairs if message.ident in stays)
        if delete:
            gone = [message for message, _ in pairs if message.ident not in stays]
            entries = [{"Id": str(n), "ReceiptHandle": message.receipt} for n, message in enumerate(gone)]
            self._batch("delete_message_batch", entries)
        return set(stays)

    def unseen(self, messages: Iterable[tuple[Taken, float]]) -> None:
        """Others don't see these messages for so many seconds from now."""
        self._batch(
            "change_message_visibility_batch",
            [
                {
                    "Id": str(n),
                    "ReceiptHandle": message.receipt,
                    "VisibilityTimeout": min(_LONGEST, _spread(seconds)),
                }
                for n, (message, seconds) in enumerate(messages)
            ],
        )

    def _wants_copy(self, message: Taken) -> bool:
        if not self._fifo:
            return True
        if not self._most_receives:
            self._most_receives = self._redrive()
        return message.receives >= self._most_receives - 1

    def _redrive(self) -> int:
        """How often a message is received before it is dead."""
        try:
            policy = json.loads(self._attributes("RedrivePolicy").get("RedrivePolicy", "{}"))
            return int(policy.get("maxReceiveCount", _NO_LIMIT))
        except Exception as error:
            self._complain(f"the queue's redrive policy can't be read ({type(error).__name__}): copies are made")
            return 1

    def _copy(self, waiting: list[tuple[Taken, Verdict]]) -> set[str]:
        """Copies that come after a delay; the idents of the messages that have one."""
        entries = [self._copied(n, message, verdict) for n, (message, verdict) in enumerate(waiting)]
        done = self._batch("send_message_batch", entries)
        return {message.ident for n, (message, _) in enumerate(waiting) if str(n) in done}

    def _copied(self, number: int, message: Taken, verdict: Verdict) -> dict[str, Any]:
        waits = {"DataType": "Number", "StringValue": str(message.waits + 1)}
        entry = {"Id": str(number), "MessageBody": message.body, "MessageAttributes": {"waits": waits}}
        if self._fifo:
            own = hashlib.sha256(f"{message.ident}|copy".encode()).hexdigest()
            return {**entry, "MessageGroupId": message.group or own, "MessageDeduplicationId": own}
        return {**entry, "DelaySeconds": min(900, _spread(verdict.seconds))}

    def _batch(self, operation: str, entries: list[dict[str, Any]]) -> set[str]:
        """The ids of the entries that were done; what wasn't is told."""
        done: set[str] = set()
        for begin in range(0, len(entries), MOST):
            try:
                answer = getattr(self._sqs, operation)(QueueUrl=self._url, Entries=entries[begin : begin + MOST])
            except Exception as error:  # botocore's, of many kinds
                self._complain(f"SQS: {operation} failed: {type(error).__name__}")
                continue
            done.update(entry["Id"] for entry in answer.get("Successful", []))
            for failed in answer.get("Failed", []):
                self._complain(f"SQS: {operation} failed for a message: {failed.get('Code', '')}")
        return done

    def _attributes(self, name: str) -> Mapping[str, str]:
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return dict(answer.get("Attributes", {}))


def from_record(record: Mapping[str, Any]) -> Taken:
    """A message as a Lambda gets it."""
    attributes = record.get("attributes", {})
    waits = record.get("messageAttributes", {}).get("waits", {}).get("stringValue", "")
    return Taken(
        str(record["messageId"]),
        str(record["receiptHandle"]),
        str(record.get("body", "")),
        _number(attributes.get("ApproximateReceiveCount"), 1),
        _number(waits, 0),
        str(attributes.get("MessageGroupId", "")),
    )


def _taken(message: Mapping[str, Any]) -> Taken:
    attributes = message.get("Attributes", {})
    waits = message.get("MessageAttributes", {}).get("waits", {}).get("StringValue", "")
    return Taken(
        message["MessageId"],
        message["ReceiptHandle"],
        message.get("Body", ""),
        _number(attributes.get("ApproximateReceiveCount"), 1),
        _number(waits, 0),
        attributes.get("MessageGroupId", ""),
    )


def _number(text: Any, default: int) -> int:
    try:
        return max(0, int(text))
    except (TypeError, ValueError):
        return default


def _spread(seconds: float) -> int:
    """Whole seconds, a little later where it is long, so that what waited together doesn't come together."""
    return round(seconds * (1 + random.uniform(0, _SPREAD)))  # noqa: S311
