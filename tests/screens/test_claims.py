"""Claims, broken glass, holds of a host, and troubles of the record: said where they are decided."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.observation import RunWord, Says
from opsconsole.policy import Policy
from opsconsole.ports import OutOfReach
from screens.confirm import ConfirmScreen
from screens.forms import ReasonForm
from screens.holds import HoldsScreen
from screens.host import HostScreen
from screens.widgets.aside import Aside
from tests.screens.night import Night, believable
from tests.screens.test_board import opened, screen_text, toasts, until
from tests.screens.test_doubt import confirm
from tests.screens.told import NOW, campaign, due

SIZES = [(80, 24), (160, 50)]


def claimed(folder: Path, by: str) -> Night:
    """A night with one campaign that somebody claimed and never started."""
    night = Night(folder)
    run = RunWord(run_id="77aa", attempt=1, by=by, claimed_at=NOW - timedelta(hours=1))
    return night.knows(
        campaign("fair", when=due("2026-05-12 10:30"), rows=40, says=Says.CLAIMED, run=run, since=run.claimed_at)
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_somebody_elses_claim_is_given_back_after_two_steps(tmp_path: Path, size: tuple[int, int]) -> None:
    night = claimed(tmp_path, "ana")
    async with opened(night, size) as (app, pilot):
        assert "CLAIMED" in screen_text(app)
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await until(pilot, lambda: "by ana" in screen_text(app))
        assert "attempt 2 can be planned" in screen_text(app)
        await confirm(app, pilot, "fair 40", "her laptop died before the start")
        await until(pilot, lambda: night.host.released == ["fair"])
        await until(pilot, lambda: any("Claim given back" in toast for toast in toasts(app)))


async def test_ones_own_claim_is_refused_before_anything_is_typed(tmp_path: Path) -> None:
    night = claimed(tmp_path, "mara")
    async with opened(night) as (app, pilot):
        await pilot.press("K")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        await until(pilot, lambda: "second person" in screen_text(app))
        assert night.host.released == []


@pytest.mark.slow
async def test_breaking_the_glass_says_in_red_what_it_overrides_and_who_hears_of_it(tmp_path: Path) -> None:
    night = believable(tmp_path, role="admin")
    night.policy = Policy(four_eyes=True)
    async with opened(night) as (app, pilot):
        await pilot.press("slash", *"paul", "enter")
        await until(pilot, lambda: getattr(app.screen, "slug", "") == "paul-simon-may12")
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert isinstance(app.screen, ConfirmScreen)
        assert app.screen.danger
        assert app.screen.confirmation.needs_reason
        await until(pilot, lambda: "overrides" in screen_text(app))
        shown = screen_text(app)
        assert "four eyes" in shown
        assert "nobody: no notification is configured" in shown
        assert "15 min" in shown


@pytest.mark.slow
async def test_an_operator_is_told_that_glass_is_for_admins(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("B")
        await pilot.pause()
        assert "needs the role admin" in toasts(app)[-1]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_a_host_is_held_from_the_holds_screen_and_it_is_said_while_it_has_not_heard(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    night = believable(tmp_path)
    night.host.hold_error = OutOfReach("The host did not answer in 5 s.")
    async with opened(night, size) as (app, pilot):
        app.push_screen(HoldsScreen())
        await pilot.pause()
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        app.screen.dismiss("the disk is being changed")
        await until(pilot, lambda: "host:blast-mail-prod" in screen_text(app))
        await until(pilot, lambda: "hasn't been told" in " ".join(screen_text(app).split()))
        assert "the disk is being changed" in " ".join(screen_text(app).split())
        assert all(len(row) <= size[0] for row in screen_text(app).splitlines())


async def test_a_host_that_lost_its_records_is_a_red_banner_on_board_and_host(tmp_path: Path) -> None:
    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        trouble = "Its records are older than the audit store's: it was restored or replaced."
        app.ops_console.carrier_trouble["blast-mail-prod"] = trouble
        app.freshen()
        await until(pilot, lambda: "nothing is sent there" in screen_text(app))
        assert ("blast-mail-prod: nothing is sent there. " + trouble, True) in app.banners()
        assert trouble in app.disabled_reason("send", "paul-simon-may12")
        app.push_screen(HostScreen())
        await until(
            pilot, lambda: isinstance(app.screen, HostScreen) and "older than the audit" in screen_text(app)
        )


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_the_campaign_says_whose_approval_counts_until_when(tmp_path: Path, size: tuple[int, int]) -> None:
    night = Night(tmp_path)
    words = campaign("fair", when=due("2026-05-12 10:30"), rows=40)
    told, host = words["dashboard"], words["blast-mail-prod"]
    assert told.approval is not None
    assert host.content is not None
    approval = replace(told.approval, digest=host.content.digest, expires=NOW + timedelta(hours=2))
    night.knows({**words, "dashboard": replace(told, approval=approval)})
    async with opened(night, size) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: "Approved: by ana" in screen_text(app))
        shown = " ".join(screen_text(app).split())
        assert f"content {host.content.digest[:12]}" in shown
        assert "(2 h left)" in shown
        assert "doesn't count" not in shown


@pytest.mark.slow
async def test_help_tells_each_letter_of_the_board_with_its_source(tmp_path: Path) -> None:
    async with opened(believable(tmp_path), (120, 130)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "D dashboard" in screen_text(app))
        shown = screen_text(app)
        assert "F blast-mail-prod" in shown
        assert "host log" in shown


async def test_of_what_was_sent_the_board_says_how_late_it_began_and_not_how_long_ago(tmp_path: Path) -> None:
    night = Night(tmp_path)
    begun = NOW - timedelta(days=1)
    run = RunWord(
        run_id="77aa", by="ana", started_at=begun + timedelta(minutes=56), ended_at=begun + timedelta(hours=2)
    )
    when = due("2026-05-11 10:52")
    night.knows(
        campaign("fair", when=when, rows=40, says=Says.ENDED, run=run, since=run.ended_at, dashboard=Says.SENT)
    )
    async with opened(night) as (app, _):
        assert "56 min late" in screen_text(app)
        assert "+1 d" not in screen_text(app)
