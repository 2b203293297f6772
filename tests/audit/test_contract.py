"""Given a store on either kind of database, when actions are recorded and looked up, then it keeps one promise."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from opsconsole.audit.chain import GENESIS, Anchor
from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from tests.audit.support import KEY, START, event, ticking


@pytest.fixture
def store(either: AuditStore) -> AuditStore:
    return either


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


def test_an_intent_without_outcome_stays_until_somebody_looked(store: AuditStore, place: str | Path) -> None:
    first, second, third = (store.intent(event(run=f"run-{n}")) for n in range(3))
    store.outcome(second, event())
    store.note(event(action="look"))
    with AuditStore(place, KEY, clock=ticking()) as restarted:
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


def test_a_naive_clock_is_refused(place: str | Path) -> None:
    with (
        AuditStore(place, KEY, clock=lambda: datetime(2026, 5, 12)) as store,
        pytest.raises(ValueError, match="aware"),
    ):
        store.note(event())


def test_the_instant_is_kept_to_the_microsecond_in_utc(place: str | Path) -> None:
    zone = timezone(timedelta(hours=-7))
    moment = datetime(2026, 5, 12, 10, 52, 0, 1, tzinfo=zone)
    with AuditStore(place, KEY, clock=lambda: moment) as store:
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


def test_text_no_terminal_and_no_database_likes_is_kept_and_found(store: AuditStore) -> None:
    record = store.note(event(reason="nul \0 lone \udcff end", detail={"k\udcff": "a\0b"}))
    assert store.get(1) == record
    assert [r.seq for r in store.search("end")] == [1]
    assert store.verify().ok


def test_eight_threads_make_one_chain(store: AuditStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda n: store.note(event(detail={"n": n})), range(160)))
    assert sorted(record.seq for record in written) == list(range(1, 161))
    assert store.verify().checked == 160
    assert all(store.get(record.seq) == record for record in written[::40])


def test_verifying_never_keeps_an_intent_waiting(place: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.audit.store.PAGE", 5)
    with AuditStore(place, KEY, clock=ticking(), busy_seconds=0.2) as store:
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


def test_closing_and_time_going_back_keep_the_order(place: str | Path) -> None:
    moments = iter([START, START - timedelta(days=1)])
    with AuditStore(place, KEY, clock=lambda: next(moments)) as store:
        store.note(event())
        store.note(event())
        assert [record.seq for record in store.search()] == [2, 1]
        assert store.verify().ok
