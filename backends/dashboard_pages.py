"""All rows of a list that a dashboard gives in pages: by number, by a link to the next, or in one answer."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from backends.rest import Purpose, Rest
from opsconsole.mapping import MappingError, reader
from opsconsole.ports import OutOfReach, Trouble
from opsconsole.settings import DashboardCampaigns, DashboardTasks

MOST_PAGES: Final = 250


@dataclass(slots=True)
class Listed:
    """The rows, the answers they were taken from, and what is odd about them."""

    rows: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


class Pages:
    """One list of a dashboard, as its table in the configuration says."""

    def __init__(self, rest: Rest, table: DashboardCampaigns | DashboardTasks, what: str, purpose: Purpose) -> None:
        self._rest, self._table, self._what, self._purpose = rest, table, what, purpose
        self._rows, self._next, self._total = reader(table.rows), reader(table.next), reader(table.total)

    def first(self, deadline: float | None = None) -> Listed:
        """The first page alone."""
        listed = Listed()
        self._page(self._numbered(1), listed, deadline)
        return listed

    def all(self, deadline: float | None = None) -> Listed:
        """Every page. Raises Trouble where one can't be had, or where they have no end."""
        listed, address, been = Listed(), self._numbered(1), set[str]()
        before: list[Any] = []
        first = total = None
        for number in range(2, MOST_PAGES + 2):
            been.add(address)
            page = self._page(address, listed, deadline)
            first = len(page) if first is None else first
            total = self._count(listed.answers[-1])
            if self._table.next:
                link = self._take(self._next, "next", listed.answers[-1])
                if not link:
                    break
                address = self._rest.beside(address, str(link), self._purpose)
                if address in been:
                    raise self._trouble("its next links lead round in a circle", "Check `next` in the config.")
            elif "{page}" not in self._table.path or not page:
                break
            elif page == before:
                raise self._trouble("every page has the same rows", "Check {page} in the path.")
            elif len(listed.rows) >= total if total is not None else len(page) < first:
                break
            else:
                before, address = page, self._numbered(number)
        else:
            raise self._trouble(f"it has no end, after {MOST_PAGES} pages", "Check its table in the config.")
        if total is not None and total > len(listed.rows):
            text = (
                f"The dashboard counts {total:,} {self._what} and gave {len(listed.rows):,}: some may be missing."
            )
            listed.findings.append(text)
        return listed

    def _numbered(self, number: int) -> str:
        path = self._table.path.replace("{page_size}", str(self._table.page_size))
        return self._rest.address(path.replace("{page}", str(number)))

    def _page(self, address: str, listed: Listed, deadline: float | None) -> list[Any]:
        try:
            document = self._rest.get(address, self._purpose, deadline)
        except OutOfReach as error:
            if deadline is None or time.monotonic() < deadline:
                raise
            what = (
                f"{self._purpose.doing} failed: it took too long as a whole, {len(listed.rows):,} rows were read."
            )
            raise OutOfReach(
                what, error.means, "Raise `timeout` in its table, or let it give larger pages."
            ) from None
        rows = self._take(self._rows, "rows", document)
        if not isinstance(rows, list):
            raise self._trouble(f"there is no list of rows under {self._table.rows}", "Check `rows` and the url.")
        listed.answers.append(document)
        listed.rows += rows
        return rows

    def _count(self, document: Any) -> int | None:
        total = self._take(self._total, "total", document)
        return total if isinstance(total, int) and not isinstance(total, bool) else None

    def _take(self, read: Any, key: str, document: Any) -> Any:
        try:
            return read(document)
        except MappingError as error:
            raise self._trouble(f"`{key}` {error}", "Check it in the config.") from None

    def _trouble(self, why: str, mend: str) -> Trouble:
        what = f"{self._purpose.doing} failed: in its list of {self._what}, {why}."
        return Trouble(what, self._purpose.means, mend)
