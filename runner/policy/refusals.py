"""Refusals of the sender (5xx to MAIL or DATA): about one mail, or about all of them?"""

import re
from dataclasses import dataclass

from runner.run.backlog import Item

ENOUGH = 10  # the same answer so many times in a row: it is not about the mails


@dataclass(frozen=True, slots=True)
class Refusal:
    item: Item
    code: int
    text: str

    @property
    def likeness(self) -> tuple[int, str]:
        """Equal for answers that differ only in numbers, such as queue ids."""
        return self.code, re.sub(r"\d+", "#", self.text)


class Refusals:
    """Mails whose sender was refused, kept aside until it is clear whose fault it was."""

    def __init__(self) -> None:
        self._kept: list[Refusal] = []

    def fits(self, refusal: Refusal) -> bool:
        """Is it the same answer as those kept?"""
        return not self._kept or self._kept[-1].likeness == refusal.likeness

    def keep(self, refusal: Refusal) -> bool:
        """Keep one more; True when it is enough to stop and ask a person."""
        self._kept.append(refusal)
        return len(self._kept) >= ENOUGH

    def take_all(self) -> list[Refusal]:
        kept, self._kept = self._kept, []
        return kept
