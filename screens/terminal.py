"""A terminal that may vanish: a dropped ssh, a closed window, a killed tmux.

Textual's writer thread dies at the first write to a terminal that is gone; its queue then fills up and the event
loop waits in it for ever, deaf to signals, while the input thread reads the end of the file as fast as it can.
Here what can't be written is thrown away, and the app is told to leave.
"""

from collections.abc import Callable
from typing import IO

from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread

_on_gone: list[Callable[[], object]] = []


def when_gone(leave: Callable[[], object]) -> None:
    """Call `leave`, from the writer's thread, when the terminal can't be written to any more."""
    _on_gone.append(leave)


class _Writer(WriterThread):
    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._file = _Quiet(file)  # type: ignore[assignment]


class _Quiet:
    """The terminal's file, until it fails; from then on nothing."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._gone = file, False

    def write(self, text: str) -> None:
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        self._try(self._file.flush)

    def fileno(self) -> int:
        return self._file.fileno()

    def _try(self, act: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            act()
        except (OSError, ValueError):
            self._gone = True
            for leave in _on_gone:
                leave()


# Before any app starts its driver, which offers no other way in. Textual is pinned exactly.
linux_driver.WriterThread = _Writer  # type: ignore[attr-defined]
