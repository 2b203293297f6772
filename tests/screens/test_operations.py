"""What can be done to the systems beside a run, by keys: seen with what speaks against it, asked twice, stopped."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from opsconsole.ports import Refused
from screens.confirm import ConfirmScreen
from screens.operation import OperationScreen
from screens.operations import OperationsScreen, ValueForm
from tests.screens.hands import settle, type_text
from tests.screens.stage import SLUG, Stage, screen_text, until
from tests.support.pipeline import PIPELINE, Pipeline

NASTY = "[red]Empty[/] \x1b[2J"


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(lambda: datetime.now(UTC), SLUG)


@pytest.fixture
def stage(tmp_path: Path, pipeline: Pipeline) -> Stage:
    stage = Stage(tmp_path, beside=(pipeline,))
    stage.console.role = "admin"
    return stage


async def shown(pilot: Any, kind: type) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    await settle(pilot)


async def confirm(pilot: Any, phrase: str, reason: str) -> None:
    await shown(pilot, ConfirmScreen)
    await pilot.press("tab", "enter")
    await settle(pilot)
    await type_text(pilot, phrase)
    pilot.app.screen.query_one("#reason", Input).focus()
    await type_text(pilot, reason)
    await settle(pilot)
    await pilot.press("tab", "tab", "enter")


async def test_two_keys_from_the_board_a_dead_letter_queue_is_sent_on_and_its_end_is_told(
    stage: Stage, pipeline: Pipeline
) -> None:
    async with stage.open() as pilot:
        await pilot.press("O")
        await until(pilot, lambda: "Send the dead letters on" in screen_text(pilot))
        await pilot.press("enter")
        await confirm(pilot, f"{PIPELINE} 12", "mended")
        await until(pilot, lambda: isinstance(pilot.app.screen, OperationScreen))
        await until(pilot, lambda: "It was 12, and is 0 now." in screen_text(pilot))
        assert "1 of 12 moved, for m•••@example.com" in screen_text(pilot)
        assert pipeline.done == [("redrive", "", "mara")]
        assert [r.reason for r in stage.records("operate")][-1] == "mended"


@pytest.mark.slow
async def test_a_campaigns_own_asks_for_its_value_first(stage: Stage, pipeline: Pipeline) -> None:
    async with stage.open((80, 24)) as pilot:
        await pilot.press("enter", "O")
        await until(pilot, lambda: "Change the rate" in screen_text(pilot))
        await pilot.press("enter")
        await shown(pilot, ValueForm)
        assert "messages a second, now 20" in screen_text(pilot)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "A value is needed" in screen_text(pilot))
        await type_text(pilot, "50")
        await pilot.press("enter", "enter")
        await shown(pilot, ConfirmScreen)
        assert "50" in screen_text(pilot)
        await confirm(pilot, f"{SLUG} 2601", "agreed")
        await until(pilot, lambda: pipeline.rate == "50")


@pytest.mark.slow
async def test_it_is_stopped_by_a_key_found_again_after_leaving_and_warns_before_the_console_is_left(
    stage: Stage, pipeline: Pipeline
) -> None:
    pipeline.slow.clear()
    async with stage.open() as pilot:
        await pilot.press("O")
        await until(pilot, lambda: "Send the dead letters on" in screen_text(pilot))
        await pilot.press("enter")
        await confirm(pilot, f"{PIPELINE} 12", "mended")
        await until(pilot, lambda: "Under way" in screen_text(pilot))
        await pilot.press("escape", "escape")
        await pilot.press("q")
        await until(pilot, lambda: "is still going" in screen_text(pilot))
        await pilot.press("escape")
        await pilot.press("O")
        await until(pilot, lambda: "under way: Send the dead letters on" in screen_text(pilot))
        await pilot.press("enter")
        await shown(pilot, OperationScreen)
        await pilot.press("f9")
        await until(pilot, lambda: "It was 12, and is 11 now." in screen_text(pilot))
        assert stage.records("operate")[0].detail["result"] == "stopped"


@pytest.mark.slow
async def test_what_speaks_against_it_is_read_before_anybody_asks(stage: Stage, pipeline: Pipeline) -> None:
    pipeline.held("wrong subject")
    stage.console.role = "operator"
    async with stage.open() as pilot:
        await pilot.press("O")
        await until(pilot, lambda: "needs the role admin" in screen_text(pilot))
        await pilot.press("enter")
        await pilot.pause(0.1)
        assert isinstance(pilot.app.screen, OperationsScreen)
        assert pipeline.done == []


@pytest.mark.slow
async def test_one_that_fails_says_so_and_hostile_words_stay_words(stage: Stage, pipeline: Pipeline) -> None:
    pipeline.trouble = Refused(NASTY)
    async with stage.open() as pilot:
        await pilot.press("O")
        await until(pilot, lambda: "Empty the dead-letter queue" in screen_text(pilot))
        await pilot.press("down", "enter")
        await confirm(pilot, f"{PIPELINE} 12", "full")
        await until(pilot, lambda: "✖ [red]Empty[/] \\x1b[2J" in screen_text(pilot))
