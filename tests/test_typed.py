"""The phrase on a terminal: what a hand types passes; what is pasted, typed ahead or held doesn't."""

import os
import pty
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from opsconsole.commands.keys import Pasted, typed_phrase
from screens.deliberate import SETTLE

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


def test_the_terminal_is_left_as_it_was(terminal: tuple[int, int]) -> None:
    import termios

    before = termios.tcgetattr(terminal[1])
    hand(terminal[0], types("x"))
    typed_phrase("Type it: ", terminal[1])
    assert termios.tcgetattr(terminal[1]) == before
