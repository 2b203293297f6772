"""Drills 2, 8, 9, 10, 13, 14 and 15 before the screens: what is said, what is offered, and what a key refuses."""

import json
import re
import threading
from pathlib import Path

import pytest

from backends.embedded.world import HOST
from opsconsole.verdict import Status
from runner.cli import capabilities
from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.drills.test_drill_15_hostile_text import ACTING
from tests.support.blasthost import until
from tests.support.operator import Operator, before_the_screens
from tests.support.proxy import Proxy
from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

SMALL, LARGE = (80, 24), (160, 50)
LETTER, AUDIENCE = "fleet-week-parking", 377


async def rehearsed(operator: Operator, slug: str = LETTER) -> None:
    """Pre-flight and dry run, both passed; the dry run is on the screen."""
    await operator.finds(slug)
    await operator.press("p")
    await operator.sees("nothing forbids a send")
    await operator.press("d")
    await operator.sees("S sends exactly this")


def newest_log(operator: Operator) -> Path:
    """The console's own copy of the log that is being followed."""
    logs = [path for path in (operator.app.data_dir / "logs").glob(f"{LETTER}*") if "dry" not in path.name]
    return max(logs, key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_2_expired_is_told_and_not_sent(world: RealWorld, size: tuple[int, int]) -> None:
    slug = "birthday-sail-may11"
    async with before_the_screens(world, size) as operator:
        await operator.finds(slug)
        await operator.sees("EXPIRED", "never started", "[m] mark", "[t] reschedule", "[X] cancel")
        await operator.press("S")
        await operator.sees("It is EXPIRED")
        assert operator.app.screen.slug == slug
    assert not world.sent_to()


async def test_2_marked_as_executed_by_typing_it_and_the_reason(world: RealWorld) -> None:
    slug = "birthday-sail-may11"
    async with before_the_screens(world) as operator:
        await operator.finds(slug)
        await operator.press("m")
        await operator.sees("Mark executed", "No source has any evidence that it went out")
        await operator.press("tab", "tab", "tab", "enter")  # past the list and one's own words, to the button
        await operator.sees("nothing but your word", "rests on your word alone")
        await operator.confirms(f"{slug} 1204", "ben sent it by hand")
        await operator.is_told(slug, Status.SENT)
    assert world.campaign_on_dashboard(slug)["status"] == "sent"
    assert "ben sent it by hand" in json.dumps(world.dashboard_state()["operations"])


async def test_8_sent_and_fires_again(world: RealWorld) -> None:
    slug = "harbor-lights-jul"
    async with before_the_screens(world) as operator:
        await operator.finds(slug)
        await operator.sees("SENT", "fires again", "mail-blasts:")
        await operator.press("S")
        await operator.sees("never twice")
        await operator.press("o")
        await operator.sees("mail-blasts", slug)
    assert not world.sent_to()


async def test_9_leaving_a_live_run_ends_nothing_and_it_is_found_again(world: RealWorld) -> None:
    world.sink.pace = 0.1
    async with before_the_screens(world) as operator:
        await rehearsed(operator)
        await operator.press("S")
        await operator.confirms(f"{LETTER} {AUDIENCE}")
        await operator.sees("SENDING")
        await operator.press("q")
        await operator.sees("Leaving ends nothing")
        await operator.press("y")
    assert 0 <= len(world.sent_to()) < AUDIENCE

    async with before_the_screens(world, SMALL) as operator:
        await operator.is_told(LETTER, Status.SENDING)
        await operator.finds(LETTER)
        await operator.sees("SENDING", LETTER)
        await operator.press("S")
        await operator.sees("It is SENDING")
        await operator.press("a")
        await operator.sees("run", "SENDING")
        world.sink.pace = 0
        await operator.sees("ENDED", f"{AUDIENCE:,} recipients processed")
        copy = newest_log(operator)
        await operator.until(lambda: copy.read_bytes() == world.log_of(LETTER))
        await operator.until(lambda: not operator.app.ops_console.store().unresolved())
        await operator.until(lambda: world.campaign_on_dashboard(LETTER)["status"] == "sent")
    check_all_of_it_went_out_once(world, LETTER, AUDIENCE)


async def test_9_a_dead_line_is_said_and_the_log_goes_on_without_a_gap(far_world: RealWorld, proxy: Proxy) -> None:
    world = far_world
    world.sink.pace = 0.02
    async with before_the_screens(world) as operator:
        await rehearsed(operator)
        await operator.press("S")
        await operator.confirms(f"{LETTER} {AUDIENCE}")
        await operator.sees("SENDING")
        proxy.black_hole = True
        await operator.sees("link lost, the run goes on")
        world.sink.pace = 0
        until(lambda: len(world.sent_to()) == AUDIENCE, 30)
        proxy.cut()
        proxy.black_hole = False
        await operator.sees("ENDED", f"{AUDIENCE:,} recipients processed")
        copy = newest_log(operator)
        await operator.until(lambda: copy.read_bytes() == world.log_of(LETTER))
        await operator.until(lambda: world.campaign_on_dashboard(LETTER)["status"] == "sent")
    check_all_of_it_went_out_once(world, LETTER, AUDIENCE)


async def test_10_edited_while_the_question_is_open(world: RealWorld) -> None:
    template = world.campaign(LETTER) / "blast_template.html"
    async with before_the_screens(world) as operator:
        await rehearsed(operator)
        await operator.press("S")
        await operator.sees("Send fleet-week-parking")
        template.write_text(template.read_text().replace("Dear", "Ahoi"))
        await operator.confirms(f"{LETTER} {AUDIENCE}")
        await operator.sees("was not sent", "blast_template.html", "stale")
    assert not world.sent_to()


async def test_10_an_undefined_variable_is_shown_with_its_place(world: RealWorld) -> None:
    async with before_the_screens(world) as operator:
        await operator.finds("spring-refit-offer")
        await operator.press("p")
        await operator.sees("forbid a send", "1 variable of the templates is no column")
        await operator.press("ctrl+end", "up", "up", "up")
        await operator.sees("frist_name", "first_name", "blast_template.html")
        await operator.press("d")
        await operator.sees("FAILED", "frist_name", "no send")
        await operator.press("S")
        await operator.sees("PENDING")
    assert not world.sent_to()


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_13_out_of_reach_is_unknown_and_blind(world: RealWorld, size: tuple[int, int]) -> None:
    async with before_the_screens(world, size) as operator:
        await operator.is_told(LETTER, Status.OVERDUE)
        world.server.stop()
        await operator.press("r")
        await operator.is_told(LETTER, Status.UNKNOWN)
        await operator.finds(LETTER)
        await operator.sees("UNKNOWN", "is out of reach since", "○")
        assert "OVERDUE" not in operator.screen
        await operator.press("S")
        await operator.sees("It is UNKNOWN")
        world.server.restart()
        await operator.press("r")
        await operator.is_told(LETTER, Status.OVERDUE)
    assert not world.sent_to()


async def test_14_bad_ground_is_named_with_its_remedy(world: RealWorld) -> None:
    world.paths.runner.chmod(0o644)
    async with before_the_screens(world) as operator:
        await operator.finds(LETTER)
        await operator.press("p")
        await operator.sees("1 fail", "1 forbid a send", "can't be executed", "chmod 755")
        await operator.press("d")
        await operator.sees("The dry run did not run", "can't be executed")
        await operator.press("S")
        await operator.sees("can't be sent now")
    assert not world.sent_to()


async def test_14_a_changed_host_key_is_told_on_the_board(world: RealWorld) -> None:
    world.server.restart(new_host_key=True)
    async with before_the_screens(world) as operator:
        await operator.is_told(LETTER, Status.UNKNOWN)
        await operator.finds(LETTER)
        await operator.sees("UNKNOWN", HOST, "host key", "has changed")
        await operator.press("S")
        await operator.sees("It is UNKNOWN")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_15_hostile_texts_are_shown_as_text_on_every_screen(world: RealWorld, size: tuple[int, int]) -> None:
    slug = "tall-ships-preview"
    async with before_the_screens(world, size) as operator:
        await operator.finds(slug)
        await operator.press("enter", "3")
        await operator.sees("[Sale] [/today]")
        for key in ("p", "d", "o", "u"):
            await operator.press(key)
            await operator.pilot.pause(0.8)
            assert not ACTING.search(re.sub(r"\s", " ", operator.screen))
            await operator.press("escape")
        await operator.press("escape")
        await operator.sees("PENDING")
    assert not world.sent_to()


async def test_15_a_hostile_log_is_followed_as_text(world: RealWorld, tmp_path: Path) -> None:
    """A runner nobody here wrote prints what a terminal would obey."""
    canary = tmp_path / "canary"
    world.paths.runner.write_text(
        f"#!/bin/sh\n[ \"$1\" != --capabilities ] || {{ echo '{capabilities()}'; exit; }}\n"
        "printf 'starting\\n\\033[2J\\033]0;owned\\007[bold]$(touch %s)[/bold]\\n' '" + str(canary) + "'\n"
        "printf '377 recipients counted\\n377 recipients processed\\n0 SMTP failures\\n'\n"
    )
    with world.console() as console:
        rehearse(console, LETTER)
        plan = console.plan(LETTER)
        console.send(plan, plan.phrase)
        console.follow(LETTER, 1, 0, lambda data: None, threading.Event())
    async with before_the_screens(world) as operator:
        await operator.is_told(LETTER, Status.SENT)
        await operator.finds(LETTER)
        await operator.press("a")
        await operator.sees("377 recipients processed", "[bold]$(touch")
        assert not ACTING.search(re.sub(r"\s", " ", operator.screen))
    assert not canary.exists()
