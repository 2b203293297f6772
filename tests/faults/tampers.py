"""What somebody who can write to the audit database, or to what the host keeps of it, may do without the key."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from opsconsole.audit.tables import AUDIT
from tests.faults.house import House

COLUMNS = tuple(AUDIT.c.keys())
TEXTS = tuple(name for name in COLUMNS if name not in ("seq", "ref"))
LISTED = ", ".join(COLUMNS)


@dataclass(frozen=True)
class Statements:
    """A tamper in SQL, on either kind of database; `first` is the first record that isn't as it was."""

    name: str
    sql: Sequence[str]
    first: int | None
    sqlite_only: bool = False


def edits(chance: random.Random, count: int) -> list[Statements]:
    """Each column of a record chosen at random, to another value."""
    found = []
    for column in COLUMNS:
        seq = chance.randint(1, count)
        value = {
            "seq": str(count + 5),
            "ref": "1",
            "phase": "'intent'",
            "utc": "'2020-01-01T00:00:00.000000Z'",
            "detail": "replace(detail, '26', '62')",
            "prev": "replace(prev, substr(prev, 1, 1), 'g')",
            "mac": f"(SELECT mac FROM audit WHERE seq = {seq % count + 1})",
        }.get(column, f"{column} || 'x'")
        found.append(Statements(f"edit {column}", [f"UPDATE audit SET {column} = {value} WHERE seq = {seq}"], seq))
    return found


def statements(chance: random.Random, count: int) -> list[Statements]:
    """On a store of `count` records."""
    middle, at = chance.randint(2, count - 1), chance.randint(2, count - 2)
    later = chance.randint(at + 1, count)
    copied = LISTED.replace("seq", str(count + 1), 1)
    made_up = copied.replace("mac", f"'{'ab' * 32}'")
    up = [f"UPDATE audit SET seq = -(seq + 1) WHERE seq > {at}", "UPDATE audit SET seq = -seq WHERE seq < 0"]
    down = [f"UPDATE audit SET seq = -(seq - 1) WHERE seq > {middle}", "UPDATE audit SET seq = -seq WHERE seq < 0"]
    between = copied.replace(str(count + 1), str(at + 1), 1)
    return [
        Statements("delete the first", ["DELETE FROM audit WHERE seq = 1"], 1),
        Statements("delete one in the middle", [f"DELETE FROM audit WHERE seq = {middle}"], middle),
        Statements("delete one and close the gap", [f"DELETE FROM audit WHERE seq = {middle}", *down], middle),
        Statements("delete the last", [f"DELETE FROM audit WHERE seq = {count}"], count),
        Statements("delete all", ["DELETE FROM audit"], 1),
        Statements("truncate the tail", [f"DELETE FROM audit WHERE seq > {at}"], at + 1),
        Statements(
            "add a copy", [f"INSERT INTO audit ({LISTED}) SELECT {copied} FROM audit WHERE seq = {at}"], count + 1
        ),
        Statements(
            "add one with a made-up MAC",
            [f"INSERT INTO audit ({LISTED}) SELECT {made_up} FROM audit WHERE seq = {count}"],
            count + 1,
        ),
        Statements(
            "insert a copy in between",
            [*up, f"INSERT INTO audit ({LISTED}) SELECT {between} FROM audit WHERE seq = {at}"],
            at + 1,
        ),
        Statements(
            "insert below all",
            [f"INSERT INTO audit ({LISTED}) SELECT 0{LISTED[3:]} FROM audit WHERE seq = {at}"],
            1,
        ),
        Statements(
            "reorder two",
            [
                f"UPDATE audit SET seq = -1 WHERE seq = {at}",
                f"UPDATE audit SET seq = {at} WHERE seq = {later}",
                f"UPDATE audit SET seq = {later} WHERE seq = -1",
            ],
            at,
        ),
        Statements(
            "forge the tail",
            [
                f"UPDATE audit SET action = 'approve', detail = '{{}}', mac = '{'cd' * 32}' WHERE seq = {count}",
            ],
            count,
        ),
        Statements(
            "the same key twice in detail",
            [f'UPDATE audit SET detail = \'{{"digest":"0","digest":"1"}}\' WHERE seq = {middle}'],
            middle,
        ),
        Statements(
            "NUL in detail",
            [f"UPDATE audit SET detail = detail || char(0) || 'x' WHERE seq = {middle}"],
            middle,
            True,
        ),
        Statements("a blob for a text", [f"UPDATE audit SET mac = CAST(mac AS BLOB) WHERE seq = {at}"], at, True),
        Statements(
            "no text at all", [f"UPDATE audit SET reason = CAST(reason AS BLOB) WHERE seq = {at}"], at, True
        ),
    ]


def run_sqlite(path: Path, sql: Sequence[str]) -> int:
    """With the triggers dropped, and put back word for word; how many rows were touched."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        before = db.total_changes
        for statement in sql:
            db.execute(statement)
        touched = db.total_changes - before
        for _, text in triggers:
            db.execute(text)
    return touched


Files = Callable[[House, random.Random], int | None]
"""Tampers with files; gives the first record that isn't as it was, None when the records are not what changed."""


def put_back(house: House, chance: random.Random) -> int:
    """An older copy of the whole file, kept while `older` records were in it."""
    shutil.copyfile(house.data.with_name("older.db"), house.db)
    return head_of(house.db) + 1


def swap(house: House, chance: random.Random) -> int:
    """The file of another console, which has a key of its own."""
    with closing(sqlite3.connect(house.db)) as db:
        texts = list(db.iterdump())
    house.db.unlink()
    other = AnotherStore(house)
    assert texts
    shutil.copyfile(other.path, house.db)
    return 1


class AnotherStore:
    """As many honest records, under another key."""

    def __init__(self, house: House) -> None:
        from opsconsole.audit.store import AuditStore
        from tests.faults.house import an_event, utc_now

        self.path = house.data.with_name("other.db")
        self.path.unlink(missing_ok=True)
        with AuditStore(self.path, bytes(range(32)), clock=utc_now) as store:
            for number in range(12):
                store.note(an_event(number))


def replay_export(house: House, chance: random.Random) -> int:
    """A fresh file with the triggers of an honest one, and in it the records of an older export."""
    import json

    lines = [json.loads(line) for line in house.data.with_name("older.jsonl").read_text().splitlines()[1:-1]]
    house.db.unlink()
    house.store().close()
    with closing(sqlite3.connect(house.db, isolation_level=None)) as db:
        for line in lines:
            db.execute(
                f"INSERT INTO audit ({LISTED}) VALUES ({', '.join('?' * len(COLUMNS))})",
                [line[name] for name in COLUMNS],
            )
    return len(lines) + 1


def plant_journal(house: House, chance: random.Random) -> int:
    """A hot journal made over an older copy: whoever opens the file next rolls it back to that."""
    older = house.data.with_name("older-open.db")
    shutil.copyfile(house.data.with_name("older.db"), older)
    with closing(sqlite3.connect(older, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=delete")
        db.execute("PRAGMA cache_size=1")
        triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        db.execute("BEGIN EXCLUSIVE")
        for (name,) in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for column in TEXTS:  # every page of the table and of its indices is put into the journal
            db.execute(f"UPDATE audit SET {column} = {column} || 'zzzzzzzzzzzzzzzz'")
        db.execute("UPDATE outbox SET payload = payload || 'zzzzzzzz', destination = destination || 'z'")
        shutil.copyfile(f"{older}-journal", f"{house.db}-journal")
        db.execute("ROLLBACK")
    older.unlink()
    return head_of(house.data.with_name("older.db")) + 1


def duplicate_seq(house: House, chance: random.Random) -> int:
    """The table built anew without its key, and one number in it twice."""
    with closing(sqlite3.connect(house.db, isolation_level=None)) as db:
        count = db.execute("SELECT max(seq) FROM audit").fetchone()[0]
        made = db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE name <> 'audit' AND sql <> ''"
        ).fetchall()
        ours = [(kind, name, text) for kind, name, text in made if kind in ("trigger", "index") and "audit" in text]
        for kind, name, _ in ours:
            db.execute(f"DROP {kind} {name}")
        db.execute("ALTER TABLE audit RENAME TO once")
        db.execute(
            f"CREATE TABLE audit ({', '.join(f'{c} INTEGER' if c in ('seq', 'ref') else c for c in COLUMNS)})"
        )
        db.execute(f"INSERT INTO audit ({LISTED}) SELECT {LISTED} FROM once")
        seq = chance.randint(1, count - 1)
        db.execute(f"INSERT INTO audit ({LISTED}) SELECT {LISTED} FROM audit WHERE seq = {seq}")
        db.execute("DROP TABLE once")
        for _, _, text in ours:
            db.execute(text)
    return seq + 1


def hide_from_index(house: House, chance: random.Random) -> int:
    """The record stays, and an index is built anew without it: whoever looks by campaign or action misses it."""
    with closing(sqlite3.connect(house.db, isolation_level=None)) as db:
        count = db.execute("SELECT max(seq) FROM audit").fetchone()[0]
        seq = chance.randint(1, count)
        (text,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'audit_action_campaign'").fetchone()
        db.execute("DROP INDEX audit_action_campaign")
        db.execute(f"{text} WHERE seq <> {seq}")
        db.execute("PRAGMA writable_schema=ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'audit_action_campaign'", (text,))
    return seq


def head_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT max(seq) FROM audit").fetchone()[0])


FILES: dict[str, Files] = {
    "put back an older file": put_back,
    "swap with another console's file": swap,
    "replay an older export into a fresh file": replay_export,
    "plant a hot journal": plant_journal,
    "one number twice": duplicate_seq,
    "hide a record from an index": hide_from_index,
}


# What the host keeps.


def _lines(house: House, change: Callable[[list[str]], list[str]]) -> None:
    before = house.anchors.read_text()
    after = "".join(f"{line}\n" for line in change(before.splitlines()))
    assert after != before, "nothing was changed"
    house.anchors.write_text(after)


def edit_line(house: House, chance: random.Random) -> None:
    def change(lines: list[str]) -> list[str]:
        at = chance.randrange(len(lines))
        place = chance.randrange(len(lines[at]))
        other = "0" if lines[at][place] != "0" else "1"
        return [*lines[:at], lines[at][:place] + other + lines[at][place + 1 :], *lines[at + 1 :]]

    _lines(house, change)


def delete_line(house: House, chance: random.Random) -> None:
    at = chance.randrange(1, len(house.anchors.read_text().splitlines()))  # without the first, it began later
    _lines(house, lambda lines: lines[:at] + lines[at + 1 :])


def delete_first_line(house: House, chance: random.Random) -> None:
    _lines(house, lambda lines: lines[1:])


def reorder_lines(house: House, chance: random.Random) -> None:
    one, other = sorted(chance.sample(range(len(house.anchors.read_text().splitlines())), 2))

    def change(lines: list[str]) -> list[str]:
        lines[one], lines[other] = lines[other], lines[one]
        return lines

    _lines(house, change)


def duplicate_line(house: House, chance: random.Random) -> None:
    at = chance.randrange(len(house.anchors.read_text().splitlines()))
    _lines(house, lambda lines: [*lines[: at + 1], *lines[at:]])


def older_anchors(house: House, chance: random.Random) -> None:
    keep = chance.randrange(1, len(house.anchors.read_text().splitlines()))
    _lines(house, lambda lines: lines[:keep])


def no_anchors(house: House, chance: random.Random) -> None:
    house.anchors.unlink()


def forge_line(house: House, chance: random.Random) -> None:
    _lines(house, lambda lines: [*lines, lines[-1].replace('"seq":', '"seq":9')])


ANCHORS: dict[str, Callable[[House, random.Random], None]] = {
    "edit an anchor": edit_line,
    "delete an anchor": delete_line,
    "delete the first anchor": delete_first_line,
    "reorder two anchors": reorder_lines,
    "an anchor twice": duplicate_line,
    "put back older anchors": older_anchors,
    "delete all anchors": no_anchors,
    "forge an anchor": forge_line,
}
