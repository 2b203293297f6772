"""Given something another system must be told, when it doesn't answer, it is kept and tried ever less often."""

from datetime import timedelta

import pytest

from opsconsole.audit.outbox import LEASE, LONGEST_WAIT, Outbox, wait_after
from opsconsole.audit.records import Outgoing
from opsconsole.audit.store import AuditStore
from tests.audit.support import START, event

LATER = START + timedelta(hours=1)


@pytest.fixture
def store(either: AuditStore) -> AuditStore:
    return either


@pytest.fixture
def outbox(store: AuditStore) -> Outbox:
    return Outbox(store)


def test_what_is_put_waits_until_it_is_acknowledged(outbox: Outbox) -> None:
    outbox.put("dashboard", "run-1:sent", {"status": "sent", "count": 2601})
    outbox.put("dashboard", "run-1:sent", {"status": "something else"})
    outbox.put("slack", "run-1:note", {})
    first, second = outbox.due(LATER)
    assert (first.destination, first.payload, first.tries) == ("dashboard", {"status": "sent", "count": 2601}, 0)
    outbox.done(first.id)
    assert outbox.due(LATER) == outbox.waiting() == [second]
    outbox.put("dashboard", "run-1:sent", {})
    assert outbox.waiting() == [second]


def test_a_failure_is_tried_again_ever_later(outbox: Outbox) -> None:
    outbox.put("dashboard", "k", {})
    now = LATER
    for tries, wait in enumerate([5, 10, 20, 40, 80, 160, 320, 640, 900, 900], 1):
        (item,) = outbox.due(now)
        outbox.failed(item.id, f"HTTP 502, token=Canary{tries} for john@example.com\udcff", now)
        assert outbox.due(now + timedelta(seconds=wait - 1)) == []
        now += timedelta(seconds=wait)
    (item,) = outbox.waiting()
    assert (item.tries, item.last_error) == (10, "HTTP 502, token=[redacted] for j•••@example.com\\udcff")


def test_the_wait_has_a_cap() -> None:
    assert wait_after(1) == timedelta(seconds=5)
    assert wait_after(10_000) == LONGEST_WAIT


@pytest.mark.parametrize(
    ("tries", "ahead", "says"),
    [
        (0, 0, "waiting (not tried yet)"),
        (1, 5, "waiting (1 try, next in 5 s)"),
        (3, 39.2, "waiting (3 tries, next in 40 s)"),
        (3, 0, "waiting (3 tries, due now)"),
        (9, 900, "waiting (9 tries, next in 15 min)"),
    ],
)
def test_how_it_waits_is_said_in_words(outbox: Outbox, tries: int, ahead: float, says: str) -> None:
    outbox.put("dashboard", "k", {})
    for _ in range(tries):
        outbox.failed(1, "no answer", LATER)
    (item,) = outbox.waiting()
    assert item.says(item.next_try_utc - timedelta(seconds=ahead)) == says


def test_an_outcome_and_what_must_be_told_of_it_are_one(store: AuditStore, outbox: Outbox) -> None:
    intent = store.intent(event())
    told = Outgoing("dashboard", "run-1:sent", {"count": 2601})
    store.outcome(intent, event(), outbox=[told])
    store.note(event(), outbox=[told])
    assert [item.key for item in outbox.waiting()] == ["run-1:sent"]
    with pytest.raises(ValueError, match="NaN"):
        store.outcome(intent, event(), outbox=[Outgoing("dashboard", "other", {"count": float("nan")})])
    assert store.head().seq == 3
    assert len(outbox.waiting()) == 1


def test_an_item_that_is_not_there_is_an_error(outbox: Outbox) -> None:
    with pytest.raises(KeyError):
        outbox.done(7)
    with pytest.raises(KeyError):
        outbox.failed(7, "x", LATER)


def test_two_consoles_never_try_the_same_item_at_once(store: AuditStore, outbox: Outbox) -> None:
    outbox.put("dashboard", "k", {})
    (mine,) = outbox.due(LATER)
    (theirs,) = Outbox(store).due(LATER)
    assert outbox.claim(mine, LATER)
    assert not outbox.claim(theirs, LATER)
    assert outbox.due(LATER + LEASE - timedelta(seconds=1)) == []
    (again,) = outbox.due(LATER + LEASE)  # whoever took it may have died
    assert again.tries == 0
    assert outbox.claim(again, LATER + LEASE)
    outbox.done(again.id)
    assert not outbox.claim(again, LATER + LEASE)


def test_what_was_acknowledged_long_ago_goes_and_no_record_does(store: AuditStore, outbox: Outbox) -> None:
    for number in range(4):
        store.note(event(), outbox=[Outgoing("dashboard", f"d{number}", {}), Outgoing("slack", f"s{number}", {})])
    acknowledged = [item for item in outbox.waiting() if item.key not in ("d1", "s3")]
    for item in acknowledged:
        outbox.done(item.id, START)
    head, keep = store.head(), timedelta(days=90)
    assert store.purge_outbox(START + keep, keep) == 0
    assert store.purge_outbox(START + keep + timedelta(seconds=1), keep) == 4
    with store.reading() as connection:
        left = set(connection.exec_driver_sql("SELECT key FROM outbox").scalars())
    assert left == {"d1", "d3", "s2", "s3"}  # what waits, and the newest acknowledged of each
    assert store.purge_outbox(START + 9 * keep, keep) == 0
    assert (store.head(), store.verify().checked) == (head, 4)


def test_a_payload_masks_recipients_as_records_do(store: AuditStore, outbox: Outbox) -> None:
    outbox.put(
        "slack", "k", {"operator": "mara@example.com", "text": "john@example.com bounced", "token": "Canary1"}
    )
    (item,) = outbox.waiting()
    assert item.payload == {
        "operator": "mara@example.com",
        "text": "j•••@example.com bounced",
        "token": "[redacted]",
    }


def test_what_stands_for_longer_than_acknowledged_words_are_kept_can_still_end(
    store: AuditStore, outbox: Outbox
) -> None:
    for thread in ("t", "other"):
        assert outbox.put_turn("notify:ops", thread, True, {"thread": thread})
    for item in outbox.waiting():
        outbox.done(item.id, START)
    keep = timedelta(days=90)
    assert store.purge_outbox(START + 2 * keep, keep) == 0
    assert not outbox.put_turn("notify:ops", "t", True, {"thread": "t"}), "it is told already"
    assert outbox.put_turn("notify:ops", "t", False, {"thread": "t"})
