"""A look at a pipeline that answers: what the board is told of it, and what where it may not look."""

import re
from datetime import datetime, timedelta

import pytest

from opsconsole.observation import Observation, Report, Says
from tests.serverless.conftest import Clock, Make
from tests.support.aws import Pipeline, typed

pytestmark = pytest.mark.slow


def one(report: Report) -> Observation:
    (found,) = report.observations
    return found


def codes(o: Observation) -> list[str]:
    return [concern.code for concern in o.concerns]


def put_metric(pipeline: Pipeline, name: str, value: float, at: datetime, queue: str = "bulk-email-queue") -> None:
    pipeline.cloud.client("cloudwatch").put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [{"Name": "QueueName", "Value": queue}],
                "Timestamp": at,
                "Value": value,
            }
        ],
    )


def test_a_campaign_of_the_seeds_pipeline_is_read_as_it_stands(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign(
        "campaign_1704067200",
        status="processing",
        total_contacts=100,
        queued_count=100,
        sent_count=60,
        failed_count=1,
        missing_count=2,
    )
    pipeline.queue("campaign_1704067200", *(f"p{n}@example.com" for n in range(37)))

    report = backend_of(pipeline.settings).observe()

    campaign = one(report)
    assert (report.trouble, report.findings, report.keeps_traces) == ("", (), True)
    assert (campaign.slug, campaign.says, campaign.details.name) == (
        "campaign_1704067200",
        Says.RUNNING,
        "Monthly Newsletter",
    )
    assert campaign.run
    assert campaign.run.counts
    assert (campaign.run.counts.total, campaign.run.counts.accepted, campaign.run.counts.failed) == (98, 60, 1)
    assert "37 in the queue" in campaign.run.note
    lines = {line.letter: line.text for line in campaign.evidence}
    assert lines["Q"].startswith("37 waiting, 0 in flight, 0 delayed")
    assert "0 of SES's 50,000 in 24 h are used" in lines["S"]
    assert "read units" in lines["$"]
    assert not lines["$"].startswith("0.0 ")


def test_looking_never_receives_and_never_writes(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring", status="processing", total_contacts=3, queued_count=3, failed_count=1)
    pipeline.queue("spring", "ana@example.com", "ben@example.com")
    pipeline.cloud.calls.clear()
    backend = backend_of(pipeline.settings)

    for _ in range(2):
        backend.observe()

    looks = {
        "dynamodb.Scan",
        "dynamodb.Query",
        "dynamodb.DescribeTable",
        "sqs.GetQueueUrl",
        "sqs.GetQueueAttributes",
        "sts.GetCallerIdentity",
        "ses.GET /v2/email/account",
        "ses.GET /v2/email/suppression/addresses",
        "monitoring.GetMetricData",
    }
    assert set(pipeline.cloud.calls) <= looks


def test_a_backlog_that_stands_still_is_stalled_with_its_reasons(
    pipeline: Pipeline, backend_of: Make, clock: Clock
) -> None:
    """Drill 6, from the items and queues to the words."""
    now = clock()
    pipeline.campaign(
        "spring",
        status="processing",
        run_id="r1",
        started_at=(now - timedelta(minutes=40)).isoformat(),
        queued_at=(now - timedelta(minutes=38)).isoformat(),
        progress_at=(now - timedelta(minutes=12)).isoformat(),
        total_contacts=40,
        queued_count=40,
        sent_count=10,
        failed_count=3,
        missing_count=2,
    )
    gone = [f"gone{n}@example.com" for n in range(2)]
    pipeline.deliveries("spring", "missing", *gone, error="contact not found")
    pipeline.deliveries(
        "spring", "failed", "a@example.com", "b@example.com", error="MessageRejected: a@example.com"
    )
    pipeline.deliveries("spring", "failed", "c@example.com", error="MailFromDomainNotVerified")
    pipeline.queue("spring", *(f"p{n}@example.com" for n in range(20)))
    pipeline.queue("spring", *(f"d{n}@example.com" for n in range(5)), dead=True)
    for minutes in (3, 9, 15):
        at = now - timedelta(minutes=minutes)
        put_metric(pipeline, "ApproximateNumberOfMessagesVisible", 20, at)
        put_metric(pipeline, "ApproximateNumberOfMessagesNotVisible", 0, at)
        put_metric(pipeline, "ApproximateNumberOfMessagesVisible", 15 / minutes, at, "bulk-email-dead")
    put_metric(pipeline, "ApproximateAgeOfOldestMessage", 2280, now - timedelta(minutes=3))

    campaign = one(backend_of(pipeline.settings).observe())

    assert campaign.run
    note = campaign.run.note
    # CloudWatch tells by the whole minute.
    assert re.search("20 in the queue, not falling for 1[56] min, the oldest there for 4[12] min", note)
    assert re.search(r"5 in the dead-letter queue \(4 more in (9|10) min\)", note)
    assert "2 contacts not found (expected)" in note
    assert "MessageRejected: … (2); MailFromDomainNotVerified (1)" in note
    told = {concern.code: concern for concern in campaign.concerns}
    assert told["backlog-not-falling"].alarm
    assert told["dlq-filling"].alarm
    assert not told["contact-not-found"].warns
    assert told["recipients-failed"].evidence == ("2 × MessageRejected: …", "1 × MailFromDomainNotVerified")
    assert "example.com" not in note + told["recipients-failed"].text


def test_what_may_not_be_asked_is_named_and_the_rest_is_told(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring", status="processing", total_contacts=3, queued_count=3)
    for call in ("sqs.GetQueueAttributes", "ses.GET /v2/email/account", "ses.GetSendQuota"):
        pipeline.cloud.fault(call, "deny", times=9)

    report = backend_of(pipeline.settings).observe()

    assert (report.trouble, one(report).says) == ("", Says.RUNNING)
    said = " ".join(report.findings)
    assert "sqs:GetQueueAttributes" in said
    assert "ses:GetSendQuota" in said


def test_where_ses_v2_may_not_be_asked_v1_tells_the_quota(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring")
    pipeline.cloud.fault("ses.GET /v2/email/account", "deny", times=9)
    report = backend_of(pipeline.settings).observe()
    assert report.findings == ()
    (line,) = [line.text for line in one(report).evidence if line.letter == "S"]
    assert "0 of SES's 200 in 24 h are used" in line
    assert "whether it may send isn't known" in line


def test_what_can_be_done_without_is_no_trouble(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring", status="processing", total_contacts=3, queued_count=3)
    for call in ("monitoring.GetMetricData", "ses.GET /v2/email/suppression/addresses", "dynamodb.DescribeTable"):
        pipeline.cloud.fault(call, "deny", times=9)
    report = backend_of(pipeline.settings).observe()
    assert (report.trouble, report.findings) == ("", ())
    assert one(report).says is Says.RUNNING


def test_without_the_table_of_campaigns_nothing_is_known(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring")
    backend = backend_of(pipeline.settings)
    pipeline.cloud.fault("dynamodb.Scan", "deny", times=1)

    blind = backend.observe()
    assert "dynamodb:Scan" in blind.trouble
    assert blind.observations == ()
    assert blind.out_of_reach_since is not None
    assert one(backend.observe()).out_of_reach_since is None


def test_a_service_that_stumbles_is_asked_again(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring")
    pipeline.cloud.fault("dynamodb.Scan", "throttle")
    pipeline.cloud.fault("sqs.GetQueueAttributes", "broken")
    report = backend_of(pipeline.settings).observe()
    assert (report.trouble, report.findings) == ("", ())


def test_a_large_table_is_read_in_pages_and_no_further_than_allowed(pipeline: Pipeline, backend_of: Make) -> None:
    big = "x" * 300_000
    for number in range(8):
        pipeline.campaign(f"c{number}", body=big)
    assert len(backend_of(pipeline.settings).observe().observations) == 8

    report = backend_of(pipeline.with_settings(pages=1)).observe()
    assert 0 < len(report.observations) < 8
    assert any("larger than one look may read" in finding for finding in report.findings)


def test_hostile_items_are_shown_or_named_and_break_nothing(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("; rm -rf /", campaign_name="[bold]x[/]", due_at="yesterday", timezone="Mars/Base")
    pipeline.campaign("A" * 900, status="exploded", sent_count="many", total_contacts=-5, queued_count=1.5)
    pipeline.campaign("empty", campaign_name=None, subject=None, body=None, from_email=None, status=None)
    pipeline.cloud.client("dynamodb").put_item(
        TableName="EmailCampaigns",
        Item={
            **typed({"campaign_id": "odd", "subject": b"\xff\x00", "status": ["draft"], "approved_by": True}),
            "total_contacts": {"N": "99999999999999999999999999999999999999"},
            "due_at": {"NULL": True},
            "slug": {"S": "\x1b[2Jclear"},
        },
    )

    report = backend_of(pipeline.settings).observe()

    by_reference = {o.reference: o for o in report.observations}
    assert set(by_reference) == {"; rm -rf /", "A" * 900, "empty", "odd"}
    assert codes(by_reference["A" * 900]) == ["unknown-status"]
    assert by_reference["odd"].slug == "odd"
    assert by_reference["; rm -rf /"].details.problems
    assert all(len(o.slug) <= 64 for o in report.observations)


def test_two_campaigns_of_one_name_are_never_taken_for_each_other(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("c-1", slug="sale", status="completed", created_at="2026-05-12T00:00:00")
    pipeline.campaign("c-2", slug="sale", created_at="2026-05-01T00:00:00")

    report = backend_of(pipeline.settings).observe()

    named = {o.reference: o for o in report.observations}
    assert named["c-1"].slug == "sale"
    assert "same-slug" not in codes(named["c-1"])
    assert named["c-2"].slug.startswith("c-2-")
    assert codes(named["c-2"]) == ["same-slug"]


def test_the_backlog_is_remembered_from_one_console_to_the_next(
    pipeline: Pipeline, backend_of: Make, clock: Clock
) -> None:
    """Of a pipeline that keeps no time of its progress, a console that was just opened knows it by the last one."""
    pipeline.campaign("spring", status="processing", total_contacts=9, queued_count=9, sent_count=4)
    pipeline.queue("spring", *(f"p{n}@example.com" for n in range(5)))
    first = one(backend_of(pipeline.settings).observe())
    clock.ahead = timedelta(minutes=7)

    later = one(backend_of(pipeline.settings).observe())

    assert first.run
    assert later.run
    assert later.run.progress_at
    assert later.observed_at
    assert later.observed_at - later.run.progress_at >= timedelta(minutes=7)
    assert "backlog-not-falling" in codes(later)
    assert "backlog-not-falling" not in codes(first)


def test_who_it_is_is_told_by_account_region_and_table(pipeline: Pipeline, backend_of: Make) -> None:
    backend = backend_of(pipeline.settings)
    assert backend.identity() == ""
    backend.observe()
    assert backend.identity() == "123456789012 us-west-2 EmailCampaigns"


def test_where_sts_cannot_be_reached_the_queue_tells_the_account(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.cloud.fault("sts.GetCallerIdentity", "cut", times=9)
    backend = backend_of(pipeline.settings)
    assert backend.observe().findings == ()
    assert backend.identity() == "123456789012 us-west-2 EmailCampaigns"


def test_what_is_over_is_told_again_until_its_item_changes(
    pipeline: Pipeline, backend_of: Make, clock: Clock
) -> None:
    ended = {"status": "completed", "queued_count": 5, "completed_at": clock().isoformat()}
    pipeline.campaign("spring", sent_count=5, **ended)
    backend = backend_of(pipeline.settings)

    first = one(backend.observe())
    clock.ahead = timedelta(minutes=1)
    again = one(backend.observe())
    pipeline.campaign("spring", sent_count=4, failed_count=1, **ended)
    pipeline.deliveries("spring", "failed", "a@example.com", error="MessageRejected")
    changed = one(backend.observe())

    assert again.observed_at
    assert first.observed_at
    assert again.observed_at - first.observed_at >= timedelta(minutes=1)
    assert (again.run, again.concerns) == (first.run, first.concerns)
    assert changed.run
    assert changed.run.counts
    assert changed.run.counts.failed == 1
    assert codes(changed) == ["recipients-failed"]
