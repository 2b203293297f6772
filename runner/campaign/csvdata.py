"""The recipients' table, read as a stream: bounded memory, and each thing wrong told with its line and remedy.

Pure: findings are returned or raised as values with text for people; nothing is printed.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

MAX_LINE = 8 * 1024 * 1024  # bytes; a file without line breaks mustn't fill the memory


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong. `line` counts lines of the file from 1, `row` counts recipients from 1."""

    what: str
    remedy: str
    line: int | None = None
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.what}; {self.remedy}"


class CsvError(Exception):
    """The file can't be read (further); `problem` says where and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Row(NamedTuple):
    number: int
    line: int
    values: list[str]


class Reader:
    """Rows of a CSV file opened in binary mode at its start.

    Opening reads the header. Iterating gives a Row, or a Problem for a row that can't be used; both count in
    the row numbers. Raises CsvError, on opening or later, for what makes the rest unreadable.
    """

    def __init__(self, stream: BinaryIO, email_column: str = "email") -> None:
        self._stream = stream
        self._sha = hashlib.sha256()
        self._line = 0
        self._csv = csv.reader(self._lines(), strict=True)
        self.columns = self._header()
        self.email_index = self._find_email(email_column)
        self.rows = 0

    def __iter__(self) -> Iterator[Row | Problem]:
        wanted = len(self.columns)
        while (values := self._next()) is not None:
            if not values:
                continue  # a blank line
            line = self._started
            self.rows += 1
            if len(values) != wanted:
                yield Problem(
                    f"this row has {len(values)} fields, the header has {wanted}",
                    'put quotes around values that hold a comma: "Smith, Ann"',
                    line,
                    self.rows,
                )
            else:
                yield Row(self.rows, line, values)

    def digest(self) -> str:
        """SHA-256 (hex) of the whole file; reads what is left of it."""
        while chunk := self._stream.read(1 << 20):
            self._sha.update(chunk)
        return self._sha.hexdigest()

    def _next(self) -> list[str] | None:
        self._started = self._csv.line_num + 1
        try:
            return next(self._csv, None)
        except csv.Error as error:
            raise CsvError(_quoting_problem(str(error), self._started)) from None

    def _lines(self) -> Iterator[str]:
        while raw := self._stream.readline(MAX_LINE):
            self._sha.update(raw)
            self._line += 1
            if len(raw) >= MAX_LINE:
                raise CsvError(Problem("the line is longer than 8 MiB", "is this really a CSV file?", self._line))
            if self._line == 1:
                raw = _without_bom(raw)
            if b"\0" in raw:
                raise CsvError(Problem("there is a NUL byte", "export the file again as UTF-8 text", self._line))
            try:
                yield raw.decode()
            except UnicodeDecodeError as error:
                raise CsvError(
                    Problem(
                        f"byte 0x{raw[error.start]:02x} at position {error.start + 1} is not UTF-8",
                        "if it came from a spreadsheet: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv",
                        self._line,
                    )
                ) from None

    def _header(self) -> tuple[str, ...]:
        names: list[str] | None = []
        while names is not None and not names:  # blank lines above the header
            names = self._next()
        if names is None:
            raise CsvError(Problem("the file is empty", "export the recipients with a header line", 1))
        names = [name.strip() for name in names]
        for i, name in enumerate(names):
            if not name:
                raise CsvError(Problem(f"column {i + 1} has no name", "name it or remove it", self._started))
            if name in names[:i]:
                raise CsvError(
                    Problem("two columns have the same name", "rename or remove one", self._started, column=name)
                )
        return tuple(names)

    def _find_email(self, wanted: str) -> int:
        found = [i for i, name in enumerate(self.columns) if name.casefold() == wanted.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            raise CsvError(Problem(f"{len(found)} columns are called {wanted!r}", "keep one", 1, column=wanted))
        remedy = f"name one of these {wanted!r}: {', '.join(self.columns[:12])}"
        if len(self.columns) == 1 and (";" in self.columns[0] or "\t" in self.columns[0]):
            remedy = "the columns are divided by semicolons or tabs: export the file with commas"
        raise CsvError(Problem(f"there is no column {wanted!r}", remedy, 1, column=wanted))


def _without_bom(first: bytes) -> bytes:
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CsvError(Problem("the file is UTF-16", "save it as UTF-8 (iconv -f UTF-16 -t UTF-8)", 1))
    return first.removeprefix(b"\xef\xbb\xbf")


def _quoting_problem(text: str, line: int) -> Problem:
    if "unexpected end" in text:
        return Problem("a quote is opened here and never closed", "close it, or double a quote inside", line)
    if "field limit" in text:
        return Problem("a field is longer than 128 KiB", "look for a quote that is opened and never closed", line)
    if "new-line character" in text:
        return Problem("there is a lone carriage return", "save the file with LF or CRLF line ends", line)
    return Problem("the quoting is broken", 'double quotes inside quotes: "the ""best"" shop"', line)
