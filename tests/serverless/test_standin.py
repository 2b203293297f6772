"""The stand-in for AWS does what the real services do, where moto alone doesn't."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from runner.worker.schema import reference
from tests.support.aws import SENDER, Pipeline

pytestmark = pytest.mark.slow


def test_dead_letters_go_back_where_they_came_from(pipeline: Pipeline) -> None:
    sqs = pipeline.cloud.client("sqs")
    pipeline.queue("spring", "ana@example.com", "ben@example.com", dead=True)

    sqs.start_message_move_task(SourceArn=pipeline.dead_arn)

    assert pipeline.dead == 0
    assert pipeline.bodies() == [reference("spring", "ana@example.com"), reference("spring", "ben@example.com")]
    (task,) = sqs.list_message_move_tasks(SourceArn=pipeline.dead_arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)


def test_ses_v2_tells_its_account_and_can_be_switched_off(pipeline: Pipeline) -> None:
    ses = pipeline.cloud.client("sesv2")
    pipeline.cloud.ses.sent = 41_000.0

    assert ses.get_account()["SendQuota"]["SentLast24Hours"] == 41_000.0
    ses.put_account_sending_attributes(SendingEnabled=False)
    assert ses.get_account()["SendingEnabled"] is False


def test_the_suppression_list_comes_in_pages(pipeline: Pipeline) -> None:
    ses = pipeline.cloud.client("sesv2")
    for number in range(5):
        ses.put_suppressed_destination(EmailAddress=f"p{number}@example.com", Reason="BOUNCE")

    first = ses.list_suppressed_destinations(PageSize=3)
    rest = ses.list_suppressed_destinations(PageSize=3, NextToken=first["NextToken"])
    assert [len(page["SuppressedDestinationSummaries"]) for page in (first, rest)] == [3, 2]
    ses.delete_suppressed_destination(EmailAddress="p1@example.com")
    with pytest.raises(ClientError, match="NotFound"):
        ses.get_suppressed_destination(EmailAddress="p1@example.com")


def test_each_pipeline_begins_empty(pipeline: Pipeline) -> None:
    assert (pipeline.depth, pipeline.dead, pipeline.cloud.mails) == (0, 0, [])
    assert pipeline.cloud.ses.suppressed == {}
    pipeline.cloud.client("sesv2").send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": ["ana@example.com"]},
        Content={"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Dear Ana"}}}},
    )
    assert [mail.source for mail in pipeline.cloud.mails] == [SENDER]


def test_a_call_whose_answer_is_lost_was_done(pipeline: Pipeline) -> None:
    sqs = pipeline.cloud.client("sqs")
    pipeline.cloud.fault("sqs.SendMessage", "lose")
    with pytest.raises(ConnectionClosedError):
        sqs.send_message(QueueUrl=pipeline.queue_url, MessageBody=reference("spring", "ana@example.com"))
    assert pipeline.depth == 1


@pytest.mark.parametrize(
    ("kind", "code"), [("deny", "AccessDenied"), ("throttle", "Throttling"), ("broken", "InternalServerError")]
)
def test_faults_look_like_those_of_aws(pipeline: Pipeline, kind: str, code: str) -> None:
    for call, ask in (
        ("dynamodb.Scan", lambda: pipeline.cloud.client("dynamodb").scan(TableName="EmailCampaigns")),
        ("ses.GetSendQuota", lambda: pipeline.cloud.client("ses").get_send_quota()),
        ("ses.GET /v2/email/account", lambda: pipeline.cloud.client("sesv2").get_account()),
    ):
        pipeline.cloud.fault(call, kind)
        with pytest.raises(ClientError, match=code):
            ask()
        ask()


def test_a_fifo_queue_takes_the_same_reference_once(fifo_pipeline: Pipeline) -> None:
    for _ in range(2):
        fifo_pipeline.queue("spring", "ana@example.com", run_id="r1")
    assert fifo_pipeline.depth == 1
