"""Decisions by key, over the real console: what is asked before them, and what is on record after them."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from opsconsole.observation import Says, Trigger
from screens.app import OpsConsoleApp
from screens.confirm import ConfirmScreen
from screens.deciding import TriggerOffer
from screens.due import DueForm
from screens.forms import ReasonForm
from screens.widgets.aside import Aside
from tests.screens.hands import past_the_evidence, settle, type_text
from tests.screens.night import Night
from tests.screens.test_board import opened, screen_text, toasts, until
from tests.screens.told import NOW, campaign, due, run

SLUG = "night-train"
FIRES = Trigger(
    where="/etc/cron.d/mail-blasts:7", text="0 14 12 5 * mail-blast-runner", next_fire=NOW + timedelta(hours=3)
)


def night_of(folder: Path, **told: Any) -> Night:
    return Night(folder).knows(campaign(SLUG, when=due("2026-05-12 10:00"), rows=26, **told))


def shown(app: OpsConsoleApp) -> str:
    return " ".join(screen_text(app).split())


async def confirmed(app: OpsConsoleApp, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
    await settle(pilot)
    await pilot.press("tab", "enter")
    await settle(pilot)
    await type_text(pilot, f"{SLUG} 26")
    app.screen.query_one("#reason", Input).value = "ben did it"
    await pilot.pause()
    app.screen.query_one("#go", Button).press()


@pytest.mark.slow
async def test_a_mark_shows_what_it_rests_on_and_keeps_it(tmp_path: Path) -> None:
    night = night_of(
        tmp_path, says=Says.STARTED, run=run(timedelta(hours=1), 20, 26), since=NOW - timedelta(hours=1)
    )
    async with opened(night) as (app, pilot):
        await pilot.press("m")
        await past_the_evidence(pilot)
        assert "rests on blast-mail-prod host log: ends in the middle" in shown(app)
        assert "only known that it started" in shown(app)
        await confirmed(app, pilot)
        await until(pilot, lambda: any("Marked as executed" in toast for toast in toasts(app)))
        (record,) = night.consoles[0].store().search(action="mark")
        evidence: Any = record.detail["evidence"]
        assert [line["text"] for line in evidence] == ["ends in the middle"]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_cancel_offers_to_switch_off_what_would_start_it_first(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with opened(night_of(tmp_path, cron=replace(FIRES, key="k")), size) as (app, pilot):
        asked: list[str] = []
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, TriggerOffer))
        assert "can still start it: today 13:52 PDT" in shown(app)
        assert "F switches a trigger off" in shown(app)
        app.perform = lambda action, slug: asked.append(action)  # type: ignore[method-assign]
        await pilot.press("F")
        await until(pilot, lambda: asked == ["trigger-off"])


async def test_what_can_not_be_switched_off_from_here_is_only_told(tmp_path: Path) -> None:
    night = night_of(tmp_path, cron=FIRES)
    async with opened(night) as (app, pilot):
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, Aside))
        assert not isinstance(app.screen, TriggerOffer)
        assert "ake out by hand" in shown(app)
        assert night.consoles[0].store().search(action="cancel") == []


async def test_a_new_due_time_is_recorded_as_it_was_shown(tmp_path: Path) -> None:
    night = night_of(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, DueForm))
        app.screen.query_one("#time", Input).value = "2026-11-01 01:30 second"
        app.screen.query_one("#reason", Input).value = "the boat is late"
        await until(pilot, lambda: "Nov 1 01:30 PST · Nov 1 09:30 UTC" in shown(app))
        app.screen.query_one("#go", Button).press()
        await until(pilot, lambda: any("Rescheduled" in toast for toast in toasts(app)))
        (record,) = night.consoles[0].store().search(action="reschedule")
        assert (record.detail["due"], record.detail["fold"]) == ("2026-11-01T09:30:00+00:00", 1)


async def test_a_run_of_others_is_adopted_with_what_is_known_of_it(tmp_path: Path) -> None:
    over = run(timedelta(hours=1), 26, 26, ended_at=NOW - timedelta(minutes=50), rc=0)
    night = night_of(tmp_path, says=Says.ENDED, run=over, since=over.ended_at)
    async with opened(night) as (app, pilot):
        await pilot.press("Y")
        await until(pilot, lambda: isinstance(app.screen, ReasonForm))
        assert "run 5f0e1c2d3b4a5968, attempt 1 on blast-mail-prod" in shown(app)
        assert "26 accepted" in shown(app)
        app.screen.query_one("#reason", Input).value = "ben ran it"
        app.screen.query_one("#go", Button).press()
        await until(pilot, lambda: any("Adopted" in toast for toast in toasts(app)))
        (record,) = night.consoles[0].store().search(action="adopt")
        assert (record.run, record.reason) == ("5f0e1c2d3b4a5968", "ben ran it")
