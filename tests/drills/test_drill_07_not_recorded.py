"""Drill 7: all of it was sent, and the dashboard went down before it could be told."""

import threading

import pytest

from opsconsole.verdict import Status
from tests.drills.scenes import only
from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.support.blasthost import until
from tests.support.operator import before_the_screens
from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

SLUG, AUDIENCE = "fleet-week-parking", 377


def sent_while_the_dashboard_goes_down(world: RealWorld) -> None:
    world.sink.pace = 0.005
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
        console.send(plan, plan.phrase)
        world.dashboard.stop()
        world.sink.pace = 0
        console.follow(SLUG, 1, 0, lambda data: None, threading.Event())
        until(lambda: not console.store().unresolved())


def test_it_is_sent_and_waits_to_be_recorded_until_it_is(world: RealWorld) -> None:
    sent_while_the_dashboard_goes_down(world)

    down = world.command("show", SLUG, "--json")
    assert (down.json["status"], down.code) == ("SENT", 4)
    (waiting,) = down.json["recorded"]
    assert (waiting["destination"], waiting["recorded_at"]) == ("dashboard", None)
    assert waiting["tries"] >= 1
    assert "waiting" in waiting["says"]
    again = world.command("send", SLUG, "--plan", "0" * 12, "--confirm", f"{SLUG} {AUDIENCE}")
    assert again.code == 3

    world.dashboard.start()
    # Recorded nowhere yet: the dashboard, which answers again, still says that it was approved.
    world.dashboard.faults.status, world.dashboard.faults.only = 503, "PATCH"
    told = world.spoken(SLUG)
    assert told["status"] == "SENT"
    assert "executed-not-recorded" in {finding["code"] for finding in told["findings"]}
    assert told["group"] == "Needs attention"

    world.dashboard.faults.status = None
    with world.console() as console:
        until(lambda: console.refresh() and world.campaign_on_dashboard(SLUG)["status"] == "sent", 60)
        until(lambda: console.refresh().get(SLUG).group == "Done", 60)
    recorded = world.spoken(SLUG)
    assert recorded["recorded"][0]["recorded_at"]
    assert "executed-not-recorded" not in {finding["code"] for finding in recorded["findings"]}
    assert len(world.dashboard_state()["operations"]) == 1
    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)


async def test_the_screen_says_that_it_waits_and_no_key_sends_it_again(world: RealWorld) -> None:
    only(world, SLUG)
    sent_while_the_dashboard_goes_down(world)
    world.dashboard.start()
    world.dashboard.faults.status, world.dashboard.faults.only = 503, "POST"
    async with before_the_screens(world, (80, 24)) as operator:
        await operator.is_told(SLUG, Status.SENT)
        await operator.press("home", "enter")
        await operator.sees("waiting")
        await operator.press("S")
        await operator.sees("never twice")
        world.dashboard.faults.status = None
        await operator.until(lambda: world.campaign_on_dashboard(SLUG)["status"] == "sent", 90)
    assert set(world.sent_to().values()) == {1}
    assert len(world.sent_to()) == AUDIENCE
