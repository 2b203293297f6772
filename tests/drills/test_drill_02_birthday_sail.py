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
    assert operation["evidence"] == marked.json["evidence"] == []  # no source tells of any start
    assert "[]" not in marked.json["why"]
    refused = world.command("dry-run", SLUG, "--json").json
    assert refused["plan"] is None


@pytest.mark.slow
def test_what_somebody_saw_elsewhere_is_named_as_evidence_and_told_everywhere(world: RealWorld) -> None:
    saw = "the provider's page shows 1,204 accepted"
    told = ("mark", SLUG, "--reason", "ben sent it", "--confirm", PHRASE, "--json")
    for evidence, says in ((("--source", "dashboard"), "doesn't say"), (("--source", "post"), "No source 'post'")):
        refused = world.command(*told, *evidence)
        assert (refused.code != 0, says in refused.err) == (True, True)

    marked = world.command(*told, "--evidence", saw)

    (line,) = marked.json["evidence"]
    assert (line["label"], line["text"]) == ("own word", saw)
    assert saw in marked.json["why"]
    assert saw in str(world.spoken(SLUG)["sources"])  # and so on the timeline
    assert saw in str(world.dashboard_state()["operations"][-1]["evidence"])


@pytest.mark.slow
def test_it_is_called_off_only_once_nothing_can_start_it(world: RealWorld) -> None:
    off = ("call-off", SLUG, "--reason", "the party is over", "--confirm", PHRASE, "--json")
    table = world.paths.cron.read_text()
    world.paths.cron.write_text(f"{table}0 10 11 5 * root {world.paths.runner} --campaign {SLUG} --mode send\n")
    refused = world.command(*off)
    assert refused.code == 3
    for words in ("can still start it", "mail-blasts:", f"trigger off {SLUG}", "key h"):
        assert words in refused.err

    switched = world.command("trigger", "off", SLUG, "--reason", "called off", "--confirm", PHRASE)
    assert switched.code == 0
    world.dashboard.stop()
    blind = world.command(*off)
    assert (blind.code, "dashboard was not heard just now" in blind.err) == (3, True)
    assert "Hold it instead" in blind.err
    world.dashboard.start()

    told = world.command(*off)

    assert (told.code, told.json["status"]) == (0, "CANCELLED")
    left = [line for look in told.json["proof"]["looks"] for line in look["left"]]
    assert [line for line in left if "can't fire: switched off" in line]
    assert world.dashboard_state()["operations"][-1]["proof"] == told.json["proof"]


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
    gap = world.command("reschedule", SLUG, "2030-03-10 02:30", "--reason", "again")
    assert (gap.code, "Choose 2030-03-10 01:30 or 2030-03-10 03:30" in gap.err) == (3, True)
    twice = ("reschedule", SLUG, "2030-11-03 01:30", "--reason", "again")
    assert "happens twice" in world.command(*twice).err
    for which, utc in (("--first", "08:30"), ("--second", "09:30")):
        shown = world.command(*twice, which).out
        assert shown.startswith("New due time: Nov 3 01:30 P")
        assert f"{utc} UTC, in " in shown
    told = world.command("reschedule", SLUG, f"{day} 10:00", "--reason", "next weekend", "--json")
    assert (told.json["zone"], told.json["fold"], bool(told.json["tzdata"])) == (str(zone), None, True)

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
