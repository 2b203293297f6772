"""The host screen: the machine, its cron table in words, and secrets told by their existence only."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsconsole.hostfacts import RunnerFact
from opsconsole.policy import Policy
from opsconsole.ports import OutOfReach
from screens.host import HostScreen, Look, say_host
from tests.screens.stage import NASTY, SLUG, Stage, screen_text, until

SIZES = [(80, 24), (160, 50)]
RUNNER = "/usr/local/bin/mail-blast-runner"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.mark.parametrize("size", SIZES)
async def test_the_machine_is_told_in_words(stage: Stage, size: tuple[int, int]) -> None:
    async with stage.open(size) as pilot:
        pilot.app.push_screen(HostScreen())
        await until(pilot, lambda: "SHA256:abc" in screen_text(pilot))
        text = screen_text(pilot)
        assert "blast@blast-mail-prod" in text
        assert "+0.2 s" in text
        assert "9.0 of 40.0 GiB free" in text
        assert "blast.conf: there, mode 0600, owner blast" in text
        assert "its content is never read" in " ".join(text.split())


def test_the_runner_there_is_told_with_whether_it_is_ours(stage: Stage) -> None:
    there = RunnerFact(path=RUNNER, there="file", sha256="a", version="0.0.9", ours=True, our_version="0.1.0")
    look = Look("blast-1", replace(stage.host.host_facts(), program=there), {}, (), "")
    text = say_host(look, Policy(), datetime.now(UTC)).plain
    assert "executable; version 0.0.9; this console comes with 0.1.0" in text


async def test_each_cron_line_says_when_it_fires_and_what_it_sends(stage: Stage) -> None:
    stage.host.cron = (
        f"0 9 12 5 * root {RUNNER} --campaign {SLUG} --mode send\n"
        f"30 6 * * 1 root {RUNNER} --campaign somebody-else --mode dry-run\n"
    ).encode()
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(HostScreen())
        await until(pilot, lambda: f"sends {SLUG}" in screen_text(pilot))
        text = screen_text(pilot)
        assert "rehearses no campaign that is known" in text
        assert "next" in text


async def test_a_file_that_cron_ignores_is_told_with_the_reason(stage: Stage) -> None:
    stage.host.cron = f"0 9 12 5 * root {RUNNER} --campaign {SLUG} --mode send".encode()  # no newline at its end
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(HostScreen())
        await until(pilot, lambda: "cron ignores all of it" in screen_text(pilot))
        assert "never" in screen_text(pilot)


async def test_processes_from_outside_are_only_text(stage: Stage) -> None:
    stage.host.cron = f"# {NASTY}\n".encode()
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(HostScreen())
        await until(pilot, lambda: "4711" in screen_text(pilot))
        text = screen_text(pilot)
        assert "[Sale] [/today] \\x1b[2Jgone" in text
        assert "\x1b" not in text


async def test_a_host_never_reached_is_told_in_lines_not_in_escapes(stage: Stage) -> None:
    def refused() -> None:
        raise OutOfReach("blast-1 refused the connection")

    stage.host.observe = refused  # type: ignore[assignment,method-assign]
    stage.host.host_facts = lambda: None  # type: ignore[assignment,method-assign,return-value]
    app = stage.app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.console_ready and app.board.sources)
        app.push_screen(HostScreen())
        await until(pilot, lambda: "The host was not read yet." in screen_text(pilot))
        assert "\\n" not in screen_text(pilot)


async def test_a_line_says_its_clocks_who_switched_it_off_and_what_is_wrong_with_it(stage: Stage) -> None:
    stage.host.cron = (
        "#opsconsole-disabled by=mara at=2026-05-12T15:30:00Z# "
        f"0 9 12 5 * root {RUNNER} --campaign {SLUG} --mode send\n"
        f"0 9 12 5 * root {RUNNER} --campaign pirate-night-2019 --mode send\n"
    ).encode()
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(HostScreen())
        await until(pilot, lambda: "switched off by mara" in screen_text(pilot))
        text = screen_text(pilot)
        assert "would fire" in text
        assert "pirate-night-2019 is no campaign on this host" in text
        assert "cron knows no year" in text
        assert "(host" in text
