"""Given a store on a real PostgreSQL server, when writers crowd, die or are cut off, then there is one chain."""

import multiprocessing
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.chain import Anchor
from opsconsole.audit.postgres import PostgresServer
from opsconsole.audit.records import Outgoing, Phase
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from tests.audit.support import KEY, event, ticking
from tests.support.postgres import PASSWORD, Postgres, schema_of
from tests.support.sshd import free_port

pytestmark = pytest.mark.needs("postgres")
WRITERS = 50


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new()


@pytest.fixture
def store(url: str) -> Iterator[AuditStore]:
    with AuditStore(url, KEY, clock=ticking()) as opened:
        yield opened


def _crowd(url: str, first: int, count: int, each: int, told: Any) -> None:
    """`count` writers in this process, every one with a store and connections of its own."""

    def one(number: int) -> list[int]:
        with AuditStore(url, KEY, clock=ticking(), busy_seconds=60) as store:
            return [store.note(event(operator=f"w{number}", detail={"n": n})).seq for n in range(each)]

    with ThreadPoolExecutor(count) as pool:
        told.put([seq for seqs in pool.map(one, range(first, first + count)) for seq in seqs])


@pytest.mark.slow
def test_fifty_writers_in_five_processes_leave_no_gap_and_no_fork(url: str) -> None:
    each, processes = 4, 5
    AuditStore(url, KEY, clock=ticking()).close()
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    crowd = WRITERS // processes
    workers = [context.Process(target=_crowd, args=(url, n * crowd, crowd, each, told)) for n in range(processes)]
    for worker in workers:
        worker.start()
    acknowledged = [seq for _ in workers for seq in told.get(timeout=90)]
    for worker in workers:
        worker.join(30)
    assert sorted(acknowledged) == list(range(1, WRITERS * each + 1))
    with AuditStore(url, KEY, clock=ticking()) as store:
        found = store.verify()
        writers = {record.operator for record in store.search(limit=1000)}
    assert (found.ok, found.checked) == (True, WRITERS * each)
    assert len(writers) == WRITERS


@pytest.mark.slow
def test_fifty_writers_that_open_a_new_store_at_once_make_one_chain(url: str) -> None:
    def first(number: int) -> list[int]:
        with AuditStore(url, KEY, clock=ticking(), busy_seconds=60) as store:
            return [store.note(event(operator=f"w{number}")).seq for _ in range(3)]

    with ThreadPoolExecutor(WRITERS) as pool:
        acknowledged = sorted(seq for seqs in pool.map(first, range(WRITERS)) for seq in seqs)
    assert acknowledged == list(range(1, 3 * WRITERS + 1))
    with AuditStore(url, KEY, clock=ticking()) as store:
        assert store.verify().checked == 3 * WRITERS


def test_a_backend_killed_in_the_middle_leaves_nothing_and_the_next_writer_goes_on(
    store: AuditStore, url: str, postgres: Postgres
) -> None:
    store.note(event())
    row = "INSERT INTO outbox (created_utc, destination, key, payload, tries, next_try_utc, last_error) "
    kill = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'idle in transaction'"

    def write() -> None:
        with store.writing() as connection:
            connection.exec_driver_sql(row + "VALUES ('', 'd', 'k', '{}', 0, '', '')")
            postgres.sql(kill)
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(AuditUnavailable) as caught:
        write()
    assert caught.value.next_step
    assert store.note(event()).seq == 2
    assert postgres.sql("SELECT count(*) FROM outbox", schema=schema_of(url)) == [(0,)]
    assert store.verify().checked == 2


@pytest.mark.parametrize("phase", [Phase.NOTE, Phase.INTENT])
def test_a_connection_lost_after_the_commit_is_looked_into_and_nothing_written_twice(
    store: AuditStore, postgres: Postgres, phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to the commit is lost: the record is there, and its writer doesn't know."""
    import psycopg

    commit = psycopg.Connection.commit
    lost = []

    def lose(connection: "psycopg.Connection[Any]") -> None:
        wrote = connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        commit(connection)
        if wrote and not lost:
            lost.append(connection)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", lose)
    if phase is Phase.INTENT:
        with pytest.raises(AuditUnavailable):
            store.intent(event())
        assert [record.seq for record in store.unresolved()] == [
            1
        ]  # not acknowledged: looked after, never repeated
    else:
        assert store.note(event()).seq == 1
    assert lost
    assert store.head().seq == 1
    assert store.verify().ok


@pytest.mark.slow
def test_a_server_that_went_away_and_came_back_is_used_again(tmp_path: Path) -> None:
    server = Postgres()
    try:
        with AuditStore(server.url(), KEY, clock=ticking(), busy_seconds=2) as store:
            written = [store.note(event()).seq for _ in range(3)]
            server.halt()
            for use in (lambda: store.intent(event()), store.head, store.verify):
                with pytest.raises(AuditUnavailable) as caught:
                    use()
                assert PASSWORD not in str(caught.value)
            server.start()
            assert written == [1, 2, 3]
            assert store.intent(event()).seq == 4
            assert store.verify(Anchor(0, "0" * 64)).checked == 4
        server.halt()
        server.start("-c", "fsync=off")
        with pytest.raises(AuditUnavailable, match="fsync = off") as caught:
            AuditStore(server.url(), KEY, clock=ticking())
        assert "power cut" in caught.value.means
    finally:
        server.stop()


def test_readers_wait_for_no_writer_and_a_writer_for_no_walk(store: AuditStore) -> None:
    for _ in range(3):
        store.note(event())
    with store.writing(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(store.head).result(5).seq == 3
        assert pool.submit(store.verify).result(5).checked == 3
        assert len(pool.submit(store.search).result(5)) == 3


def test_a_writer_that_is_stuck_gives_the_others_a_clear_error(store: AuditStore, url: str) -> None:
    with AuditStore(url, KEY, clock=ticking(), busy_seconds=0.3) as other, store.writing():
        began = time.monotonic()
        with pytest.raises(AuditUnavailable) as caught:
            other.intent(event())
        assert time.monotonic() - began < 10
        assert "pg_stat_activity" in caught.value.next_step
        assert "none will be taken" in caught.value.means
    assert store.intent(event()).seq == 1


ROW = "'2026', 'o', 's', 'e', 'c', 'r', 'a', 'note', '', '{}', 'p', 'm', NULL"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET reason = 'x' WHERE seq = 1",
        "UPDATE audit SET reason = 'x' WHERE seq = 99",
        "DELETE FROM audit WHERE seq = 1",
        "TRUNCATE audit",
        "TRUNCATE audit, outbox CASCADE",
        f"INSERT INTO audit VALUES (2, {ROW})",
        f"INSERT INTO audit VALUES (4, {ROW})",
        f"INSERT INTO audit VALUES (0, {ROW})",
        f"INSERT INTO audit VALUES (3, {ROW}), (5, {ROW})",
        f"INSERT INTO audit VALUES (1, {ROW}) ON CONFLICT (seq) DO UPDATE SET reason = 'x'",
        "SET session_replication_role = replica; DELETE FROM audit",
    ],
)
def test_plain_sql_may_not_change_a_record(store: AuditStore, url: str, postgres: Postgres, statement: str) -> None:
    import psycopg

    store.note(event())
    store.note(event())
    head = store.head()
    with pytest.raises(psycopg.Error, match="append-only"):
        postgres.sql(*statement.split("; "), schema=schema_of(url))
    assert (store.head(), store.verify().checked) == (head, 2)


def test_triggers_that_were_taken_away_or_hollowed_out_are_put_back(
    store: AuditStore, url: str, postgres: Postgres
) -> None:
    store.note(event())
    schema = schema_of(url)
    hollow = (
        "CREATE OR REPLACE FUNCTION audit_only_next() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    postgres.sql(
        hollow, "DROP TRIGGER audit_no_change ON audit", "ALTER TABLE audit DISABLE TRIGGER audit_second_person",
        schema=schema,
    )  # fmt: skip
    AuditStore(url, KEY, clock=ticking()).close()
    import psycopg

    for statement in ("DELETE FROM audit", f"INSERT INTO audit VALUES (7, {ROW})"):
        with pytest.raises(psycopg.Error, match="append-only"):
            postgres.sql(statement, schema=schema)
    enabled = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'audit'::regclass AND tgenabled = 'A'"
    assert postgres.sql(enabled, schema=schema) == [(3,)]


REST = "utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac, ref"
COPY = f"INSERT INTO audit (SELECT {{}}, {REST} FROM audit WHERE seq = 3)"
TAMPERS = {
    "a reason edited": ("UPDATE audit SET reason = 'fine' WHERE seq = 4", 4),
    "a record deleted": ("DELETE FROM audit WHERE seq = 4", 4),
    "the end cut off": ("DELETE FROM audit WHERE seq > 7", 8),
    "all of it cut off": ("TRUNCATE audit", 1),
    "an old record copied to the end": (COPY.format(11), 11),
    "a record below the first": (COPY.format(0), 1),
    "a seq twice": (
        "ALTER TABLE audit DROP CONSTRAINT audit_pkey; INSERT INTO audit SELECT * FROM audit WHERE seq = 5",
        6,
    ),
    "a seq that is nothing": (
        "ALTER TABLE audit DROP CONSTRAINT audit_pkey; ALTER TABLE audit ALTER seq DROP NOT NULL; "
        + COPY.format("NULL"),
        11,
    ),
}


@pytest.mark.parametrize("name", TAMPERS)
def test_what_a_superuser_tampers_with_is_found(store: AuditStore, url: str, postgres: Postgres, name: str) -> None:
    statements, first_bad = TAMPERS[name]
    for number in range(10):
        store.note(event(reason=f"reason {number}"))
    anchor = store.head()
    postgres.sql("ALTER TABLE audit DISABLE TRIGGER ALL", *statements.split("; "), schema=schema_of(url))
    with AuditStore(url, KEY, clock=ticking()) as opened:
        found = opened.verify(anchor)
    assert (found.ok, found.first_bad_seq) == (False, first_bad), found.why


def test_every_commit_waits_for_the_disk_whatever_the_server_does_by_default(url: str, postgres: Postgres) -> None:
    postgres.sql("ALTER ROLE opsconsole SET synchronous_commit = off")
    try:
        with AuditStore(url, KEY, clock=ticking()) as store:
            with store.writing() as connection:
                assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
                assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
                connection.exec_driver_sql("SET synchronous_commit = off")
            with pytest.raises(AuditUnavailable, match="which was on before"):
                store.intent(event())
    finally:
        postgres.sql("ALTER ROLE opsconsole RESET synchronous_commit")


def wrong(postgres: Postgres) -> dict[str, str]:
    there = postgres.url()
    return {
        "password": postgres.url(password="WrongCanary%20Secret"),
        "port": postgres.url(port=free_port()),
        "database": there.replace("/postgres?", "/nowhere?"),
        "role": there.replace("://opsconsole:", "://nobody-known:"),
        "option": there + "&sslpassword=OptionCanary&nonsense=1",
        "query": f"postgresql://opsconsole@127.0.0.1:{postgres.port}/postgres?password=QueryCanary",
    }


@pytest.mark.parametrize("what", ["password", "port", "database", "role", "option", "query"])
def test_what_is_wrong_with_an_address_is_told_without_its_password(postgres: Postgres, what: str) -> None:
    with pytest.raises(AuditUnavailable) as caught:
        AuditStore(wrong(postgres)[what], KEY, clock=ticking(), busy_seconds=2)
    error: BaseException | None = caught.value
    while error is not None:
        said = str(error) + repr(error)
        assert not re.search(f"Canary|{PASSWORD}", said)
        error = error.__cause__
    assert caught.value.means
    assert caught.value.next_step


def test_no_repr_holds_a_password(postgres: Postgres) -> None:
    from sqlalchemy.engine import make_url

    address = make_url(f"{postgres.new()}&sslpassword=OptionCanary")
    with closing(PostgresServer(address.set(password="x"), 5, PASSWORD)) as server:
        shown = repr(vars(server)["_engine"]) + repr(server) + server.place
    assert not re.search(f"Canary|{PASSWORD}", shown)


def test_the_password_may_come_from_the_file_libpq_reads(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "pgpass"
    kept.write_text(f"127.0.0.1:{postgres.port}:*:opsconsole:{PASSWORD}\n")
    kept.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(kept))
    with AuditStore(postgres.new().replace(f":{PASSWORD}@", "@"), KEY, clock=ticking()) as store:
        assert store.note(event()).seq == 1


def test_no_secret_of_a_row_is_told_by_an_error(store: AuditStore) -> None:
    with pytest.raises(AuditUnavailable) as caught, store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO audit (seq, reason) VALUES (1, %s)", ("RowCanary",))
    assert "RowCanary" not in str(caught.value) + repr(caught.value.__cause__)


def test_a_role_that_may_only_add_is_enough_once_the_owner_has_opened_it(url: str, postgres: Postgres) -> None:
    AuditStore(url, KEY, clock=ticking()).close()
    schema = schema_of(url)
    role = f"desk_{schema}"
    postgres.sql(
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'", f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT ON audit TO {role}", f"GRANT ALL ON outbox, outbox_id_seq TO {role}", schema=schema,
    )  # fmt: skip
    with AuditStore(url.replace("://opsconsole:", f"://{role}:"), KEY, clock=ticking()) as store:
        told = [Outgoing("dashboard", "k", {})]
        assert store.note(event(), outbox=told).seq == 1
        assert store.verify().ok


def test_many_threads_of_one_console_share_few_connections(store: AuditStore, postgres: Postgres) -> None:
    busy = threading.Barrier(12)

    def use(_: int) -> int:
        busy.wait(10)
        return store.note(event()).seq + store.head().seq * 0

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(use, range(12))) == list(range(1, 13))
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'opsconsole'"
    (count,) = postgres.sql(ours)[0]
    assert isinstance(count, int)
    assert count <= 16
