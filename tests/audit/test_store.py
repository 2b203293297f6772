"""Given an audit store, when actions are recorded and looked up, then the record is exact, masked and findable."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from opsconsole.audit.records import Outgoing
from opsconsole.audit.sqlite import raw_connection
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.redact import Redactor
from tests.audit.support import KEY, event, ticking


def test_no_secret_and_no_recipient_reaches_the_file(store: AuditStore, path: Path) -> None:
    secrets = ["Hunter2Canary", "TokenCanary123", "RegisteredCanary", "john.canary", "HookCanary"]
    store.redactor = Redactor(["RegisteredCanary"])
    dirty = event(
        reason="john.canary@example.com complained, password=Hunter2Canary",
        run="https://mara:Hunter2Canary@example.test",
        operator="mara@example.com",
        detail={
            "smtp_password": "Hunter2Canary",
            "lines": ["Authorization: Bearer TokenCanary123", {"to": "<john.canary@example.com>"}],
            "said": "RegisteredCanary",
            "approver": "ana@example.com",
            "john.canary@example.com": 550,
        },
    )
    intent = store.intent(dirty)
    hook = {"url": "https://hooks.slack.com/services/T0/B0/HookCanary"}
    store.outcome(intent, dirty, outbox=[Outgoing("slack", "key-1", hook)])
    with pytest.raises(AuditUnavailable) as caught, store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO audit (seq, reason) VALUES (1, ?)", ("Hunter2Canary",))
    data = path.read_bytes()
    for secret in secrets:
        assert secret.encode() not in data
        assert secret not in str(caught.value) + repr(caught.value.__cause__)
    assert b"mara@example.com" in data
    assert intent.detail["approver"] == "ana@example.com"
    assert store.verify().ok


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET reason = 'x' WHERE seq = 1",
        "UPDATE OR REPLACE audit SET seq = 2 WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 1",
        "INSERT INTO audit SELECT seq + 7, utc, operator, session, environment, campaign, run, action, phase,"
        " reason, detail, prev, mac, ref FROM audit WHERE seq = 2",
    ],
)
def test_plain_sqlite_may_not_change_a_record(store: AuditStore, path: Path, statement: str) -> None:
    store.note(event())
    store.note(event())
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        db.execute(statement)
    assert path.read_bytes() == before


def test_what_must_survive_a_power_cut_really_is_set(store: AuditStore, path: Path) -> None:
    for connections in (store.reading, store.writing):
        with connections() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    AuditStore(path, KEY, clock=ticking()).close()
    path.chmod(0o644)
    AuditStore(path, KEY, clock=ticking()).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_store_held_in_wal_mode_is_refused_and_one_left_in_it_is_mended(path: Path) -> None:
    AuditStore(path, KEY, clock=ticking()).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("SELECT count(*) FROM audit").fetchone()
        with pytest.raises(AuditUnavailable) as caught:
            AuditStore(path, KEY, clock=ticking(), busy_seconds=0.05)
        assert caught.value.next_step
    with AuditStore(path, KEY, clock=ticking()) as store, store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"


def test_a_long_look_by_somebody_else_gives_a_clear_error_and_writes_nothing(path: Path) -> None:
    with AuditStore(path, KEY, clock=ticking(), busy_seconds=0.05) as store:
        store.note(event())
        with closing(raw_connection(path, 1)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(AuditUnavailable) as caught:
                store.intent(event())
            other.execute("ROLLBACK")
        assert "locked" in caught.value.what
        assert "none will be taken" in caught.value.means
        assert "fuser" in caught.value.next_step
        assert store.note(event()).seq == 2


@pytest.mark.parametrize("content", [b"xy", b"not a database" * 100])
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(AuditUnavailable) as caught:
        AuditStore(path, KEY, clock=ticking())
    assert "backup" in caught.value.next_step
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"x"])  # SQLite itself takes one byte for none
def test_an_empty_file_becomes_a_store(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with AuditStore(path, KEY, clock=ticking()) as store:
        assert store.search() == store.unresolved() == []
        assert store.note(event()).seq == 1


@pytest.mark.parametrize("url", ["mysql://db.example.test/audit", "sqlite://", "sqlite:///:memory:", "x:// y"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(AuditUnavailable, match="Give a path"):
        AuditStore(url, KEY, clock=ticking())


def test_a_sqlite_url_is_a_path(path: Path) -> None:
    with AuditStore(f"sqlite:///{path}", KEY, clock=ticking()) as store:
        assert store.path == path
        store.note(event())


def test_importing_records_and_chain_loads_no_database_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, opsconsole.audit.records, opsconsole.audit.chain, opsconsole.audit.key, opsconsole.redact;"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'sqlite3', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_trigger_that_was_hollowed_out_is_put_back(path: Path) -> None:
    with AuditStore(path, KEY, clock=ticking()) as store:
        store.note(event())
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER audit_no_delete")
        db.execute("CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN 0 BEGIN SELECT 1; END")
    AuditStore(path, KEY, clock=ticking()).close()
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        db.execute("DELETE FROM audit")
