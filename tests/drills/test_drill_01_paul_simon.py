"""Drill 1: approved in the dashboard, 2,601 rows on the host, its time has come and gone, and nobody sent it."""

import csv

import pytest

from backends.embedded.world import HOST
from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

SLUG = "paul-simon-may12"
AUDIENCE = 2601


def addresses(world: RealWorld, slug: str = SLUG) -> set[str]:
    with (world.campaign(slug) / "blast_data.csv").open(encoding="utf-8", newline="") as file:
        return {row["email"] for row in csv.DictReader(file)}


def check_all_of_it_went_out_once(world: RealWorld, slug: str = SLUG, audience: int = AUDIENCE) -> None:
    """The sink, the audit store and the dashboard agree."""
    sent_to = world.sent_to()
    assert set(sent_to) == addresses(world, slug)
    assert (len(sent_to), set(sent_to.values())) == (audience, {1})

    verified = world.command("audit", "verify", "--json")
    assert (verified.code, verified.json["ok"], verified.json["unresolved"]) == (0, True, [])

    row = world.campaign_on_dashboard(slug)
    assert row["status"] == "sent"
    assert row["completion_timestamp"]
    assert (row["recipient_count"], row["failure_count"]) == (audience, 0)
    assert row["execution_duration_seconds"] > 0
    assert row["session_id"]


def test_the_whole_way_by_commands(world: RealWorld) -> None:
    board = world.command("board", "--json")
    assert board.code == 1
    found = next(row for row in board.json["campaigns"] if row["slug"] == SLUG)
    assert (found["status"], found["group"]) == ("OVERDUE", "Needs attention")
    for words in ("approved by ana", "t-9a8cae17", "never started", "nothing will start it"):
        assert words in found["why"]
    assert found["audience"] == AUDIENCE

    early = world.command("dry-run", SLUG, "--json")
    assert early.json["plan"] is None
    assert "pre-flight" in early.json["no_plan_because"]

    checks = world.command("preflight", SLUG, "--json")
    assert (checks.code, checks.json["ok"]) == (0, True)

    rehearsal = world.command("dry-run", SLUG, "--json").json
    assert (rehearsal["ok"], rehearsal["audience"], rehearsal["refused"]) == (True, AUDIENCE, 0)
    assert "Paul Simon sails" in rehearsal["sample"]["subject"]
    assert rehearsal["plan"]

    for typed, code in (("", 2), (SLUG, 3), (f"{SLUG} 2600", 3), ("yes", 3)):
        refused = world.command("send", SLUG, "--plan", rehearsal["plan"], "--confirm", typed)
        assert (refused.code, f"{SLUG} {AUDIENCE}" in refused.err) == (code, True)
    assert world.command("send", SLUG, "--plan", "0" * 12, "--confirm", f"{SLUG} {AUDIENCE}").code == 3
    assert not world.sent_to()

    end = world.command("send", SLUG, "--plan", rehearsal["plan"][:12], "--confirm", f"{SLUG} {AUDIENCE}", "--json")
    assert end.code == 0
    assert (end.json["state"], end.json["rc"]) == ("ended", 0)
    assert end.json["counts"]["accepted"] == AUDIENCE

    check_all_of_it_went_out_once(world)
    told = world.spoken(SLUG)
    assert (told["status"], told["group"]) == ("SENT", "Done")

    again = world.command("send", SLUG, "--plan", rehearsal["plan"], "--confirm", f"{SLUG} {AUDIENCE}")
    assert again.code == 3
    assert "never twice" in again.err
    check_all_of_it_went_out_once(world)


def test_the_record_tells_intent_before_start_and_the_end_after(world: RealWorld) -> None:
    slug = "fleet-week-parking"
    with world.console() as console:
        rehearse(console, slug)
        plan = console.plan(slug)
        console.send(plan, plan.phrase)
        heard: list[bytes] = []
        import threading

        console.follow(slug, 1, 0, heard.append, threading.Event())
        records = sorted(console.store().search(campaign=slug), key=lambda record: record.seq)

    told = [(record.action, str(record.phase)) for record in records]
    assert told == [
        ("preflight", "note"),
        ("dry-run", "note"),
        ("plan", "note"),
        ("send", "intent"),
        ("send-started", "note"),
        ("send", "outcome"),
    ]
    intent, outcome = records[3], records[5]
    assert intent.detail["digest"] == plan.digest
    assert intent.detail["carrier"] == HOST
    assert (outcome.ref, outcome.detail["status"]) == (intent.seq, "sent")
    assert {record.run for record in records[3:]} == {plan.run_id}
    log = b"".join(heard)
    assert log == (world.paths.runs / slug / "1" / "out").read_bytes()
    assert b"377 recipients processed" in log


@pytest.mark.parametrize("role", ["viewer"])
def test_who_may_only_look_is_refused(world: RealWorld, role: str) -> None:
    world.config_path.write_text(world.config_path.read_text() + f'\n[operator]\nrole = "{role}"\n')

    refused = world.command("dry-run", SLUG)

    assert refused.code == 3
    assert "read-only" in refused.err
    assert world.command("show", SLUG, "--json").json["status"] == "OVERDUE"
