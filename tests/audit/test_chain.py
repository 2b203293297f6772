"""Given a store of ten records, when somebody tampers with its file, then verify names the first bad record."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.audit.chain import GENESIS, Anchor, row_of, seal
from opsconsole.audit.records import Phase, Record, canonical, read_detail
from opsconsole.audit.rows import columns_of
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tables import TRIGGERS
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking

Tamper = Callable[[sqlite3.Connection], Any]
OTHER_KEY = bytes(32)


def sql(*statements: str) -> Tamper:
    return lambda db: [db.execute(statement) for statement in statements]


def forge(seq: int, key: bytes, *, prev: str | None = None) -> Tamper:
    """Insert a record that looks right in everything but the key it was sealed with."""

    def insert(db: sqlite3.Connection) -> None:
        before = db.execute("SELECT mac FROM audit WHERE seq = ?", (seq - 1,)).fetchone()
        forged = Record(
            seq, datetime(2026, 5, 13, tzinfo=UTC), "mallory", "s-9", "production", "paul-simon-may12", "run-9",
            "send", Phase.OUTCOME, "", {"sent": True}, prev or before[0], "", 1,
        )  # fmt: skip
        row = columns_of(replace(forged, mac=seal(forged, key)))
        names = ", ".join(row)
        db.execute(f"INSERT OR REPLACE INTO audit ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()])

    return insert


def rebuilt_without_key_and(*statements: str) -> Tamper:
    """The table copied into one without primary key, so that a seq can stand twice."""
    return sql(
        "ALTER TABLE audit RENAME TO old", "CREATE TABLE audit AS SELECT * FROM old", "DROP TABLE old", *statements
    )


SWAP = (
    "UPDATE audit SET seq = 100 WHERE seq = 4",
    "UPDATE audit SET seq = 4 WHERE seq = 5",
    "UPDATE audit SET seq = 5 WHERE seq = 100",
)
COPY = "INSERT INTO audit SELECT {}, utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac, ref FROM audit WHERE seq = {}"  # noqa: E501

TAMPERS: dict[str, tuple[Tamper, int]] = {
    "a reason edited": (sql("UPDATE audit SET reason = 'fine' WHERE seq = 4"), 4),
    "a number in the detail edited": (sql("UPDATE audit SET detail = '{\"audience\":2602}' WHERE seq = 4"), 4),
    "the time edited": (sql("UPDATE audit SET utc = '2026-05-12T17:00:00.000000Z' WHERE seq = 1"), 1),
    "a ref edited": (sql("UPDATE audit SET ref = 3 WHERE seq = 2"), 2),
    "a ref taken away": (sql("UPDATE audit SET ref = NULL WHERE seq = 2"), 2),
    "text moved from one field to the next": (
        sql("UPDATE audit SET campaign = campaign || substr(run, 1, 1), run = substr(run, 2) WHERE seq = 6"), 6
    ),
    "the last record edited": (sql("UPDATE audit SET action = 'look' WHERE seq = 10"), 10),
    "a record deleted": (sql("DELETE FROM audit WHERE seq = 4"), 4),
    "the first record deleted": (sql("DELETE FROM audit WHERE seq = 1"), 1),
    "deleted and the rest moved up": (
        sql("DELETE FROM audit WHERE seq = 4", "UPDATE audit SET seq = -seq", "UPDATE audit SET seq = -seq - (seq < -4)"), 4  # noqa: E501
    ),
    "the end cut off": (sql("DELETE FROM audit WHERE seq > 7"), 8),
    "all of it cut off": (sql("DELETE FROM audit"), 1),
    "two records swapped": (sql(*SWAP), 4),
    "two reasons swapped": (
        sql("UPDATE audit SET reason = CASE seq WHEN 4 THEN 'reason 5' ELSE 'reason 4' END WHERE seq IN (4, 5)"), 4
    ),
    "an old record copied to the end": (sql(COPY.format(11, 3)), 11),
    "forged at the end without the key": (forge(11, OTHER_KEY), 11),
    "replaced in the middle without the key": (forge(5, OTHER_KEY), 5),
    "replaced in the middle by who has the key": (forge(5, KEY), 6),
    "the end rewritten by who has the key": (forge(10, KEY), 10),
    "appended by who has the key, off the chain": (forge(11, KEY, prev=GENESIS), 11),
    "the MAC edited": (sql("UPDATE audit SET mac = upper(mac) WHERE seq = 4"), 4),
    "the link edited": (sql(f"UPDATE audit SET prev = '{GENESIS}' WHERE seq = 4"), 4),
    "a key twice in the JSON": (
        sql("UPDATE audit SET detail = '{\"audience\":1,\"audience\":2601}' WHERE seq = 4"), 4
    ),
    "a space in the JSON": (sql("UPDATE audit SET detail = '{\"audience\": 2601}' WHERE seq = 4"), 4),
    "a NUL after a text": (sql("UPDATE audit SET action = action || char(0) || 'x' WHERE seq = 4"), 4),
    "bytes that are no UTF-8": (sql("UPDATE audit SET reason = CAST(x'ff' AS TEXT) WHERE seq = 4"), 4),
    "a text made a blob of the same bytes": (
        sql("UPDATE audit SET campaign = CAST(campaign AS BLOB) WHERE seq = 4"), 4
    ),
    "a record below the first": (sql(COPY.format(0, 3)), 1),
    "a seq twice, the second edited": (
        rebuilt_without_key_and(COPY.format(4, 4), "UPDATE audit SET reason = 'x' WHERE rowid = 11"), 5
    ),
    "a seq that is no number": (rebuilt_without_key_and(COPY.format("'four'", 4)), 11),
    "a NULL where a text was": (rebuilt_without_key_and("UPDATE audit SET reason = NULL WHERE seq = 4"), 4),
}  # fmt: skip


def fill(store: AuditStore, count: int = 10) -> Anchor:
    for number in range(1, count + 1):
        if number == 1:
            store.intent(event(reason="reason 1"))
        elif number == 2:
            store.outcome(1, event(reason="reason 2"))
        else:
            store.note(event(reason=f"reason {number}"))
    return store.head()


@pytest.mark.parametrize("name", TAMPERS)
def test_tampering_is_found_and_its_first_record_named(name: str, path: Path) -> None:
    tamper, first_bad = TAMPERS[name]
    with AuditStore(path, KEY, clock=ticking()) as store:
        anchor = fill(store)
        assert store.verify(anchor).ok
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for trigger in TRIGGERS:
            db.execute(f"DROP TRIGGER {trigger}")
        tamper(db)
    with AuditStore(path, KEY, clock=ticking()) as store:
        found = store.verify(anchor)
        shown = store.search()
    assert (found.ok, found.first_bad_seq, found.checked) == (False, first_bad, first_bad - 1), found.why
    assert str(first_bad) in found.why or "outside the chain" in found.why
    assert all(isinstance(record, Record) for record in shown)


def test_the_wrong_key_fails_at_once_and_refuses_to_write(store: AuditStore, path: Path) -> None:
    fill(store)
    with AuditStore(path, OTHER_KEY, clock=ticking()) as other:
        found = other.verify()
        assert (found.ok, found.first_bad_seq) == (False, 1)
        assert "not the key" in found.why
        with pytest.raises(AuditUnavailable, match="doesn't match its MAC"):
            other.intent(event())
    assert store.verify().checked == 10


@pytest.mark.parametrize(
    ("seq", "mac", "bad"),
    [(10, "f" * 64, 10), (4, "f" * 64, 4), (11, "f" * 64, 11), (0, "f" * 64, 1), (-3, GENESIS, 1)],
)
def test_an_edited_anchor_never_fits(store: AuditStore, seq: int, mac: str, bad: int) -> None:
    fill(store)
    found = store.verify(Anchor(seq, mac))
    assert (found.ok, found.first_bad_seq) == (False, bad)


def test_an_older_anchor_still_fits_a_longer_chain(store: AuditStore) -> None:
    older = fill(store, 4)
    fill_more = [store.note(event()) for _ in range(3)]
    assert store.verify(older).head == Anchor(7, fill_more[-1].mac)
    assert store.verify(Anchor(0, GENESIS)).ok


@pytest.mark.parametrize("count", [0, 1])
def test_the_smallest_chains_verify(store: AuditStore, count: int) -> None:
    anchor = fill(store, count)
    assert anchor.seq == count
    found = store.verify(anchor)
    assert (found.ok, found.checked, found.head) == (True, count, anchor)


def test_verify_walks_more_than_a_page_and_tells_how_far(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.audit.store.PAGE", 3)
    fill(store)
    seen: list[tuple[int, int]] = []
    assert store.verify(progress=lambda checked, of: seen.append((checked, of))).checked == 10
    assert seen == [(3, 10), (6, 10), (9, 10), (10, 10)]


def test_a_second_record_with_the_last_seq_of_a_page_is_found(
    store: AuditStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.audit.store.PAGE", 5)
    fill(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        rebuilt_without_key_and(COPY.format(5, 5), "UPDATE audit SET reason = 'x' WHERE rowid = 11")(db)
    found = store.verify()
    assert not found.ok
    assert "outside the chain" in found.why


texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
    | st.text(st.characters(categories=["Cs", "Cc", "Lu"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
details = st.dictionaries(texts, json_values, max_size=4)
records = st.builds(
    Record,
    seq=st.integers(0, 10**12),
    utc=st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)),
    operator=texts, session=texts, environment=texts, campaign=texts, run=texts, action=texts,
    phase=st.sampled_from(Phase), reason=texts, detail=details,
    prev=texts, mac=st.just(""), ref=st.none() | st.integers(0, 99),
)  # fmt: skip


@pytest.mark.slow
@given(details)
def test_canonical_json_is_one_text_for_one_value(detail: dict[str, Any]) -> None:
    text = canonical(detail)
    text.encode("utf-8")
    assert canonical(read_detail(text)) == text
    assert canonical(dict(reversed(detail.items()))) == text


@pytest.mark.slow
@given(records, records)
def test_two_different_records_never_share_a_mac(one: Record, other: Record) -> None:
    assert (seal(one, KEY) == seal(other, KEY)) == (row_of(one) == row_of(other))


@pytest.mark.slow
@given(records, st.data())
def test_moving_text_between_neighbouring_fields_changes_the_mac(record: Record, data: st.DataObject) -> None:
    names = ["operator", "session", "environment", "campaign", "run", "action"]
    at = data.draw(st.integers(0, len(names) - 2))
    left, right = names[at], names[at + 1]
    whole = getattr(record, left) + getattr(record, right)
    cut = data.draw(st.integers(0, len(whole)))
    moved = replace(record, **{left: whole[:cut], right: whole[cut:]})
    assert (seal(moved, KEY) == seal(record, KEY)) == (moved == record)


def test_the_mac_covers_every_field_but_itself() -> None:
    record = Record(
        3, datetime(2026, 5, 12, tzinfo=UTC), "a", "b", "c", "d", "e", "f", Phase.NOTE, "g", {"h": 1}, "i", "j", 2
    )
    changed: dict[str, object] = {
        "seq": 4, "utc": record.utc + timedelta(microseconds=1), "phase": Phase.INTENT, "detail": {"h": 2}, "ref": 1
    }  # fmt: skip
    for field in fields(Record):
        other = replace(record, **{field.name: changed.get(field.name, "x")})
        assert (seal(other, KEY) == seal(record, KEY)) == (field.name == "mac"), field.name


@pytest.mark.parametrize(
    "detail", [{"x": float("nan")}, {"x": [float("inf")]}, {1: "x"}, {"x": b"bytes"}, {"x": {1, 2}}]
)
def test_what_json_does_not_know_is_refused_and_writes_nothing(store: AuditStore, detail: dict[Any, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        store.note(event(detail=detail))
    assert store.head().seq == 0
