"""The one language in which a part of the board is asked for: by the screen's field, commands and views. Pure.

A query is words that must all hold: free words that occur, `key:value` conditions, and one `sort:`. `!` before a
word or a condition turns it round, a comma between values means "or", and quotation marks keep blanks together.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from opsconsole.duerange import WORDS, DueError, parse_due
from opsconsole.observation import Says
from opsconsole.ordering import SORTS, ordered
from opsconsole.verdict import Group, Status, Verdict

T = TypeVar("T")

KEYS = ("group", "status", "source", "series", "owner", "due", "text", "finding", "sort")
GROUPS = {
    "attention": Group.ATTENTION,
    "in-flight": Group.IN_FLIGHT,
    "upcoming": Group.UPCOMING,
    "done": Group.DONE,
}
STATUSES = {status.lower().replace(" ", "-"): status for status in Status}
SORT_WORDS = {"slug" if sort == "campaign" else sort: sort for sort in SORTS if sort}
NONE = "none"
"""As the value of due, series or owner: those of which nobody knows one."""

_TOKEN = re.compile(r'(?P<no>!(?=\S))?(?:(?P<key>[^\W\d_]+):)?(?:"(?P<quoted>[^"]*)"(?!\S)|(?P<plain>"[^"]*$|\S*))')
_OPEN = frozenset({"source", "series", "owner", "finding"})


class FilterError(ValueError):
    """A query that can't be read; the text says what was likely meant."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One `key:value,value`; not `wanted` when `!` stood before it."""

    key: str
    values: tuple[str, ...]
    holds: Callable[[Verdict], bool]
    wanted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to show of a board, and in which order. Without any part it shows all of it as it stands."""

    conditions: tuple[Condition, ...] = ()
    words: tuple[tuple[str, bool], ...] = ()  # case-folded, and whether it must occur or must not
    sort: str = ""  # one of ordering.SORTS
    reverse: bool = False

    def __bool__(self) -> bool:
        return bool(self.conditions or self.words or self.sort)

    def of(self, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
        """Those that hold, in the order they came in."""
        found = list(verdicts)
        for condition in self.conditions:
            holds, wanted = condition.holds, condition.wanted
            found = [verdict for verdict in found if holds(verdict) is wanted]
        if self.words:
            found = [verdict for verdict in found if self._worded(verdict)]
        return tuple(found)

    def shown(self, verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
        """Those that hold, in the order the query asks for."""
        found = self.of(verdicts)
        return ordered(found, self.sort, self.reverse) if self.sort else found

    def also(self, other: "Query") -> "Query":
        """Both; the order is the other's when it names one."""
        last = other if other.sort else self
        return Query(
            conditions=self.conditions + other.conditions,
            words=self.words + other.words,
            sort=last.sort,
            reverse=last.reverse,
        )

    def without(self, *keys: str) -> "Query":
        """The same, less its conditions on these keys."""
        return replace(self, conditions=tuple(c for c in self.conditions if c.key not in keys))

    def unknown(self, verdicts: Sequence[Verdict]) -> str:
        """A value that no campaign here has, with the one likely meant; "" when each is somebody's."""
        for condition in self.conditions:
            if condition.key in _OPEN and condition.wanted:
                known = vocabulary(condition.key, verdicts)
                for value in condition.values:
                    if value != NONE and not any(map(condition_of(condition.key, [value]).holds, verdicts)):
                        return f"No campaign here has the {condition.key} {value!r}.{_meant(value, known)}"
        return ""

    def _worded(self, verdict: Verdict) -> bool:
        text = _text(verdict)
        return all((word in text) is wanted for word, wanted in self.words)


def parse(text: str, zone: str, now: datetime) -> Query:
    """The query in `text`; its dates are read in `zone` (the operator's, IANA) at `now`. Raises FilterError."""
    query = Query()
    for token in _tokens(text):
        query = query.also(_read(token, zone, now))
    return query


def readable(text: str, zone: str, now: datetime) -> tuple[str, str]:
    """`text` less what can't be read in it, and what is wrong with that: "" when nothing is.

    For a filter that is still being typed: a half-typed condition then narrows nothing, and the others hold.
    """
    good, wrong = [], ""
    for token in _tokens(text):
        try:
            _read(token, zone, now)
            good.append(token[0])
        except FilterError as error:
            wrong = wrong or str(error)
    return " ".join(good), wrong


def _read(token: re.Match[str], zone: str, now: datetime) -> Query:
    wanted, key, word = not token["no"], (token["key"] or "").casefold(), token["quoted"]
    plain = token["plain"] or ""
    if word is None and plain.startswith('"'):
        raise FilterError(f'The quotation mark in {plain!r} is never closed: write "two words".')
    word = plain if word is None else word
    if key and key not in KEYS:
        raise _no_such_key(key)
    if key and not word:
        raise FilterError(f"{key}: what? {_example(key)}")
    if not key or key == "text":
        return Query(words=((word.casefold(), wanted),))
    if key == "sort":
        if not wanted:
            raise FilterError("To turn an order round write sort:-due.")
        sort, reverse = parse_sort(word)
        return Query(sort=sort, reverse=reverse)
    values = [word] if token["quoted"] is not None else [part for part in word.split(",") if part]
    if not values:
        raise FilterError(f"{key}: what? {_example(key)}")
    return Query(conditions=(replace(condition_of(key, values, zone, now), wanted=wanted),))


def condition_of(key: str, values: Sequence[str], zone: str = "", now: datetime | None = None) -> Condition:
    """The condition that one of `values` holds. `due` needs zone and now. Raises FilterError."""
    folded = tuple(value.strip().casefold() for value in values)
    match key:
        case "group":
            groups = frozenset(_one_of(value, GROUPS, "group") for value in folded)
            return Condition(key, folded, lambda v: v.group in groups)
        case "status":
            statuses = frozenset(_one_of(value, STATUSES, "status") for value in folded)
            return Condition(key, folded, lambda v: v.status in statuses)
        case "source":
            return Condition(key, folded, lambda v: any(name in folded for name in _sources(v)))
        case "series":
            return Condition(key, folded, lambda v: (v.details.series.casefold() or NONE) in folded)
        case "owner":
            return Condition(key, folded, lambda v: not _owner_words(v).isdisjoint(folded))
        case "finding":
            return Condition(key, folded, lambda v: any(f.code in folded for f in v.findings))
        case "due":
            return Condition(key, folded, _due(folded, zone, now))
        case _:
            raise _no_such_key(key)


def parse_sort(word: str) -> tuple[str, bool]:
    """One of ordering.SORTS and whether it is turned round, from `due` or `-due`. Raises FilterError."""
    name = word.casefold()
    reverse = name.startswith("-")
    return _one_of(name.removeprefix("-"), SORT_WORDS, "order"), reverse


def vocabulary(key: str, verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The values that `key` can have, in order: its own words, or those on the board."""
    match key:
        case "group":
            return tuple(GROUPS)
        case "status":
            return tuple(STATUSES)
        case "due":
            return WORDS
        case "sort":
            return tuple(SORT_WORDS)
        case "source":
            found = {name for v in verdicts for name in _sources(v)}
        case "series":
            found = {v.details.series.casefold() for v in verdicts}
        case "owner":
            found = {v.details.owner.casefold() for v in verdicts}
        case "finding":
            found = {finding.code for v in verdicts for finding in v.findings}
        case _:
            found = set()
    return tuple(sorted(found - {""}))


def completed(text: str, verdicts: Iterable[Verdict]) -> str:
    """`text` with its last word completed, or "" when nothing comes to mind."""
    *_, last = re.split(r"\s", text)
    key, colon, value = last.removeprefix("!").partition(":")
    if not colon:
        choices, begun = tuple(f"{name}:" for name in KEYS), key.casefold()
        return _grown(text, begun, choices) if len(begun) > 1 else ""
    begun = value.rpartition(",")[2].casefold().removeprefix("-" if key == "sort" else "")
    known = vocabulary(key.casefold(), verdicts)  # from outside: nothing that a terminal obeys may get into a field
    plain = tuple(word for word in known if word.isprintable() and not re.search(r'[\s,"]', word))
    return _grown(text, begun, plain) if begun else ""


def _grown(text: str, begun: str, choices: Sequence[str]) -> str:
    fitting = next((word for word in choices if word.startswith(begun) and word != begun), "")
    return text + fitting[len(begun) :] if fitting else ""


def _tokens(text: str) -> Iterator[re.Match[str]]:
    place = 0
    while (place := _past_blanks(text, place)) < len(text):
        token = _TOKEN.match(text, place)
        assert token is not None  # the pattern fits anything but a blank
        place = token.end()
        yield token


def _past_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _one_of(word: str, known: dict[str, T], what: str) -> T:
    spelled = re.sub(r"[\s_]+", "-", word)
    if spelled in known:
        return known[spelled]
    raise FilterError(f"There is no {what} {word!r}.{_meant(spelled, known)} Known are {_listed(known)}.")


def _due(values: Sequence[str], zone: str, now: datetime | None) -> Callable[[Verdict], bool]:
    if now is None:
        raise ValueError("due is told from now")
    try:
        ranges = [parse_due(value, zone, now) for value in values if value != NONE]
    except DueError as error:
        raise FilterError(f"due: {error}") from error

    def holds(verdict: Verdict) -> bool:
        due = verdict.details.due
        return NONE in values if due is None else any(span.holds(due.instant) for span in ranges)

    return holds


def _sources(verdict: Verdict) -> Iterator[str]:
    """Those that know it, or did when they last answered."""
    return (o.source.casefold() for o in verdict.observations if o.says is not Says.ABSENT and o.observed_at)


def _owner_words(verdict: Verdict) -> set[str]:
    """The owner as a whole, and each word of it."""
    owner = verdict.details.owner.casefold()
    return {owner, *re.findall(r"[\w-]+", owner)} if owner else {NONE}


def _text(verdict: Verdict) -> str:
    """What free words are looked for in."""
    details = verdict.details
    parts = (verdict.slug, details.name, verdict.status, details.owner, details.series, verdict.why)
    return " ".join(parts).casefold()


def _meant(word: str, known: Iterable[str]) -> str:
    import difflib

    choices = list(known)
    begun = [choice for choice in choices if word and choice.startswith(word)]
    close = begun or difflib.get_close_matches(word, choices, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _listed(known: Iterable[str]) -> str:
    return ", ".join(known)


def _no_such_key(key: str) -> FilterError:
    hint = _meant(key, KEYS) or f" There are {_listed(KEYS)}."
    return FilterError(f"There is no filter {key!r}.{hint} A word with a colon goes in quotation marks.")


def _example(key: str) -> str:
    if key == "due":
        return "today, <2h, >tomorrow, 2026-05-01..2026-05-14"
    known = vocabulary(key, ())
    return _listed(known) if known else f'Write {key}:word, or {key}:"two words".'
