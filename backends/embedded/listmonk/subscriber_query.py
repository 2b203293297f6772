"""Answers the `query` of GET /api/subscribers: which subscribers a condition is true for."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from backends.embedded.listmonk.database import Database
from backends.embedded.listmonk.sql import BadQuery, Call, Column, From, Select, Value, parsed

__all__ = ["BadQuery", "matching"]

Row = Mapping[str, Any]
Bound = dict[str, Row]  # by alias
Asked = Callable[[Bound], Any]

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
    run = _Run(database)
    holds = run.made(parsed(query), {"subscribers": "subscribers"})
    try:
        return {row["id"] for row in run.table("subscribers") if holds({"subscribers": row}) is True}
    except TypeError as error:
        raise BadQuery(f"pq: operator does not exist: {error}") from error


class _Run:
    """Makes a function of each part of a tree, once: they are called for every subscriber."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables: dict[str, list[Row]] = {}
        self._indexes: dict[tuple[str, str], dict[Any, list[Row]]] = {}

    def made(self, tree: Any, known: Mapping[str, str]) -> Asked:
        """What it is of the rows that are bound; None is SQL's NULL, in conditions too.

        `known` are the tables by alias. Raises BadQuery for a table or column that isn't there.
        """
        if isinstance(tree, Value):
            value = tree.value
            return lambda bound: value
        if isinstance(tree, Column):
            alias, name = _owner(tree, known), tree.name
            return lambda bound: bound[alias][name]
        if isinstance(tree, Select):
            selected = self._selected(tree, known)
            if tree.exists:
                return lambda bound: next(selected(bound), None) is not None
            return lambda bound: next(selected(bound), (None,))[0]
        return self._called(tree, known)

    def _called(self, tree: Call, known: Mapping[str, str]) -> Asked:
        if tree.what == "in" and isinstance(tree.of[1], Select):
            first, selected = self.made(tree.of[0], known), self._selected(tree.of[1], known)
            return lambda bound: _among(first(bound), (found[0] for found in selected(bound)))
        parts = [self.made(part, known) for part in tree.of]
        match tree.what:
            case "and":
                return lambda bound: _all(parts, bound, stop=False)
            case "or":
                return lambda bound: _all(parts, bound, stop=True)
            case "not":
                return lambda bound: None if (value := parts[0](bound)) is None else not value
            case "isnull":
                return lambda bound: parts[0](bound) is None
            case "in":
                return lambda bound: _among(parts[0](bound), (part(bound) for part in parts[1:]))
        compare, (left, right) = COMPARE[tree.what], parts
        return lambda bound: _compared(compare, left(bound), right(bound))

    def _selected(self, select: Select, known: Mapping[str, str]) -> Callable[[Bound], Iterator[tuple[Any]]]:
        conditions = _parts(select.where)
        for one in select.tables:
            conditions += _parts(one.on) if one.on is not None else []
        inner, steps = dict(known), []
        for one in select.tables:
            if one.table not in COLUMNS:
                raise BadQuery(f"table '{one.table}' is not allowed")
            candidates = self._candidates(one, conditions, dict(inner))
            inner[one.alias] = one.table
            steps.append((one.alias, candidates, None if one.on is None else self.made(one.on, inner)))
        where, column = self.made(select.where, inner), self.made(select.column, inner)

        def joined(bound: Bound, depth: int) -> Iterator[Bound]:
            if depth == len(steps):
                yield bound
                return
            alias, candidates, on = steps[depth]
            for row in candidates(bound):
                further = {**bound, alias: row}
                if on is None or on(further) is True:
                    yield from joined(further, depth + 1)

        return lambda bound: ((column(found),) for found in joined(bound, 0) if where(found) is True)

    def _candidates(
        self, one: From, conditions: list[Any], known: Mapping[str, str]
    ) -> Callable[[Bound], list[Row]]:  # fmt: skip
        """Rows of the table; where a condition names the value of one of its columns, only those."""
        for condition in conditions:
            if isinstance(condition, Call) and condition.what == "=":
                for own, other in (condition.of, condition.of[::-1]):
                    if isinstance(own, Column) and own.table == one.alias and _known(other, known):
                        _owner(own, {one.alias: one.table})
                        index, value = self._index(one.table, own.name), self.made(other, known)
                        return lambda bound: index.get(value(bound), [])
        rows = self.table(one.table)
        return lambda bound: rows

    def _index(self, table: str, column: str) -> dict[Any, list[Row]]:
        if (table, column) not in self._indexes:
            index = self._indexes[table, column] = {}
            for row in self.table(table):
                index.setdefault(row[column], []).append(row)
        return self._indexes[table, column]

    def table(self, name: str) -> list[Row]:
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


def _all(parts: list[Asked], bound: Bound, *, stop: bool) -> bool | None:
    unknown = False
    for part in parts:
        value: bool | None = part(bound)
        if value is stop:
            return stop
        unknown = unknown or value is None
    return None if unknown else not stop


def _among(value: Any, others: Iterable[Any]) -> bool | None:
    """IN: a NULL among the others leaves open what isn't found."""
    if value is None:
        return None
    found = list(others)
    if value in found:
        return True
    return None if None in found else False


def _compared(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool | None:
    return None if left is None or right is None else compare(left, right)


def _dict(row: Any, table: str) -> Row:
    return {column: getattr(row, column) for column in COLUMNS[table]}


def _parts(tree: Any) -> list[Any]:
    return list(tree.of) if isinstance(tree, Call) and tree.what == "and" else [tree]


def _known(tree: Any, bound: Mapping[str, str]) -> bool:
    return isinstance(tree, Value) or (isinstance(tree, Column) and tree.table in bound)


def _owner(column: Column, known: Mapping[str, str]) -> str:
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
