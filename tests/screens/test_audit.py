"""Audit and holds on the screen."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from textual.widgets import DataTable

from screens.audit import AuditScreen
from screens.forms import ReasonForm
from screens.holds import HoldsScreen
from tests.screens.hands import type_text
from tests.screens.stage import NASTY, SLUG, Stage, screen_text, until

SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def note(stage: Stage, count: int, campaign: str = SLUG) -> None:
    for number in range(count):
        stage.console.store().note(stage.console.identity.event("hold", campaign, "", f"reason {number}", n=number))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_records_are_searched_paged_and_read_whole(stage: Stage, size: tuple[int, int]) -> None:
    note(stage, 130)
    async with stage.open(size) as pilot:
        pilot.app.push_screen(AuditScreen(None))
        await until(pilot, lambda: "reason 129" in screen_text(pilot))
        assert '"n": 129' in screen_text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "page 2" in screen_text(pilot))
        assert "reason 29" in screen_text(pilot)
        await pilot.press("b", "slash")
        await type_text(pilot, "reason 77")
        await pilot.press("enter")
        await until(pilot, lambda: "1 records" in screen_text(pilot))
        assert '"n": 77' in screen_text(pilot)


async def test_one_campaigns_records_first_and_all_with_a_key(stage: Stage) -> None:
    note(stage, 2)
    note(stage, 3, "another-one")
    async with stage.open() as pilot:
        pilot.app.push_screen(AuditScreen(SLUG))
        await until(pilot, lambda: f"2 records of {SLUG}" in screen_text(pilot))
        await pilot.press("c")
        await until(pilot, lambda: "5 records of all" in screen_text(pilot))


async def test_r_shows_what_was_recorded_since(stage: Stage) -> None:
    note(stage, 2)
    async with stage.open() as pilot:
        pilot.app.push_screen(AuditScreen(SLUG))
        await until(pilot, lambda: f"2 records of {SLUG}" in screen_text(pilot))
        note(stage, 1)
        await pilot.press("r")
        await until(pilot, lambda: f"3 records of {SLUG}" in screen_text(pilot))


async def test_verify_says_whole_or_names_the_first_bad_record(stage: Stage) -> None:
    note(stage, 5)
    async with stage.open() as pilot:
        pilot.app.push_screen(AuditScreen(None))
        await until(pilot, lambda: "5 records" in screen_text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: "whole: 5 records" in screen_text(pilot))
        with closing(sqlite3.connect(stage.folder / "audit.db")) as db:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
            db.execute("UPDATE audit SET reason = 'never happened' WHERE seq = 3")
            db.commit()
        await pilot.press("y")
        await until(pilot, lambda: "NOT WHOLE at record 3" in screen_text(pilot))


async def test_the_export_is_a_file_for_this_user_alone(stage: Stage) -> None:
    note(stage, 4)
    async with stage.open() as pilot:
        pilot.app.push_screen(AuditScreen(None))
        await until(pilot, lambda: "4 records" in screen_text(pilot))
        await pilot.press("e")
        await until(pilot, lambda: "4 records written" in screen_text(pilot))
    file = next((stage.folder / "exports").iterdir())
    first, *records, end = map(json.loads, file.read_text().splitlines())
    assert [record["seq"] for record in records] == [1, 2, 3, 4]
    assert (first["head"], end["end"]) == (records[-1]["mac"], True)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_reason_from_anywhere_is_only_text(stage: Stage) -> None:
    stage.console.store().note(stage.console.identity.event("hold", SLUG, "", NASTY, what=NASTY))
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(AuditScreen(None))
        await until(pilot, lambda: "[Sale] [/today] \\x1b[2Jgone" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)


async def test_a_broken_store_is_told_and_nothing_crashes(stage: Stage) -> None:
    (stage.folder / "audit.db").write_bytes(b"this is no database" * 500)
    async with stage.open() as pilot:
        pilot.app.push_screen(AuditScreen(None))
        await until(pilot, lambda: "can't be" in screen_text(pilot) or "not" in screen_text(pilot))
        assert isinstance(pilot.app.screen, AuditScreen)


@pytest.mark.slow
async def test_holding_everything_asks_for_a_reason_and_is_listed(stage: Stage) -> None:
    async with stage.open() as pilot:
        pilot.app.push_screen(HoldsScreen())
        await until(pilot, lambda: "No holds." in screen_text(pilot))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonForm))
        await type_text(pilot, "provider is down")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Everything is held" in screen_text(pilot))
        await until(pilot, lambda: "provider is down" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonForm))
        await type_text(pilot, "it is back")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "No holds." in screen_text(pilot))
        assert pilot.app.screen.query_one(DataTable).row_count == 0


async def test_a_read_only_console_holds_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, read_only=True)
    async with stage.open() as pilot:
        pilot.app.push_screen(HoldsScreen())
        await until(pilot, lambda: "No holds." in screen_text(pilot))
        await pilot.press("h")
        await until(pilot, lambda: "read-only" in screen_text(pilot))
        assert isinstance(pilot.app.screen, HoldsScreen)
