"""Pre-flight and dry run on the screen: answers one by one, remedies, and what stands against a send."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.widgets import DataTable

from opsconsole.preflight.check import Outcome, Result
from screens.dryrun import DryRunScreen
from screens.preflight import PreflightScreen
from tests.screens.stage import NASTY, SLUG, Stage, screen_text, until

SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("size", SIZES)
async def test_the_real_checks_are_shown_and_recorded(stage: Stage, size: tuple[int, int]) -> None:
    stage.host.html = "<p>Dear {{ frist_name }}</p>"
    async with stage.open(size) as pilot:
        pilot.app.push_screen(PreflightScreen(SLUG))
        await until(pilot, lambda: stage.records("preflight") and "forbid a send" in screen_text(pilot))
        await until(pilot, lambda: not pilot.app.screen.running)  # type: ignore[attr-defined]
        results = pilot.app.screen.results  # type: ignore[attr-defined]
        assert len(results) > 10
        first = next(n for n, result in enumerate(results) if result.blocks)
        assert pilot.app.screen.query_one(DataTable).cursor_row == first
        # The row under the cursor is told with its remedy once the table has been painted.
        await until(pilot, lambda: all(mark in screen_text(pilot) for mark in "→✖✓"))


async def test_results_come_one_by_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a check that takes long, the answers before it are there already."""
    slow = Event()

    def results(slug: str) -> Any:
        for number in range(3):
            yield Result(
                check_id=f"c{number}",
                title=f"check {number}",
                topic="files",
                outcome=Outcome.FAIL if number == 1 else Outcome.PASS,
                says=f"{number} says {NASTY}",
                evidence=(NASTY,),
                remedy=f"mend {NASTY}",
                blocks=number == 1,
            )
            if number == 1:
                slow.wait(20)

    monkeypatch.setattr(stage.console, "preflight", results)
    async with stage.open() as pilot:
        pilot.app.push_screen(PreflightScreen(SLUG))
        await until(pilot, lambda: "check 1" in screen_text(pilot))
        assert "check 2" not in screen_text(pilot)
        assert "checking …" in screen_text(pilot)
        assert "→ mend [Sale] [/today] \\x1b[2Jgone" in screen_text(pilot)
        slow.set()
        await until(pilot, lambda: "check 2" in screen_text(pilot))
        await until(pilot, lambda: "1 forbid a send" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)


async def test_a_preflight_that_breaks_off_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(slug: str) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(stage.console, "preflight", broken)
    async with stage.open() as pilot:
        pilot.app.push_screen(PreflightScreen(SLUG))
        await until(pilot, lambda: "broke off: the disk is gone" in screen_text(pilot))


@pytest.mark.parametrize("size", SIZES)
async def test_a_dry_run_without_a_preflight_says_why_no_send_may_follow(
    stage: Stage, size: tuple[int, int]
) -> None:
    async with stage.open(size) as pilot:
        pilot.app.push_screen(DryRunScreen(SLUG))
        await until(pilot, lambda: "3 counted" in screen_text(pilot))
        await until(pilot, lambda: "no send: No pre-flight of it is recorded" in screen_text(pilot))
        await until(pilot, lambda: "3 recipients counted" in screen_text(pilot))
        assert stage.records("dry-run")[0].campaign == SLUG
        assert stage.records("plan") == []


async def test_a_dry_run_shows_who_is_left_out_the_largest_message_and_what_the_mail_server_said(
    stage: Stage,
) -> None:
    server = {"server": f"mail.example.com:587 {NASTY}", "account": "anna@example.com", "size": 10 << 20}
    stage.host.rehearsal_told = {"suppressed": 17, "largest": 10_752, "probe": server}
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(DryRunScreen(SLUG))
        # The lines below come a moment later, when what is above them has grown.
        await until(pilot, lambda: "mail.example.com:587" in screen_text(pilot))
        text = screen_text(pilot)
        assert "17 suppressed" in text
        assert "10.5 KiB the largest" in text
        assert "messages up to 10,240 KiB" in text
        assert "anna@example.com" not in text
        assert "\x1b" not in text
    assert stage.records("dry-run")[0].detail["suppressed"] == 17


async def test_after_a_preflight_and_a_dry_run_a_send_may_follow(stage: Stage) -> None:
    async with stage.open() as pilot:
        assert [result for result in stage.console.preflight(SLUG) if result.blocks] == []
        pilot.app.push_screen(DryRunScreen(SLUG))
        await until(pilot, lambda: "S sends exactly this" in screen_text(pilot))


async def test_a_dry_run_that_fails_shows_its_troubles_as_text(stage: Stage) -> None:
    stage.host.rehearsed_ok = False
    stage.host.rehearsal = [f"row 2: {NASTY} anna@example.com\n".encode()]
    async with stage.open() as pilot:
        pilot.app.push_screen(DryRunScreen(SLUG))
        await until(pilot, lambda: "no send" in screen_text(pilot))
        text = screen_text(pilot)
        assert "[Sale] [/today] \\x1b[2Jgone" in text
        assert "\x1b" not in text
        assert "anna@example.com" not in text
        assert "FAILED" in text


async def test_one_key_goes_to_the_next_check_that_fails(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = (Outcome.PASS, Outcome.FAIL, Outcome.PASS, Outcome.WARN, Outcome.PASS)

    def results(slug: str) -> Any:
        for number, outcome in enumerate(outcomes):
            title = f"check {number} with a title that is longer than twenty-eight cells"
            yield Result(check_id=f"c{number}", title=title, topic="files", outcome=outcome, says="so it is")

    monkeypatch.setattr(stage.console, "preflight", results)
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(PreflightScreen(SLUG))
        await until(pilot, lambda: "longer than twenty-eight cells" in screen_text(pilot))
        table = pilot.app.screen.query_one(DataTable)
        await until(pilot, lambda: table.row_count == 5 and not pilot.app.screen.running)  # type: ignore[attr-defined]
        seen = []
        for key in ("n", "n", "n", "N"):
            await pilot.press(key)
            seen.append(table.cursor_row)
        assert seen == [1, 3, 1, 3]
