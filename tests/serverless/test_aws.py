"""Calls over the wire: what is repeated, what never is, and what a service says that can't do it."""

import pytest

from backends.serverless.aws import Aws
from backends.serverless.troubles import CantDo, Denied, Throttled, Unclear
from opsconsole.ports import OutOfReach
from tests.support.aws import SENDER, Pipeline, typed

pytestmark = pytest.mark.slow

MAIL = {
    "FromEmailAddress": SENDER,
    "Destination": {"ToAddresses": ["ana@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Dear Ana"}}}},
}
SENDING = "ses.POST /v2/email/outbound-emails"


@pytest.fixture
def aws(pipeline: Pipeline) -> Aws:
    return Aws(pipeline.settings)


def test_a_mail_whose_answer_is_lost_went_out_once_and_is_unclear(pipeline: Pipeline, aws: Aws) -> None:
    pipeline.cloud.fault(SENDING, "lose", times=9)
    with pytest.raises(Unclear):
        aws.once("sesv2", "send_email", **MAIL)
    assert len(pipeline.cloud.mails) == 1


def test_a_count_is_never_added_twice(pipeline: Pipeline, aws: Aws) -> None:
    pipeline.campaign("spring")
    pipeline.cloud.fault("dynamodb.UpdateItem", "lose")
    with pytest.raises(Unclear):
        aws.once(
            "dynamodb",
            "update_item",
            TableName="EmailCampaigns",
            Key=typed({"campaign_id": "spring"}),
            UpdateExpression="ADD sent_count :one",
            ExpressionAttributeValues=typed({":one": 1}),
        )
    assert pipeline.item("spring")["sent_count"] == 1


@pytest.mark.parametrize("fault", ["broken", "throttle", "cut", "lose"])
def test_what_may_be_repeated_is_repeated(pipeline: Pipeline, aws: Aws, fault: str) -> None:
    pipeline.cloud.fault("sqs.GetQueueAttributes", fault)
    answer = aws.ask("sqs", "get_queue_attributes", QueueUrl=pipeline.queue_url, AttributeNames=["All"])
    assert answer["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert pipeline.cloud.calls.count("sqs.GetQueueAttributes") == 2


@pytest.mark.parametrize(
    ("fault", "kind"), [("throttle", Throttled), ("broken", OutOfReach), ("deny", Denied), ("unknown", CantDo)]
)
def test_what_does_not_get_better_ends_in_words(
    pipeline: Pipeline, aws: Aws, fault: str, kind: type[Exception]
) -> None:
    pipeline.cloud.fault("ses.GET /v2/email/account", fault, times=9)
    with pytest.raises(kind):
        aws.ask("sesv2", "get_account")


def test_nobody_listening_is_told_at_once_and_did_nothing(pipeline: Pipeline) -> None:
    away = Aws(pipeline.with_settings(endpoint="http://127.0.0.1:9"))
    with pytest.raises(OutOfReach, match="Nothing was done"):
        away.once("sesv2", "send_email", **MAIL)
