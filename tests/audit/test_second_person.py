"""Given an environment under four eyes, when one person would do it alone, then the store itself refuses."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.records import Phase, Record
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.campaign import DATA, TEMPLATE
from opsconsole.digests import content_digest
from opsconsole.errors import AuditUnavailable
from opsconsole.plan import Plan
from opsconsole.ports import Refused
from tests.audit.support import KEY, START, event, ticking
from tests.support.postgres import Postgres, schema_of

RULES = StoreRules(four_eyes=frozenset({"production"}))
SOON = (START + timedelta(hours=1)).isoformat()
PAST = (START - timedelta(seconds=1)).isoformat()
DIGESTS = {TEMPLATE: "a" * 64, DATA: "b" * 64}
CONTENT = content_digest(DIGESTS)
OTHER = content_digest({TEMPLATE: "c" * 64})


@pytest.fixture
def store(place: "str | Path") -> Iterator[AuditStore]:
    with AuditStore(place, KEY, clock=ticking(), rules=RULES) as opened:
        yield opened


def plan(by: str = "mara", digests: Mapping[str, str] = DIGESTS) -> dict[str, Any]:
    return Plan(
        slug="paul-simon-may12", environment="production", carrier="mail", host="m1", digests=digests,
        audience=2601, subject="Hello", due=None, latest_start=None, window="", dry_run_seq=1,
        dry_run_at=START, planned_by=by, created_at=START, expires_at=START + timedelta(minutes=30),
    ).document()  # fmt: skip


def approve(store: AuditStore, by: str = "ana", content: str = CONTENT, expires: str = SOON) -> Record:
    return store.note(event("approve", operator=by, detail={"digest": content, "expires": expires}))


def approval(record: Record, **other: Any) -> dict[str, Any]:
    return {
        "by": record.operator,
        "at": record.utc.isoformat(),
        "digest": record.detail["digest"],
        "reference": f"record {record.seq}",
        "expires": record.detail["expires"],
    } | other


def send(store: AuditStore, given: Mapping[str, Any] | None, *, by: str = "mara", **other: Any) -> Record:
    detail = {"plan": plan(by), "digest": "d", "carrier": "mail", "content": CONTENT, "approval": given} | other
    return store.intent(event(operator=by, detail=detail))


def test_a_send_that_a_second_person_approved_is_recorded_as_such(store: AuditStore) -> None:
    record = send(store, approval(approve(store)))
    assert record.detail["four_eyes"] is True
    assert store.get(record.seq) == record
    assert store.verify().ok


def test_nobody_approves_the_content_they_planned_whatever_case_they_write_their_name_in(store: AuditStore) -> None:
    store.note(event("plan", operator="Mara ", detail={"plan": plan(), "digest": "d"}))
    with pytest.raises(Refused, match="planned this very content") as caught:
        approve(store, by=" mARA")
    assert "second person" in caught.value.next_step
    assert approve(store, by="mara", content=OTHER).seq == 2
    assert approve(store, by="ana").seq == 3


SELF = {"by": "MARA "}
REFUSED: dict[str, tuple[dict[str, Any] | None, dict[str, Any], str]] = {
    "no approval": (None, {}, "Nobody has approved"),
    "by its planner": (SELF | {"reference": "t-71c0"}, {}, "approved what mara planned"),
    "by nobody": ({"by": " ", "reference": "t-71c0"}, {}, "approved what"),
    "of other content": ({"digest": OTHER, "reference": "t-71c0"}, {}, "is for the content"),
    "past its time": ({"expires": PAST, "reference": "t-71c0"}, {}, "ended at"),
    "without an end": ({"expires": None, "reference": "t-71c0"}, {}, "names no end"),
    "with an end in no zone": ({"expires": "2026-05-12T23:00:00", "reference": "t-71c0"}, {}, "names no end"),
    "a record by somebody else": ({"by": "bob"}, {}, "says something else"),
    "a record with another end": ({"expires": (START + timedelta(days=9)).isoformat()}, {}, "says something else"),
    "a record of another kind": ({"reference": "record 2"}, {}, "none of this campaign"),
    "a record that isn't there": ({"reference": "record 99"}, {}, "none of this campaign"),
    "a record of no number": ({"reference": "record 1e9"}, {}, "none of this campaign"),
    "a plan of other content": ({}, {"plan": plan(digests={TEMPLATE: "c" * 64})}, "which content"),
    "a plan that is none": ({}, {"plan": {"planned_by": "bob"}}, "which content"),
    "content not named": ({}, {"content": None}, "which content"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_send_without_a_sound_approval_is_refused_and_leaves_no_record(store: AuditStore, name: str) -> None:
    change, other, words = REFUSED[name]
    given = approve(store)
    store.note(event("look"))
    with pytest.raises(Refused, match=words) as caught:
        send(store, None if change is None else approval(given, **change), **other)
    assert caught.value.means
    assert caught.value.next_step
    assert store.head().seq == 2


def test_an_approval_that_ends_between_the_two_confirmations_is_refused(place: "str | Path") -> None:
    moments = iter([START, START + timedelta(minutes=59, seconds=59), START + timedelta(hours=1)])
    with AuditStore(place, KEY, clock=lambda: next(moments), rules=RULES) as store:
        given = approval(approve(store))
        assert send(store, given).seq == 2
        with pytest.raises(Refused, match="ended at"):
            send(store, given)


def test_breaking_the_glass_stands_in_for_this_content_and_for_a_while(store: AuditStore) -> None:
    glass = store.note(event("break-glass", operator="mara", detail={"digest": CONTENT, "expires": SOON}))
    assert send(store, approval(glass)).detail["four_eyes"] is True
    for detail in ({"digest": CONTENT, "expires": PAST}, {"digest": OTHER, "expires": SOON}, {"digest": CONTENT}):
        stale = store.note(event("break-glass", detail=detail))
        with pytest.raises(Refused, match="glass was broken"):
            send(store, approval(glass, reference=f"record {stale.seq}"))
    elsewhere = store.note(
        event("break-glass", campaign="spring-offer", detail={"digest": CONTENT, "expires": SOON})
    )
    with pytest.raises(Refused, match="none of this campaign"):
        send(store, approval(glass, reference=f"record {elsewhere.seq}"))


def test_a_claim_is_released_by_somebody_else_or_behind_broken_glass(store: AuditStore) -> None:
    begun = send(store, approval(approve(store)))
    release = event("release-claim", operator="MARA", run=begun.run, reason="the host was rebuilt")
    with pytest.raises(Refused, match="began this run"):
        store.intent(release)
    assert store.intent(event("release-claim", operator="ana", run=begun.run)).seq == 3
    store.note(event("break-glass", operator="mara", detail={"digest": CONTENT, "expires": SOON}))
    assert store.intent(release).seq == 5


def test_elsewhere_one_person_may_do_it(store: AuditStore) -> None:
    detail = {"plan": plan(), "content": CONTENT, "approval": None}
    record = store.intent(event(environment="staging", detail=detail))
    assert "four_eyes" not in record.detail


def forged(given: Any, *, planned_by: str = "mara", four_eyes: bool = True) -> tuple[Any, ...]:
    detail = json.dumps({"four_eyes": four_eyes, "plan": {"planned_by": planned_by}, "approval": given})
    return (
        2, START.isoformat(), "mara", "s", "production", "paul-simon-may12", "r", "send", Phase.INTENT.value, "",
        detail, "p", "m", None,
    )  # fmt: skip


NAMES = "seq, utc, operator, session, environment, campaign, run, action, phase, reason, detail, prev, mac, ref"


def write_past(place: "str | Path", row: tuple[Any, ...], request: pytest.FixtureRequest) -> None:
    """By SQL, without the console."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place)) as db, db:
            db.execute(f"INSERT INTO audit ({NAMES}) VALUES ({', '.join('?' * 14)})", row)
        return
    import psycopg

    server: Postgres = request.getfixturevalue("postgres")
    values = ", ".join("NULL" if v is None else str(v) if isinstance(v, int) else f"'{v}'" for v in row)
    try:
        server.sql(f"INSERT INTO audit ({NAMES}) VALUES ({values})", schema=schema_of(place))
    except psycopg.Error as error:
        raise sqlite3.DatabaseError(str(error)) from None


@pytest.mark.parametrize("given", [None, {}, {"by": ""}, {"by": " Mara "}, {"by": "mara", "reference": "record 9"}])
def test_sql_past_the_store_can_not_record_a_send_by_one_person(
    store: AuditStore, place: "str | Path", given: Any, request: pytest.FixtureRequest
) -> None:
    store.note(event())
    with pytest.raises(sqlite3.DatabaseError, match="second person"):
        write_past(place, forged(given), request)
    assert store.head().seq == 1


@pytest.mark.parametrize(
    "row", [forged({"by": "ana"}), forged(None, four_eyes=False), forged({"reference": "record 1"})]
)
def test_what_the_trigger_lets_through_still_has_no_seal(
    store: AuditStore, place: "str | Path", row: tuple[Any, ...], request: pytest.FixtureRequest
) -> None:
    store.note(event("break-glass", detail={"digest": CONTENT, "expires": SOON}))
    write_past(place, row, request)
    assert store.verify().first_bad_seq == 2
    with pytest.raises(AuditUnavailable, match="doesn't match its MAC"):
        store.note(event())


def test_a_record_that_matters_takes_the_head_to_every_keeper_in_the_same_transaction(place: "str | Path") -> None:
    from opsconsole.audit.outbox import Outbox

    rules = StoreRules(keepers={"production": ("mail-a", "mail-b"), "staging": ()})
    with AuditStore(place, KEY, clock=ticking(), rules=rules) as store:
        store.note(event("look"))
        store.intent(event("send", environment="staging"))
        record = store.intent(event("send"))
        with pytest.raises(ValueError, match="not an intent"):
            store.outcome(1, event("send"))
        waiting = Outbox(store).waiting()
        assert [(item.destination, item.key) for item in waiting] == [
            ("anchor:mail-a", "anchor:mail-a:3"),
            ("anchor:mail-b", "anchor:mail-b:3"),
        ]
        assert waiting[0].payload == {
            "seq": 3,
            "mac": record.mac,
            "utc": "2026-05-12T17:52:02.000000Z",
            "action": "send",
            "environment": "production",
        }
