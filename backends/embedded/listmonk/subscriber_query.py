"""Answers the `query` of GET /api/subscribers: which subscribers a condition is true for."""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backends.embedded.listmonk.database import Database
from backends.embedded.listmonk.sql import BadQuery, Call, Column, From, Select, Value, parsed

__all__ = ["BadQuery", "matching"]

Row = Mapping[str, Any]
Bound = dict[str, tuple[str, Row]]  # by alias: the table and its row

COLUMNS = {
    "subscribers": ("id", "uuid", "email", "name", "status", "created_at", "updated_at"),
    "lists": ("id", "uuid", "name", "type", "optin", "status", "created_at", "updated_at"),
    "subscriber_lists": ("subscriber_id", "list_id", "status", "created_at", "updated_at"),
    "campaigns": (
        *("id", "uuid", "name", "subject", "status", "type", "messenger", "send_at", "started_at", "created_at"),
        *("updated_at", "to_send", "sent", "last_subscriber_id", "max_subscriber_id", "template_id"),
    ),
    "campaign_lists": ("campaign_id", "list_id", "list_name"),
    "bounces": ("id", "type", "source", "created_at", "subscriber_id", "campaign_id"),
    "campaign_views": ("campaign_id", "subscriber_id", "created_at"),
    "links": ("id", "url"),
    "link_clicks": ("campaign_id", "subscriber_id", "created_at"),
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip


def matching(database: Database, query: str) -> set[int]:
    """Ids of the subscribers it is true for. Raises BadQuery."""
    tree = parsed(query)
    run = _Run(database)
    run.check(tree, {"subscribers": "subscribers"})
    try:
        return {
            number
            for number, row in run.rows("subscribers")
            if run.value(tree, {"subscribers": ("subscribers", row)}) is True
        }
    except TypeError as error:
        raise BadQuery(f"pq: operator does not exist: {error}") from error


class _Run:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables: dict[str, list[Row]] = {}
        self._indexes: dict[tuple[str, str], dict[Any, list[Row]]] = {}

    def check(self, tree: Any, known: Mapping[str, str]) -> None:
        """Every table and column is there. `known` are the tables by alias. Raises BadQuery."""
        if isinstance(tree, Column):
            _column(tree, known)
        elif isinstance(tree, Call):
            for part in tree.of:
                self.check(part, known)
        elif isinstance(tree, Select):
            inner = dict(known)
            for one in tree.tables:
                if one.table not in COLUMNS:
                    raise BadQuery(f"table '{one.table}' is not allowed")
                inner[one.alias] = one.table
                if one.on is not None:
                    self.check(one.on, inner)
            self.check(tree.where, inner)
            self.check(tree.column, inner)

    def rows(self, table: str) -> Iterator[tuple[Any, Row]]:
        for row in self._table(table):
            yield row.get("id"), row

    def value(self, tree: Any, bound: Bound) -> Any:
        """None is SQL's NULL, in conditions too."""
        if isinstance(tree, Value):
            return tree.value
        if isinstance(tree, Column):
            alias = tree.table or _column(tree, {alias: table for alias, (table, _) in bound.items()})
            return bound[alias][1][tree.name]
        if isinstance(tree, Select):
            found = self._selected(tree, bound)
            return next(found, None) is not None if tree.exists else next(found, (None,))[0]
        return self._called(tree, bound)

    def _called(self, tree: Call, bound: Bound) -> Any:
        if tree.what == "and":
            return self._all(tree, bound, stop=False)
        if tree.what == "or":
            return self._all(tree, bound, stop=True)
        first = self.value(tree.of[0], bound)
        if tree.what == "not":
            return None if first is None else not first
        if tree.what == "isnull":
            return first is None
        if tree.what == "in":
            return None if first is None else first in self._members(tree.of[1:], bound)
        second = self.value(tree.of[1], bound)
        return None if first is None or second is None else COMPARE[tree.what](first, second)

    def _all(self, tree: Call, bound: Bound, *, stop: bool) -> bool | None:
        unknown = False
        for part in tree.of:
            value: bool | None = self.value(part, bound)
            if value is stop:
                return stop
            unknown = unknown or value is None
        return None if unknown else not stop

    def _members(self, parts: tuple[Any, ...], bound: Bound) -> list[Any]:
        if isinstance(parts[0], Select):
            return [found[0] for found in self._selected(parts[0], bound)]
        return [self.value(part, bound) for part in parts]

    def _selected(self, select: Select, bound: Bound) -> Iterator[tuple[Any]]:
        conditions = [*_parts(select.where)]
        for one in select.tables:
            conditions += _parts(one.on) if one.on is not None else []
        for inner in self._joined(select.tables, conditions, dict(bound)):
            if self.value(select.where, inner) is True:
                yield (self.value(select.column, inner),)

    def _joined(self, tables: tuple[From, ...], conditions: list[Any], bound: Bound) -> Iterator[Bound]:
        if not tables:
            yield bound
            return
        one = tables[0]
        for row in self._candidates(one, conditions, bound):
            inner = {**bound, one.alias: (one.table, row)}
            if one.on is None or self.value(one.on, inner) is True:
                yield from self._joined(tables[1:], conditions, inner)

    def _candidates(self, one: From, conditions: list[Any], bound: Bound) -> list[Row]:
        """Rows of the table; where a condition names one of its columns' value, only those."""
        for condition in conditions:
            if isinstance(condition, Call) and condition.what == "=":
                for own, other in (condition.of, condition.of[::-1]):
                    if isinstance(own, Column) and own.table == one.alias and _known(other, bound):
                        return self._index(one.table, own.name).get(self.value(other, bound), [])
        return self._table(one.table)

    def _index(self, table: str, column: str) -> dict[Any, list[Row]]:
        if (table, column) not in self._indexes:
            index = self._indexes[table, column] = {}
            for row in self._table(table):
                index.setdefault(row[column], []).append(row)
        return self._indexes[table, column]

    def _table(self, name: str) -> list[Row]:
        if name not in self._tables:
            self._tables[name] = [{column: row[column] for column in COLUMNS[name]} for row in self._raw(name)]
        return self._tables[name]

    def _raw(self, name: str) -> Iterator[Row]:
        base = self._database
        match name:
            case "subscriber_lists":
                yield from (_dict(row, name) for members in base.members.values() for row in members.values())
            case "campaign_lists":
                for campaign in base.campaigns.values():
                    for of in campaign.lists:
                        yield {"campaign_id": campaign.id, "list_id": of.list_id, "list_name": of.name}
            case "bounces":
                yield from (_dict(row, name) for row in base.bounces)
            case "subscribers" | "lists" | "campaigns":
                rows: Mapping[int, Any] = getattr(base, name)
                yield from (_dict(row, name) for row in rows.values())


def _dict(row: Any, table: str) -> Row:
    return {column: getattr(row, column) for column in COLUMNS[table]}


def _parts(tree: Any) -> list[Any]:
    return list(tree.of) if isinstance(tree, Call) and tree.what == "and" else [tree]


def _known(tree: Any, bound: Bound) -> bool:
    return isinstance(tree, Value) or (isinstance(tree, Column) and tree.table in bound)


def _column(column: Column, known: Mapping[str, str]) -> str:
    """The alias it belongs to. Raises BadQuery."""
    if column.table:
        if column.table not in known:
            raise BadQuery(f'pq: missing FROM-clause entry for table "{column.table}"')
        if column.name not in COLUMNS[known[column.table]]:
            raise BadQuery(f"pq: column {column.table}.{column.name} does not exist")
        return column.table
    owners = [alias for alias, table in known.items() if column.name in COLUMNS[table]]
    if not owners:
        raise BadQuery(f'pq: column "{column.name}" does not exist')
    return owners[-1]  # the innermost; two of one scope would be ambiguous there
