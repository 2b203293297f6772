"""Drill 1 through the screens: from the board to the dashboard, by keys alone."""

import pytest

from backends.embedded.world import HOST
from opsconsole.verdict import Status
from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.support.operator import before_the_screens
from tests.support.world import RealWorld

SLUG, PHRASE = "paul-simon-may12", "paul-simon-may12 2601"


@pytest.mark.slow
async def test_from_overdue_to_sent_by_keys_alone(world: RealWorld) -> None:
    async with before_the_screens(world) as operator:
        await operator.is_told(SLUG, Status.OVERDUE)
        await operator.sees("Needs attention", "OVERDUE", SLUG, "2,601", HOST)
        await operator.finds(SLUG)
        await operator.sees("approved by ana", "t-9a8cae17", "never started", "nothing will start it")

        await operator.press("S")
        await operator.sees("pre-flight")
        await operator.press("escape")
        assert operator.app.screen.slug == SLUG

        await operator.press("p")
        await operator.sees("nothing forbids a send")
        await operator.press("d")
        await operator.sees("OK", "2,601 counted", "S sends exactly this")
        assert not world.sent_to()

        await operator.press("S")
        await operator.sees("Send paul-simon-may12 to 2,601 people", "DEMO", HOST, "127.0.0.1")
        await operator.confirms(PHRASE)
        await operator.sees("SENDING", "of 2,601")
        await operator.sees("ENDED", "2,601 recipients processed", "0 failed", "recorded in dashboard")
        assert "Left open" not in operator.screen

        await operator.press("escape", "escape", "escape")
        await operator.is_told(SLUG, Status.SENT)
        await operator.press("S")
        await operator.sees("never twice")
        await operator.press("u")
        await operator.sees("send", "outcome", SLUG)
        await operator.press("y")
        await operator.sees("every seal holds")
    check_all_of_it_went_out_once(world)


@pytest.mark.slow
async def test_the_same_on_a_small_terminal(world: RealWorld) -> None:
    slug, phrase = "fleet-week-parking", "fleet-week-parking 377"
    async with before_the_screens(world, (80, 24)) as operator:
        await operator.finds(slug)
        await operator.sees("OVERDUE", "never started")
        await operator.press("p")
        await operator.sees("nothing forbids a send")
        await operator.press("d")
        await operator.sees("377 counted")
        await operator.press("S")
        await operator.sees("377", "DEMO")
        await operator.confirms(phrase)
        await operator.sees("ENDED")
    check_all_of_it_went_out_once(world, slug, 377)


@pytest.mark.slow
async def test_a_confirmation_that_is_left_sends_nothing(world: RealWorld) -> None:
    slug = "fleet-week-parking"
    async with before_the_screens(world, (80, 24)) as operator:
        await operator.finds(slug)
        await operator.press("p")
        await operator.sees("nothing forbids a send")
        await operator.press("d")
        await operator.sees("377 counted")
        await operator.press("S")
        await operator.sees("Send fleet-week-parking to 377 people")
        await operator.press("enter", "enter", "enter", "escape")
        await operator.sees("Nothing was sent")
    assert not world.sent_to()
    assert not (world.paths.runs / slug).exists()
