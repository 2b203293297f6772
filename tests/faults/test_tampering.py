"""Given somebody with write access to the records, or to their anchors, but not to the key, when they change
anything, then `audit verify` says so and where, and no send goes on at a console that has just been started."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit import verify_export
from opsconsole.errors import AuditUnavailable
from opsconsole.ports import Refused
from tests.faults import tampers
from tests.faults.house import House, an_event, utc_now
from tests.faults.support import report, seed, size
from tests.support.postgres import Postgres, schema_of

pytestmark = pytest.mark.slow

RECORDS, OLDER = 12, 7


@dataclass
class Count:
    """What a suite of tampers found: `missed` says each that went by unnoticed."""

    cases: int = 0
    fired: int = 0
    missed: list[str] = field(default_factory=list)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Twelve records, each with its anchor; an older copy of the file and an older export lie beside it."""
    made = House(tmp_path / "now", monkeypatch)
    made.records(OLDER)
    shutil.copyfile(made.db, made.data.with_name("older.db"))
    assert made.command("audit", "export", str(made.data.with_name("older.jsonl"))).code == 0
    made.records(RECORDS - OLDER)
    return made


@pytest.fixture
def untouched(house: House, tmp_path: Path) -> Callable[[], None]:
    """Puts everything back as it was before a tamper."""
    shutil.copytree(house.data, tmp_path / "kept" / "data")
    shutil.copytree(house.anchors.parent, tmp_path / "kept" / "anchors")
    folder = house.anchors.parent

    def put_back() -> None:
        for place, kept in ((house.data, "data"), (folder, "anchors")):
            shutil.rmtree(place)
            shutil.copytree(tmp_path / "kept" / kept, place)

    return put_back


def some(chance: random.Random, *ways: tampers.Statements) -> list[tampers.Statements]:
    """Twelve of them, chosen at random; all in the full form."""
    return chance.sample(ways, size(12, len(ways)))


def noticed(house: House, first: int | None, *, keeper: bool = False) -> list[str]:
    """What is wrong with how a tamper was told; empty when `audit verify` and a console's start both noticed."""
    wrong = []
    said = house.command("audit", "verify", "--json")
    if said.code == 3 and not keeper:  # the file can't even be read
        if "audit store" not in said.err:
            wrong.append(f"verify doesn't say what is wrong: {said.err!r}")
    elif said.code != 1:
        wrong.append(f"verify leaves with {said.code}")
    elif keeper and not said.json["anchors"][0]["found"]:
        wrong.append("verify finds nothing in the anchors")
    elif not keeper and said.json["first_bad_seq"] != first:
        wrong.append(f"verify names record {said.json['first_bad_seq']}, and it is {first}: {said.json['why']}")
    return [*wrong, *stopped(house, keeper=keeper)]


def stopped(house: House, *, keeper: bool = False) -> list[str]:
    """What is wrong with a console's start: a banner must be there, and a send must not go on."""
    wrong = []
    with house.console(stays=True) as console:
        banner = console.carrier_trouble.get("blast-1", "") if keeper else console.store_trouble
        if not banner:
            wrong.append("no banner at the start")
        if not console.disabled_reason("send"):
            wrong.append("send is on offer")
    # A command doesn't stay, and looks through the store only before it sends.
    with house.console() as console, suppress(Refused, AuditUnavailable):
        console._runs().start(house.plan())
        wrong.append("a send went on")
    if house.started:
        wrong.append("the host was asked to send")
        house.started.clear()
    return wrong


def test_an_untouched_store_verifies_and_sends(house: House) -> None:
    assert house.command("audit", "verify").code == 0
    with house.console(stays=True) as console:
        assert (console.store_trouble, console.carrier_trouble) == ("", {"blast-1": ""})
        console._runs().start(house.plan())
    assert len(house.started) == 1


def test_every_change_to_the_records_is_noticed(house: House, untouched: Callable[[], None]) -> None:
    chance, count = random.Random(seed()), Count()
    for _ in range(size(1, 15)):
        for tamper in some(chance, *tampers.edits(chance, RECORDS), *tampers.statements(chance, RECORDS)):
            count.cases += 1
            count.fired += bool(tampers.run_sqlite(house.db, tamper.sql))
            count.missed += [f"{tamper.name} ({tamper.first}): {why}" for why in noticed(house, tamper.first)]
            untouched()
    report("tampering-records", count.cases, count.fired, len(count.missed))
    assert count.fired == count.cases
    assert not count.missed, "\n".join(count.missed)


def test_every_change_of_the_file_is_noticed(house: House, untouched: Callable[[], None]) -> None:
    chance, count = random.Random(seed()), Count()
    for _ in range(size(1, 20)):
        for name, tamper in tampers.FILES.items():
            count.cases += 1
            before = house.db.read_bytes()
            first = tamper(house, chance)
            count.fired += house.db.read_bytes() != before or Path(f"{house.db}-journal").exists()
            count.missed += [f"{name} ({first}): {why}" for why in noticed(house, first)]
            untouched()
    report("tampering-file", count.cases, count.fired, len(count.missed))
    assert count.fired == count.cases
    assert not count.missed, "\n".join(count.missed)


def test_every_change_of_the_anchors_is_noticed_and_stops_sends_there(
    house: House, untouched: Callable[[], None]
) -> None:
    chance, count = random.Random(seed()), Count()
    for _ in range(size(1, 20)):
        for name, tamper in tampers.ANCHORS.items():
            count.cases += 1
            tamper(house, chance)
            count.fired += 1  # each asserts that it changed the file
            count.missed += [f"{name}: {why}" for why in noticed(house, None, keeper=True)]
            untouched()
    report("tampering-anchors", count.cases, count.fired, len(count.missed))
    assert not count.missed, "\n".join(count.missed)


def test_a_journal_removed_after_a_crash_leaves_all_of_a_record_or_is_noticed(
    house: House, untouched: Callable[[], None]
) -> None:
    """A crash in the middle of a commit leaves some pages new and some old; the journal would have mended that."""
    chance, count = random.Random(seed()), Count()
    old = house.db.read_bytes()
    with house.store() as store:
        store.note(an_event(99))
    new = house.db.read_bytes()
    page = int.from_bytes(old[16:18], "big")
    changed = [at for at in range(0, len(new), page) if old[at : at + page] != new[at : at + page]]
    assert len(changed) > 2
    for _ in range(size(12, 200)):
        written = chance.sample(changed, chance.randint(1, len(changed) - 1))
        mixed = bytearray(old.ljust(len(new), b"\0"))
        for at in written:
            mixed[at : at + page] = new[at : at + page]
        if mixed[: len(old)] == old and len(new) > len(old):
            mixed = mixed[: max(*written, len(old)) + page]
        count.cases, count.fired = count.cases + 1, count.fired + 1
        house.db.write_bytes(mixed)
        said = house.command("audit", "verify", "--json")
        if said.code == 0 and not consistent(house.db):
            count.missed.append(f"pages {[at // page for at in written]} of {len(changed)}: {said.out}")
        untouched()
    report("tampering-no-journal", count.cases, count.fired, len(count.missed))
    assert not count.missed, "\n".join(count.missed)


def consistent(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as db:
        return [str(row[0]) for row in db.execute("PRAGMA integrity_check").fetchall()] == ["ok"]


def test_a_protection_that_was_off_is_told_until_somebody_has_looked(house: House) -> None:
    names = ("audit_no_update", "audit_no_delete", "audit_only_next", "audit_second_person")
    with closing(sqlite3.connect(house.db, isolation_level=None)) as db:
        for name in names:
            db.execute(f"DROP TRIGGER {name}")
    said = house.command("audit", "verify")
    assert said.code == 1
    assert "protection" in said.out
    assert "audit_no_update" in said.out
    again = house.command("audit", "verify", "--json")
    assert (again.code, again.json["ok"]) == (1, True), "it stays told, and the records are whole"
    assert "protection" in house.command("doctor").out
    (seq,) = again.json["unresolved"]
    assert house.command("audit", "resolve", str(seq), "--reason", "the upgrade of Monday").code == 0
    assert house.command("audit", "verify").code == 0
    with closing(sqlite3.connect(house.db)) as db:
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    assert there >= set(names), "and it is on again"
    report("tampering-protection", len(names), len(names), 0)


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER quiet AFTER INSERT ON outbox BEGIN DELETE FROM outbox WHERE id = NEW.id; END",
        "CREATE TRIGGER other AFTER INSERT ON audit BEGIN UPDATE outbox SET done_utc = 'x'; END",
    ],
)
def test_a_planted_trigger_is_noticed(house: House, planted: str) -> None:
    with closing(sqlite3.connect(house.db, isolation_level=None)) as db:
        db.execute(planted)
    missed = noticed(house, RECORDS + 1)
    report("tampering-planted", 1, 1, len(missed))
    assert not missed


def test_an_export_that_was_changed_is_told_from_an_honest_one(house: House, tmp_path: Path) -> None:
    chance, count = random.Random(seed()), Count()
    file, changed = tmp_path / "all.jsonl", tmp_path / "changed.jsonl"
    assert house.command("audit", "export", str(file)).code == 0
    key = ["--key-file", str(house.data / "audit.key")]
    assert verify_export.main([str(file), *key]) == 0
    lines = file.read_text().splitlines()

    def at() -> int:
        return chance.randrange(len(lines))

    def edited() -> list[str]:
        line, place = at(), 0
        while (place := chance.randrange(len(lines[line]))) and lines[line][place] == "0":
            continue
        return [*lines[:line], lines[line][:place] + "0" + lines[line][place + 1 :], *lines[line + 1 :]]

    def swapped() -> list[str]:
        one, other = chance.sample(range(len(lines)), 2)
        made = list(lines)
        made[one], made[other] = made[other], made[one]
        return made

    ways: dict[str, Callable[[], list[str]]] = {
        "edit": edited,
        "delete": lambda: [line for number, line in enumerate(lines) if number != chosen],
        "twice": lambda: [*lines[: chosen + 1], *lines[chosen:]],
        "reorder": swapped,
        "cut off": lambda: lines[:chosen],
        "NUL": lambda: [*lines[:chosen], lines[chosen][:-1] + ',"x":"\\u0000"}', *lines[chosen + 1 :]],
        "key twice": lambda: [*lines[:chosen], '{"seq":1,' + lines[chosen][1:], *lines[chosen + 1 :]],
        "older end": lambda: [*lines[:-3], lines[-1]],
    }
    for _ in range(size(10, 500)):
        for name, way in ways.items():
            chosen = at()
            made = way()
            count.cases += 1
            if made == lines:
                continue
            count.fired += 1
            changed.write_text("".join(f"{line}\n" for line in made))
            if verify_export.main([str(changed), *key]) != 1:
                count.missed.append(f"{name} at line {chosen + 1}")
    report("tampering-export", count.cases, count.fired, len(count.missed))
    assert not count.missed, count.missed


def test_a_console_whose_clock_was_set_back_sends_nothing_until_somebody_explains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, missed = House(tmp_path, monkeypatch), []
    cases = [timedelta(minutes=2), timedelta(hours=1), timedelta(days=1), timedelta(days=400)]
    for back in cases:
        house.records(1)
        house.records(1, clock=lambda back=back: utc_now() - back)  # type: ignore[misc]
        said = house.command("audit", "verify", "--json")
        if said.code != 1 or not said.json["ok"] or len(said.json["regressions"]) != 1:
            missed.append(f"{back}: {said.out}")
        with (
            house.console(clock=lambda back=back: utc_now() - back) as console,  # type: ignore[misc]
            pytest.raises(Refused, match="clock"),
        ):
            console._runs().start(house.plan())
        assert house.command("audit", "accept-clock", "--reason", "the battery was flat").code == 0
        if (code := house.command("audit", "verify").code) != 0:
            missed.append(f"{back}, explained: {code}")
    with house.console() as console:
        console._runs().start(house.plan())
    assert len(house.started) == 1, "and then it goes on"
    report("tampering-clock", len(cases), len(cases), len(missed))
    assert not missed, missed


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.timeout(1200)
@pytest.mark.needs("postgres")
def test_every_change_on_a_postgresql_server_is_noticed(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, count = random.Random(seed()), Count()
    url = postgres.new()
    schema = schema_of(url)
    house = House(tmp_path, monkeypatch, url=url)
    house.records(RECORDS)
    postgres.sql(
        "CREATE TABLE kept AS SELECT * FROM audit", "CREATE TABLE kept_box AS SELECT * FROM outbox", schema=schema
    )
    key = "ALTER TABLE audit DROP CONSTRAINT IF EXISTS audit_pkey"
    twice = tampers.Statements("one number twice", [key, "INSERT INTO audit SELECT * FROM kept WHERE seq = 5"], 6)
    for _ in range(size(1, 8)):
        here = [t for t in tampers.statements(chance, RECORDS) if not t.sqlite_only]
        for tamper in some(chance, *tampers.edits(chance, RECORDS), *here, twice)[: size(6, 100)]:
            count.cases += 1
            anchors = house.anchors.read_bytes()
            postgres.sql(
                "ALTER TABLE audit DISABLE TRIGGER ALL",
                *tamper.sql,
                *always(postgres, schema),
                schema=schema,
            )
            count.fired += bool(
                postgres.sql(
                    "(SELECT * FROM audit EXCEPT ALL SELECT * FROM kept) UNION ALL "
                    "(SELECT * FROM kept EXCEPT ALL SELECT * FROM audit)",
                    schema=schema,
                )
            )
            count.missed += [f"{tamper.name} ({tamper.first}): {why}" for why in noticed(house, tamper.first)]
            postgres.sql(
                "ALTER TABLE audit DISABLE TRIGGER ALL",
                "TRUNCATE audit, outbox",
                "INSERT INTO audit SELECT * FROM kept",
                "INSERT INTO outbox SELECT * FROM kept_box",
                *always(postgres, schema),
                schema=schema,
            )
            house.anchors.write_bytes(anchors)
    report("tampering-postgres", count.cases, count.fired, len(count.missed))
    assert count.fired == count.cases
    assert not count.missed, "\n".join(count.missed)


def always(postgres: Postgres, schema: str) -> list[str]:
    names = postgres.sql(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('audit') AND NOT tgisinternal", schema=schema
    )
    return [f"ALTER TABLE audit ENABLE ALWAYS TRIGGER {name}" for (name,) in names]
