"""What the board says of a listmonk: what is due and not started, what runs, what came of it, at what cost."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backends.embedded.listmonk.people import READ
from opsconsole.board import assemble
from opsconsole.observation import Mark, Observation, Report, Says
from opsconsole.policy import Policy
from opsconsole.ports import Remembered
from opsconsole.verdict import Group, judge
from tests.listmonk.desk import Desk, desk
from tests.listmonk.later import MINUTE, Later, codes, verdict
from tests.support.listmonk import listmonk


def test_a_draft_whose_send_date_has_passed_is_overdue_and_nothing_will_start_it(
    asleep: Desk, clock: Later
) -> None:
    asleep.campaign("July", 12, send_at=clock() - 30 * MINUTE)

    said = verdict(asleep, "july", clock)

    assert said.status == "OVERDUE"
    assert "nothing will start it" in said.why
    assert said.audience == 12
    assert said.details.zone == "Europe/Berlin"


@pytest.mark.slow
def test_without_trust_in_dates_a_draft_with_one_is_approved_by_nobody(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock, passive=True)
    at = desk(made, tmp_path, clock=clock, trust_schedule=False)
    at.campaign("July", send_at=clock() - 30 * MINUTE)

    assert verdict(at, "july", clock).status == "UNAPPROVED"
    made.standin.stop()


def test_a_scheduled_one_that_is_to_come_starts_by_itself_and_can_be_switched_off(
    asleep: Desk, clock: Later
) -> None:
    asleep.campaign("July", status="scheduled", send_at=clock() + 90 * MINUTE)

    seen = asleep.seen()
    said = judge("july", [seen], Policy(), clock())

    assert seen.says is Says.SCHEDULED
    assert said.status == "PENDING"
    assert seen.triggers[0].live
    assert seen.triggers[0].key
    assert not said.findings


def test_it_is_told_by_a_name_that_people_know_it_by(asleep: Desk) -> None:
    asleep.campaign("July")
    before = asleep.backend.identity()
    asleep.seen()

    name, _, itself = asleep.backend.identity().partition(" ")

    assert before == ""
    assert asleep.listmonk.url.endswith(f"//{name}")
    assert itself


def test_a_scheduled_one_that_is_a_minute_late_is_an_alarm(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="scheduled", send_at=clock() - 2 * MINUTE)

    said = verdict(asleep, "july", clock)

    assert "scheduler-idle" in codes(said)
    assert said.group is Group.ATTENTION


def test_one_that_is_only_seconds_late_is_no_alarm(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="scheduled", send_at=clock() - timedelta(seconds=20))

    assert "scheduler-idle" not in codes(verdict(asleep, "july", clock))


def test_a_run_is_seen_from_its_start_to_its_end(at: Desk, clock: Later) -> None:
    number, _ = at.campaign("July", 300)
    at.standin.post.latency = 0.05
    at.backend.observe()
    at.backend.client.put_status(number, "running")
    at.standin.until(lambda: at.standin.campaign(number).sent > 0)

    going = verdict(at, "july", clock)
    assert going.status == "SENDING"
    assert going.run is not None
    assert going.run.counts is not None
    assert going.run.counts.total == 300

    at.standin.post.latency = 0.0
    at.standin.until_status(number, "finished")
    clock.by += MINUTE
    ended = verdict(at, "july", clock)
    assert ended.status == "SENT"
    assert ended.run is not None
    assert ended.run.counts is not None
    assert ended.run.counts.accepted == 300


def test_finished_with_fewer_than_the_audience_is_partial(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="finished", to_send=2194, sent=1255, started_at=clock() - 30 * MINUTE)

    said = verdict(asleep, "july", clock)

    assert said.status == "PARTIAL"
    assert "1,255 of 2,194" in said.why


def test_those_who_came_later_do_not_make_it_partial(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="finished", to_send=100, sent=103, started_at=clock() - 30 * MINUTE)

    assert verdict(asleep, "july", clock).status == "SENT"


def test_cancelled_before_anybody_was_mailed_is_cancelled_and_afterwards_partial(
    asleep: Desk, clock: Later
) -> None:
    asleep.campaign("Early", status="cancelled")
    asleep.campaign("Late", status="cancelled", to_send=90, sent=40, started_at=clock() - 30 * MINUTE)
    clock.by += 5 * MINUTE

    assert verdict(asleep, "early", clock).status == "CANCELLED"
    assert verdict(asleep, "late", clock).status == "PARTIAL"


def test_it_is_blind_and_not_silent_when_listmonk_is_gone(at: Desk, clock: Later) -> None:
    at.campaign("July", send_at=clock() - 30 * MINUTE)
    before = at.backend.observe()
    at.standin.kill()

    gone = at.backend.observe()

    assert gone.trouble
    assert gone.out_of_reach_since is not None
    assert before.observations
    assert not gone.observations


def test_a_wrong_token_is_told_as_such(tmp_path: Path) -> None:
    made = listmonk()
    at = desk(made, tmp_path)
    made.manager.token = "another"

    report = at.backend.observe()

    assert "(403)" in report.trouble
    assert "token" in report.trouble
    made.standin.stop()


@pytest.mark.slow
def test_what_the_token_may_not_read_is_said_and_hides_nothing_else(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock, passive=True)
    user = made.standin.add_user("blind", [name for name in READ if name != "settings:get"])
    at = desk(made, tmp_path, user, clock=clock)
    at.campaign("July", status="running", to_send=50, sent=10, started_at=clock() - MINUTE)

    report = at.backend.observe()

    assert any("settings:get" in finding for finding in report.findings)
    assert [o.slug for o in report.observations] == ["july"]
    assert any(line.letter == "E" and "can't be read" in line.text for line in report.observations[0].evidence)
    made.standin.stop()


def asked(at: Desk, path: str) -> int:
    return sum(1 for _, asked_path, _ in at.standin.requests if asked_path.partition("?")[0] == path)


@pytest.mark.slow
def test_what_runs_is_asked_often_and_the_list_only_when_something_changed(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock)
    at = desk(made, tmp_path, clock=clock, list_every="10 min")
    number, _ = at.campaign("July", 12)
    for _ in range(5):
        at.backend.observe()
    assert asked(at, "/api/campaigns/running/stats") == 5
    assert asked(at, "/api/campaigns") == 1
    assert asked(at, "/api/lists") == 0

    at.backend.client.put_status(number, "running")
    made.standin.until_status(number, "finished")
    assert at.seen("july").says is Says.ENDED  # nobody told the console, and the list isn't old
    assert asked(at, "/api/campaigns") == 2
    assert asked(at, "/api/lists") == 0
    made.standin.stop()


def test_one_that_comes_due_is_looked_at_again_at_once(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock, passive=True)
    at = desk(made, tmp_path, clock=clock, list_every="10 min")
    at.campaign("July", status="scheduled", send_at=clock() + MINUTE)
    at.backend.observe()
    clock.by += 2 * MINUTE
    at.backend.observe()

    assert asked(at, "/api/campaigns") == 2
    made.standin.stop()


def test_an_edit_of_the_campaign_or_of_its_template_is_other_content(asleep: Desk, clock: Later) -> None:
    number, _ = asleep.campaign("July")

    def content() -> dict[str, str]:
        found = asleep.seen().content
        assert found is not None
        return dict(found.digests)

    first = content()
    clock.by += MINUTE
    assert content() == first

    asleep.standin.database.templates[1].body += "<!-- new -->"
    clock.by += MINUTE
    second = content()
    assert {part for part in first if first[part] != second[part]} == {"template"}

    with asleep.listmonk.as_user(asleep.listmonk.manager) as them:
        row = them.get(f"/api/campaigns/{number}").json()["data"]
        lists = [it["id"] for it in row["lists"]]
        them.put(f"/api/campaigns/{number}", json={"subject": "Other", "lists": lists}).raise_for_status()
    clock.by += MINUTE
    third = content()
    assert {part for part in second if second[part] != third[part]} == {"subject", "updated_at"}


def test_one_that_ended_long_ago_is_left_out_and_its_silence_says_nothing(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="finished", to_send=9, sent=9, started_at=clock())
    clock.by += timedelta(days=120)

    report, now = asleep.backend.observe(), clock()
    sent = Observation(source="dashboard", slug="july", observed_at=now, fresh_for=MINUTE, says=Says.SENT)
    dashboard = Report(source="dashboard", looked_at=now, fresh_for=MINUTE, observations=(sent,))

    def status(lists: Report) -> str:
        said = assemble({"lists": lists, "dashboard": dashboard}, Policy(), now).get("july")
        assert said is not None
        return said.status

    assert report.observations == ()
    assert status(report) == "SENT"
    assert status(replace(report, archived=frozenset())) == "CONFLICT"


@pytest.mark.slow
def test_a_log_full_of_errors_does_not_make_the_list_be_read_at_every_look(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock)
    at = desk(made, tmp_path, clock=clock, list_every="10 min")
    made.standin.post.fails, made.standin.post.latency = "454 4.7.0 slow down", 0.02
    number, _ = at.campaign("July", 3000)
    at.backend.client.put_status(number, "running")
    made.standin.until(lambda: any("error sending" in line for line in made.standin.log))
    at.backend.observe()
    before = asked(at, "/api/campaigns")

    for _ in range(4):
        known = len(made.standin.log)
        made.standin.until(lambda: len(made.standin.log) > known)  # noqa: B023 - waited for at once
        at.backend.observe()

    assert asked(at, "/api/campaigns") == before
    made.standin.stop()


def test_one_that_was_resumed_is_scheduled_for_a_moment_and_no_alarm(asleep: Desk, clock: Later) -> None:
    then = clock() - 90 * MINUTE
    number, _ = asleep.campaign("July", status="paused", send_at=then, started_at=then, to_send=50, sent=10)
    asleep.backend.client.put_status(number, "running")
    assert asleep.standin.campaign(number).status == "scheduled"
    assert "scheduler-idle" not in codes(verdict(asleep, "july", clock))

    clock.by += 2 * MINUTE
    assert "scheduler-idle" in codes(verdict(asleep, "july", clock))


def test_where_nothing_can_be_kept_the_board_still_tells_what_listmonk_says(asleep: Desk, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    asleep.campaign("July", status="running", to_send=50, sent=10, started_at=asleep.standin.now() - MINUTE)

    report = asleep.backend.observe()

    assert [o.says for o in report.observations] == [Says.RUNNING]
    assert any("log" in finding for finding in report.findings)


def test_a_plan_for_at_most_so_many_makes_nobody_missing(tmp_path: Path, clock: Later) -> None:
    made = listmonk(clock=clock, passive=True)

    def status(at: Desk) -> str:
        plan = Remembered(run_id="ab" * 8, attempt=1, at=clock() - 40 * MINUTE, by="mara", planned=44)
        at.remembered["july"] = plan
        return verdict(at, "july", clock).status

    exact, bound = desk(made, tmp_path, clock=clock), desk(made, tmp_path, made.sender, clock=clock)
    exact.campaign("July", status="finished", to_send=41, sent=41, started_at=clock() - 30 * MINUTE)

    assert status(exact) == "PARTIAL"
    assert status(bound) == "SENT"
    made.standin.stop()


def test_where_bounces_are_not_processed_their_absence_says_nothing(asleep: Desk, clock: Later) -> None:
    asleep.campaign("July", status="finished", to_send=41, sent=41, started_at=clock() - 30 * MINUTE)

    line = next(line for line in asleep.seen().evidence if line.letter == "B")

    assert line.mark is Mark.UNSEEN
