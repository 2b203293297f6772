"""What `opsconsole doctor` and the access list tell of a pipeline: reached, allowed, lacking. Nothing changes."""

import pytest

from opsconsole.ports import OutOfReach, Told
from tests.serverless.conftest import Make
from tests.support.aws import KEY, Pipeline, make_table

pytestmark = pytest.mark.slow


def saying(lines: tuple[Told, ...], words: str) -> Told:
    (found,) = [line for line in lines if words in line.says]
    return found


def test_a_whole_pipeline_is_told_part_by_part(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("spring")

    lines = backend_of(pipeline.settings).inspect()

    assert [line.says for line in lines if not line.ok or line.warn] == []
    for words in (
        "account 123456789012, region us-west-2",
        "table EmailCampaigns: readable",
        "table EmailCampaigns: may be changed",
        "table EmailContacts: readable",
        "table EmailDeliveries: may be changed",
        "queue bulk-email-queue: standard",
        "dead-letter queue bulk-email-dead: 0 waiting",
        "redrive by SQS itself",
        "SES v1: the quota",
        "SES v2: may send, 50,000 in 24 h, 14 a second",
        "suppression list can be read",
        "age of the oldest message",
    ):
        saying(lines, words)


def test_inspecting_writes_nothing(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.campaign("opsconsole-doctor")
    before = pipeline.item("opsconsole-doctor")
    backend_of(pipeline.settings).inspect()
    assert pipeline.item("opsconsole-doctor") == before
    assert pipeline.delivered("opsconsole-doctor") == {}


def test_what_is_not_allowed_is_told_by_the_name_of_its_permission(pipeline: Pipeline, backend_of: Make) -> None:
    for call in (
        "dynamodb.UpdateItem",
        "monitoring.GetMetricData",
        "ses.GET /v2/email/account",
        "dynamodb.DescribeTable",
    ):
        pipeline.cloud.fault(call, "deny", times=9)

    lines = backend_of(pipeline.settings).inspect()

    for action in ("dynamodb:UpdateItem on EmailCampaigns", "cloudwatch:GetMetricData", "ses:GetAccount"):
        line = saying(lines, action)
        assert (line.ok, line.warn) == (True, True)
    assert saying(lines, "table EmailContacts: readable").ok


def test_what_is_missing_or_of_another_shape_fails(pipeline: Pipeline, backend_of: Make) -> None:
    make_table(pipeline.cloud.client("dynamodb"), "People", "id")
    settings = pipeline.with_settings(contacts_table="People", deliveries_table="Nowhere", queue="no-such-queue")

    lines = backend_of(settings).inspect()

    assert "its key is id, and must be email" in saying(lines, "People").says
    assert not saying(lines, "table Nowhere").ok
    assert not saying(lines, "queue no-such-queue").ok


def test_a_service_without_redrive_and_a_full_dead_letter_queue_warn(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.queue("spring", "ana@example.com", dead=True)
    pipeline.cloud.fault("sqs.ListMessageMoveTasks", "unknown", times=9)
    lines = backend_of(pipeline.settings).inspect()
    assert saying(lines, "bulk-email-dead: 1 waiting").warn
    assert saying(lines, "by hand then, in batches").warn


def test_the_sandbox_and_a_shutdown_are_told(pipeline: Pipeline, backend_of: Make) -> None:
    pipeline.cloud.ses.production = False
    assert saying(backend_of(pipeline.settings).inspect(), "in the sandbox").warn
    pipeline.cloud.ses.enforcement = "SHUTDOWN"
    assert not saying(backend_of(pipeline.settings).inspect(), "does not send (SHUTDOWN)").ok


def test_nobody_there_is_told_once(pipeline: Pipeline, backend_of: Make) -> None:
    with pytest.raises(OutOfReach):
        backend_of(pipeline.with_settings(endpoint="http://127.0.0.1:9")).inspect()


def test_who_may_act_is_told_without_the_key(pipeline: Pipeline, backend_of: Make) -> None:
    who, credential = backend_of(pipeline.settings).access()
    assert who.name.startswith("arn:aws:")
    assert (credential.where, credential.name) == ("environment variables", f"access key …{KEY[-4:]}")
    assert "never ends" in credential.trouble
    assert KEY not in repr((who, credential))
