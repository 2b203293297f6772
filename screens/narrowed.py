"""What the board is narrowed to and in which order it stands. No widget here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from opsconsole.board import Board
from opsconsole.verdict import Group, Verdict
from screens.widgets.rows import arrange

if TYPE_CHECKING:
    from opsconsole.filters import Query


@dataclass
class Narrowed:
    """The group and the filter; `sort` and `reverse` are the filter's until a key says otherwise."""

    group: Group | None = None
    text: str = ""
    sort: str = ""
    reverse: bool = False
    _query: "Query | None" = None

    def read(self, text: str, zone: str, now: datetime) -> None:
        """Take the filter `text`. Raises FilterError, and then everything is as it was."""
        from opsconsole.filters import parse  # the first paint has no filter

        query = parse(text, zone, now)
        before = (self._query.sort, self._query.reverse) if self._query else ("", False)
        if (query.sort, query.reverse) != before:
            self.sort, self.reverse = query.sort, query.reverse
        self.text, self._query = text, query

    def order(self, sort: str, reverse: bool) -> None:
        self.sort, self.reverse = sort, reverse

    def work(self, board: Board, zone: str, now: datetime) -> Callable[[], tuple[tuple[Verdict, ...], str]]:
        """What to do in a thread: it gives what to show, in order, and for an empty list the word nobody has."""
        if self._query is not None:  # `due:` moves on with the time
            self.read(self.text, zone, now)
        group, query, sort, reverse = self.group, self._query, self.sort, self.reverse

        def arranged() -> tuple[tuple[Verdict, ...], str]:
            found = arrange(board, group, query, sort, reverse)
            return found, query.unknown(board.verdicts) if query and not found else ""

        return arranged

    def as_text(self) -> str:
        """All of it as one filter that can be saved: the text, with the group and the order chosen by keys."""
        from opsconsole.filters import GROUPS, SORT_WORDS

        parts = [self.text] if self.text else []
        if self.group is not None:
            parts.append(f"group:{next(word for word, group in GROUPS.items() if group is self.group)}")
        asked = (self._query.sort, self._query.reverse) if self._query else ("", False)
        if self.sort and (self.sort, self.reverse) != asked:
            word = next(word for word, sort in SORT_WORDS.items() if sort == self.sort)
            parts.append(f"sort:{'-' if self.reverse else ''}{word}")
        return " ".join(parts)
