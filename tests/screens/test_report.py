"""The report on the screens: one key writes it, says where it lies, and shows it, also in 80 columns."""

from pathlib import Path

import pytest

from screens.campaign import CampaignScreen
from screens.report import ReportScreen, say_report
from tests.screens.stage import NASTY, SLUG, Stage, screen_text, until

SIZES = [(80, 24), pytest.param((160, 50), marks=pytest.mark.slow)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def reports(stage: Stage) -> list[Path]:
    return sorted((stage.folder / "reports").glob("*"))


@pytest.mark.parametrize("size", SIZES)
async def test_one_key_on_the_board_writes_it_and_shows_it(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.open(size) as pilot:
        await pilot.press("i")
        await until(pilot, lambda: "OPEN QUESTIONS" in screen_text(pilot) or "Nobody of 3" in screen_text(pilot))
        text = screen_text(pilot)
        assert f"Incident report: {SLUG}" in text
        assert "OVERDUE" in text
        assert [path.suffix for path in reports(stage)] == [".html", ".md"]
        assert "written" in text
        assert "never started" in reports(stage)[1].read_text()
        (note,) = stage.records("report")
        assert note.campaign == SLUG
        screen = pilot.app.screen
        assert isinstance(screen, ReportScreen)
        assert screen.written is not None
        shown = say_report(screen.written.model, size[0] - 4).plain
        assert max(map(len, shown.splitlines())) <= size[0] - 4
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ReportScreen))


@pytest.mark.slow
async def test_it_is_written_from_a_campaign_of_which_everything_is_hostile(stage: Stage) -> None:
    stage.host.subject = NASTY
    stage.host.extra = {"owner": NASTY}
    async with stage.open((80, 24)) as pilot:
        pilot.app.push_screen(CampaignScreen(SLUG))
        await pilot.press("i")
        await until(pilot, lambda: "\\x1b[2Jgone" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)
        assert "\u202e" not in screen_text(pilot)


@pytest.mark.slow
async def test_a_console_that_may_only_look_writes_it_too_and_says_that_nothing_is_on_record(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, read_only=True)
    async with stage.open((80, 24)) as pilot:
        await pilot.press("i")
        await until(pilot, lambda: "not on record" in screen_text(pilot))
        assert len(reports(stage)) == 2


@pytest.mark.slow
async def test_the_hand_over_is_in_the_palette(stage: Stage) -> None:
    async with stage.open((120, 40)) as pilot:
        await pilot.press("colon")
        await pilot.press(*"hand-over")
        await until(pilot, lambda: "the next shift" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "NEEDS ATTENTION" in screen_text(pilot))
        assert [path.name.startswith("hand-over-") for path in reports(stage)] == [True, True]
