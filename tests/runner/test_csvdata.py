"""The recipients' table: what is read, and what is refused with its line, its place in it and a remedy."""

import hashlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.campaign import csvdata
from runner.campaign.csvdata import CsvError, Problem, Reader, Row, TableChanged

HEAD = b"email,name\n"
ANN = b"a@example.com,Ann\n"
FINE = [
    pytest.param(b"\xef\xbb\xbfemail,name\na@example.com,Ann\n", 1, id="byte order mark"),
    pytest.param(b"email,name\r\na@example.com,Ann\r\nb@example.com,Bo\r\n", 2, id="CRLF"),
    pytest.param(b'email,name\na@example.com,"Ann, the ""first""\nof two"\n', 1, id="line break in quotes"),
    pytest.param(b"EMAIL , name\na@example.com,Ann", 1, id="no line end at the end"),
    pytest.param(b"email,name", 0, id="only a header"),
    pytest.param(b"\nemail,name\n\na@example.com,\n\n", 1, id="blank lines"),
    pytest.param(HEAD + b"a@example.com,A\xe2\x80\xa8B\x0bC\xc2\x85D\n", 1, id="no line ends in CSV"),
]
BAD = [
    pytest.param(b"", 1, "empty", "header line", id="empty"),
    pytest.param(HEAD + b"a@example.com,Ren\xe9\n", 2, "byte 0xe9 at position 18", "iconv", id="latin-1"),
    pytest.param("email,name\n".encode("utf-16"), 1, "UTF-16", "UTF-8", id="UTF-16"),
    pytest.param("email,name\n".encode("utf-16-le"), 1, "NUL", "UTF-8", id="UTF-16 without a mark"),
    pytest.param(HEAD + b"a@example.com,A\0nn\n", 2, "NUL", "UTF-8", id="NUL"),
    pytest.param(b"email,name,name\n", 1, "same name", "rename", id="column twice"),
    pytest.param(b"email,,name\n", 1, "column 2 has no name", "name it", id="nameless column"),
    pytest.param(b"email,EMAIL\n", 1, "2 columns are called", "keep one", id="two email columns"),
    pytest.param(b"address,name\n", 1, "no column 'email'", "address, name", id="no email column"),
    pytest.param(b"email;name\n", 1, "no column 'email'", "semicolons", id="semicolons"),
    pytest.param(HEAD + b"a@example.com\n", 2, "1 fields, the header has 2", "quotes", id="short row"),
    pytest.param(HEAD + b"a@example.com,Ann,x\n", 2, "3 fields, the header has 2", "quotes", id="long row"),
    pytest.param(HEAD + ANN + b'b@example.com,"Bo\n' + ANN, 3, "never closed", "close it", id="open quote"),
    pytest.param(HEAD + b'a@example.com,"Ann"x\n', 2, "quoting", "double quotes", id="junk behind a quote"),
    pytest.param(HEAD + b"a@example.com," + b"x" * 140_000 + b"\n", 2, "128 KiB", "quote", id="long field"),
    pytest.param(HEAD + ANN + b'"' + b"x\n" * 80_000, 3, "128 KiB", "quote", id="long field of many lines"),
    pytest.param(HEAD + ANN + b"a@example.com," + b"x" * 10_000_000, 3, "8 MiB", "really a CSV", id="10 MB field"),
    pytest.param(HEAD + b"a@example.com,Ann\rb@example.com,Bo\n", 2, "lone carriage return", "CRLF", id="lone CR"),
    pytest.param(b"email,name\ra@example.com,Ann\r", 1, "lone carriage return", "CRLF", id="only CR"),
]


def read(data: bytes) -> tuple[list[Row], list[Problem]]:
    rows, problems = [], []
    try:
        for row in Reader(io.BytesIO(data), "email"):
            if isinstance(row, Problem):
                problems.append(row)
            else:
                rows.append(row)
    except CsvError as error:
        problems.append(error.problem)
    return rows, problems


@pytest.mark.parametrize(("data", "rows"), FINE)
def test_tables_that_are_read(data: bytes, rows: int) -> None:
    found, problems = read(data)
    assert (len(found), problems) == (rows, [])


@pytest.mark.parametrize(("data", "line", "what", "remedy"), BAD)
def test_tables_that_are_refused_name_the_line_and_the_remedy(
    data: bytes, line: int, what: str, remedy: str
) -> None:
    problem = read(data)[1][0]
    assert problem.line == line
    assert what in problem.what
    assert remedy in problem.remedy


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"b@example.com,Bo\xe9\n", "0xe9 at position 17"),
        (b"b@example.com,Bo\0\n", "NUL"),
        (b'b,"', "never closed"),
    ],
)
@pytest.mark.parametrize("before", [1, 5_000])
def test_rows_above_a_bad_line_are_read_and_the_line_is_counted_exactly(before: int, bad: bytes, what: str) -> None:
    rows, problems = read(HEAD + ANN * before + bad + ANN)
    assert len(rows) == before
    assert problems[0].line == before + 2
    assert what in problems[0].what


def test_a_row_knows_its_number_and_the_line_it_begins_on() -> None:
    rows, _ = read(b'email,name\n\na@example.com,"Ann\nof two lines"\nb@example.com,Bo\n')
    assert [(row.number, row.line) for row in rows] == [(1, 3), (2, 5)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=12), st.text('ab",\n', max_size=8)), max_size=30),
    st.integers(1, 60),
)
def test_given_any_table_then_chunks_of_any_size_give_the_same_rows(
    cells: list[tuple[str, str]], size: int
) -> None:
    text = "email,name\n" + "".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in cells
    )
    data = text.encode("utf-8", "replace")
    whole = read(data)
    usual, csvdata.CHUNK = csvdata.CHUNK, size
    try:
        assert read(data) == whole
    finally:
        csvdata.CHUNK = usual


def test_the_digest_is_of_the_whole_file_however_far_it_was_read() -> None:
    data = HEAD + ANN * 9_000
    reader = Reader(io.BytesIO(data))
    next(iter(reader))
    assert reader.digest() == hashlib.sha256(data).hexdigest()


LONG = HEAD + ANN * 9_000  # some chunks
BO = b"a@example.com,Bob\n"


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(LONG.replace(ANN, BO, 1), id="first row"),
        pytest.param(BO.join(LONG.rsplit(ANN, 1)), id="last row"),
        pytest.param(LONG + ANN, id="grown"),
        pytest.param(LONG[: -len(ANN)], id="cut by a row"),
        pytest.param(LONG[:70_000], id="cut in a line"),
        pytest.param(LONG.replace(ANN, BO, 5_000).replace(BO, ANN, 4_999), id="in the middle"),
        pytest.param(b"", id="emptied"),
    ],
)
def test_a_table_that_changed_gives_no_row_that_was_not_there_before(now: bytes) -> None:
    first = Reader(io.BytesIO(LONG))
    before = list(first)
    after: list[Row | Problem] = []

    def read_again(data: bytes) -> None:
        for row in Reader(io.BytesIO(data), expected=first.marks):
            after.append(row)

    with pytest.raises(TableChanged):
        read_again(now)
    assert after == before[: len(after)]
    assert len(after) < len(before)
    after.clear()
    read_again(LONG)
    assert after == before
