"""What a send may have to wait for besides its rate: a window, a warm-up, its share of the account. Pure.

Gates are asked before each message, so each answers from a number it keeps.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from runner.policy.window import Window


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing may be begun now. `state` is one word for programs, `why` says it to people, `until` is when to
    ask again (Unix seconds), None where that can't be told."""

    state: str
    why: str
    until: float | None


class Gate(Protocol):
    """Something to wait for."""

    def wait(self, now: float) -> Wait | None:
        """None when a message may begin at `now` (Unix seconds)."""


WINDOW = "window"


class WindowGate:
    """The campaign's window."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._since = self._until = 0.0  # what `_wait` holds for
        self._wait: Wait | None = None

    def wait(self, now: float) -> Wait | None:
        if not self._since <= now < self._until:  # a clock may be set back, too
            self._look(now)
        return self._wait

    def _look(self, now: float) -> None:
        instant = datetime.fromtimestamp(now, UTC)
        if self._window.is_open(instant):
            self._wait = None
            self._until = self._window.closes_at(instant).timestamp()
        else:
            opens = self._window.next_opening(instant)
            self._until = opens.timestamp()
            local = opens.astimezone(self._window.zone)
            offset = f"{local:%z}"
            self._wait = Wait(
                WINDOW,
                f"waiting for the window, opens at {local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]} "
                f"({self._window.zone.key})",
                self._until,
            )
        self._since = now
