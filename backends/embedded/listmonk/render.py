"""The part of Go's templates that campaigns use: fields, its functions, `if`/`else`/`end`, quoted arguments.

`compiled` raises Uncompilable for what can't be parsed or a function that isn't there; `rendered` raises
Unrenderable for a field that isn't there. A missing attribute is empty in a body, "<no value>" in a subject.
"""

import html
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

ACTION = re.compile(r"\{\{-?\s*(?:/\*.*?\*/)?\s*(.*?)\s*-?\}\}", re.DOTALL)
NAME = re.compile(r"[A-Za-z_]\w*")
SHORTHAND = re.compile(r"""(https?://[^\s"'<>]+)@TrackLink""")
FUNCTIONS = {
    *("TrackLink", "TrackView", "UnsubscribeURL", "ManageURL", "OptinURL", "MessageURL", "ArchiveURL", "RootURL"),
    *(
        "Date",
        "Safe",
        "L",
        "upper",
        "lower",
        "title",
        "trim",
        "default",
        "not",
        "eq",
        "ne",
        "and",
        "or",
        "template",
    ),
}
NO_VALUE = "<no value>"


class Uncompilable(Exception):
    """As Go's template package says it."""


class Unrenderable(Exception):
    """As Go's template package says it."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a message knows: `subscriber` and `campaign` by their Go names, and the text of the functions."""

    subscriber: Mapping[str, Any]
    campaign: Mapping[str, Any]
    links: Mapping[str, str]
    tx: Mapping[str, Any] = field(default_factory=dict)  # the data of a transactional message


def compiled(*texts: str) -> None:
    """Checks that they can be compiled. Raises Uncompilable."""
    for text in texts:
        depth = 0
        if text.count("{{") != len(ACTION.findall(text)):
            raise Uncompilable("template: base:1: unclosed action started at base:1")
        for action in ACTION.findall(text):
            word = action.split(" ", 1)[0]
            if word in ("if", "with", "range"):
                depth += 1
            elif word == "end":
                depth -= 1
                if depth < 0:
                    raise Uncompilable("template: base:1: unexpected {{end}}")
            for name in _functions(action):
                if name not in FUNCTIONS:
                    raise Uncompilable(f'template: base:1: function "{name}" not defined')
        if depth:
            raise Uncompilable("template: base:1: unexpected EOF")


def rendered(text: str, values: Values, *, content: str = "", escape: bool = True) -> str:
    """`text` with its actions carried out; `{{ template "content" . }}` gives `content`. Raises Unrenderable."""
    text = SHORTHAND.sub(r'{{ TrackLink "\1" . }}', text)
    out: list[str] = []
    writing = [True]
    end = 0
    for match in ACTION.finditer(text):
        if all(writing):
            out.append(text[end : match.start()])
        end = match.end()
        action = match[1]
        word, _, rest = action.partition(" ")
        if word in ("if", "with", "range"):
            writing.append(all(writing) and bool(_value(rest, values)))
        elif word == "else":
            writing[-1] = not writing[-1] and all(writing[:-1])
        elif word == "end":
            writing.pop()
        elif all(writing) and action:
            out.append(_shown(action, values, content, escape))
    out.append(text[end:])
    return "".join(out)


def message(subject: str, body: str, template: str, values: Values, *, plain: bool) -> tuple[str, str]:
    """Subject and body of one message. Raises Unrenderable."""
    content = rendered(body, values, escape=not plain)
    whole = content if plain else rendered(template or '{{ template "content" . }}', values, content=content)
    return rendered(subject, values, escape=False), whole


def _functions(action: str) -> list[str]:
    if not action or action.split(" ", 1)[0] in ("end", "else", "range", "with"):
        return []
    words = _words(action)
    words = words[1:] if words and words[0] == "if" else words
    return [word for word in words if NAME.fullmatch(word) and word not in ("nil", "true", "false")]


@lru_cache(1024)
def _words(action: str) -> tuple[str, ...]:
    try:
        lexer = shlex.shlex(action, posix=False, punctuation_chars="|()")
        lexer.quotes, lexer.whitespace_split, lexer.commenters = '"`', True, ""
        return tuple(lexer)
    except ValueError as error:
        raise Uncompilable("template: base:1: unterminated quoted string") from error


def _shown(action: str, values: Values, content: str, escape: bool) -> str:
    words = _words(action)
    if words[0] == "template":
        return content
    value = _value(action, values)
    if value is None:
        return "" if escape else NO_VALUE
    raw = not escape or words[0] in ("Safe", "TrackView")
    return str(value) if raw else html.escape(str(value), quote=True).replace("&#x27;", "&#39;")


def _value(pipeline: str, values: Values) -> Any:
    """Of `a b c | f | g`: each stage's value is the next one's last argument."""
    stages: list[list[str]] = [[]]
    for word in _words(pipeline):
        if word == "|":
            stages.append([])
        elif word not in ("(", ")"):
            stages[-1].append(word)
    value: Any = None
    for number, stage in enumerate(stages):
        value = _stage(stage, values, [value] if number else [])
    return value


def _stage(words: Sequence[str], values: Values, last: list[Any]) -> Any:
    if not words:
        raise Unrenderable("template: base:1: missing value for command")
    head = words[0]
    if not NAME.fullmatch(head) or head in ("true", "false", "nil"):
        return _term(head, values)
    arguments = [_term(word, values) for word in words[1:]] + last
    if head in values.links:
        return values.links[head] if head != "TrackLink" else values.links[head].format(url=arguments[0])
    return _PLAIN[head](*arguments) if head in _PLAIN else ""


def _term(word: str, values: Values) -> Any:
    if word[0] in '"`':
        return word[1:-1]
    if word in ("true", "false"):
        return word == "true"
    if word.lstrip("-").isdecimal():
        return int(word)
    if word in (".", "nil"):
        return None
    if not word.startswith((".", "$.")):
        return _stage([word], values, [])
    path = word.removeprefix("$").strip(".").split(".")
    things: dict[str, Mapping[str, Any]] = {
        "Subscriber": values.subscriber, "Campaign": values.campaign, "Tx": {"Data": values.tx}
    }  # fmt: skip
    if path[0] not in things:
        raise Unrenderable(f"can't evaluate field {path[0]} in type *manager.CampaignMessage")
    value: Any = things[path[0]]
    for depth, name in enumerate(path[1:], 1):
        if depth == 1 and name not in value:
            raise Unrenderable(f"can't evaluate field {name} in type models.{path[0]}")
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


_PLAIN: dict[str, Callable[..., Any]] = {
    "upper": lambda text: str(text).upper(),
    "lower": lambda text: str(text).lower(),
    "title": lambda text: str(text).title(),
    "trim": lambda text: str(text).strip(),
    "Safe": lambda text: text,
    "default": lambda fallback, value=None: value or fallback,
    "not": lambda value: not value,
    "eq": lambda first, *others: first in others,
    "ne": lambda first, other: first != other,
    "and": lambda *all_: next((one for one in all_ if not one), all_[-1]),
    "or": lambda *all_: next((one for one in all_ if one), all_[-1]),
}
