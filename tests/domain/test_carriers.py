"""Several carriers beside each other: each has its own campaigns, its own parts of content, its own concerns."""

from dataclasses import replace
from datetime import timedelta

import pytest

from opsconsole.board import assemble, judge_one
from opsconsole.digests import content_digest, parts
from opsconsole.observation import Concern, Content, Counts, Observation, Report, Says
from opsconsole.plan import Actual, compare
from opsconsole.ports import Refused
from opsconsole.safety import check_plan
from opsconsole.statuses import Status
from opsconsole.verdict import Verdict
from tests.domain.test_plan import REHEARSED, plan, ready
from tests.domain.words import ALL, NOW, POLICY, SLUG, dashboard, ended, host, running, stale, verdict

LISTMONK = "lists-prod"
PARTS = {"subject": "1" * 64, "body": "2" * 64, "lists": "3" * 64}


def listmonk(says: Says = Says.NOTHING, **more: object) -> Observation:
    return host(says, source=LISTMONK, **more)


def report(name: str, *words: Observation, **more: object) -> Report:
    known = {"source": name, "looked_at": NOW - timedelta(seconds=5), "fresh_for": timedelta(seconds=90)}
    return Report(**(known | {"observations": words, "keeps_traces": name != "dashboard"} | more))  # type: ignore[arg-type]


def judged(*reports: Report) -> Verdict:
    found = judge_one({r.source: r for r in reports}, SLUG, POLICY, NOW)
    assert found is not None
    return found


def test_a_carrier_that_has_not_got_a_campaign_does_not_deny_what_another_tells_of_it() -> None:
    there = listmonk(Says.ENDED, run=ended(ALL))
    found = judged(report("dashboard", dashboard(Says.SENT)), report(LISTMONK, there), report("blast-mail-prod"))
    assert found.status is Status.SENT
    assert "blast-mail-prod" not in {o.source for o in found.observations}


def test_one_out_of_reach_that_never_had_it_leaves_it_sendable() -> None:
    lost = report("blast-mail-prod", host(slug="another"), trouble="no answer", out_of_reach_since=NOW)
    found = judged(report("dashboard", dashboard()), report(LISTMONK, listmonk()), lost)
    assert found.status is Status.OVERDUE
    assert "missing-files" not in {f.code for f in found.findings}


def test_one_that_never_answered_may_have_it() -> None:
    never = report("blast-mail-prod", trouble="no answer", out_of_reach_since=NOW)
    found = judged(report("dashboard", dashboard()), report(LISTMONK, listmonk()), never)
    assert found.status is Status.UNKNOWN


def test_where_no_carrier_has_it_each_says_so() -> None:
    found = judged(report("dashboard", dashboard()), report(LISTMONK), report("blast-mail-prod"))
    texts = [f.text for f in found.findings if f.code == "missing-files"]
    assert len(texts) == 2


def test_two_that_have_it_contradict_each_other() -> None:
    there = listmonk(Says.ENDED, run=ended(ALL))
    found = judged(report(LISTMONK, there), report("blast-mail-prod", host()))
    assert found.status is Status.CONFLICT


def test_the_board_has_the_campaigns_of_all_and_none_speaks_for_another() -> None:
    reports = {
        r.source: r
        for r in (
            report(LISTMONK, listmonk(Says.ENDED, run=ended(ALL), slug="july")),
            report("blast-mail-prod", host(Says.RUNNING, run=running(), slug="june")),
        )
    }
    statuses = {v.slug: v.status for v in assemble(reports, POLICY, NOW).verdicts}
    assert statuses == {"july": Status.SENT, "june": Status.SENDING}


@pytest.mark.parametrize(
    ("concern", "severity", "obstacle"),
    [
        (Concern(code="dlq-filling", text="1,204 in the dead-letter queue"), "warn", False),
        (Concern(code="sending-paused", text="SES sends nothing", blocks=True), "block", True),
        (Concern(code="contact-not-found", text="12 were deleted", warns=False), "info", False),
    ],
)
def test_what_a_source_finds_wrong_by_itself_is_a_finding(concern: Concern, severity: str, obstacle: bool) -> None:
    found = verdict(dashboard(), listmonk(concerns=(concern,)))
    finding = next(f for f in found.findings if f.code == concern.code)
    assert (finding.severity, finding.text) == (severity, f"{LISTMONK}: {concern.text}")
    assert bool(found.obstacles) is obstacle
    assert ("operations" in found.next_steps) is concern.warns


def test_an_alarm_of_a_source_brings_the_campaign_to_attention_and_one_of_a_stale_source_may_be_over() -> None:
    alarm = Concern(code="scheduler-idle", text="nothing picks it up", alarm=True)
    going = listmonk(Says.RUNNING, run=running(), concerns=(alarm,))
    assert verdict(dashboard(), going).group == "Needs attention"
    told = verdict(dashboard(), stale(going)).findings
    assert "scheduler-idle" not in {f.code for f in told}


def test_a_stall_says_why_where_the_carrier_knows() -> None:
    stuck = listmonk(Says.RUNNING, run=running(timedelta(minutes=20), note="its window is full until 14:00"))
    assert verdict(dashboard(), stuck).why.endswith("; its window is full until 14:00")


def test_where_nobody_is_known_one_by_one_no_step_asks_for_it() -> None:
    short = ended(Counts(total=2601, accepted=1587))
    told = verdict(dashboard(), listmonk(Says.ENDED, run=short, by_person=False))
    assert told.status is Status.PARTIAL
    assert told.next_steps[:3] == ("close", "attach", "mark")
    assert verdict(dashboard(), listmonk(Says.ENDED, run=short)).next_steps[0] == "doubt"


def test_content_has_the_parts_of_its_carrier() -> None:
    assert list(parts(PARTS)) == ["body", "lists", "subject"]
    assert len(parts({})) == 4, "a campaign of files names all four, also those that aren't there"
    assert content_digest(PARTS) != content_digest({**PARTS, "lists": "4" * 64})


@pytest.mark.parametrize("part", ["text", "template", "data", "metadata"])
def test_a_carriers_own_part_may_be_called_as_a_files_word(part: str) -> None:
    made = replace(plan(), digests={**PARTS, part: "5" * 64})
    assert type(made).from_document(made.document()) == made


def test_a_plan_of_other_parts_survives_being_written_down_and_says_which_part_moved() -> None:
    content = Content(digest=content_digest(PARTS), digests=tuple(PARTS.items()), rows=2601)
    rehearsed = replace(REHEARSED, digests=PARTS)
    made = replace(plan(), digests=PARTS)
    assert made.document()["digests"] == PARTS
    assert type(made).from_document(made.document()) == made
    moved = {**PARTS, "subject": "9" * 64}
    (difference,) = compare(made, Actual(digests=moved), NOW)
    assert str(difference) == "subject was 111111111111 in the plan, is 999999999999 now"
    check_plan(made, ready(content), rehearsed, "machine-1", POLICY, NOW)
    other = replace(content, digest=content_digest(moved), digests=tuple(moved.items()))
    with pytest.raises(Refused, match="subject was"):
        check_plan(made, ready(other), rehearsed, "machine-1", POLICY, NOW)
