"""The run screen: its log whole on disk and live on the screen, its end told, and keys that steer."""

import json
from pathlib import Path
from threading import Event

import pytest
from textual.widgets import Input

from opsconsole.observation import Counts
from opsconsole.ports import OutOfReach, Verb
from screens.run import RunScreen
from tests.screens.hands import settle, type_text
from tests.screens.stage import NASTY, SLUG, Stage, screen_text, until

SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def front(pilot: object) -> RunScreen:
    screen = pilot.app.screen  # type: ignore[attr-defined]
    assert isinstance(screen, RunScreen)
    return screen


def log_lines(count: int) -> list[bytes]:
    return [f"2026-05-12T17:52:00Z delivered <anna{n}@example.com> 250 Ok {n}\n".encode() for n in range(count)]


@pytest.mark.parametrize("size", SIZES)
async def test_fifty_thousand_lines_are_followed_and_are_on_disk_unchanged(
    stage: Stage, size: tuple[int, int]
) -> None:
    lines = [*log_lines(49_999), b"3 recipients processed\n"]
    stage.host.running(lines)
    async with stage.open(size) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 50_000)
        await until(pilot, lambda: "3 recipients processed" in screen_text(pilot))
        await until(pilot, lambda: "50,000 lines" in screen_text(pilot))
        stage.host.go_on.set()
        await until(pilot, lambda: front(pilot).attachment.end is not None)
    file = stage.folder / "logs" / f"{SLUG}.1.log"
    assert file.read_bytes() == b"".join(lines)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_runners_json_is_shown_in_words_and_kept_as_it_came(stage: Stage) -> None:
    line = {"v": 1, "t": "2026-05-12T17:52:03.000+00:00", "state": "sending", "total": 2601, "accepted": 1587}
    error = {"code": 550, "text": "no such user bob@example.com", "n": 3}
    told = {**line, "failed": 3, "processed": 1590, "eta_s": 40, "last_error": error}
    ended = {"v": 1, "summary": True, "mode": "send", "rc": 0, "counts": {"total": 2601, "accepted": 2601}}
    lines = [json.dumps(words).encode() + b"\n" for words in (told, ended)]
    stage.host.running(lines)
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "run ended: 2,601 accepted, exit code 0" in screen_text(pilot))
        await until(pilot, lambda: "550 no such user b•••@example.com (3 times)" in screen_text(pilot))
        text = screen_text(pilot)
        assert "17:52:03 UTC  sending 1,587 of 2,601 accepted, 3 failed, 40 s left" in text
        assert '"v"' not in text
    assert (stage.folder / "logs" / f"{SLUG}.1.log").read_bytes() == b"".join(lines)


async def test_addresses_are_masked_until_showing_them_is_recorded(stage: Stage) -> None:
    stage.host.running(log_lines(5))
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "a•••@example.com" in screen_text(pilot))
        assert "anna3@" not in screen_text(pilot)
        await pilot.press("v")
        await until(pilot, lambda: "anna3@example.com" in screen_text(pilot))
        assert [r.campaign for r in stage.records("reveal")] == [SLUG]
        await pilot.press("v")
        await until(pilot, lambda: "anna3@" not in screen_text(pilot))


async def test_a_log_that_tries_to_take_over_the_terminal_is_shown_as_text(stage: Stage) -> None:
    refused = f"550 5.1.1 bob@example.com {NASTY}\n".encode()
    stage.host.running([refused, b"\xff\xfe broken bytes\n", b"{" * 3000 + b"\n"])
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "[Sale] [/today] \\x1b[2Jgone" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)
        assert "\u202e" not in screen_text(pilot)
        await until(pilot, lambda: "last error" in screen_text(pilot))
        assert "bob@" not in screen_text(pilot)


async def test_scrolling_up_stops_following_and_says_how_much_came_since(stage: Stage) -> None:
    stage.host.running(log_lines(500))
    async with stage.open((80, 24)) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 500)
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: "lines below" in screen_text(pilot))
        here = front(pilot).log_view.pane.scroll_offset.y
        stream = front(pilot).log_view.stream
        assert stream is not None
        stream.take(b"one more\n" * 100)
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 600)
        assert front(pilot).log_view.pane.scroll_offset.y == here
        await pilot.press("f")
        await until(pilot, lambda: "following the end" in screen_text(pilot))
        assert "one more" in screen_text(pilot)


@pytest.mark.slow
async def test_the_whole_log_is_searched_not_only_what_is_in_sight(stage: Stage) -> None:
    lines = log_lines(20_000)
    lines[7] = b"a needle early on\n"
    lines[11_000] = b"a NEEDLE in the middle\n"
    stage.host.running(lines)
    async with stage.open((80, 24)) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 20_000)
        await pilot.press("home", "slash")
        await type_text(pilot, "needle")
        await pilot.press("enter")
        await until(pilot, lambda: "on line 8" in screen_text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "on line 11,001" in screen_text(pilot))
        assert "NEEDLE in the middle" in screen_text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "no more that way" in screen_text(pilot))
        await pilot.press("N")
        await until(pilot, lambda: "on line 8" in screen_text(pilot))


async def test_save_copies_the_whole_log_for_this_user_alone(stage: Stage) -> None:
    lines = log_lines(3000)
    stage.host.running(lines)
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 3000)
        await pilot.press("w")
        await until(pilot, lambda: list((stage.folder / "logs").glob("saved-*")))
        saved = next((stage.folder / "logs").glob("saved-*"))
        await until(pilot, lambda: saved.read_bytes() == b"".join(lines))
        assert saved.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
async def test_a_lost_link_is_told_and_the_run_found_again(stage: Stage) -> None:
    """Given a link that breaks, when it is back, then the log goes on where it stopped."""
    stage.host.running(log_lines(10))
    stage.host.troubles = [OutOfReach("The host did not answer in 5 s.", "The run goes on.", "")]
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "link lost, the run goes on; trying again" in screen_text(pilot))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 10)
        await until(pilot, lambda: "link lost" not in screen_text(pilot))
        stage.host.link = "reconnecting"
        await until(pilot, lambda: "link lost" in screen_text(pilot))


async def test_the_end_is_told_with_what_was_recorded(stage: Stage) -> None:
    """Given a run this console started, when it ends, then the screen says so and names the audit record."""
    stage.host.log = log_lines(3)
    async with stage.open() as pilot:
        await pilot.app.run_action("app.focus_next")
        console = stage.console
        for _ in console.preflight(SLUG):
            pass
        console.dry_run(SLUG, lambda data: None, Event())
        plan = console.plan(SLUG)
        console.send(plan, plan.phrase, "")
        pilot.app.push_screen(RunScreen(SLUG, 1))
        stage.host.go_on.set()
        await until(pilot, lambda: "recorded: sent, audit record" in screen_text(pilot))
        assert "ENDED" in screen_text(pilot)
        assert "100 %" in screen_text(pilot)


async def test_an_end_that_is_not_whole_says_so(stage: Stage) -> None:
    stage.host.running([b"550 5.1.1 no such user\n"])
    stage.host.end = Counts(total=3, accepted=2, failed=1)
    async with stage.open((80, 24)) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        stage.host.go_on.set()
        await until(pilot, lambda: "not whole" in screen_text(pilot))
        assert "1 failed" in screen_text(pilot)
        assert "550 5.1.1" in screen_text(pilot)


@pytest.mark.slow
async def test_pausing_is_one_key_and_stopping_asks_twice(stage: Stage) -> None:
    stage.host.running(log_lines(3))
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 3)
        await pilot.press("f6")
        await until(pilot, lambda: stage.host.signals == [Verb.PAUSE])
        await until(pilot, lambda: pilot.app.get(SLUG).status == "PAUSED")  # type: ignore[attr-defined]
        await pilot.press("f9")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "ConfirmScreen")
        await settle(pilot)
        await pilot.press("tab", "enter")
        await settle(pilot)
        phrase = pilot.app.screen.confirmation.phrase  # type: ignore[attr-defined]
        await type_text(pilot, phrase)
        await pilot.press("enter")
        await type_text(pilot, "wrong list")
        await pilot.press("enter", "tab", "enter")
        await until(pilot, lambda: stage.host.signals == [Verb.PAUSE, Verb.CANCEL])
        assert [r.reason for r in stage.records("run-cancel")][-1] == "wrong list"


async def test_leaving_the_screen_ends_nothing(stage: Stage) -> None:
    stage.host.running(log_lines(3))
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: front(pilot).log_view.pane.shown == 3)
        assert "goes on" in front(pilot).quit_warning
        await pilot.press("slash")
        assert isinstance(pilot.app.focused, Input)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, RunScreen))
        assert stage.host.signals == []


async def test_without_a_run_it_says_so(stage: Stage) -> None:
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "No run of paul-simon-may12 is known" in screen_text(pilot))
