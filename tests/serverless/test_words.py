"""What the console says of a pipeline: its words, and the verdict that comes of them. Drill 6 is told here."""

from datetime import timedelta

import pytest

from backends.serverless.ses import Account
from opsconsole.finding import Severity
from opsconsole.observation import Says
from opsconsole.verdict import Group, Status
from tests.serverless.scene import NOW, ago, codes, item, judged, look, past, queue, reasons, seeds, seen, told

STUCK = past((16, 7_000, 20), (12, 6_000, 28), (6, 6_000, 30), (0, 6_000, 37))


def test_a_run_that_gets_on_is_sending_with_its_rate_and_its_end() -> None:
    history = past((2, 7_200, 0), (1, 6_600, 0), (0, 6_000, 0), settled={"spring-sale": (2_800, 3_400, 4_000)})
    verdict = judged(item(), history=history)
    assert verdict.status is Status.SENDING
    assert verdict.run
    assert (verdict.run.rate, verdict.run.eta_s) == (10.0, 600.0)
    assert "6,000 in the queue" in verdict.why
    assert codes(verdict) == {"already-started"}


def test_drill_6_a_backlog_that_stands_still_with_dead_letters_and_contacts_not_found() -> None:
    verdict = judged(
        item(progress_at=ago(12), failed_count=25, missing_count=12),
        history=STUCK,
        queue=queue(5_990, 10),
        dead=queue(37, dead=True),
        oldest=NOW - timedelta(minutes=41),
        reasons={"spring-sale": reasons(MessageRejected=20, Throttling=5)},
    )

    assert verdict.status is Status.STALLED
    assert verdict.group is Group.ATTENTION
    assert "nothing has moved for 12 min" in verdict.why
    for words in (
        "6,000 in the queue, not falling for 12 min, the oldest there for 41 min",
        "37 in the dead-letter queue (17 more in 16 min)",
        "12 contacts not found (expected)",
        "MessageRejected (20); Throttling (5)",
    ):
        assert words in verdict.why
    severity = {finding.code: finding.severity for finding in verdict.findings}
    assert severity["backlog-not-falling"] is Severity.WARN
    assert severity["dlq-filling"] is Severity.WARN
    assert severity["contact-not-found"] is Severity.INFO
    assert "5,990 wait, 10 are with workers" in told(verdict, "backlog-not-falling")
    assert "each after 3 tries" in told(verdict, "dlq-filling")


def test_drill_6_the_seeds_pipeline_tells_no_time_and_is_judged_by_its_backlog() -> None:
    verdict = judged(seeds(), history=STUCK, dead=queue(37, dead=True))
    assert verdict.status is Status.STALLED
    assert "nothing has moved for 12 min" in verdict.why


def test_a_backlog_older_than_the_campaign_is_not_held_against_it() -> None:
    assert judged(seeds(created_at=ago(2)), history=STUCK).status is Status.SENDING


def test_an_end_with_failures_is_partial_with_its_reasons() -> None:
    ended = item(
        status="completed",
        completed_at=ago(3),
        sent_count=9_960,
        failed_count=25,
        missing_count=15,
        progress_at=ago(3),
    )
    verdict = judged(ended, queue=queue(0), reasons={"spring-sale": reasons(MessageRejected=25)})
    assert verdict.status is Status.PARTIAL
    assert "9,960 of 9,985 accepted, 25 failed" in verdict.why
    assert told(verdict, "recipients-failed") == "bulk: 25 failed: MessageRejected (25)"
    assert "counts-dont-add-up" not in codes(verdict)


def test_contacts_that_were_deleted_meanwhile_make_no_end_partial() -> None:
    ended = item(status="completed", completed_at=ago(3), sent_count=9_988, missing_count=12)
    verdict = judged(ended, queue=queue(0))
    assert verdict.status is Status.SENT
    assert told(verdict, "contact-not-found").startswith("bulk: 12 contacts were not found")


def test_contacts_that_vanished_by_the_thousand_are_no_end_as_it_should_be() -> None:
    emptied = item(status="completed", completed_at=ago(1), sent_count=10, missing_count=9_990)
    verdict = judged(emptied, queue=queue(0))
    assert "9,990 of 10,000 contacts were not found" in told(verdict, "contact-not-found")
    assert verdict.group is Group.ATTENTION


def test_the_seeds_way_of_failing_for_a_deleted_contact_is_told_from_real_failures() -> None:
    found = {"campaign_1704067200": reasons(Contact_x_not_found_in_DynamoDB=7, MessageRejected=2)}
    verdict = judged(seeds(failed_count=9), reasons=found)
    assert "7 contacts were not found" in told(verdict, "contact-not-found")
    assert told(verdict, "recipients-failed") == "bulk: 2 failed: MessageRejected (2)"


def test_counts_that_do_not_add_up_are_told_with_their_numbers() -> None:
    ended = item(status="completed", completed_at=ago(3), sent_count=9_990, failed_count=3)
    assert told(judged(ended, queue=queue(0)), "counts-dont-add-up") == (
        "bulk: 10,000 were queued, but 9,990 sent + 3 failed = 9,993: 7 are in no count"
    )
    twice = judged(item(sent_count=10_004), queue=queue(0))
    assert "4 were counted, or mailed, twice" in told(twice, "counts-dont-add-up")
    lost = judged(item(sent_count=9_000, progress_at=ago(4)), queue=queue(900), dead=queue(40, dead=True))
    assert "60 are in no count and in no queue" in told(lost, "counts-dont-add-up")
    moving = judged(item(sent_count=9_000), queue=queue(900))
    assert "counts-dont-add-up" not in codes(moving)
    draft = judged(item(status="draft", run_id=None, sent_count=5))
    assert {f.severity for f in draft.findings if f.code == "counts-dont-add-up"} == {Severity.BLOCK}


def test_the_quota_is_warned_of_from_its_share_on_with_when_it_runs_out() -> None:
    history = past((2, 7_200, 0), (0, 6_000, 0), settled={"spring-sale": (2_800, 4_000)})
    used = Account(50_000.0, 14.0, 41_000.0, True, True)
    verdict = judged(item(), account=used, history=history)
    words = told(verdict, "quota-nearly-used")
    assert "41,000 of SES's 50,000 in 24 h are used (82 %)" in words
    assert "at 10.0 a second it runs out today 18:07 UTC" in words
    assert verdict.group is Group.IN_FLIGHT
    assert "quota-nearly-used" not in codes(judged(item(), account=Account(50_000.0, 14.0, 39_900.0, True)))


def test_a_quota_that_ends_before_the_recipients_do_calls_for_attention() -> None:
    verdict = judged(item(), account=Account(50_000.0, 14.0, 46_000.0, True))
    assert "6,000 recipients are left, 2,000 more than it lets through" in told(verdict, "quota-nearly-used")
    assert verdict.group is Group.ATTENTION


def test_a_quota_without_a_bound_never_warns_and_smtp_has_none() -> None:
    assert "quota-nearly-used" not in codes(judged(item(), account=Account(None, 14.0, 9e6, True)))
    full = Account(50_000.0, 14.0, 50_000.0, False)
    assert not codes(judged(item(email_service="smtp"), account=full)) & {"quota-nearly-used", "sending-paused"}


@pytest.mark.parametrize("account", [Account(enabled=False), Account(enabled=True, enforcement="SHUTDOWN")])
def test_sending_paused_by_ses_blocks_and_says_who_did_it(account: Account) -> None:
    verdict = judged(item(progress_at=ago(12)), account=account)
    assert {f.severity for f in verdict.findings if f.code == "sending-paused"} == {Severity.BLOCK}
    assert "SES doesn't send for this account" in verdict.why
    assert verdict.status is Status.STALLED


def test_a_paused_run_is_no_backlog() -> None:
    verdict = judged(item(paused=True, paused_by="ana", progress_at=ago(12)), history=STUCK)
    assert verdict.status is Status.PAUSED
    assert "backlog-not-falling" not in codes(verdict)


def test_a_worker_that_paused_it_says_why_and_calls_for_attention() -> None:
    verdict = judged(item(paused=True, paused_by="worker-1", pause_reason="ten refusals in a row: 554 blocked"))
    assert (
        told(verdict, "paused-by-worker")
        == "bulk: worker-1 paused it by itself: ten refusals in a row: 554 blocked"
    )
    assert verdict.group is Group.ATTENTION


def test_while_references_are_queued_a_growing_backlog_is_no_trouble() -> None:
    filling = item(queued_at=None, queueing_until=int(NOW.timestamp()) + 20, progress_at=None, sent_count=None)
    verdict = judged(filling, history=past((8, 100, 0), (0, 6_000, 0)))
    assert verdict.status is Status.SENDING
    assert "backlog-not-falling" not in codes(verdict)


def test_a_campaign_queued_a_moment_ago_has_no_backlog_of_its_own_yet() -> None:
    fresh = item(started_at=ago(2), queued_at=ago(1), progress_at=None, sent_count=None)
    assert "backlog-not-falling" not in codes(judged(fresh, history=STUCK))


def test_another_campaigns_references_are_no_fault_of_one_that_gets_on() -> None:
    moving, other = item(), item(campaign_id="summer", progress_at=ago(20))
    found = seen(look(moving, other, history=STUCK), moving, other)
    assert "backlog-not-falling" not in {c.code for c in found["spring-sale"].concerns}
    assert "backlog-not-falling" in {c.code for c in found["summer"].concerns}


def test_a_draft_waits_for_its_hour_with_its_approval_and_content() -> None:
    draft = item(
        status="draft",
        run_id=None,
        started_at=None,
        sent_count=None,
        due_at="2026-05-12 21:00",
        timezone="Europe/London",
    )
    ((_, found),) = seen(look(draft), draft).items()
    assert (found.says, found.run, found.keeps_traces) == (Says.NOTHING, None, True)
    assert found.approval
    assert found.approval.by == "boss"
    assert found.content
    assert {name for name, _ in found.content.digests} == {"subject", "body", "sender", "audience"}
    assert judged(draft).status is Status.PENDING


def test_an_unknown_status_blocks_and_is_shown_harmless() -> None:
    verdict = judged(item(status="\x1b[2Jgone"))
    assert {f.severity for f in verdict.findings if f.code == "unknown-status"} == {Severity.BLOCK}
    assert "\x1b" not in told(verdict, "unknown-status")


def test_attributes_of_the_wrong_kind_are_named_and_hide_nothing() -> None:
    odd = item(sent_count="many", failed_count=-3, total_contacts=True, timezone="Mars/Base", due_at="soon")
    ((_, found),) = seen(look(odd), odd).items()
    problems = " ".join(found.details.problems)
    for name in ("sent_count", "failed_count", "total_contacts", "timezone", "due_at"):
        assert name in problems
    assert found.details.subject == "Hello {{ first_name }}"


def test_a_queue_that_cannot_be_looked_at_leaves_the_campaign_told() -> None:
    verdict = judged(item(), queue=None, dead=None, unread={"queue": "sqs:GetQueueAttributes isn't allowed."})
    assert verdict.status is Status.SENDING
    assert any("isn't allowed" in line.text for line in verdict.observations[0].evidence)
