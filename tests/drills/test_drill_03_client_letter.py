"""Drill 3: the provider says round 3 went yesterday; a job queued this morning sends it again in some minutes."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from opsconsole.ports import Refused
from tests.drills.scenes import LETTER, only, third_round_is_queued
from tests.support.operator import before_the_screens
from tests.support.standins import Systems
from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

PHRASE = f"{LETTER} 830"


def test_both_claims_stand_side_by_side_with_their_times_and_the_minutes_left(
    world: RealWorld, systems: Systems
) -> None:
    fires = third_round_is_queued(world, systems)

    told = world.spoken(LETTER)

    assert (told["status"], told["group"]) == ("CONFLICT", "Needs attention")
    assert re.search(r"provider says it was sent yesterday \d\d:\d\d [A-Z]+, 830 accepted", told["why"])
    assert re.search(r"jobs has it scheduled (today|yesterday) \d\d:\d\d", told["why"])
    left = re.search(r"in (\d+) min", told["why"])
    assert left
    assert 0 <= (fires - datetime.now(UTC)) / timedelta(minutes=1) - int(left[1]) + 1 <= 3
    sources = {source["source"]: source for source in told["sources"]}
    assert sources["jobs"]["triggers"][0]["next_fire"]
    assert {line["letter"]: line["mark"] for line in sources["provider"]["evidence"]} == {"P": "✓"}
    assert "trigger-off" in told["next"]
    assert "hold" in told["next"]


def test_it_is_held_at_once_and_a_send_is_refused(world: RealWorld, systems: Systems) -> None:
    third_round_is_queued(world, systems)

    rehearsal = world.command("dry-run", LETTER, "--json").json
    assert rehearsal["plan"] is None
    assert "CONFLICT" in rehearsal["no_plan_because"]
    assert world.command("hold", LETTER, "--reason", "did it go yesterday?").code == 0

    assert (world.paths.holds / LETTER).exists()
    assert world.command("send", LETTER, "--plan", "0" * 12, "--confirm", PHRASE).code == 3
    assert world.spoken(LETTER)["status"] == "CONFLICT"  # a hold settles nothing that two sources say
    assert not world.sent_to()


def test_the_job_is_pulled_out_and_proven_gone(world: RealWorld, systems: Systems) -> None:
    fires = third_round_is_queued(world, systems)
    assert systems.fires(fires) == [LETTER]
    wrong = world.command("trigger", "off", LETTER, "--reason", "it went yesterday", "--confirm", LETTER)
    assert (wrong.code, systems.fires(fires)) == (3, [LETTER])

    said = world.command("trigger", "off", LETTER, "--reason", "it went yesterday", "--confirm", PHRASE, "--json")

    assert said.code == 0
    assert "no longer in the queue" in said.json["proof"]
    assert systems.fires(fires) == []
    assert systems.asked.index("PUT /jobs/4711") < len(systems.asked) - 1, "it was looked at again"
    told = world.spoken(LETTER)
    assert "in 1" not in told["why"]
    assert not any(t["next_fire"] for source in told["sources"] for t in source["triggers"])
    with world.console() as console:
        records = [(r.action, str(r.phase)) for r in console.store().search(campaign=LETTER)]
        assert sorted(records) == [("trigger-off", "intent"), ("trigger-off", "outcome")]
    assert not world.sent_to()


def test_a_job_that_changed_meanwhile_is_left_alone(world: RealWorld, systems: Systems) -> None:
    fires = third_round_is_queued(world, systems)
    with world.console() as console:
        (key,) = [t.key for o in console.verdict(LETTER).observations for t in o.triggers]
        systems.jobs["4711"]["run_at"] = (fires + timedelta(minutes=5)).isoformat()

        with pytest.raises(Refused):
            console.switch_trigger(LETTER, key, False, PHRASE, "it went yesterday")

    assert systems.fires(fires + timedelta(hours=1)) == [LETTER]


async def test_a_hold_takes_two_keys_and_a_reason(world: RealWorld, systems: Systems) -> None:
    only(world, LETTER)
    third_round_is_queued(world, systems)
    async with before_the_screens(world, (80, 24), sources=5) as operator:
        await operator.press("home", "h")
        await operator.reasons("did it go yesterday?")
        await operator.until((world.paths.holds / LETTER).exists)
        await operator.press("S")
        await operator.sees("on hold")
    assert not world.sent_to()
