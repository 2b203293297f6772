"""The dry run makes everybody's mail and sends none; the pre-flight judges what was gathered."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from backends.serverless import content
from backends.serverless.audience import Audience
from backends.serverless.checks import CHECKS
from backends.serverless.facts import PipelineFacts, gather
from backends.serverless.pipe import Queue
from backends.serverless.rendering import Rendering
from backends.serverless.ses import Account
from opsconsole.campaign import Approval
from opsconsole.preflight import SHARED, Outcome, Result, Situation, run_checks
from opsconsole.settings import Serverless
from runner.message.template import Finding
from tests.domain.words import NOW
from tests.serverless.sending import SLUG, desk, people, rewrite
from tests.support.aws import SENDER, Pipeline

ITEM = {
    "campaign_id": SLUG,
    "campaign_name": "Spring",
    "subject": "Hello",
    "body": "<p>Hello</p>",
    "from_email": SENDER,
    "status": "draft",
}
REDRIVE = '{"deadLetterTargetArn": "arn:aws:sqs:us-west-2:1:dead", "maxReceiveCount": 3}'


def a_queue(name: str = "bulk-email-queue", waiting: int = 0, visibility: int = 60, **more: str) -> Queue:
    attributes = {
        "ApproximateNumberOfMessages": str(waiting),
        "VisibilityTimeout": str(visibility),
        "RedrivePolicy": REDRIVE,
        **more,
    }
    return Queue(f"https://sqs.example.com/1/{name}", attributes)


GOOD = PipelineFacts(
    item=ITEM,
    digests=content.digests(ITEM),
    settings=Serverless(region="us-west-2"),
    audience=Audience(emails=people(100), contacts=100, pages=1),
    has=Counter({"email": 100, "first_name": 100}),
    sample=Rendering(rows=50, done=True, variables=("first_name",)),
    account=Account(
        per_day=50_000.0, per_second=14.0, sent=100.0, enabled=True, production=True, enforcement="HEALTHY"
    ),
    senders={SENDER: True, "example.com": False},
    queue=a_queue(),
    dead=a_queue("dead"),
    receives=40.0,
)


def judged(facts: PipelineFacts, **more: Any) -> dict[str, Result]:
    situation = Situation(slug=SLUG, now=NOW, environment="test", carrier="aws", facts=facts, **more)
    return {r.check_id: r for r in run_checks(situation, [c for c in CHECKS if c not in SHARED])}


def test_a_sound_campaign_passes_every_check() -> None:
    found = judged(GOOD)
    assert {r.outcome for r in found.values()} == {Outcome.PASS}
    assert "reference of 71 bytes" in found["pipeline-reference"].says
    assert "at 14 a second" in " ".join(found["pipeline-quota"].evidence)
    assert [check for check in SHARED if check in CHECKS] == list(SHARED)


@pytest.mark.parametrize(
    ("changed", "check", "outcome", "says"),
    [
        ({"item": {**ITEM, "body": " "}}, "campaign", Outcome.FAIL, "lacks body"),
        ({"item": {**ITEM, "audience_attribute": "plan"}}, "campaign", Outcome.FAIL, "no value"),
        ({"item": {**ITEM, "status": "processing"}}, "draft", Outcome.FAIL, "by another system"),
        ({"item": {**ITEM, "status": "odd\x1b[2J"}}, "draft", Outcome.FAIL, "nobody here knows"),
        ({"begun": True}, "not-queued", Outcome.FAIL, "already"),
        ({"unread": {"deliveries": "denied"}}, "not-queued", Outcome.FAIL, "isn't known"),
        ({"audience": Audience(contacts=3, refused=Counter({"bad": 3}))}, "audience", Outcome.FAIL, "Nobody"),
        (
            {"audience": replace(GOOD.audience, refused=Counter({"it is empty": 5}))},
            "audience",
            Outcome.WARN,
            "5 can't be mailed",
        ),
        ({"audience": replace(GOOD.audience, whole=False)}, "audience", Outcome.PASS, "at least 100 recipients"),
        ({"audience": replace(GOOD.audience, unread="no right")}, "suppression", Outcome.WARN, "can't be read"),
        (
            {"unknown": (Finding("body", 3, "'nmae' is no column", "nmae", "name"),)},
            "templates",
            Outcome.FAIL,
            "no contact has",
        ),
        ({"sample": Rendering(broken="body line 1: no end")}, "templates", Outcome.FAIL, "don't work"),
        (
            {"has": Counter({"first_name": 90, "email": 100})},
            "templates",
            Outcome.WARN,
            "Some contacts lack a field",
        ),
        ({"senders": {SENDER: False, "example.com": False}}, "sender", Outcome.FAIL, "hasn't verified"),
        ({"senders": {}}, "sender", Outcome.FAIL, "isn't one address"),
        ({"unread": {"sender": "denied"}}, "sender", Outcome.WARN, "isn't known"),
        ({"account": replace(GOOD.account, sent=49_950.0)}, "quota", Outcome.FAIL, "takes 50 more"),
        ({"account": replace(GOOD.account, sent=40_000.0)}, "quota", Outcome.WARN, "80% of SES's quota"),
        ({"account": None, "unread": {"ses": "no"}}, "quota", Outcome.WARN, "isn't known"),
        ({"account": replace(GOOD.account, enabled=False)}, "sending", Outcome.FAIL, "switched off"),
        ({"account": replace(GOOD.account, production=False)}, "sending", Outcome.FAIL, "sandbox"),
        ({"account": replace(GOOD.account, enforcement="PROBATION")}, "sending", Outcome.WARN, "under review"),
        ({"queue": None, "unread": {"queue": "not there"}}, "queue", Outcome.FAIL, "can't be asked"),
        ({"queue": a_queue(waiting=9)}, "queue", Outcome.WARN, "9 references of others"),
        ({"queue": a_queue(visibility=5)}, "queue", Outcome.WARN, "5 s is none"),
        ({"queue": a_queue(RedrivePolicy='{"maxReceiveCount": 1}')}, "queue", Outcome.WARN, "too few"),
        ({"dead": None}, "queue", Outcome.WARN, "no dead-letter queue"),
        ({"dead": a_queue("dead", waiting=4)}, "queue", Outcome.WARN, "dead letters from before"),
        ({"receives": None}, "workers", Outcome.WARN, "No worker"),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], check: str, outcome: Outcome, says: str) -> None:
    found = judged(replace(GOOD, **changed))[f"pipeline-{check}"]
    assert says in found.says
    assert found.outcome is outcome
    assert found.remedy or outcome is Outcome.PASS
    assert found.blocks == (outcome is Outcome.FAIL)


def test_another_audience_than_was_approved_is_not_sent() -> None:
    found = judged(GOOD, approval=Approval(by="ana", recipients=99))["pipeline-audience"]
    assert (found.outcome, found.says) == (Outcome.FAIL, "100 would get it, approved were 99.")


def test_the_content_is_the_same_in_whatever_type_a_number_comes() -> None:
    one = content.digests({**ITEM, "smtp_port": 25})
    assert (
        one
        == content.digests({**ITEM, "smtp_port": Decimal("25.0")})
        == content.digests({**ITEM, "smtp_port": "25"})
    )
    assert one != content.digests({**ITEM, "smtp_port": 26})
    assert set(one) == {"subject", "body", "sender", "audience"}
    assert set(content.digests({**ITEM, "text": "Hello"})) == {*one, "text"}


@pytest.mark.slow
def test_a_dry_run_makes_everybodys_mail_and_queues_none(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(40), plan="pro")
    pipeline.contacts("Person00001@example.com", plan="pro")  # the same person once more
    pipeline.contacts("not an address", plan="pro")
    pipeline.contacts("free@example.com", plan="free")
    pipeline.cloud.client("sesv2").put_suppressed_destination(EmailAddress=people(40)[7], Reason="BOUNCE")
    pipeline.campaign(SLUG, audience_attribute="plan", audience_value="pro")
    with desk(pipeline, tmp_path) as ours:
        found = ours.rehearsed()
        assert (found.digests, found.audience) == (ours.plan().digests, ours.plan().audience)
    assert found.ok, found.troubles
    assert (found.audience, found.duplicates, found.suppressed, found.refused) == (39, 1, 1, 1)
    assert found.rendered == 42
    assert found.largest is not None
    assert found.largest > 500
    assert found.sample is not None
    assert found.sample["subject"] == "Hello Ana!"
    said = "".join(ours.said)
    assert "read units consumed" in said
    assert "nothing was queued or sent" in said
    assert not any(email in said for email in people(40))
    assert pipeline.depth == 0
    assert not pipeline.cloud.mails
    assert dict(found.digests) == content.digests(pipeline.item(SLUG))


@pytest.mark.slow
def test_a_dry_run_says_whose_mail_can_not_be_made(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(3))
    pipeline.people([{"email": "bare@example.com", "first_name": "Bea"}])
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        found = ours.rehearsed()
        assert not found.ok
        assert found.refused == 1
        assert any("b•••@example.com" in trouble and "last_name" in trouble for trouble in found.troubles)

        rewrite(pipeline, body="<p>{% for x in y %}</p>")
        found = ours.rehearsed()
        assert not found.ok
        assert any("body" in trouble for trouble in found.troubles)


@pytest.mark.slow
def test_a_template_that_never_ends_is_cut_off(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(1))
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    pipeline.campaign(SLUG, body=f"<p>{loops}</p>")
    with desk(pipeline, tmp_path) as ours:
        found = ours.rehearsed()
    assert not found.ok
    assert any("takes too long" in trouble or "cut off" in trouble for trouble in found.troubles)


@pytest.mark.slow
def test_a_dry_run_that_is_stopped_counts_nobody(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.people(
        {"email": email, "first_name": "A" * 350_000, "last_name": "B", "company": "C"} for email in people(6)
    )
    pipeline.campaign(SLUG, body="<p>Hello</p>")
    stop = Event()
    stop.set()
    with desk(pipeline, tmp_path) as ours:
        from backends.serverless.rehearsal import dry_run

        found = dry_run(ours.pipe, SLUG, lambda data: None, stop)
    assert found.audience is None
    assert "it was stopped before its end" in found.troubles


@pytest.mark.slow
def test_content_that_changes_meanwhile_makes_the_dry_run_worthless(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.contacts(*people(3))
    pipeline.campaign(SLUG)
    from backends.serverless import rehearsal

    read = rehearsal.read

    def meanwhile(*args: Any, **more: Any) -> Audience:
        rewrite(pipeline, subject="Another")
        return read(*args, **more)

    monkeypatch.setattr(rehearsal, "read", meanwhile)
    with desk(pipeline, tmp_path) as ours:
        found = ours.rehearsed()
    assert not found.ok
    assert "subject changed during the dry run" in found.troubles


@pytest.mark.slow
def test_a_pre_flight_gathers_what_the_services_tell(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.contacts(*people(20))
    pipeline.campaign(SLUG)
    with desk(pipeline, tmp_path) as ours:
        facts = gather(ours.pipe, SLUG)
        found = judged(facts)
        assert [(r.check_id, r.says) for r in found.values() if r.outcome is Outcome.FAIL] == []
        assert facts.digests == content.digests(pipeline.item(SLUG))
        assert facts.audience.meter.total > 0

        rewrite(pipeline, body="<p>{{ frist_name }}</p>", from_email="news@example.test")
        pipeline.cloud.ses.sent = 49_990.0
        pipeline.cloud.fault("cloudwatch.GetMetricData", "deny")
        failed = {r.check_id: r for r in judged(gather(ours.pipe, SLUG)).values() if r.outcome is Outcome.FAIL}
    assert set(failed) == {"pipeline-templates", "pipeline-sender", "pipeline-quota"}
    assert "did you mean first_name?" in " ".join(failed["pipeline-templates"].evidence)


def test_a_quota_is_told_with_the_time_it_takes() -> None:
    slow = judged(replace(GOOD, account=replace(GOOD.account, per_second=1.0)))["pipeline-quota"]
    assert "at 1 a second: 1 min" in slow.evidence
