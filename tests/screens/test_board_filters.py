"""Narrowing the board on the screen: the language, its mistakes, saved views, and the rounds of a series."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from textual import events

from screens.board import BoardScreen
from screens.widgets.filter import FilterField
from tests.screens.night import Night, believable
from tests.screens.test_board import SIZES, opened, screen_text, slugs, table, toasts, until
from tests.screens.told import campaign, due

KEYS = {
    ":": "colon",
    "<": "less_than_sign",
    " ": "space",
    "-": "minus",
    '"': "quotation_mark",
    "!": "exclamation_mark",
}


def keys(text: str) -> list[str]:
    return [KEYS.get(char, char) for char in text]


def rounds(folder: Path) -> Night:
    """A night with a series whose rounds stand apart on the board's own order."""
    night = believable(folder)
    for number, day in ((1, "13"), (2, "14"), (3, "15")):
        words = campaign(
            f"{'cab'[number - 1]}-welcome",
            when=due(f"2026-05-{day} 10:00"),
            series="Welcome",
            round=number,
            rounds=3,
        )
        night.knows(words)
    return night


@pytest.mark.parametrize("size", SIZES)
async def test_a_condition_narrows_as_it_is_typed_and_a_broken_one_hides_nothing(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Given status:overdue holds, when the next word is wrong, its mistake is told and the list stays."""
    async with opened(believable(tmp_path), size) as (app, pilot):
        late = [v.slug for v in app.board.verdicts if v.status == "OVERDUE"]
        await pilot.press("slash")
        app.screen.query_one(FilterField).value = "status:overdue stauts"
        await pilot.press(*keys(":x"))
        await until(pilot, lambda: "There is no filter 'stauts'. Did you mean 'status'?" in screen_text(app))
        await until(pilot, lambda: slugs(app) == late)
        await pilot.press("enter")
        assert app.focused is table(app)
        assert "stauts" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: len(slugs(app)) == len(app.board.verdicts))
        assert "stauts" not in screen_text(app)


async def test_keys_that_come_at_once_behind_the_slash_are_typed_and_act_on_nothing(tmp_path: Path) -> None:
    """Given a slow link that delivers `/dash rims` in one piece, no dry run starts and no word loses a letter."""
    async with opened(believable(tmp_path)) as (app, pilot):
        performed: list[str] = []
        app.perform = lambda action_id, slug: performed.append(action_id)  # type: ignore[method-assign]
        for char in "/dash rims":
            app.post_message(events.Key("slash" if char == "/" else "space" if char == " " else char, char))
        await until(pilot, lambda: bool(app.screen.query(FilterField)))
        await until(pilot, lambda: app.screen.query_one(FilterField).value == "dash rims")
        assert performed == []


@pytest.mark.slow
async def test_the_word_being_typed_is_completed_with_a_key(tmp_path: Path) -> None:
    async with opened(rounds(tmp_path), (80, 24)) as (app, pilot):
        await pilot.press("slash", *keys("series:we"))
        field = app.screen.query_one(FilterField)
        await until(pilot, lambda: field._suggestion == "series:welcome")
        await pilot.press("right")
        await until(pilot, lambda: slugs(app) == ["c-welcome", "a-welcome", "b-welcome"])


@pytest.mark.slow
async def test_a_filter_nobody_fits_names_the_word_that_nobody_has(tmp_path: Path) -> None:
    async with opened(rounds(tmp_path)) as (app, pilot):
        app.screen.narrow("series:welcom")  # type: ignore[attr-defined]
        await until(pilot, lambda: "has the series 'welcom'. Did you mean 'welcome'?" in screen_text(app))


@pytest.mark.slow
async def test_what_is_shown_is_saved_under_a_name_and_is_one_key_away(tmp_path: Path) -> None:
    """Given a filter, a group and an order, once saved 6 brings all three back, in the next console too."""
    night = rounds(tmp_path)
    async with opened(night, (80, 24)) as (app, pilot):
        await pilot.press("3", "slash", *keys("welcome"), "enter", "less_than_sign", "ctrl+s")
        await until(pilot, lambda: "under this name" in screen_text(app))
        await pilot.press(*keys("rounds"), "enter")
        await until(pilot, lambda: any("Saved as the view rounds" in text for text in toasts(app)))
        shown = ["c-welcome", "a-welcome", "b-welcome"]
        await until(pilot, lambda: slugs(app) == shown)
        await pilot.press("escape")
        await until(pilot, lambda: len(slugs(app)) > 3)
        await pilot.press("6")
        await until(pilot, lambda: slugs(app) == shown)
        assert "▌6 rounds" in screen_text(app)
    saved = json.loads((tmp_path / "views.json").read_text())["views"]
    assert saved == {"rounds": "welcome group:upcoming sort:series"}
    async with opened(night) as (app, pilot):
        await until(pilot, lambda: "6 rounds" in screen_text(app))
        await pilot.press("6")
        await until(pilot, lambda: slugs(app) == shown)


@pytest.mark.slow
async def test_a_name_that_cannot_be_is_told_under_the_field_and_escape_leaves_it(tmp_path: Path) -> None:
    async with opened(believable(tmp_path)) as (app, pilot):
        await pilot.press("ctrl+s")
        assert "nothing to save" in toasts(app)[-1]
        await pilot.press("slash", *keys("paul"), "ctrl+s")
        await pilot.pause()
        await pilot.press(*keys("-x"), "enter")
        await until(pilot, lambda: "can't name a view" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "can't name a view" not in screen_text(app))
        assert slugs(app) == ["paul-simon-may12"]
    assert not (tmp_path / "views.json").exists()


@pytest.mark.slow
async def test_configured_views_come_first_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "views.json").write_text("{")
    app = believable(tmp_path).app()
    app.configured_views = {"night": "group:attention sort:due", "odd": "stauts:x"}
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "6 night" in screen_text(app))
        assert any("saved views can't be read" in text for text in toasts(app))
        await pilot.press("7")
        assert "The view odd can't be read: There is no filter 'stauts'" in toasts(app)[-1]
        await pilot.press("8")
        assert "No view has this key yet" in toasts(app)[-1]


@pytest.mark.slow
async def test_views_are_in_the_palette_and_can_be_forgotten_there(tmp_path: Path) -> None:
    (tmp_path / "views.json").write_text('{"version": 1, "views": {"late": "status:overdue"}}')
    async with opened(believable(tmp_path)) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        await until(pilot, lambda: "6 late" in screen_text(app))
        offered = {name: act for name, _, act in board.commands()}
        offered["view: late"]()
        await until(pilot, lambda: {v.status for v in table(app).verdicts} == {"OVERDUE"})
        offered["forget view: late"]()
        await until(pilot, lambda: "6 late" not in screen_text(app))
        assert json.loads((tmp_path / "views.json").read_text())["views"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_rounds_stand_under_one_another_with_their_numbers(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(rounds(tmp_path), size) as (app, pilot):
        await pilot.press("less_than_sign")
        await until(pilot, lambda: slugs(app)[:3] == ["c-welcome", "a-welcome", "b-welcome"])
        shown = screen_text(app)
        assert "BY SERIES ▼" in shown
        for mark in ("c-welcome 1/3", "a-welcome 2/3", "b-welcome 3/3"):
            assert mark in shown
        await pilot.press("greater_than_sign", "slash", *keys("a-welcome"), "enter")
        await until(pilot, lambda: slugs(app) == ["a-welcome"])
        await pilot.press("enter")
        await until(pilot, lambda: "round 2/3 of Welcome: round 1 pending, due tomorrow" in screen_text(app))


@pytest.mark.slow
async def test_a_sorted_board_keeps_its_order_and_the_cursor_in_sight_while_others_come(tmp_path: Path) -> None:
    """Given the last line of a long list sorted by audience, when twenty bigger ones come, it is still in view."""
    night = believable(tmp_path)
    for number in range(40):
        night.knows(campaign(f"n{number:02}", when=due("2026-06-01 10:00"), rows=1000 - number))
    async with opened(night, (80, 24)) as (app, pilot):
        app.screen.action_sort_by("audience")  # type: ignore[attr-defined]
        await until(pilot, lambda: slugs(app)[0] == "autumn-dates")
        await pilot.press("end", "up")
        before = app.screen.slug  # type: ignore[attr-defined]
        for number in range(20):
            night.knows(campaign(f"new{number:02}", when=due("2026-06-01 10:00"), rows=90_000 + number))
        night.at += timedelta(seconds=1)
        await pilot.press("r")
        await until(pilot, lambda: "new19" in slugs(app))
        assert slugs(app)[0] == "new19"
        assert app.screen.slug == before  # type: ignore[attr-defined]
        assert before in screen_text(app)
