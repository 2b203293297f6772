"""The run screen tells how a run goes on and why it waits, and its keys tell the run how to go on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from opsconsole.observation import Going
from opsconsole.wishes import Wish
from screens.confirm import ConfirmScreen
from screens.rateform import RateForm
from screens.run import RunScreen, head
from tests.screens.hands import settle, type_text
from tests.screens.stage import SLUG, Stage, screen_text, until

SIZES = [(80, 24), (160, 50)]
OBEYS = ("pause", "resume", "cancel", "rate", "account")
TOLD: dict[str, Any] = {
    "v": 1,
    "t": "2026-05-12T17:52:03.000+00:00",
    "state": "window",
    "total": 2601,
    "accepted": 1587,
    "failed": 16,
    "unknown": 2,
    "deferred": 5,
    "suppressed": 12,
    "inflight": 3,
    "rate": 18.0,
    "rate_1s": 18.2,
    "rate_30s": 17.9,
    "eta_s": 57,
    "rate_limit": 20,
    "account": "fallback",
    "last_error": {"code": 552, "class": "mailbox-full", "text": "5.2.2 <bob@example.com> is full", "n": 2},
    "classes": {"no-such-user": 9, "mailbox-full": 4, "blocked": 3},
    "why": "waiting for the window, opens at 09:00 Europe/London (08:00 UTC), 3 still in flight",
}
SHOWN = (
    "61 %  1,605 of 2,601",
    "16 failed",
    "2 unknown",
    "5 to be tried again",
    "12 suppressed",
    "18.2/s, over 30 s 17.9/s",
    "57 s left",
    "limit 20/s",
    "fallback account",
    "9 no-such-user",
    "4 mailbox-full",
    "3 blocked",
    "552 mailbox-full: 5.2.2 <b•••@example.com> is full (2 times)",
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def running(stage: Stage, *told: dict[str, Any], controls: tuple[str, ...] = OBEYS) -> None:
    stage.host.running([json.dumps(line).encode() + b"\n" for line in told])
    assert stage.host.run is not None
    going = Going(rate_limit="20", account="main", controls=controls)
    stage.host.run = replace(stage.host.run, rate=18.0, going=going)


def head_of(pilot: Any) -> str:
    """What stands over the log."""
    return head(pilot.app.screen.attachment, None, {}, 120).plain


@pytest.mark.parametrize("size", SIZES)
async def test_all_that_the_runner_tells_is_on_the_screen_and_nothing_is_cut_off(
    stage: Stage, size: tuple[int, int]
) -> None:
    running(stage, TOLD)
    async with stage.open(size) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "no-such-user" in screen_text(pilot))
        text = screen_text(pilot)
        assert [words for words in SHOWN if words not in text] == []
        assert TOLD["why"] in " ".join(line.strip() for line in text.splitlines()[:14])
        assert "bob@" not in text


@pytest.mark.slow
async def test_a_run_that_goes_on_waits_for_nothing_any_more(stage: Stage) -> None:
    sending = {k: v for k, v in TOLD.items() if k != "why"} | {"state": "sending", "classes": {}}
    running(stage, TOLD, sending)
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "57 s left" in screen_text(pilot))
        assert "by class" not in head_of(pilot)
        assert "waiting for the window" not in head_of(pilot)


@pytest.mark.slow
async def test_a_runner_that_tells_less_is_shown_with_what_it_tells(stage: Stage) -> None:
    running(stage, {"v": 1, "state": "sending", "total": 2601, "accepted": 1587, "rate": 41.5, "eta_s": 24})
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: "41.5/s" in screen_text(pilot))
        assert "24 s left" in head_of(pilot)
        for word in ("over 30 s", "by class", "limit", "account", "suppressed"):
            assert word not in head_of(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_another_rate_is_asked_for_in_a_form_and_faster_needs_a_reason(
    stage: Stage, size: tuple[int, int]
) -> None:
    running(stage)
    async with stage.open(size) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(pilot.app.screen, RateForm))
        form = pilot.app.screen
        for words in ("limit now   20 a second", "it goes at  18.0 a second", "escape leaves, nothing done"):
            await until(pilot, lambda words=words: words in screen_text(pilot))
        await type_text(pilot, "fast")
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: "'fast' is no rate" in screen_text(pilot))
        form.query_one("#rate", Input).value = "50"
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: "say in a few words why" in screen_text(pilot))
        assert stage.host.steered == []
        await type_text(pilot, "agreed")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: stage.host.steered == [(Wish.RATE, "50")])
        await until(pilot, lambda: len(stage.records("run-rate")) == 2)
        intent = stage.records("run-rate")[-1]
        assert (intent.detail["was"], intent.detail["to"], intent.reason) == ("20", "50", "agreed")


@pytest.mark.slow
async def test_another_account_is_asked_for_twice(stage: Stage) -> None:
    running(stage)
    async with stage.open((80, 24)) as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
        await until(pilot, lambda: "the main account, then the fallback account" in screen_text(pilot))
        await settle(pilot)
        await pilot.press("tab", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ConfirmScreen)
        await type_text(pilot, screen.confirmation.phrase)
        await pilot.press("enter")
        await type_text(pilot, "blocked")
        await pilot.press("enter", "tab", "enter")
        await until(pilot, lambda: stage.host.steered == [(Wish.ACCOUNT, "fallback")])
        await until(pilot, lambda: len(stage.records("run-account")) == 2)


@pytest.mark.slow
async def test_keys_an_older_runner_would_not_understand_say_so(stage: Stage) -> None:
    running(stage, controls=("pause", "resume", "cancel"))
    async with stage.open() as pilot:
        pilot.app.push_screen(RunScreen(SLUG, None))
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        for key in ("f8", "f4"):
            await pilot.press(key)
        await until(pilot, lambda: screen_text(pilot).count("a newer runner can") == 2)
        assert isinstance(pilot.app.screen, RunScreen)
        assert stage.host.steered == []
