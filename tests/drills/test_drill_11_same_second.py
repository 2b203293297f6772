"""Drill 11: two operators confirm in the same second, and cron fires in that second too. One copy goes out."""

import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsconsole import wiring
from opsconsole.config import load
from opsconsole.console import Console
from opsconsole.ports import Refused, Started, Trouble
from opsconsole.verdict import Status
from tests.drills.test_drill_01_paul_simon import addresses
from tests.support.blasthost import until
from tests.support.world import RealWorld, rehearse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLUG, AUDIENCE = "fleet-week-parking", 377
WINNER = re.compile(r"claimed by (\S+)( \(.*\))? (from|on) \S+ at 20\d\d-\d\d-\d\d")


def colleague(world: RealWorld, name: str, *, own_records: bool) -> Console:
    """Another operator's console on the same host, with records of its own or those of the team."""
    text = world.config_path.read_text() + f'\n[operator]\nname = "{name}"\n'
    if own_records:
        text = re.sub(r'data_dir = "([^"]+)"', rf'data_dir = "\1-{name}"', text)
    path = world.config_path.with_name(f"{name}.toml")
    path.write_text(text)
    console = wiring.build(load(path))
    console.refresh()
    return console


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    gate, answers = threading.Barrier(len(acts)), [None] * len(acts)

    def take_part(number: int) -> None:
        gate.wait(30)
        try:
            answers[number] = acts[number]()
        except Trouble as error:
            answers[number] = error

    threads = [threading.Thread(target=take_part, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return answers


def cron_fires(world: RealWorld) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(world.paths.runner), "--campaign", SLUG, "--mode", "send", "--log-delivery"],
        env={"HOME": "/", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=90,
    )


def one_copy_each(world: RealWorld) -> None:
    until(lambda: (world.paths.runs / SLUG / "1" / "finished").exists(), 60)
    assert world.sent_to() == Counter(addresses(world, SLUG))
    assert [path.name for path in (world.paths.runs / SLUG).iterdir() if path.name.isdigit()] == ["1"]


def settled(console: Console) -> None:
    """Its records say how it ended, and its board that it is sent."""
    until(lambda: console.refresh().get(SLUG).status is Status.SENT, 30)
    assert [record.action for record in console.store().unresolved()] == []
    assert console.store().verify().ok


def test_two_operators_of_a_team_confirm_the_same_plan(world: RealWorld) -> None:
    mara, ben = (colleague(world, name, own_records=False) for name in ("mara", "ben"))
    try:
        rehearse(mara, SLUG)
        plan = mara.plan(SLUG)
        ben.refresh()
        read = ben.plan_of(SLUG, plan.digest)

        answers = at_once(lambda: mara.send(plan, plan.phrase), lambda: ben.send(read, read.phrase))

        fresh = [answer for answer in answers if isinstance(answer, Started) and answer.fresh]
        (other,) = (answer for answer in answers if answer not in fresh)
        assert len(fresh) == 1
        winner = fresh[0].state.word.by
        assert (
            other.state.word.by == winner
            if isinstance(other, Started)
            else isinstance(other, Refused) and (winner in str(other) or "never twice" in str(other))
        ), other
        one_copy_each(world)
        for console in (mara, ben):
            settled(console)
        assert world.campaign_on_dashboard(SLUG)["recipient_count"] == AUDIENCE
    finally:
        mara.close()
        ben.close()


def test_two_operators_with_plans_of_their_own_and_cron_at_once(world: RealWorld, tmp_path: Path) -> None:
    """Nothing but the host stands between them: neither knows the other's records, and cron asks nobody."""
    mara, ben = (colleague(world, name, own_records=True) for name in ("mara", "ben"))
    try:
        plans = []
        for console in (mara, ben):
            rehearse(console, SLUG)
            plans.append(console.plan(SLUG))
        assert plans[0].run_id != plans[1].run_id

        by_mara, by_ben, by_cron = at_once(
            lambda: mara.send(plans[0], plans[0].phrase),
            lambda: ben.send(plans[1], plans[1].phrase),
            lambda: cron_fires(world),
        )

        one_copy_each(world)
        started = [isinstance(answer, Started) and answer.fresh for answer in (by_mara, by_ben)]
        assert sum(started) + (by_cron.returncode == 0) == 1, (by_mara, by_ben, by_cron)
        for answer in (by_mara, by_ben):
            if not isinstance(answer, Started):
                assert isinstance(answer, Refused)
                assert WINNER.search(str(answer)) or "never twice" in str(answer) or "running" in str(answer), (
                    answer
                )
        if by_cron.returncode:
            assert by_cron.returncode == 75
            assert WINNER.search(by_cron.stdout + by_cron.stderr)
        for console in (mara, ben):
            console.refresh()
            assert console.store().unresolved() == []
            assert console.verdict(SLUG).status in (Status.SENT, Status.SENDING)
    finally:
        mara.close()
        ben.close()
