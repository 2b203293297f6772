"""The worker as a Lambda: batches in, the messages that failed out; mails go by SES."""

from collections.abc import Iterator
from typing import Any

import pytest

from runner.worker import handler
from tests.support.aws import Pipeline
from tests.support.cloud import ACCOUNT, REGION
from tests.support.workers import change, queued

pytestmark = pytest.mark.slow
ANA, BEN, CAT = "ana@example.com", "ben@example.com", "cat@example.com"


class Context:
    """What Lambda gives besides: `left` milliseconds."""

    def __init__(self, left: int = 60_000) -> None:
        self._left = left

    def get_remaining_time_in_millis(self) -> int:
        return self._left


@pytest.fixture
def lambda_(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> Iterator[Pipeline]:
    monkeypatch.setenv("MAIL_BLAST_REGION", REGION)
    monkeypatch.setenv("MAIL_BLAST_ENDPOINT", pipeline.cloud.endpoint)
    monkeypatch.setenv("MAIL_BLAST_RATE", "1000")
    monkeypatch.setenv("MAIL_BLAST_RETRY_BASE", "1")
    handler._worker.cache_clear()
    yield pipeline
    handler._worker()[0].close()
    handler._worker.cache_clear()
    handler._queue.cache_clear()


def batch(pipeline: Pipeline) -> dict[str, Any]:
    """What Lambda takes from the queue, in its own form."""
    taken = pipeline.cloud.client("sqs").receive_message(
        QueueUrl=pipeline.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
    )
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{pipeline.settings.queue}",
            }
            for message in taken.get("Messages", [])
        ]
    }


def invoked(pipeline: Pipeline, context: Any = None) -> list[str]:
    """One call; the bodies of what it failed. What it didn't fail is deleted, as Lambda does."""
    event = batch(pipeline)
    answer = handler.handler(event, context or Context())
    failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
    for record in event["Records"]:
        if record["messageId"] not in failed:
            pipeline.cloud.client("sqs").delete_message(
                QueueUrl=pipeline.queue_url, ReceiptHandle=record["receiptHandle"]
            )
    return [record["body"] for record in event["Records"] if record["messageId"] in failed]


def test_a_batch_is_mailed_by_ses_and_what_cannot_be_worked_on_alone_fails(
    lambda_: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    lambda_.contacts(ANA, BEN)
    queued(lambda_, "spring", [ANA, BEN, CAT])
    lambda_.cloud.client("sqs").send_message(QueueUrl=lambda_.queue_url, MessageBody="not JSON")

    assert invoked(lambda_) == ["not JSON"]

    assert sorted(mail.destinations[0] for mail in lambda_.cloud.mails) == [ANA, BEN]
    found = lambda_.delivered("spring")
    assert {who: item["state"] for who, item in found.items()} == {ANA: "sent", BEN: "sent", CAT: "missing"}
    assert found[ANA]["message_id"]  # SES's own, by which its events can be matched
    assert lambda_.item("spring")["status"] == "completed"
    assert invoked(lambda_) == []
    assert "@" not in capsys.readouterr().out


def test_the_same_batch_twice_mails_once(lambda_: Pipeline) -> None:
    lambda_.contacts(ANA)
    queued(lambda_, "spring", [ANA])
    event = batch(lambda_)

    assert [handler.handler(event, Context()) for _ in range(2)] == [{"batchItemFailures": []}] * 2
    assert len(lambda_.cloud.mails) == 1
    assert lambda_.item("spring")["sent_count"] == 1


def test_throttled_by_ses_the_message_waits_and_nothing_counts_against_it(lambda_: Pipeline) -> None:
    lambda_.contacts(ANA)
    queued(lambda_, "spring", [ANA])
    lambda_.cloud.fault("ses.POST /v2/email/outbound-emails", "throttle")

    assert invoked(lambda_) == []  # a copy with a delay took its place
    assert lambda_.depth == 1
    assert lambda_.delivered("spring") == {}
    assert lambda_.item("spring").get("failed_count", 0) == 0


def test_a_lost_answer_of_ses_is_unknown_and_mailed_once(lambda_: Pipeline) -> None:
    lambda_.contacts(ANA)
    queued(lambda_, "spring", [ANA])
    lambda_.cloud.fault("ses.POST /v2/email/outbound-emails", "lose")

    assert invoked(lambda_) == []
    assert invoked(lambda_) == []
    assert len(lambda_.cloud.mails) == 1
    assert lambda_.item("spring")["unknown_count"] == 1
    assert lambda_.item("spring").get("sent_count", 0) == 0


@pytest.mark.parametrize("call", ["dynamodb.TransactWriteItems", "dynamodb.GetItem", "dynamodb.BatchGetItem"])
@pytest.mark.parametrize("kind", ["lose", "throttle"])
def test_a_table_that_loses_an_answer_or_throttles_changes_no_count(
    lambda_: Pipeline, call: str, kind: str
) -> None:
    lambda_.contacts(ANA, BEN)
    queued(lambda_, "spring", [ANA, BEN])
    lambda_.cloud.fault(call, kind, times=2, after=1)

    assert invoked(lambda_) == []
    assert sorted(mail.destinations[0] for mail in lambda_.cloud.mails) == [ANA, BEN]
    item = lambda_.item("spring")
    assert (item["status"], item["sent_count"]) == ("completed", 2)


def test_a_paused_campaign_waits_beside_one_that_goes(lambda_: Pipeline) -> None:
    lambda_.contacts(ANA, BEN)
    queued(lambda_, "spring", [ANA])
    queued(lambda_, "summer", [BEN])
    change(lambda_, "spring", paused=True)

    assert invoked(lambda_) == []
    assert [mail.destinations[0] for mail in lambda_.cloud.mails] == [BEN]
    assert lambda_.depth == 1
    assert lambda_.item("spring")["status"] == "queued"  # nobody was mailed so far, and it says so


def test_without_time_left_nothing_is_begun(lambda_: Pipeline) -> None:
    lambda_.contacts(ANA)
    queued(lambda_, "spring", [ANA])

    class Late(Context):
        calls = 0

        def get_remaining_time_in_millis(self) -> int:
            self.calls += 1
            return 3000 if self.calls == 1 else 1000

    assert len(invoked(lambda_, Late())) == 1
    assert not lambda_.cloud.mails
