"""Drills 1 and 9 in a real terminal: the program in tmux, its keys typed, its screen read back."""

import os
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.drills.test_drill_01_paul_simon import check_all_of_it_went_out_once
from tests.support.world import RealWorld

pytestmark = [pytest.mark.slow, pytest.mark.needs("tmux"), pytest.mark.timeout(300)]

SLUG, PHRASE = "paul-simon-may12", "paul-simon-may12 2601"


class Terminal:
    """A tmux server of our own on a private socket, with one window."""

    def __init__(self, world: RealWorld) -> None:
        self._world, self._socket = world, ""

    def open(self) -> None:
        """The program in a new window, of a server that isn't just ending with its last one."""
        self.close()
        self._socket = f"opsconsole-{secrets.token_hex(4)}"
        program = [sys.executable, "-m", "opsconsole.cli", "--config", str(self._world.config_path)]
        environment = ["-e", "TERM=tmux-256color", "-e", "COLORTERM=truecolor", "-e", "LANG=C.UTF-8"]
        self._tmux("new-session", "-d", "-x", "140", "-y", "45", *environment, f"exec {shlex.join(program)}")

    def kill_program(self) -> None:
        """kill -9, as by a lid that was closed for good."""
        os.kill(int(self._tmux("list-panes", "-F", "#{pane_pid}")), 9)

    def press(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.4)

    def types(self, text: str) -> None:
        """Key by key, as fingers do."""
        for char in text:
            self._tmux("send-keys", "-l", char)
            time.sleep(0.02)
        time.sleep(0.3)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def sees(self, *texts: str, seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while not all(text in (shown := self.screen()) for text in texts):
            assert time.monotonic() < end, f"waiting for {texts}; the terminal shows\n{shown}"
            time.sleep(0.2)

    def close(self) -> None:
        if self._socket:
            subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)

    def _tmux(self, *args: str) -> str:
        done = subprocess.run(["tmux", "-L", self._socket, *args], capture_output=True, check=True, timeout=20)
        return done.stdout.decode()


@pytest.fixture
def terminal(world: RealWorld) -> Iterator[Terminal]:
    made = Terminal(world)
    yield made
    made.close()


def up_to_the_send(terminal: Terminal) -> None:
    terminal.open()
    terminal.sees("OVERDUE", SLUG, "●")
    terminal.press("/")
    terminal.types(SLUG)
    terminal.press("Enter")
    terminal.sees("t-9a8cae17", "never started")
    terminal.press("p")
    terminal.sees("nothing forbids a send")
    terminal.press("d")
    terminal.sees("2,601 counted", "S sends exactly this")
    terminal.press("S")
    terminal.sees("Send paul-simon-may12 to 2,601 people", "1 of 2")
    time.sleep(0.8)
    terminal.press("Tab", "Enter")
    terminal.sees("2 of 2")
    time.sleep(0.8)
    terminal.types(PHRASE)
    terminal.press("Tab", "Tab", "Tab", "Enter")


def test_drill_1_by_hand(world: RealWorld, terminal: Terminal) -> None:
    up_to_the_send(terminal)
    terminal.sees("SENDING")
    terminal.sees("ENDED", "2,601 recipients processed", "recorded in dashboard")
    terminal.press("Escape", "Escape", "Escape")
    terminal.sees("SENT")
    check_all_of_it_went_out_once(world)


def test_drill_9_killed_in_the_middle_and_opened_again(world: RealWorld, terminal: Terminal) -> None:
    world.sink.pace = 0.03
    up_to_the_send(terminal)
    terminal.sees("SENDING", "of 2,601")
    terminal.kill_program()
    so_far = len(world.sent_to())
    assert so_far < 2601
    terminal.close()

    terminal.open()
    terminal.sees(f"{world.server.user}@127.0.0.1")  # read from the live connection, not remembered
    terminal.press("/")
    terminal.types(SLUG)
    terminal.press("Enter")
    terminal.sees("SENDING", SLUG)
    terminal.press("S")
    terminal.sees("It is SENDING")
    terminal.press("a")
    terminal.sees("SENDING", "of 2,601")
    world.sink.pace = 0
    terminal.sees("ENDED", "2,601 recipients processed", "recorded in dashboard")
    terminal.press("Escape", "q")
    check_all_of_it_went_out_once(world)
