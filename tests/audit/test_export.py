"""Given an export, when it is checked without the console, then it is whole, or the first bad line is named."""

import ast
import hashlib
import hmac
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit import verify_export
from opsconsole.audit.chain import Anchor
from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, START, event

SCRIPT = Path(verify_export.__file__)
Lines = list[str]


def fill(store: AuditStore, count: int = 10) -> None:
    store.intent(event(reason="naïve — 🎷", detail={"file": "odd-\udcff\0name", "deep": [{"b": 1.5, "a": None}]}))
    store.outcome(1, event())
    for number in range(3, count + 1):
        store.note(event(reason=f"reason {number}"))


def exported(store: AuditStore) -> Lines:
    out = io.StringIO()
    store.export(out)
    return out.getvalue().splitlines(keepends=True)


def checked(lines: Lines, anchor: tuple[int, str] | None = None) -> str:
    """ "" when whole, else what is wrong."""
    try:
        verify_export.check(io.BytesIO("".join(lines).encode()), KEY, anchor)
    except verify_export.Bad as error:
        return str(error)
    return ""


def test_an_export_of_either_database_is_whole(either: AuditStore) -> None:
    fill(either)
    head = either.head()
    lines = exported(either)
    assert len(lines) == 12
    assert (
        checked(lines)
        == checked(lines, (head.seq, head.mac))
        == checked(lines, (4, json.loads(lines[4])["mac"]))
        == ""
    )


def test_an_empty_store_gives_an_export_too(store: AuditStore) -> None:
    assert checked(exported(store)) == ""


def edit(number: int, old: str, new: str) -> Callable[[Lines], Lines]:
    def apply(lines: Lines) -> Lines:
        assert old in lines[number]
        return [*lines[:number], lines[number].replace(old, new, 1), *lines[number + 1 :]]

    return apply


def shorter(lines: Lines) -> Lines:
    """Cut, and the promises rewritten to fit by somebody who hasn't the key."""
    last = json.loads(lines[7])
    claim = json.loads(lines[0]) | {"seq": 7, "head": last["mac"]}
    end = {"end": True, **{name: claim[name] for name in verify_export.CLAIM}}
    dump = lambda value: json.dumps(value, separators=(",", ":")) + "\n"  # noqa: E731
    return [dump(claim), *lines[1:8], dump(end)]


def resealed(lines: Lines) -> Lines:
    """Edited, with a MAC by another key."""
    record = json.loads(lines[4]) | {"reason": "fine"}
    record["mac"] = verify_export.mac_of(record, bytes(32))
    return [*lines[:4], json.dumps(record, separators=(",", ":")) + "\n", *lines[5:]]


SPOILT: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "a reason edited": (edit(4, "reason 4", "reason 5"), 5),
    "the detail edited": (edit(4, "2601", "2602"), 5),
    "edited and sealed with another key": (resealed, 5),
    "two lines swapped": (lambda ls: [*ls[:4], ls[5], ls[4], *ls[6:]], 5),
    "a line twice": (lambda ls: [*ls[:5], *ls[4:]], 6),
    "a line left out": (lambda ls: [*ls[:4], *ls[5:]], 5),
    "an old line replayed at the end": (lambda ls: [*ls[:11], ls[3], ls[11]], 12),
    "cut off before the end": (lambda ls: ls[:11], 12),
    "cut off in the middle of a line": (lambda ls: [*ls[:6], ls[6][:100]], 7),
    "the last records cut off, the end kept": (lambda ls: [*ls[:8], ls[11]], 9),
    "cut off and promised shorter": (shorter, 1),
    "nothing but the records": (lambda ls: ls[1:11], 1),
    "nothing": (lambda ls: [], 1),
    "something after the end": (lambda ls: [*ls, ls[1]], 13),
    "a key twice": (edit(4, '"reason":', '"reason":"fine","reason":'), 5),
    "a key more": (edit(4, '"reason":', '"because":"fine","reason":'), 5),
    "a space": (edit(4, '"reason":', '"reason": '), 5),
    "another spelling of a letter": (edit(4, "reason 4", "\\u0072eason 4"), 5),
    "a NUL in a text": (edit(4, "reason 4", "reason 4\\u0000"), 5),
    "a NUL byte": (edit(4, "reason 4", "reason 4\0"), 5),
    "a number with a point": (edit(4, '"seq":4', '"seq":4.0'), 5),
    "a number for a text": (edit(4, '"reason":"reason 4"', '"reason":4'), 5),
    "true for one": (edit(1, '"seq":1', '"seq":true'), 2),
    "an empty line": (lambda ls: [*ls[:4], "\n", *ls[4:]], 5),
    "a line that is a list": (lambda ls: [*ls[:4], "[]\n", *ls[4:]], 5),
    "another store": (edit(0, '"store":"', '"store":"f'), 1),
    "another instant": (edit(0, '"exported":"2026', '"exported":"2027'), 1),
    "a version to come": (edit(0, '"version":1', '"version":2'), 1),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_export_is_found_and_the_line_named(store: AuditStore, name: str) -> None:
    fill(store)
    spoil, line = SPOILT[name]
    assert checked(spoil(exported(store))).startswith(f"line {line}: ")


def test_an_older_export_in_the_place_of_a_newer_one_doesnt_fit_the_anchor(store: AuditStore) -> None:
    fill(store)
    older = exported(store)
    store.note(event())
    head = store.head()
    assert "the anchor names record 11" in checked(older, (head.seq, head.mac))
    assert "history was rewritten" in checked(older, (4, "f" * 64))


def test_what_was_tampered_with_in_the_store_shows_in_its_export(store: AuditStore, path: Path) -> None:
    import sqlite3
    from contextlib import closing

    fill(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET campaign = CAST(campaign AS BLOB) WHERE seq = 6")
    assert "record 6 doesn't match" in checked(exported(store))


def run(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_script_runs_alone_and_its_exit_code_tells(store: AuditStore, tmp_path: Path) -> None:
    fill(store)
    head: Anchor = store.head()
    key, file = tmp_path / "audit.key", tmp_path / "audit.jsonl"
    key.write_text(KEY.hex() + "\n")
    lines = exported(store)
    file.write_text("".join(lines))
    code, said = run(file, "--key-file", key, "--anchor", f"{head.seq}:{head.mac}")
    assert (code, said.split(",")[0]) == (0, "Whole: 10 records")
    file.write_text("".join(edit(4, "reason 4", "reason 5")(lines)))
    assert run(file, "--key-file", key)[0] == 1
    assert "line 5" in run(file, "--key-file", key)[1]
    assert run(tmp_path / "none", "--key-file", key)[0] == 2
    assert run(file, "--key-file", file)[0] == 2


def test_the_script_tells_where_the_clock_went_back(path: Path, tmp_path: Path) -> None:
    moments = iter([START, START - timedelta(hours=1), START])
    with AuditStore(path, KEY, clock=lambda: next(moments)) as store:
        store.note(event())
        store.note(event())
        (tmp_path / "out").write_text("".join(exported(store)))
    (tmp_path / "key").write_text(KEY.hex())
    code, said = run(tmp_path / "out", "--key-file", tmp_path / "key")
    assert code == 1
    assert "set back before record 2" in said


def test_the_script_borrows_nothing_from_the_console() -> None:
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_format_is_the_one_that_is_written_down() -> None:
    """The worked example of docs/audit-format.md, by hand: neither the store's code nor the script's."""
    import struct

    parts = ["1", "", "2026-05-12T17:52:00.000000Z", "mara", "s-1", "production", "paul-simon-may12", "run-1",
             "send", "intent", "é", '{"audience":2601}', "0" * 64]  # fmt: skip
    covered = b"opsconsole audit record 1\n" + struct.pack(">13I", *map(len, parts)) + "".join(parts).encode()
    mac = hmac.new(KEY, covered, hashlib.sha256).hexdigest()
    from opsconsole.audit.chain import GENESIS, seal
    from opsconsole.audit.records import Phase, Record

    record = Record(1, START, *parts[3:9], Phase.INTENT, "é", {"audience": 2601}, GENESIS, "")
    assert seal(record, KEY) == mac
    assert mac in (Path(__file__).parents[2] / "docs" / "audit-format.md").read_text("utf-8")
