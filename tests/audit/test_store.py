"""Given an audit store, when actions are recorded and looked up, then the record is exact, masked and findable."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opsconsole.audit.chain import GENESIS, Anchor
from opsconsole.audit.records import AuditUnavailable, Outgoing, Phase
from opsconsole.audit.sqlite import raw_connection
from opsconsole.audit.store import AuditStore
from opsconsole.redact import Redactor
from tests.audit.support import KEY, START, event, ticking


def test_an_intent_and_its_outcome(store: AuditStore) -> None:
    intent = store.intent(event(reason="overdue", detail={"b": [1, None], "a": {"x": True}}))
    assert (intent.seq, intent.phase, intent.prev, intent.utc) == (1, Phase.INTENT, GENESIS, START)
    assert store.unresolved() == [intent]

    outcome = store.outcome(intent, event(detail={"sent": 2601}))
    assert (outcome.seq, outcome.phase, outcome.ref, outcome.prev) == (2, Phase.OUTCOME, 1, intent.mac)
    assert store.unresolved() == []
    assert [store.get(1), store.get(2), store.get(3)] == [intent, outcome, None]
    assert store.head() == Anchor(2, outcome.mac)
    assert store.for_run("run-1") == store.for_campaign("paul-simon-may12") == [intent, outcome]
    assert store.for_run("run-2") == []


def test_an_intent_without_outcome_stays_until_somebody_looked(store: AuditStore, path: Path) -> None:
    first, second, third = (store.intent(event(run=f"run-{n}")) for n in range(3))
    store.outcome(second, event())
    store.note(event(action="look"))
    with AuditStore(path, KEY, clock=ticking()) as restarted:
        assert restarted.unresolved() == [first, third]
        restarted.resolve(first, event(reason="no claim on the host: it never started"))
        assert restarted.unresolved() == [third]
        assert restarted.outcome(first.seq, event(detail={"late": True})).ref == first.seq


@pytest.mark.parametrize("ref", [2, 99, None])
def test_an_outcome_must_name_an_intent(store: AuditStore, ref: int | None) -> None:
    store.intent(event())
    store.note(event())
    with pytest.raises(ValueError, match="intent"):
        store.append(replace(event(), phase=Phase.OUTCOME, ref=ref))
    assert store.head().seq == 2


def test_a_naive_clock_is_refused(path: Path) -> None:
    with (
        AuditStore(path, KEY, clock=lambda: datetime(2026, 5, 12)) as store,
        pytest.raises(ValueError, match="aware"),
    ):
        store.note(event())


def test_the_instant_is_kept_to_the_microsecond_in_utc(path: Path) -> None:
    zone = timezone(timedelta(hours=-7))
    moment = datetime(2026, 5, 12, 10, 52, 0, 1, tzinfo=zone)
    with AuditStore(path, KEY, clock=lambda: moment) as store:
        record = store.note(event())
        assert record.utc == moment
        assert record.utc.utcoffset() == timedelta(0)
        assert store.get(1) == record


SEARCHES = [
    ({"text": "refused"}, [3]),
    ({"text": "REFUSED connection"}, [3]),
    ({"text": "100%"}, [2]),
    ({"text": "a_b"}, [4]),
    ({"text": "naïve"}, [5]),
    ({"text": "\\"}, [5]),
    ({"text": "nothing like it"}, []),
    ({"campaign": "spring-offer"}, [4, 3]),
    ({"action": "hold"}, [5]),
    ({"operator": "ana"}, [2]),
    ({"campaign": "spring-offer", "text": "a_b"}, [4]),
    ({"since": START + timedelta(seconds=3)}, [5, 4]),
    ({"until": START + timedelta(seconds=1)}, [1]),
    ({"before_seq": 3}, [2, 1]),
    ({"limit": 2}, [5, 4]),
    ({"within": 2}, [5, 4]),
    ({"within": 3, "before_seq": 5, "campaign": "spring-offer"}, [4, 3]),
    ({"within": 99, "text": "refused"}, [3]),
    ({"since": START + timedelta(days=1)}, []),
    ({"until": START}, []),
    ({"limit": 2, "before_seq": 4}, [3, 2]),
    ({}, [5, 4, 3, 2, 1]),
]


@pytest.mark.parametrize(("given", "found"), SEARCHES)
def test_search_finds_newest_first(store: AuditStore, given: dict[str, object], found: list[int]) -> None:
    store.intent(event(run="axb"))
    store.outcome(1, event(operator="ana", detail={"progress": "100%"}))
    store.note(event(campaign="spring-offer", reason="connection refused"))
    store.note(event(campaign="spring-offer", run="a_b"))
    store.note(event("hold", reason="naïve \\ slash"))
    assert [record.seq for record in store.search(**given)] == found  # type: ignore[arg-type]


def test_the_last_decision_on_each_campaign_in_one_query(store: AuditStore) -> None:
    for action, campaign in [("approve", "a"), ("hold", "a"), ("approve", "b"), ("send", "a"), ("hold", "")]:
        store.note(event(action, campaign=campaign))
    last = store.last_by_campaign(["approve", "hold"])
    assert {slug: (record.action, record.seq) for slug, record in last.items()} == {
        "a": ("hold", 2),
        "b": ("approve", 3),
    }
    assert store.last_by_campaign([]) == {}


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


def test_text_no_terminal_and_no_database_likes_is_kept_and_found(store: AuditStore) -> None:
    record = store.note(event(reason="nul \0 lone \udcff end", detail={"k\udcff": "a\0b"}))
    assert store.get(1) == record
    assert [r.seq for r in store.search("end")] == [1]
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


def test_eight_threads_make_one_chain(store: AuditStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: store.note(event(detail={"n": n})), range(400)))
    assert sorted(record.seq for record in written) == list(range(1, 401))
    assert store.verify().checked == 400
    assert all(store.get(record.seq) == record for record in written[::40])


def test_verifying_never_keeps_an_intent_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.audit.store.PAGE", 5)
    with AuditStore(path, KEY, clock=ticking(), busy_seconds=0.2) as store:
        for _ in range(20):
            store.note(event())
        paused, go_on = threading.Event(), threading.Event()

        def stop_after_a_page(checked: int, _: int) -> None:
            paused.set()
            assert go_on.wait(10)

        with ThreadPoolExecutor(1) as pool:
            verifying = pool.submit(store.verify, None, stop_after_a_page)
            assert paused.wait(10)
            assert store.intent(event()).seq == 21
            go_on.set()
            assert verifying.result(10).checked == 20


def test_closing_and_time_going_back_keep_the_order(path: Path) -> None:
    moments = iter([START, START - timedelta(days=1)])
    with AuditStore(path, KEY, clock=lambda: next(moments)) as store:
        store.note(event())
        store.note(event())
        assert [record.seq for record in store.search()] == [2, 1]
        assert store.verify().ok


def test_importing_records_and_chain_loads_no_database_library() -> None:
    import subprocess
    import sys

    code = (
        "import sys, opsconsole.audit.records, opsconsole.audit.chain, opsconsole.audit.key, opsconsole.redact;"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'sqlite3', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
