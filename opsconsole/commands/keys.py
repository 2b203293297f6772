"""Reads a phrase from the terminal key by key, so that pasted text and held keys don't pass as typed."""

import codecs
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable

from opsconsole.deliberate import Guard

PASTE_ON, PASTE_OFF, PASTE = "\x1b[?2004h", "\x1b[?2004l", "\x1b[200~"
LOOK_EVERY = 0.1  # seconds without a key after which the guard hears that nobody sleeps


class Pasted(Exception):
    """The phrase came faster than a hand types, or between the marks of a paste."""


def typed_phrase(prompt: str, fd: int | None = None, clock: Callable[[], float] = time.monotonic) -> str:
    """What is typed until Enter, without the blanks around it. Raises Pasted, and KeyboardInterrupt for Ctrl+C.

    `fd` is a terminal, standard input by default. What was typed ahead of the question is thrown away.
    """
    fd = sys.stdin.fileno() if fd is None else fd
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        termios.tcflush(fd, termios.TCIFLUSH)
        _say(PASTE_ON + prompt)
        guard = Guard(clock)
        guard.open(clock())
        return _read(fd, guard, clock)
    finally:
        termios.tcflush(fd, termios.TCIFLUSH)  # the rest of a paste isn't for the shell to run
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        _say(PASTE_OFF + "\n")


def _read(fd: int, guard: Guard, clock: Callable[[], float]) -> str:
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    text = ""
    while True:
        if not select.select([fd], [], [], LOOK_EVERY)[0]:
            guard.beat()
            continue
        data, at = decode(os.read(fd, 4096)), clock()
        if PASTE in data:
            raise Pasted
        if data.startswith("\x1b"):
            continue  # an arrow or a function key
        for key in data:
            if key in "\r\n":
                if guard.accepts("enter", at):
                    return text.strip()
            elif key == "\x04":
                return ""
            elif key == "\x15":
                _say("\b \b" * len(text))
                text = ""
            elif key in "\x7f\b":
                _say("\b \b" if text else "")
                text = text[:-1]
            elif key.isprintable():
                settled = guard.settled(at)
                if guard.pasted(key, at):
                    raise Pasted
                if settled:
                    text += key
                    _say(key)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
