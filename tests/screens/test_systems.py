"""Screens and commands over a listmonk alone: no machine, no files, no cron table, and nothing said of any."""

import json
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from opsconsole import wiring
from opsconsole.cli import main
from opsconsole.config import load
from screens import campaign_words as words
from screens.app import OpsConsoleApp
from screens.asking import question
from screens.forms import ReasonForm
from screens.host import HostScreen
from tests.screens.hands import settle, type_text
from tests.screens.stage import screen_text, until
from tests.support.listmonk import Listmonk, listmonk
from tests.support.platforms import LISTS, Platforms

SLUG, DUE = "july", "harbor"
FAR_AT = datetime(2036, 7, 1, 9, tzinfo=UTC)


@pytest.fixture
def there() -> Iterator[Listmonk]:
    made = listmonk()
    people = made.standin.add_list("July people")
    made.standin.add_people(people, 3)
    made.standin.add_campaign("July", people, subject="One evening in July")
    yield made
    made.standin.stop()


@pytest.fixture
def platforms(there: Listmonk, tmp_path: Path) -> Platforms:
    made = Platforms(tmp_path / "console")
    made.add_listmonk(there.url, there.manager)
    return made


def call(platforms: Platforms, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(platforms.config_path), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@asynccontextmanager
async def opened(platforms: Platforms, size: tuple[int, int] = (140, 45)) -> Any:
    loaded = load(platforms.config_path)
    app = OpsConsoleApp(
        wiring.remembered(loaded),
        lambda: wiring.build(loaded),
        environment="PROD",
        danger=True,
        read_only=False,
        local_zone="UTC",
        operator="mara",
        data_dir=loaded.data_dir,
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.console_ready and app.get(SLUG) is not None)
        yield pilot


@pytest.mark.slow
async def test_every_screen_works_without_a_blast_host(platforms: Platforms) -> None:
    async with opened(platforms) as pilot:
        await until(pilot, lambda: "July" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "Its page:" in screen_text(pilot))
        await pilot.press("2")
        await until(pilot, lambda: "2 parts" in screen_text(pilot) and "updated_at" in screen_text(pilot))
        assert "blast_data" not in screen_text(pilot)
        await pilot.press("3")
        await until(pilot, lambda: "recipient 1" in screen_text(pilot))
        assert "y shows its HTML" in screen_text(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "every source tells" not in screen_text(pilot))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, HostScreen))
        await until(pilot, lambda: "What it tells of itself" in screen_text(pilot))
        assert f"{LISTS}  ● answers" in screen_text(pilot)
        await pilot.press("escape", "O")
        await until(
            pilot, lambda: "What can be done about" in screen_text(pilot) or "Nothing is" in screen_text(pilot)
        )
        for key in ("escape", "W", "escape", "u", "escape", "p"):
            await pilot.press(key)
            await pilot.pause(0.2)
        await until(pilot, lambda: "✓" in screen_text(pilot))
        assert "blast host" not in screen_text(pilot)


def test_one_whose_content_was_not_looked_at_has_no_files_either(there: Listmonk, platforms: Platforms) -> None:
    there.standin.add_campaign("June", there.standin.add_list("June people"), status="finished")
    with platforms.console() as console:
        verdict, now = console.verdict("june"), console.clock()
        files = words.in_files(verdict, console.host_names())

    shown = words.say_files(verdict, None, files, now).plain

    assert not files
    assert "blast_" not in shown
    assert "Its parts were not looked at" in shown


def test_an_empty_board_names_who_never_answered(there: Listmonk, platforms: Platforms) -> None:
    there.standin.stop()

    said = call(platforms, "board")

    assert said.exit_code == 4
    assert f"{LISTS} never answered: what is there isn't known." in said.stdout


@pytest.mark.slow
async def test_a_hold_says_that_listmonk_keeps_none(platforms: Platforms) -> None:
    async with opened(platforms) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReasonForm))
        await settle(pilot)
        await type_text(pilot, "wrong subject")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "keeps no holds of its own" in " ".join(screen_text(pilot).split()))


@pytest.mark.slow
async def test_a_schedule_is_switched_off_in_words_that_fit_it(there: Listmonk, platforms: Platforms) -> None:
    people = next(iter(there.standin.database.lists.values()))
    there.standin.add_campaign("August", people, status="scheduled", send_at=FAR_AT)
    with platforms.console() as console:
        found = console.verdict("august")
        key = next(t.key for o in found.observations for t in o.triggers)
        asked = console.confirmation("trigger-off", "august", key=key)
        assert "take it off its schedule" in dict(asked.lines)["this will"]
        assert not any("comment" in text for _, text in asked.lines)


@pytest.mark.slow
def test_commands_work_without_a_blast_host(platforms: Platforms) -> None:
    assert call(platforms, "doctor").exit_code in (0, 1)
    assert SLUG in call(platforms, "board").stdout
    shown = json.loads(call(platforms, "show", SLUG, "--json").stdout)
    assert any(source["link"].startswith("http") for source in shown["sources"])
    assert f"its page on {LISTS}: http" in call(platforms, "show", SLUG).stdout
    for args in (
        ("op",),
        ("op", "--campaign", SLUG),
        ("access",),
        ("runs",),
        ("trigger", "show", SLUG),
        ("audit", "verify"),
    ):
        assert call(platforms, *args).exit_code in (0, 1), args
    missing = call(platforms, "host", "show")
    assert (missing.exit_code, "No blast host is configured" in missing.stderr) == (3, True)
    held = json.loads(call(platforms, "hold", SLUG, "--reason", "wrong subject", "--json").stdout)
    assert "keeps no holds of its own" in held["unkept"][0]
    report = call(platforms, "report", SLUG)
    assert report.exit_code == 0, report.output


@pytest.mark.slow
def test_a_send_is_confirmed_by_what_identifies_the_platform(there: Listmonk, platforms: Platforms) -> None:
    of = there.standin.add_list("Harbor people")
    there.standin.add_people(of, 3)
    there.standin.add_campaign("Harbor", of, send_at=datetime.now(UTC) - timedelta(minutes=1))
    with platforms.console() as console:
        console.decide("approve", DUE, "read it")
        assert [result.title for result in console.preflight(DUE) if result.blocks] == []
        assert console.dry_run(DUE, lambda data: None, threading.Event()).ok
        asked = question(console, "send", DUE, console.plan(DUE))
        lines = dict(asked.confirmation.lines)
        assert lines["sent by"].startswith(f"{LISTS} at ")
        assert "host" not in lines
        assert asked.live is not None
        assert (asked.live.against, asked.live.identity) == ("", console.machine(LISTS))
