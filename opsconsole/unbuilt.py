"""A system that is configured and can't be had here: its package is missing, or refuses its table.

It stands in the board as one that doesn't answer and says why, and keeps nobody from seeing the others.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from opsconsole.observation import Report
from opsconsole.ports import Told, Trouble


class Unbuilt:
    """It may have any campaign, so nothing is taken for safe before somebody mends it."""

    def __init__(self, name: str, why: Trouble, clock: Callable[[], datetime]) -> None:
        self.name, self._why, self._clock = name, why, clock
        self._since = clock()

    def observe(self) -> Report:
        return Report(
            source=self.name,
            looked_at=self._clock(),
            fresh_for=timedelta(0),
            keeps_traces=True,
            trouble=str(self._why),
            out_of_reach_since=self._since,
        )

    def inspect(self) -> tuple[Told, ...]:
        raise self._why

    def close(self) -> None: ...
