"""How another system's JSON is read by our names: JMESPath expressions, compiled once, and what is wrong with them.

Plain dotted names, which most mappings are made of, need no library and are read at once.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from opsconsole.settings import Dashboard, DashboardCampaigns, DashboardTasks

Reader = Callable[[Any], Any]
NOT_FIELDS = frozenset({"path", "rows", "next", "total", "page_size", "statuses", "done"})
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

# What a status that was written must be read back as: a mapping that forgets is found out before a send, not after.
READS_BACK = {
    "sent": ("sent",),
    "partial": ("sent",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "draft": ("draft",),
}


class MappingError(ValueError):
    """An expression that can't be used, or can't be applied to what came; the text says why."""


@cache
def reader(expression: str) -> Reader:
    """What takes the value of `expression` out of JSON values; None is "not there", as is everything under "".

    Raises MappingError for what isn't JMESPath; so does the reader for values the expression can't be applied to.
    """
    if not expression:
        return lambda document: None
    if expression == "@":
        return lambda document: document
    if _PLAIN.fullmatch(expression):
        return _plain(tuple(expression.split(".")))
    from jmespath import compile as compiled
    from jmespath.exceptions import JMESPathError
    from jmespath.functions import Functions

    try:
        parsed = compiled(expression)
    except (JMESPathError, RecursionError) as error:
        said = " ".join((str(error).splitlines() or ["nested too deeply"])[0].split())
        raise MappingError(f"{expression[:80]!r} is no JMESPath expression: {said}") from None
    for name in _functions(parsed.parsed):
        if name not in Functions.FUNCTION_TABLE:
            raise MappingError(f"{expression[:80]!r} calls {name}(), which JMESPath doesn't have")

    def read(document: Any) -> Any:
        try:
            return parsed.search(document)
        except (JMESPathError, ArithmeticError, AttributeError, TypeError, RecursionError) as error:
            raise MappingError(f"can't be applied to what came ({type(error).__name__})") from None

    return read


def _plain(names: tuple[str, ...]) -> Reader:
    def read(document: Any) -> Any:
        for name in names:
            if not isinstance(document, dict):
                return None
            document = document.get(name)
        return document

    return read


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield str(node["value"])
        for child in node.get("children", ()):
            yield from _functions(child)


def fields(table: DashboardCampaigns | DashboardTasks) -> dict[str, str]:
    """Our name of each field of a row → the expression that finds it, "" where the dashboard has none."""
    return {f.name: getattr(table, f.name) for f in msgspec.structs.fields(table) if f.name not in NOT_FIELDS}


def problems(dashboard: Dashboard) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with a dashboard's mapping: where under its table, and a sentence."""
    for name, table in (("campaigns", dashboard.campaigns), ("tasks", dashboard.tasks)):
        for key, expression in {
            **fields(table),
            "rows": table.rows,
            "next": table.next,
            "total": table.total,
        }.items():
            yield from _expression((name, key), expression)
        yield from _path((name, "path"), table.path, {"page", "page_size"}, optional=name == "tasks")
        if table.next and "{page}" in table.path:
            yield (name, "next"), "pages are found by a number in the path or by a next link: leave one out"
        if not 0 < table.page_size <= 10_000:
            yield (name, "page_size"), "page_size must be from 1 to 10,000"
        needed = ("slug", "status") if name == "campaigns" else ("token", "status")
        for key in needed:
            if not getattr(table, key):
                yield (name, key), f"{key} can't be empty: nothing can be read without it"
    yield from _write(dashboard)


def _write(dashboard: Dashboard) -> Iterator[tuple[tuple[str, ...], str]]:
    write = dashboard.write
    yield from _path(("write", "path"), write.path, {"slug"}, needs="slug")
    yield from _path(("write", "log"), write.log, set(), optional=True)
    for table in ("body", "entry"):
        for key, expression in getattr(write, table).items():
            yield from _expression(("write", table, *key.split(".")), expression)
        try:
            nested(getattr(write, table))
        except TypeError:
            yield ("write", table), "a key can't be both a value and an object with keys of its own"
    yield from _expression(("write", "answer"), write.answer)
    yield from _expression(("write", "log_answer"), write.log_answer)
    for ours, reads in READS_BACK.items():
        theirs = write.statuses.get(ours)  # type: ignore[call-overload]  # a Literal, looked up by a text
        here = ("write", "statuses", ours)
        if theirs is None:
            yield here, f"write.statuses has no word for {ours!r}"
        elif dashboard.campaigns.statuses.get(theirs) not in reads:
            yield here, f"{ours!r} is written as {theirs!r}, so campaigns.statuses must read that as {reads[0]!r}"


def _expression(place: tuple[str, ...], expression: str) -> Iterator[tuple[tuple[str, ...], str]]:
    try:
        reader(expression)
    except MappingError as error:
        yield place, str(error)


def _path(
    place: tuple[str, ...], path: str, known: set[str], *, needs: str = "", optional: bool = False
) -> Iterator[tuple[tuple[str, ...], str]]:
    if not path and optional:
        return
    if not path.startswith("/"):
        yield place, "a path begins with / and is added to the url"
    for name in PLACEHOLDER.findall(path):
        if name not in known:
            yield (
                place,
                f"{{{name}}} is not known here; {', '.join(f'{{{k}}}' for k in sorted(known)) or 'none'} is",
            )
    if needs and f"{{{needs}}}" not in path:
        yield place, f"the path must hold {{{needs}}}"


def nested(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as objects in objects: `{"metrics.sent": 5}` → `{"metrics": {"sent": 5}}`.

    TypeError where one is a value and an object.
    """
    whole: dict[str, Any] = {}
    for key, value in keys.items():
        *outer, last = key.split(".")
        into = whole
        for name in outer:
            into = into.setdefault(name, {})
            if not isinstance(into, dict):
                raise TypeError(key)
        if isinstance(into.get(last), dict):
            raise TypeError(key)
        into[last] = value
    return whole
