"""What the queue is told, so that no message is lost and none wanders into the dead-letter queue by waiting."""

import json
from typing import Any

from runner.worker.queue import Queue, from_record
from runner.worker.verdicts import Do, Taken, Verdict

WAIT = Verdict(Do.WAIT, 60, "paused")
DONE = Verdict(Do.DONE)


class Sqs:
    """Notes what it is asked; `fails` are ids that an entry fails with, `broken` calls raise."""

    def __init__(self, most_receives: int = 3) -> None:
        self.asked: list[tuple[str, list[dict[str, Any]]]] = []
        self.fails: set[str] = set()
        self.broken: set[str] = set()
        self._policy = json.dumps({"deadLetterTargetArn": "arn:x", "maxReceiveCount": most_receives})

    def __getattr__(self, operation: str) -> Any:
        def call(QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
            if operation in self.broken:
                raise ConnectionError
            assert 0 < len(Entries) <= 10
            self.asked.append((operation, Entries))
            done = [{"Id": entry["Id"]} for entry in Entries if entry["Id"] not in self.fails]
            return {"Successful": done, "Failed": [{"Id": one, "Code": "InternalError"} for one in self.fails]}

        return call

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        return {"Attributes": {"RedrivePolicy": self._policy}}

    def entries(self, operation: str) -> list[dict[str, Any]]:
        return [entry for name, entries in self.asked if name == operation for entry in entries]


def taken(number: int = 1, **more: Any) -> Taken:
    return Taken(f"m{number}", f"r{number}", '{"campaign_id":"c","contact_email":"a"}', **more)


def settled(sqs: Sqs, *pairs: tuple[Taken, Verdict], url: str = "https://q/plain", **more: Any) -> set[str]:
    return Queue(sqs, url, lambda text: None).settle(pairs, **more)


def test_a_standard_queue_gets_a_copy_that_comes_later_and_then_loses_the_message() -> None:
    sqs = Sqs()

    assert settled(sqs, (taken(waits=2), WAIT), (taken(2), DONE)) == set()

    (copy,) = sqs.entries("send_message_batch")
    assert 60 <= copy["DelaySeconds"] <= 72
    assert copy["MessageAttributes"]["waits"]["StringValue"] == "3"
    assert [entry["ReceiptHandle"] for entry in sqs.entries("delete_message_batch")] == ["r1", "r2"]
    assert [operation for operation, _ in sqs.asked][-1] == "delete_message_batch"  # never before its copy is there


def test_a_message_whose_copy_failed_stays() -> None:
    for sqs in (Sqs(), Sqs()):
        sqs.broken.add("send_message_batch")
        assert settled(sqs, (taken(), WAIT)) == {"m1"}
        assert not sqs.entries("delete_message_batch")
        assert sqs.entries("change_message_visibility_batch")[0]["VisibilityTimeout"] >= 60


def test_a_fifo_queue_hides_the_message_and_makes_a_copy_only_before_it_is_counted_out() -> None:
    sqs = Sqs(most_receives=3)

    stays = settled(
        sqs, (taken(1, group="g1"), WAIT), (taken(2, receives=2, group="g2"), WAIT), url="https://q/x.fifo"
    )

    assert stays == {"m1"}
    (copy,) = sqs.entries("send_message_batch")
    assert copy["MessageGroupId"] == "g2"
    assert len(copy["MessageDeduplicationId"]) == 64
    assert "DelaySeconds" not in copy
    assert [entry["ReceiptHandle"] for entry in sqs.entries("delete_message_batch")] == ["r2"]


def test_what_is_tried_again_or_dead_is_left_to_the_queue() -> None:
    sqs = Sqs()

    stays = settled(sqs, (taken(1), Verdict(Do.BACK, 90)), (taken(2), Verdict(Do.DEAD, 30)), (taken(3), DONE))

    assert stays == {"m1", "m2"}
    assert [entry["ReceiptHandle"] for entry in sqs.entries("delete_message_batch")] == ["r3"]


def test_a_lambda_leaves_deleting_to_its_service() -> None:
    sqs = Sqs()

    assert settled(sqs, (taken(1), DONE), (taken(2), Verdict(Do.BACK, 5)), delete=False) == {"m2"}
    assert not sqs.entries("delete_message_batch")


def test_a_batch_of_any_length_is_settled_ten_at_a_time() -> None:
    sqs = Sqs()
    settled(sqs, *((taken(number), DONE) for number in range(23)))

    assert len(sqs.entries("delete_message_batch")) == 23


def test_a_record_of_a_lambda_is_a_message() -> None:
    found = from_record(
        {
            "messageId": "m",
            "receiptHandle": "r",
            "body": "b",
            "attributes": {"ApproximateReceiveCount": "2", "MessageGroupId": "g"},
            "messageAttributes": {"waits": {"stringValue": "4", "dataType": "Number"}},
        }
    )

    assert found == Taken("m", "r", "b", 2, 4, "g")
