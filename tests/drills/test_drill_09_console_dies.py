"""Drill 9: the console dies, or its link does, in the middle of a send. The send goes on and is found again."""

import subprocess
import threading
from pathlib import Path

import pytest

from opsconsole.console import Console
from opsconsole.observation import Says
from opsconsole.plan import Plan
from opsconsole.ports import Followed, MaybeStarted, Refused
from opsconsole.verdict import Status
from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.support.blasthost import until
from tests.support.proxy import Proxy
from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

SLUG, AUDIENCE = "fleet-week-parking", 377
PACE = 0.02  # seconds a message: the send takes at least seven seconds, until a test lets it run


def planned(console: Console) -> Plan:
    rehearse(console, SLUG)
    return console.plan(SLUG)


def under_way(world: RealWorld, mails: int = 30) -> None:
    until(lambda: len(world.sent_to()) >= mails, 60)


class Follower(threading.Thread):
    """Follows the run from byte `offset` in a thread of its own, as a screen does."""

    def __init__(self, console: Console, offset: int = 0) -> None:
        super().__init__(daemon=True)
        self.console, self.offset = console, offset
        self.heard, self.stop = b"", threading.Event()
        self.ended: Followed | None = None
        self.start()

    def run(self) -> None:
        self.ended = self.console.follow(SLUG, 1, self.offset, self._hear, self.stop)

    def _hear(self, data: bytes) -> None:
        self.heard += data

    def result(self) -> Followed:
        self.join(60)
        assert self.ended is not None
        return self.ended


def refuse_every_second_start(world: RealWorld, plan: Plan) -> None:
    """By a console, by the launcher itself, and by cron."""
    with world.console() as console:
        for attempt in (lambda: console.send(plan, plan.phrase), lambda: console.plan(SLUG)):
            with pytest.raises(Refused, match=r"never twice|already"):
                attempt()
        joined = console.carrier_of(SLUG).start(plan, "somebody else")
        assert not joined.fresh
    by_cron = subprocess.run(
        [str(world.paths.runner), "--campaign", SLUG, "--mode", "send", "--log-delivery"],
        capture_output=True,
        timeout=60,
    )
    assert by_cron.returncode == 75
    assert [path.name for path in (world.paths.runs / SLUG).iterdir() if path.name.isdigit()] == ["1"]


def test_killed_in_the_middle_it_finds_its_run_again(world: RealWorld, tmp_path: Path) -> None:
    world.sink.pace = PACE
    with world.console() as console:
        plan = planned(console)
    dying = world.program("send", SLUG, "--plan", plan.digest, "--confirm", plan.phrase, output=tmp_path / "out")
    under_way(world)
    dying.kill()
    dying.wait()
    so_far = len(world.sent_to())
    assert so_far < AUDIENCE

    with world.console() as console:
        verdict = console.verdict(SLUG)
        assert verdict.status is Status.SENDING
        assert [record.run for record in console.store().unresolved()] == [plan.run_id]
        assert console.disabled_reason("attach", SLUG) == ""
        refuse_every_second_start(world, plan)
        first = Follower(console)
        until(lambda: first.heard)
        first.stop.set()
        first.join(20)
        world.sink.pace = 0
        second = Follower(console, first.result().offset)
        assert second.result().end is not None
        assert second.result().end.word.rc == 0
        log = world.log_of(SLUG)
        assert first.heard + second.heard == log
        assert console.verdict(SLUG).status is Status.SENT
        assert console.store().unresolved() == []

    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)
    refuse_every_second_start(world, plan)


def test_what_ended_while_no_console_was_open_is_recorded_at_the_next_start(
    world: RealWorld, tmp_path: Path
) -> None:
    world.sink.pace = PACE
    with world.console() as console:
        plan = planned(console)
    dying = world.program("send", SLUG, "--plan", plan.digest, "--confirm", plan.phrase, output=tmp_path / "out")
    under_way(world)
    dying.kill()
    dying.wait()
    world.sink.pace = 0
    until(lambda: (world.paths.runs / SLUG / "1" / "finished").exists(), 60)
    assert world.campaign_on_dashboard(SLUG)["status"] == "approved"

    with world.console() as console:
        assert any("ended while nobody watched" in words for words in console.found_at_start)
        assert console.verdict(SLUG).status is Status.SENT

    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)


@pytest.mark.parametrize("seconds", [pytest.param(3, id="short"), pytest.param(20, id="long")])
def test_a_dead_link_loses_and_doubles_no_byte(far_world: RealWorld, proxy: Proxy, seconds: int) -> None:
    world = far_world
    world.sink.pace = PACE
    with world.console() as console:
        plan = planned(console)
        console.send(plan, plan.phrase)
        follower = Follower(console)
        under_way(world)
        until(lambda: follower.heard)
        proxy.black_hole = True
        threading.Event().wait(seconds)
        before = len(world.sent_to())
        world.sink.pace = 0
        until(lambda: len(world.sent_to()) > before or before == AUDIENCE, 30)
        proxy.cut()
        proxy.black_hole = False
        end = follower.result().end

        assert end is not None
        assert end.says is Says.ENDED
        assert follower.heard == world.log_of(SLUG)
        assert console.verdict(SLUG).status is Status.SENT
    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)


def cut_when_claimed(world: RealWorld, proxy: Proxy, seconds: float | None) -> threading.Thread:
    """The line goes dead between the host's start and its answer, for `seconds` or until somebody mends it."""
    proxy.delay = 0.5  # the host acts long before its answer arrives
    world.sink.pace = PACE

    def cut() -> None:
        until((world.paths.runs / SLUG / "1").exists, 60)
        proxy.black_hole = True
        if seconds is not None:
            threading.Event().wait(seconds)
            mend(proxy)

    cutter = threading.Thread(target=cut, daemon=True)
    cutter.start()
    return cutter


def mend(proxy: Proxy) -> None:
    proxy.cut()
    proxy.delay, proxy.black_hole = 0.0, False


def test_when_the_answer_to_the_start_is_lost_it_asks_and_does_not_repeat(
    far_world: RealWorld, proxy: Proxy
) -> None:
    world = far_world
    with world.console() as console:
        plan = planned(console)
        cutter = cut_when_claimed(world, proxy, seconds=6)

        started = console.send(plan, plan.phrase)

        cutter.join(20)
        assert started.state.run_id == plan.run_id
        world.sink.pace = 0
        assert Follower(console).result().end is not None
    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)


@pytest.mark.timeout(240)
def test_when_nobody_can_be_asked_it_may_have_started_and_is_found_later(
    far_world: RealWorld, proxy: Proxy
) -> None:
    world = far_world
    with world.console() as console:
        plan = planned(console)
        cut_when_claimed(world, proxy, seconds=None)

        with pytest.raises(MaybeStarted, match=plan.run_id):
            console.send(plan, plan.phrase)

        assert [record.run for record in console.store().unresolved()] == [plan.run_id]
        with pytest.raises(Refused):
            console.send(plan, plan.phrase)
        mend(proxy)
        world.sink.pace = 0
        until(lambda: console.refresh().get(SLUG).status is Status.SENT, 90)
        assert console.store().unresolved() == []
        with pytest.raises(Refused, match="never twice"):
            console.send(plan, plan.phrase)
    check_all_of_it_went_out_once(world, SLUG, AUDIENCE)
