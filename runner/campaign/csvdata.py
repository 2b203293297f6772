"""The recipients' table, read as a stream: bounded memory, and each thing wrong told with its line and remedy.

Pure: findings are returned or raised as values with text for people; nothing is printed.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from typing import BinaryIO, NamedTuple

MAX_LINE = 8 * 1024 * 1024  # bytes; a file without line breaks mustn't fill the memory
CHUNK = 1 << 16  # bytes read, judged and digested at once, and then the rest of the line


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


class TableChanged(Exception):
    """The bytes aren't those that were read before; no row of the changed part was given."""


class Reader:
    """Rows of a CSV file opened in binary mode at its start.

    Opening reads the header. Iterating gives a Row, or a Problem for a row that can't be used; both count in
    the row numbers. Raises CsvError, on opening or later, for what makes the rest unreadable.

    `marks` are the SHA-256 of all bytes up to the end of each chunk. A reader that is given those of an earlier
    one raises TableChanged before it gives any row of a chunk that isn't as it was, or when the file ends early.
    """

    def __init__(
        self, stream: BinaryIO, email_column: str = "email", *, expected: Sequence[bytes] | None = None
    ) -> None:
        self._stream = stream
        self._expected = expected
        self.marks: list[bytes] = []
        self._sha = hashlib.sha256()
        self._csv = csv.reader(chain.from_iterable(self._chunks()), strict=True)
        self.columns = self._header()
        self.email_index = self._find_email(email_column)
        self.rows = 0

    def __iter__(self) -> Iterator[Row | Problem]:
        table, wanted, row = self._csv, len(self.columns), tuple.__new__
        started, number = table.line_num + 1, self.rows
        try:
            for values in table:
                if len(values) == wanted:
                    number += 1
                    yield row(Row, (number, started, values))  # as Row(…) does, in a third of the time
                elif values:  # not a blank line
                    number += 1
                    yield Problem(
                        f"this row has {len(values)} fields, the header has {wanted}",
                        'put quotes around values that hold a comma: "Smith, Ann"',
                        started,
                        number,
                    )
                started = table.line_num + 1
        except csv.Error as error:
            raise CsvError(_quoting_problem(str(error), started)) from None
        finally:
            self.rows = number

    def digest(self) -> str:
        """SHA-256 (hex) of the whole file; reads what is left of it."""
        while chunk := self._stream.read(1 << 20):
            self._sha.update(chunk)
        return self._sha.hexdigest()

    def _chunks(self) -> Iterator[StringIO]:
        """The text, some whole lines at a time; iterating over one gives its lines with their ends."""
        lines = 0  # before this chunk
        while raw := self._stream.read(CHUNK):
            rest = b"" if raw.endswith(b"\n") else self._stream.readline(MAX_LINE)
            raw += rest
            self._mark(raw)
            if not lines:
                raw = _without_bom(raw)
            if len(rest) >= MAX_LINE:
                line = lines + raw.count(b"\n", 0, -1) + 1
                raise CsvError(Problem("the line is longer than 8 MiB", "is this really a CSV file?", line))
            bad = raw.find(b"\0")
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                bad = error.start if bad < 0 else min(bad, error.start)
            if bad >= 0:  # what stands before this line is good
                begins = raw.rfind(b"\n", 0, bad) + 1
                yield StringIO(raw[:begins].decode(), newline="\n")
                raise CsvError(_bad_byte(raw[bad], bad - begins + 1, lines + raw.count(b"\n", 0, bad) + 1))
            yield StringIO(text, newline="\n")
            lines += raw.count(b"\n")
        if self._expected is not None and len(self.marks) != len(self._expected):
            raise TableChanged

    def _mark(self, raw: bytes) -> None:
        self._sha.update(raw)
        mark = self._sha.digest()
        if self._expected is not None:
            at = len(self.marks)
            if at >= len(self._expected) or self._expected[at] != mark:
                raise TableChanged
        self.marks.append(mark)

    def _header(self) -> tuple[str, ...]:
        started = 1
        try:
            for names in self._csv:
                if names:  # there may be blank lines above the header
                    return _columns(names, started)
                started = self._csv.line_num + 1
        except csv.Error as error:
            raise CsvError(_quoting_problem(str(error), started)) from None
        raise CsvError(Problem("the file is empty", "export the recipients with a header line", 1))

    def _find_email(self, wanted: str) -> int:
        found = [i for i, name in enumerate(self.columns) if name.casefold() == wanted.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            raise CsvError(Problem(f"{len(found)} columns are called {wanted!r}", "keep one", 1, column=wanted))
        there = ", ".join(self.columns[:12])
        remedy = f"rename one of these, or name it in blast_metadata.json (email_column, phone_column): {there}"
        if len(self.columns) == 1 and (";" in self.columns[0] or "\t" in self.columns[0]):
            remedy = "the columns are divided by semicolons or tabs: export the file with commas"
        raise CsvError(Problem(f"there is no column {wanted!r}", remedy, 1, column=wanted))


def _columns(given: list[str], line: int) -> tuple[str, ...]:
    names = [name.strip() for name in given]
    for i, name in enumerate(names):
        if not name:
            raise CsvError(Problem(f"column {i + 1} has no name", "name it or remove it", line))
        if name in names[:i]:
            raise CsvError(Problem("two columns have the same name", "rename or remove one", line, column=name))
    return tuple(names)


def _bad_byte(byte: int, position: int, line: int) -> Problem:
    if not byte:
        return Problem("there is a NUL byte", "export the file again as UTF-8 text", line)
    return Problem(
        f"byte 0x{byte:02x} at position {position} is not UTF-8",
        "if it came from a spreadsheet: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv",
        line,
    )


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
