"""A store that was cut, put back, swapped or edited is noticed by the copies of its head."""

import sqlite3

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.errors import AuditUnavailable
from opsconsole.ports import Refused
from tests.support.witnessed import HOST, Desk, Switch, a_desk, troubles  # noqa: F401 - a fixture among them


def truncate(desk: Desk) -> None:
    desk.store.close()
    with sqlite3.connect(desk.path) as db:
        db.execute("DROP TRIGGER audit_no_delete")
        db.execute("DELETE FROM audit WHERE seq > 3")
    db.close()
    desk.store = desk.open()


def roll_back(desk: Desk) -> None:
    desk.swap_store(desk.path.with_name("earlier.db"))


def begin_anew(desk: Desk) -> None:
    desk.store.close()
    desk.path.unlink()
    desk.store = desk.open()


@pytest.mark.parametrize(("tamper", "first"), [(truncate, 4), (roll_back, 4), (begin_anew, 1)])
def test_a_store_cut_put_back_or_swapped_stops_every_action(desk: Desk, tamper, first: int) -> None:  # type: ignore[no-untyped-def]
    desk.records(3)
    desk.copy_store("earlier.db")
    desk.records(2)
    tamper(desk)
    assert desk.store.verify().ok, "the chain alone sees nothing"
    witness = desk.restart()
    assert f"The audit store isn't whole: record {first} is missing: blast-1 holds an anchor of record 5" in (
        witness.chain_trouble
    )
    assert "opsconsole audit verify" in witness.chain_trouble
    desk.record()
    with pytest.raises(Refused, match="isn't whole"):
        witness.before_send(HOST)


def test_a_history_put_back_and_gone_on_with_is_noticed_however_long_it_is(desk: Desk) -> None:
    desk.records(3)
    desk.copy_store("earlier.db")
    desk.records(2)
    roll_back(desk)
    for _ in range(4):
        desk.record("hold")
    assert "record 4 isn't the one that blast-1 holds an anchor of" in desk.restart().chain_trouble


def test_a_store_put_back_under_an_open_console_is_noticed_before_the_next_send(desk: Desk) -> None:
    desk.records(3)
    desk.copy_store("earlier.db")
    witness = desk.restart()
    desk.record()
    desk.keeper.away = True
    witness.look()
    roll_back(desk)
    with pytest.raises(Refused, match="record 4 was the newest a moment ago"):
        witness.before_send(HOST)


def test_a_record_edited_in_place_is_found_by_the_walk_at_the_start(desk: Desk) -> None:
    desk.records(3)
    desk.store.close()
    with sqlite3.connect(desk.path) as db:
        db.execute("DROP TRIGGER audit_no_update")
        db.execute("UPDATE audit SET operator = 'nobody' WHERE seq = 2")
    db.close()
    desk.store = desk.open()
    assert "record 2" in desk.restart().chain_trouble
    assert "edited" in desk.restart().chain_trouble


def test_people_are_told_once_that_the_store_is_not_whole(desk: Desk) -> None:
    desk.records(3)
    later = desk.copy_store("later.db")
    begin_anew(desk)
    for _ in range(3):
        desk.restart().look()
    told = [item for item in Outbox(desk.store).waiting() if item.destination == "notify:ops"]
    assert len(told) == 1
    assert told[0].payload["severity"] == "critical"
    assert "record 1 is missing" in str(told[0].payload["text"])
    assert told[0].payload["audit"] == {"seq": 0, "mac": "0" * 64}
    desk.swap_store(later)
    assert desk.restart().chain_trouble == "", "the right file in its place, and all is well"


def test_a_store_that_cannot_be_read_is_not_taken_for_one_in_order(desk: Desk) -> None:
    desk.records(1)
    desk.store.close()
    desk.path.write_bytes(b"not a database at all, by any means" * 100)
    with pytest.raises(AuditUnavailable):
        desk.restart()
