"""Reads the condition of a subscriber query: a small part of PostgreSQL's grammar, as a tree.

condition  subscribers.status != 'blocklisted' AND EXISTS (SELECT 1 FROM … JOIN … ON … WHERE …)
operand    a number, 'text', column, table.column, (SELECT column FROM … WHERE …)
operators  AND OR NOT  = != <> < <= > >=  IN (…)  IS [NOT] NULL
"""

import re
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(\d+)|([A-Za-z_]\w*)|(<>|!=|<=|>=|[=<>().,]))")
OPERATORS = ("=", "!=", "<>", "<", "<=", ">", ">=")
WORDS = {
    *("select", "from", "join", "inner", "on", "where", "and", "or", "not", "exists", "in", "is", "null", "as"),
    *("true", "false"),
}


class BadQuery(Exception):
    """Something that the database, or this reader of it, doesn't take."""


@dataclass(frozen=True, slots=True)
class Value:
    value: Any


@dataclass(frozen=True, slots=True)
class Column:
    table: str  # its alias; "" when it isn't said
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """`and`, `or`, `not`, `isnull`, `in` or an operator, over what it needs."""

    what: str
    of: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class From:
    table: str
    alias: str
    on: Any = None


@dataclass(frozen=True, slots=True)
class Select:
    column: Any
    tables: tuple[From, ...]
    where: Any
    exists: bool = False


def parsed(text: str) -> Any:
    """The tree of a condition. Raises BadQuery."""
    reader = _Reader(text)
    tree = reader.condition()
    reader.end()
    return tree


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            match = TOKEN.match(text, position)
            if match is None:
                raise BadQuery(f'pq: syntax error at or near "{text[position:].strip()[:20]}"')
            word = match[0].strip()
            self._tokens.append(word if match[1] else word.lower())
            position = match.end()
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> bool:
        if self._peek() in wanted:
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong()

    def _wrong(self) -> BadQuery:
        return BadQuery(
            f'pq: syntax error at or near "{self._peek()}"' if self._peek() else "pq: syntax error at end of input"
        )

    def end(self) -> None:
        if self._peek():
            raise self._wrong()

    def condition(self) -> Any:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Call("or", tuple(parts))

    def _both(self) -> Any:
        parts = [self._negated()]
        while self._take("and"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else Call("and", tuple(parts))

    def _negated(self) -> Any:
        return Call("not", (self._negated(),)) if self._take("not") else self._compared()

    def _compared(self) -> Any:
        if self._take("exists"):
            self._need("(")
            return self._select(exists=True)
        left = self._operand()
        operator = self._peek()
        if self._take(*OPERATORS):
            return Call("!=" if operator == "<>" else operator, (left, self._operand()))
        negated = operator == "not" and self._take("not")
        if self._take("in"):
            found = Call("in", (left, *self._several()))
            return Call("not", (found,)) if negated else found
        if self._take("is"):
            negated = self._take("not")
            self._need("null")
            empty = Call("isnull", (left,))
            return Call("not", (empty,)) if negated else empty
        return left

    def _several(self) -> tuple[Any, ...]:
        self._need("(")
        if self._peek() == "select":
            return (self._select(),)
        found = [self._operand()]
        while self._take(","):
            found.append(self._operand())
        self._need(")")
        return tuple(found)

    def _operand(self) -> Any:
        if self._take("("):
            if self._peek() == "select":
                return self._select()
            inner = self.condition()
            self._need(")")
            return inner
        word = self._peek()
        if not word or (word in WORDS and word not in ("true", "false", "null")):
            raise self._wrong()
        self._at += 1
        if word.startswith("'"):
            return Value(word[1:-1].replace("''", "'"))
        if word.isdecimal():
            return Value(int(word))
        if word in ("true", "false", "null"):
            return Value({"true": True, "false": False, "null": None}[word])
        if not (word[0].isalpha() or word[0] == "_"):
            self._at -= 1
            raise self._wrong()
        return Column(word, self._name()) if self._take(".") else Column("", word)

    def _name(self) -> str:
        word = self._peek()
        if not word or word in WORDS or not (word[0].isalpha() or word[0] == "_"):
            raise self._wrong()
        self._at += 1
        return word

    def _select(self, *, exists: bool = False) -> Select:
        """After its opening bracket, to its closing one."""
        self._need("select")
        column = self._operand()
        self._need("from")
        tables = [self._table()]
        while self._peek() in ("join", "inner"):
            self._take("inner")
            self._need("join")
            table = self._table()
            self._need("on")
            tables.append(From(table.table, table.alias, self.condition()))
        where = self.condition() if self._take("where") else Value(True)
        self._need(")")
        return Select(column, tuple(tables), where, exists)

    def _table(self) -> From:
        table = self._name()
        self._take("as")
        word = self._peek()
        named = word and word not in WORDS and (word[0].isalpha() or word[0] == "_")
        return From(table, self._name() if named else table)
