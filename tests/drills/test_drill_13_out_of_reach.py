"""Drill 13: the blast host is out of reach when a campaign falls due. Being blind is not being late."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from backends.embedded.world import HOST
from opsconsole.campaign import METADATA
from opsconsole.ports import Refused, Trouble
from opsconsole.verdict import Group, Status
from tests.support.blasthost import until
from tests.support.proxy import Proxy
from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

LATE, SENT = "paul-simon-may12", "lighthouse-tour"


def test_never_reached_it_is_unknown_and_not_overdue(world: RealWorld) -> None:
    world.server.stop()

    said = world.command("show", LATE, "--json")

    assert (said.code, said.json["status"]) == (4, "UNKNOWN")
    assert f"{HOST} is out of reach" in said.json["why"]
    assert said.json["group"] == "Needs attention"
    refused = world.command("preflight", LATE, "--json")
    assert refused.code == 1
    assert not world.sent_to()


def test_lost_at_the_due_time_it_says_since_when_and_refuses_a_send(world: RealWorld) -> None:
    with world.console() as console:
        assert console.verdict(LATE).status is Status.OVERDUE
        rehearse(console, LATE)
        plan = console.plan(LATE)
        world.server.stop()
        lost = datetime.now(UTC)
        console.refresh()

        verdict = console.verdict(LATE)
        assert verdict.status is Status.UNKNOWN
        assert verdict.group is Group.ATTENTION
        since = re.search(rf"{HOST} is out of reach since today (\d\d):(\d\d)", verdict.why)
        assert since
        local = {(lost + timedelta(minutes=m)).astimezone(verdict.details.due.tz).strftime("%H:%M") for m in (0, 1)}
        assert f"{since[1]}:{since[2]}" in local
        assert "a start there would not be seen" in verdict.why

        for action in ("send", "plan"):
            with pytest.raises(Refused, match="UNKNOWN"):
                console.send(plan, plan.phrase) if action == "send" else console.plan(LATE)
        assert "blind" in console.disabled_reason("send", LATE)
        assert {"refresh", "host", "hold"} <= set(verdict.next_steps)
        # What was known to be sent stays sent: evidence of a start does not perish.
        assert console.verdict(SENT).status is Status.SENT

        world.server.restart()  # found again by itself, after the pause that follows a failed try
        until(lambda: console.refresh().get(LATE).status is Status.OVERDUE)
        assert not world.sent_to()


def test_lost_before_its_time_it_never_becomes_overdue_while_nobody_can_see_it(world: RealWorld) -> None:
    world.policy(start_grace="1 s")
    due = (datetime.now(UTC) + timedelta(seconds=12)).replace(microsecond=0)
    path = world.campaign(LATE) / METADATA
    document = {**json.loads(path.read_text()), "due_at": f"{due:%Y-%m-%d %H:%M:%S}", "timezone": "UTC"}
    document.pop("window", None)
    path.write_text(json.dumps(document))
    world.dashboard.state.change(LATE, {"due_at": document["due_at"], "timezone": "UTC"})
    told: list[Status] = []
    with world.console() as console:
        told.append(console.verdict(LATE).status)
        world.server.stop()
        until(lambda: console.refresh().get(LATE).status is Status.UNKNOWN)

        def late() -> bool:
            told.append(console.refresh().get(LATE).status)
            return datetime.now(UTC) > due + timedelta(seconds=3)

        until(late, 60)
        assert Status.OVERDUE not in told
        assert told[-1] is Status.UNKNOWN
        world.server.restart()
        until(lambda: console.refresh().get(LATE).status is Status.OVERDUE)
    assert not world.sent_to()


def test_lost_between_the_confirmation_and_the_start(world: RealWorld) -> None:
    with world.console() as console:
        rehearse(console, LATE)
        plan = console.plan(LATE)
        console.confirmation("send", LATE, plan)
        world.server.stop()

        with pytest.raises(Refused):
            console.send(plan, plan.phrase)

        assert not console.store().search(campaign=LATE, action="send")
    assert not world.sent_to()


def test_every_call_to_a_dead_line_ends_and_the_rest_of_the_board_stays(far_world: RealWorld, proxy: Proxy) -> None:
    world = far_world
    with world.console() as console:
        proxy.black_hole = True

        board = console.refresh()

        assert board.get(LATE).status is Status.UNKNOWN
        assert {s.name for s in board.sources if s.fresh} == {"dashboard", "console"}
        with pytest.raises(Trouble):
            console.run_state(LATE)
        results = list(console.preflight(LATE))
        assert any(result.blocks for result in results)


def test_the_dashboard_out_of_reach_says_so_and_the_host_goes_on_being_seen(world: RealWorld) -> None:
    with world.console() as console:
        world.dashboard.stop()
        board = console.refresh()

        dashboard = next(source for source in board.sources if source.name == "dashboard")
        assert not dashboard.fresh
        assert dashboard.trouble
        assert next(source for source in board.sources if source.name == HOST).fresh
        with pytest.raises(Refused):
            console.plan(LATE)
