"""The board as an operator meets it: what it shows, how it is narrowed, what it refuses and how it says so."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console as RichConsole
from textual.pilot import Pilot

from opsconsole.finding import Finding, Severity
from opsconsole.observation import Evidence, Mark, Says
from opsconsole.verdict import Group, Status
from screens.app import OpsConsoleApp
from screens.board import BoardScreen
from screens.widgets.detail import Detail
from screens.widgets.rows import LOOKS, arrange, columns, line
from screens.widgets.table import CampaignTable
from tests.screens.night import Night, believable
from tests.screens.told import NOW, campaign, due

SIZES = [(80, 24), (160, 50)]
HOSTILE = "[Sale] [/today]\x1b[2J\u202egnp\x07\r\n\t[bold]"


def screen_text(app: OpsConsoleApp) -> str:
    """What is on screen, line by line."""
    width, height = app.size
    console = RichConsole(width=width, height=height, record=True, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(app.screen._compositor)
    return captured.get()


def toasts(app: OpsConsoleApp) -> list[str]:
    return [n.message for n in app._notifications]


async def until(pilot: Pilot[Any], true: Callable[[], object]) -> None:
    """Let the app work until something holds; the test's own time limit is the bound."""
    for _ in range(2_000):
        if true():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came true")


Opened = tuple[OpsConsoleApp, Pilot[Any]]


@asynccontextmanager
async def opened(
    night: Night, size: tuple[int, int] = (160, 50)
) -> AsyncIterator[tuple[OpsConsoleApp, Pilot[Any]]]:
    """The app over this night, with every source heard once."""
    app = night.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.console_ready and len(app.board.sources) == 3)
        await pilot.pause()
        yield app, pilot
    for console in night.consoles:
        console.close()


def table(app: OpsConsoleApp) -> CampaignTable:
    return app.screen.query_one(CampaignTable)


def slugs(app: OpsConsoleApp) -> list[str]:
    return [v.slug for v in table(app).verdicts]


@pytest.mark.parametrize("size", SIZES)
async def test_a_night_with_everything_shows_what_needs_somebody_first(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async with opened(believable(tmp_path), size) as (app, _):
        shown = screen_text(app)
        for word in ("CONFLICT", "IN DOUBT", "STALLED", "PARTIAL", "OVERDUE", "EXPIRED", "SENDING", "PENDING"):
            assert word in shown
        assert shown.index("CONFLICT") < shown.index("SENDING") < shown.index("PENDING")
        assert "PROD" in shown
        assert "17:52 UTC" in shown
        assert all(len(row) <= size[0] for row in shown.splitlines())


async def test_the_last_known_state_is_painted_before_any_console_is_there(tmp_path: Path) -> None:
    night = believable(tmp_path)
    app = night.app()
    app._build = lambda: pytest.fail("asked before the first paint")  # type: ignore[assignment]
    app._start_console = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause()
        assert "paul-simon-may12" in screen_text(app)
        await pilot.press("p")
        assert "still starting" in toasts(app)[-1]


@pytest.mark.parametrize("status", list(Status))
def test_every_status_has_a_glyph_of_one_cell_and_a_word(status: Status) -> None:
    from rich.cells import cell_len

    assert cell_len(LOOKS[status][0]) == 1


@pytest.mark.parametrize("width", range(40, 240, 7))
def test_a_line_is_exactly_as_wide_as_its_columns(tmp_path: Path, width: int) -> None:
    layout = columns(width, 64)
    for verdict in believable(tmp_path).remembered().verdicts:
        assert line(verdict, NOW, layout).cell_len == sum(c.width + 1 for c in layout)
    if width >= 80:
        assert sum(c.width + 1 for c in layout) <= width


@pytest.mark.parametrize("sort", ["status", "campaign", "due", "audience", "moved", "series"])
@pytest.mark.parametrize("reverse", [False, True])
def test_sorting_loses_nobody_and_what_is_not_known_stands_last(tmp_path: Path, sort: str, reverse: bool) -> None:
    night = believable(tmp_path).knows(campaign("no-due", rows=None))
    board = night.remembered()
    found = arrange(board, None, None, sort, reverse)
    assert sorted(v.slug for v in found) == sorted(v.slug for v in board.verdicts)
    if sort in ("due", "audience"):
        assert found[-1].slug == "no-due"


async def test_the_filter_narrows_as_it_is_typed_and_escape_clears_it(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        everyone = slugs(app)
        await pilot.press("slash", *"paul")
        await until(pilot, lambda: slugs(app) == ["paul-simon-may12"])
        assert "1 found" in screen_text(app)
        await pilot.press("enter")
        assert app.focused is table(app)
        assert slugs(app) == ["paul-simon-may12"]
        await pilot.press("escape")
        await until(pilot, lambda: slugs(app) == everyone)


@pytest.mark.slow
async def test_a_filter_that_finds_nobody_says_so_even_when_it_looks_like_markup(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("slash")
        await pilot.press("left_square_bracket", "slash", "x", "right_square_bracket")
        await until(pilot, lambda: "No campaign here has '[/x]'" in screen_text(app))
        assert not slugs(app)
        await pilot.press("escape", "d")
        assert app.is_running


@pytest.mark.slow
async def test_groups_are_one_key_each_and_their_counts_are_told(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        for key, group in zip("1234", Group, strict=True):
            await pilot.press(key)
            expected = [v.slug for v in app.board.group(group)]
            await until(pilot, lambda expected=expected: slugs(app) == expected)
            assert f"{group} {len(expected)}" in screen_text(app)


async def test_until_a_key_is_pressed_the_cursor_stands_on_the_first_line_and_then_on_its_campaign(
    tmp_path: Path,
) -> None:
    """What was first on the board of yesterday may be done by now: nobody chose it."""
    night = believable(tmp_path)
    early, earlier = (
        campaign(slug, dashboard=Says.SENT, when=due("2026-05-10 10:00")) for slug in ("aa-2", "aa-1")
    )
    async with opened(night) as (app, pilot):
        night.knows(early)
        app.perform("refresh", "")
        await until(pilot, lambda: "aa-2" in slugs(app))
        assert app.screen.slug == slugs(app)[0] == "aa-2"  # type: ignore[attr-defined]
        assert not toasts(app)[1:]
        await pilot.press("x")
        night.knows(earlier)
        app.perform("refresh", "")
        await until(pilot, lambda: "aa-1" in slugs(app))
        assert slugs(app)[0] == "aa-1"
        assert app.screen.slug == "aa-2"  # type: ignore[attr-defined]


async def test_a_finding_that_begins_with_a_long_path_stands_behind_its_mark(tmp_path: Path) -> None:
    night = believable(tmp_path)
    path = "/srv/" + "campaigns/" * 9
    async with opened(night, (80, 24)) as (app, _):
        finding = Finding(code="unreadable", severity=Severity.BLOCK, text=f"{path} can't be read by this account")
        verdict = replace(app.board.verdicts[0], findings=(finding,))
        app.known.by_slug[verdict.slug] = verdict
        app.freshen()
        detail = app.screen.query_one(Detail)
        lines = detail.words(80).plain.split("\n")
        assert any(text.startswith(" ✖ /srv/campaigns/") for text in lines)
        assert all(cell_len(text) <= 80 for text in lines)


@pytest.mark.slow
async def test_the_cursor_stays_on_its_campaign_when_others_come_before_it(tmp_path: Path) -> None:
    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("down", "down", "down", "down")
        before = app.screen.slug  # type: ignore[attr-defined]
        night.knows(campaign("a-new-one", when=due("2026-05-12 10:00")))
        await pilot.press("r")
        await until(pilot, lambda: "a-new-one" in slugs(app))
        assert app.screen.slug == before  # type: ignore[attr-defined]


@pytest.mark.slow
async def test_a_campaign_that_leaves_the_list_under_the_cursor_is_told(tmp_path: Path) -> None:
    """Given a filtered list, when the campaign under the cursor leaves it, the next key must not surprise."""
    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        await pilot.press("1")
        await until(pilot, lambda: len(slugs(app)) == len(app.board.group(Group.ATTENTION)))
        slug = app.screen.slug  # type: ignore[attr-defined]
        assert not any("left this list" in text for text in toasts(app))
        verdict = app.get(slug)
        assert verdict is not None
        night.knows(campaign(slug, when=due("2026-05-16 10:00"), rows=10))
        await pilot.press("r")
        await until(pilot, lambda: any(f"{slug} is PENDING and left this list" in text for text in toasts(app)))


@pytest.mark.slow
async def test_a_key_that_does_nothing_now_says_why(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        assert app.screen.slug == "client-letter-r3"  # type: ignore[attr-defined]
        await pilot.press("S")
        assert "CONFLICT" in toasts(app)[-1]
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.slow
async def test_read_only_refuses_every_action_in_the_same_words_and_wears_its_badge(tmp_path: Path) -> None:
    async with opened(believable(tmp_path, read_only=True)) as (app, pilot):
        assert "READ-ONLY" in screen_text(app)
        for key in ("d", "S", "h", "H", "A", "m", "t", "X", "f6", "f7", "f9"):
            await pilot.press(key)
            assert "read-only" in toasts(app)[-1]
        assert isinstance(app.screen, BoardScreen)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_text_from_outside_is_shown_and_never_acts(tmp_path: Path, size: tuple[int, int]) -> None:
    night = Night(tmp_path)
    words = campaign(
        "hostile", when=due("2026-05-12 10:30"), approved=HOSTILE, name=HOSTILE, subject=HOSTILE, owner=HOSTILE
    )
    bad = Evidence(letter="[", label=HOSTILE, mark=Mark.BAD, text=HOSTILE)
    words["blast-mail-prod"] = replace(words["blast-mail-prod"], evidence=(bad,), trouble=HOSTILE)
    night.knows(words)
    night.host.findings = (HOSTILE,)
    night.host.identity = HOSTILE
    async with opened(night, size) as (app, pilot):
        await pilot.press("question_mark", "escape", "colon")
        await pilot.pause()
        await pilot.press("escape", "slash", "h", "enter", "S")
        await pilot.pause()
        app.tell(HOSTILE)
        await pilot.pause()
        shown = screen_text(app)
        assert "[Sale] [/today]" in shown
        assert "\\x1b[2J" in shown or "\\x1b" in shown
        assert not {"\x1b[2J", "\u202e", "\x07"} & set(shown.split())
        assert "\u202e" not in shown
        assert "\x1b" not in shown


async def test_a_store_that_cannot_be_written_is_a_banner_and_stops_every_action(tmp_path: Path) -> None:
    from opsconsole.errors import AuditUnavailable

    night = believable(tmp_path)
    night.store_error = AuditUnavailable("The disk is full.", "Nothing can be recorded.", "Free some of it.")
    async with opened(night, (80, 24)) as (app, pilot):
        await until(pilot, lambda: "No record can be written" in screen_text(app))
        await pilot.press("d")
        assert "No record, no action" in toasts(app)[-1]


@pytest.mark.slow
async def test_a_source_out_of_reach_is_told_in_the_header_and_nobody_is_called_late(tmp_path: Path) -> None:
    night = believable(tmp_path)
    async with opened(night) as (app, pilot):
        night.host.reach = False
        await pilot.press("r")
        await until(pilot, lambda: "○ out of reach" in screen_text(app))
        verdict = app.get("paul-simon-may12")
        assert verdict is not None
        assert verdict.status is Status.UNKNOWN


async def test_a_fault_of_a_whole_source_is_a_banner(tmp_path: Path) -> None:
    night = believable(tmp_path)
    night.host.findings = ("/etc/cron.d/mail-blasts: line 7 is bad, so cron ignores the whole file",)
    async with opened(night) as (app, _):
        assert "cron ignores the whole file" in screen_text(app)


@pytest.mark.slow
async def test_a_hold_on_everything_is_a_banner_until_it_is_released(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        app.ops_console.hold_scope("everything", False, "provider down")
        await until(pilot, lambda: "On hold: everything. Nobody may send anything; by mara" in screen_text(app))
        assert "provider down" in screen_text(app)
        app.ops_console.hold_scope("everything", True, "provider back")
        await until(pilot, lambda: "On hold: everything" not in screen_text(app))


@pytest.mark.slow
async def test_sort_keys_walk_through_the_columns_and_back_to_the_boards_own_order(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        own = slugs(app)
        await pilot.press("greater_than_sign", "greater_than_sign")
        await until(pilot, lambda: slugs(app) == sorted(own))
        assert "CAMPAIGN ▼" in screen_text(app)
        await pilot.press("minus")
        await until(pilot, lambda: slugs(app) == sorted(own, reverse=True))
        await pilot.press("equals_sign")
        await until(pilot, lambda: slugs(app) == own)


@pytest.mark.slow
async def test_ten_thousand_campaigns_are_one_list(tmp_path: Path) -> None:
    night = Night(tmp_path)
    for number in range(10_000):
        night.knows(campaign(f"c{number:05}", when=due("2026-06-01 10:00")))
    async with opened(night, (100, 30)) as (app, pilot):
        await until(pilot, lambda: len(slugs(app)) == 10_000)
        await pilot.press("end")
        await until(pilot, lambda: "c09999" in screen_text(app))
        await pilot.press("slash", *"c0042")
        await until(pilot, lambda: len(slugs(app)) == 10)


@pytest.mark.slow
async def test_a_mouse_chooses_and_a_double_click_opens(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        performed: list[tuple[str, str]] = []
        app.perform = lambda action, slug: performed.append((action, slug))  # type: ignore[method-assign]
        await pilot.click(CampaignTable, offset=(20, 2))
        assert app.screen.slug == slugs(app)[2]  # type: ignore[attr-defined]
        await pilot.double_click(CampaignTable, offset=(20, 2))
        await pilot.pause()
        assert ("open", slugs(app)[2]) in performed


async def test_a_run_that_is_going_shows_how_far_it_is(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, _):
        shown = screen_text(app)
        assert "61 %" in shown
        assert "3 min left" in shown


def test_what_a_source_says_is_one_letter_a_piece_and_the_worst_mark_wins(tmp_path: Path) -> None:
    from screens.widgets.rows import says

    words = campaign("x", when=due("2026-05-12 10:30"), says=Says.STARTED)
    night = Night(tmp_path).knows(words)
    verdict = night.remembered().get("x")
    assert verdict is not None
    assert says(verdict).plain == "D✓F✓C–L✖"
