"""Drill 2: due yesterday, its files are there, and there is no log, no run and no cron line."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.support.world import RealWorld

SLUG = "birthday-sail-may11"
PHRASE = f"{SLUG} 1204"


def test_it_is_expired_and_says_since_when(world: RealWorld) -> None:
    told = world.spoken(SLUG)

    assert (told["status"], told["group"]) == ("EXPIRED", "Needs attention")
    for words in ("approved by ana", "t-71c0", "never started", "overdue by", "too late since", "nothing will"):
        assert words in told["why"]
    assert told["next"] == ["mark", "reschedule", "cancel"]
    host = next(source for source in told["sources"] if source["source"].startswith("blast-mail"))
    evidence = {line["letter"]: line["mark"] for line in host["evidence"]}
    assert evidence["F"] == "✓"
    assert evidence["L"] == "–"
    assert evidence["C"] == "–"


@pytest.mark.slow
def test_it_cannot_simply_be_sent(world: RealWorld) -> None:
    checks = world.command("preflight", SLUG, "--json")
    rehearsal = world.command("dry-run", SLUG, "--json").json

    assert checks.code == 1
    assert "due-and-window" in {row["check_id"] for row in checks.json["results"] if row["outcome"] == "fail"}
    assert rehearsal["ok"]
    assert rehearsal["plan"] is None
    assert "EXPIRED" in rehearsal["no_plan_because"]
    assert not world.sent_to()


@pytest.mark.slow
def test_marked_as_executed_with_a_reason_typed_twice_and_written_back(world: RealWorld) -> None:
    assert world.command("mark", SLUG, "--confirm", PHRASE).code == 2
    wrong = world.command("mark", SLUG, "--reason", "sent by hand", "--confirm", "birthday")
    assert (wrong.code, PHRASE in wrong.err) == (3, True)

    marked = world.command(
        "mark", SLUG, "--reason", "ben sent it by hand, provider shows 1,204", "--confirm", PHRASE, "--json"
    )

    assert (marked.code, marked.json["status"]) == (0, "SENT")
    assert "ben sent it by hand" in marked.json["why"]
    assert world.campaign_on_dashboard(SLUG)["status"] == "sent"
    operation = world.dashboard_state()["operations"][-1]
    assert "ben sent it by hand" in str(operation)
    refused = world.command("dry-run", SLUG, "--json").json
    assert refused["plan"] is None


@pytest.mark.slow
def test_called_off_with_a_reason_and_written_back(world: RealWorld) -> None:
    told = world.command("call-off", SLUG, "--reason", "the party is over", "--confirm", PHRASE, "--json")

    assert (told.code, told.json["status"]) == (0, "CANCELLED")
    assert world.campaign_on_dashboard(SLUG)["status"] == "cancelled"
    assert world.command("show", SLUG, "--json").json["group"] == "Done"


@pytest.mark.slow
def test_rescheduled_it_waits_for_its_new_time(world: RealWorld) -> None:
    zone = ZoneInfo("America/Los_Angeles")
    day = (datetime.now(zone) + timedelta(days=2)).strftime("%Y-%m-%d")

    past = world.command("reschedule", SLUG, "2020-01-01 10:00", "--reason", "again")
    assert (past.code, "has passed" in past.err) == (3, True)
    told = world.command("reschedule", SLUG, f"{day} 10:00", "--reason", "next weekend", "--json")

    assert (told.code, told.json["status"]) == (0, "PENDING")
    assert world.campaign_on_dashboard(SLUG)["due_at"].startswith(day)
    assert world.campaign_on_dashboard(SLUG)["status"] == "approved"
    why = world.command("dry-run", SLUG, "--json").json["no_plan_because"]
    assert "PENDING" in why


@pytest.mark.slow
def test_after_a_new_due_time_it_goes_out_by_a_new_plan(world: RealWorld) -> None:
    slug, audience = "tide-tables-june", 1115  # as birthday-sail, without hours to keep to
    assert world.spoken(slug)["status"] == "EXPIRED"
    soon = datetime.now(UTC) + timedelta(seconds=8)
    local = soon.astimezone(ZoneInfo("America/Los_Angeles")).strftime("%Y-%m-%d %H:%M:%S")
    assert world.command("reschedule", slug, local, "--reason", "still worth reading").code == 0

    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.5)

    assert world.spoken(slug)["status"] == "DUE"
    assert world.command("preflight", slug).code == 0
    plan = world.command("dry-run", slug, "--json").json["plan"]
    assert world.command("send", slug, "--plan", plan, "--confirm", f"{slug} {audience}").code == 0
    check_all_of_it_went_out_once(world, slug, audience)
