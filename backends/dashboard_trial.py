"""The mapping tried on real rows: of each field, in how many rows it was found, and whether it could be used."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from backends.dashboard_pages import Pages
from backends.dashboard_rows import Rows, Tasks, taken
from opsconsole.campaign import is_slug
from opsconsole.mapping import Reader, reader
from opsconsole.ports import Tried

NEVER: Final = 'in no row: mend the expression, or say "" where the dashboard has none'


def trial(rows: Rows, campaigns: Pages, tasks: Pages | None, now: datetime) -> tuple[Tried, ...]:
    """One answer a field. Raises Trouble when a first page can't be had."""
    first = campaigns.first().rows
    tried = [*_fields("campaigns", rows.campaign, first, _unusable(rows, first, now))]
    if tasks is not None:
        first = tasks.first().rows
        nameless = sum(rows.read_task(raw) is None for raw in first)
        tried += _fields("tasks", rows.task, first, {"token": f"{nameless} rows are no task"} if nameless else {})
    return tuple(tried)


def _fields(
    table: str, expressions: Mapping[str, str], rows: list[Any], unusable: Mapping[str, str]
) -> list[Tried]:
    return [
        Tried(
            table=table,
            field=field,
            expression=expression,
            rows=len(rows),
            found=(found := _found(reader(expression), rows)),
            trouble=unusable.get(field, "") or (NEVER if rows and not found else ""),
        )
        for field, expression in expressions.items()
        if expression
    ]


def _found(read: Reader, rows: list[Any]) -> int:
    return sum(taken(read, raw) not in (None, "") for raw in rows)


def _unusable(rows: Rows, raws: list[Any], now: datetime) -> dict[str, str]:
    """By field, what of it can't be used, with the first reason."""
    counts: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    strange: Counter[str] = Counter()
    nameless = 0
    for raw in raws:
        slug = rows.slug(raw)
        nameless += not (isinstance(slug, str) and is_slug(slug))
        seen = rows.read(slug if isinstance(slug, str) else "", raw, Tasks(), now)
        for problem in seen.details.problems:
            _, expression, why = problem.split(": ", 2)
            counts[expression] += 1
            reasons.setdefault(expression, why)
        status = rows.status(raw)
        if status and not rows.meaning(status):
            strange[status[:40]] += 1
    found = {
        field: f"{counts[expression]} can't be used, such as: {reasons[expression]}"
        for field, expression in rows.campaign.items()
        if counts[expression]
    }
    if strange:
        words = ", ".join(f"{word!a} ({count})" for word, count in strange.most_common(5))
        found["status"] = f"statuses has no meaning for {words}"
    if nameless:
        found["slug"] = f"{nameless} can't be a campaign's slug (a-z, 0-9, dot, dash, underscore)"
    return found
