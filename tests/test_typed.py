"""The phrase on a terminal: what a hand types passes; what is pasted, typed ahead or held doesn't."""

import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from opsconsole.commands.keys import Pasted, typed_phrase
from opsconsole.deliberate import SETTLE

PHRASE = "paul-simon-may12 2601"
READ = 2 * SETTLE  # seconds in which somebody has read the question


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """(the hand's end, the program's end) of a terminal."""
    hand, program = pty.openpty()
    yield hand, program
    os.close(hand)
    os.close(program)


def hand(fd: int, act: Callable[[Callable[[str], None]], None]) -> threading.Thread:
    def write(text: str) -> None:
        os.write(fd, text.encode())

    thread = threading.Thread(target=act, args=(write,), daemon=True)
    thread.start()
    return thread


def types(text: str, pause: float = 0.15) -> Callable[[Callable[[str], None]], None]:
    def act(write: Callable[[str], None]) -> None:
        time.sleep(READ)
        for key in text:
            write(key)
            time.sleep(pause)
        time.sleep(0.4)
        write("\r")

    return act


@pytest.mark.slow
def test_what_a_hand_types_is_taken_with_its_corrections(terminal: tuple[int, int]) -> None:
    hand(terminal[0], types("sprimg\x7f\x7fng 26"))
    assert typed_phrase("Type it: ", terminal[1]) == "spring 26"


@pytest.mark.parametrize(
    "text",
    [f"{PHRASE}\r", f"\x1b[200~{PHRASE}\x1b[201~\r", f"\x1b[200~{PHRASE}\r\x1b[201~"],
    ids=["at once", "in brackets", "a line in brackets"],
)
def test_what_is_pasted_is_refused(terminal: tuple[int, int], text: str) -> None:
    def paste(write: Callable[[str], None]) -> None:
        time.sleep(READ)
        write(text)

    hand(terminal[0], paste)
    with pytest.raises(Pasted):
        typed_phrase("Type it: ", terminal[1])


def test_what_was_typed_before_the_question_is_no_answer_to_it(terminal: tuple[int, int]) -> None:
    os.write(terminal[0], f"{PHRASE}\r".encode())
    time.sleep(0.05)

    def gives_up(write: Callable[[str], None]) -> None:
        time.sleep(READ)
        write("\x04")

    hand(terminal[0], gives_up)
    assert typed_phrase("Type it: ", terminal[1]) == ""


@pytest.mark.slow
def test_the_terminal_is_left_as_it_was(terminal: tuple[int, int]) -> None:
    import termios

    before = termios.tcgetattr(terminal[1])
    hand(terminal[0], types("x"))
    typed_phrase("Type it: ", terminal[1])
    assert termios.tcgetattr(terminal[1]) == before


def test_a_refused_paste_is_on_record_and_nothing_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from opsconsole.commands import common, keys
    from opsconsole.safety import Confirmation

    noted: list[tuple[str, ...]] = []

    class Noting:
        def note_refused_paste(self, *what: str) -> None:
            noted.append(what)

    def pasted(prompt: str) -> str:
        raise Pasted

    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"opsconsole.commands.common.sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.setattr(common.click, "confirm", lambda *_, **__: True)
    monkeypatch.setattr(keys, "typed_phrase", pasted)
    asked = Confirmation(action="send", title="Send it", lines=(), phrase=PHRASE, environment="PROD", danger=True)
    with pytest.raises(SystemExit) as left:
        common.ask_twice(Noting(), "paul-simon-may12", asked)  # type: ignore[arg-type]
    assert left.value.code == common.REFUSED
    assert noted == [("paul-simon-may12", "send", "terminal")]


def test_asking_on_a_terminal_loads_no_screens() -> None:
    code = "import sys, opsconsole.commands.keys; print('textual' in sys.modules or 'screens' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "False"
