"""Whatever changes between the two steps of a send is seen at the last moment, and nothing starts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.records import Event, Record
from opsconsole.audit.store import AuditStore
from opsconsole.observation import Counts, Hold, Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused
from tests.domain.words import NOW, SLUG, ended
from tests.support.console import CONTENT, HOST, PHRASE, Clock, Desk, FakeDashboard, FakeHost, run


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


def held(scope: str) -> Callable[[Desk], None]:
    def hold(desk: Desk) -> None:
        ana = desk.sit("ana")
        if scope == SLUG:
            ana.decide("hold", SLUG, "wrong subject")
        else:
            ana.hold_scope(scope, False, "provider down")

    return hold


def held_on_the_host(desk: Desk) -> None:
    desk.host.word = replace(
        desk.host.word, holds=(Hold(scope=f"host:{HOST}", by="root", at=None, reason="maintenance"),)
    )


def other_content(desk: Desk) -> None:
    digests = dict(CONTENT.digests) | {"blast_data.csv": "9" * 64}
    desk.host.word = replace(
        desk.host.word, content=replace(CONTENT, digest="9" * 64, digests=tuple(digests.items()))
    )


def one_row_more(desk: Desk) -> None:
    desk.host.word = replace(desk.host.word, content=replace(CONTENT, rows=2602))


def clock_off(desk: Desk) -> None:
    desk.host.word = replace(desk.host.word, clock_offset=31.0)


def no_approval(desk: Desk) -> None:
    desk.board.word = replace(desk.board.word, approval=None)


def sent_by_somebody(desk: Desk) -> None:
    desk.host.shows(Says.ENDED, run(Says.ENDED, "cron", counts=Counts(total=2601, accepted=2601)))


def the_dashboard_says_sent(desk: Desk) -> None:
    desk.board.word = replace(desk.board.word, says=Says.SENT, run=ended(), since=NOW)


def claimed(desk: Desk) -> None:
    desk.host.shows(Says.CLAIMED, run(Says.CLAIMED, "r9", by="ben"))


def released_meanwhile(desk: Desk) -> None:
    desk.host.word = replace(desk.host.word, next_attempt=2)


def blind(desk: Desk) -> None:
    desk.host.observe = lambda: (_ for _ in ()).throw(OSError("no route"))  # type: ignore[method-assign,assignment]


def preflight_forbids(desk: Desk) -> None:
    who = desk.sit("ana").identity
    desk.store.note(who.event("preflight", SLUG, digest=CONTENT.digest, blocking=["HST-01: disk full"]))


def dry_run_fails(desk: Desk) -> None:
    who = desk.sit("ana").identity
    failed = {"at": NOW.isoformat(), "ok": False, "digests": dict(CONTENT.digests), "troubles": ["row 7"]}
    desk.store.note(who.event("dry-run", SLUG, audience=2601, carrier=HOST, **failed))


def long_ago(desk: Desk) -> None:
    desk.clock.pass_(timedelta(minutes=31))


def cancelled(desk: Desk) -> None:
    desk.sit("ana").decide("cancel", SLUG, "sold out", typed=PHRASE)


CHANGES: dict[str, tuple[Callable[[Desk], None], str]] = {
    "a hold on the campaign": (held(SLUG), "wrong subject"),
    "a hold on its host": (held(f"host:{HOST}"), "provider down"),
    "a hold on everything": (held("everything"), "provider down"),
    "a hold put on the host": (held_on_the_host, "maintenance"),
    "the data": (other_content, "stale"),
    "the number of rows": (one_row_more, "audience was 2,601"),
    "the host's clock": (clock_off, "31 s ahead"),
    "the approval": (no_approval, "nobody has approved it"),
    "a run by cron": (sent_by_somebody, "never twice"),
    "the dashboard's word": (the_dashboard_says_sent, "never twice"),
    "a claim": (claimed, "claim by ben"),
    "an attempt released": (released_meanwhile, "attempt was 1"),
    "the host's silence": (blind, "out of reach"),
    "the pre-flight": (preflight_forbids, "disk full"),
    "the dry run": (dry_run_fails, "row 7"),
    "the time": (long_ago, "expiry"),
    "a decision": (cancelled, "sold out"),
}


@pytest.mark.parametrize(("change", "says"), CHANGES.values(), ids=CHANGES)
def test_a_change_between_the_two_steps_is_seen(desk: Desk, change: Callable[[Desk], None], says: str) -> None:
    desk.policy = Policy(latest_start_after=timedelta(hours=9))
    desk.host.word, desk.board.word = (
        replace(word, fresh_for=timedelta(days=1)) for word in (desk.host.word, desk.board.word)
    )
    mara = desk.sit()
    plan = desk.rehearse(mara)
    phrase = mara.confirmation("send", SLUG, plan).phrase
    change(desk)
    with pytest.raises(Refused, match=says):
        mara.send(plan, phrase)
    assert desk.host.asked_for("start") == []


def test_without_a_change_it_starts_once(desk: Desk) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    mara.send(plan, mara.confirmation("send", SLUG, plan).phrase)
    assert desk.host.asked_for("start") == [plan]


def test_trouble_with_the_carrier_that_comes_up_meanwhile_is_seen(desk: Desk) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    mara.carrier_trouble["elsewhere"] = "Another host has lost its records."
    phrase = mara.confirmation("send", SLUG, plan).phrase
    desk.host.on_start = lambda: pytest.fail("started")
    observe = desk.host.observe

    def observed_as_restored():  # type: ignore[no-untyped-def]
        mara.carrier_trouble[HOST] = "blast-mail-prod has lost its records."
        return observe()

    desk.host.observe = observed_as_restored  # type: ignore[method-assign]
    with pytest.raises(Refused, match="lost its records"):
        mara.send(plan, phrase)
    assert desk.host.asked_for("start") == []


def rescheduled(desk: Desk) -> None:
    who = desk.sit("ana").identity
    due = (NOW + timedelta(hours=3)).isoformat()
    desk.store.note(who.event("reschedule", SLUG, reason="later", due=due, zone="UTC", local="later"))


def marked(desk: Desk) -> None:
    desk.store.note(desk.sit("ana").identity.event("mark", SLUG, reason="the provider counts 2,601"))


BETWEEN: dict[str, tuple[Callable[[Desk], None], str]] = {
    "a hold on the campaign": (held(SLUG), "wrong subject"),
    "a hold on its host": (held(f"host:{HOST}"), "provider down"),
    "a hold on everything": (held("everything"), "provider down"),
    "called off": (cancelled, "called off by ana"),
    "marked": (marked, "marked as executed by ana"),
    "rescheduled": (rescheduled, "stale: it was rescheduled"),
}


@pytest.mark.parametrize("recorded", [False, True], ids=("before the intent", "after the intent"))
@pytest.mark.parametrize(("change", "says"), BETWEEN.values(), ids=BETWEEN)
def test_what_another_console_records_after_the_last_look_is_seen_by_the_store(
    desk: Desk, change: Callable[[Desk], None], says: str, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    intent, changes = desk.store.intent, []

    def in_between(event: Event) -> Record:
        if recorded:
            made = intent(event)
        if not changes:
            changes.append(change)
            monkeypatch.setattr(desk.store, "intent", intent)
            change(desk)
        return made if recorded else intent(event)

    monkeypatch.setattr(desk.store, "intent", in_between)
    with pytest.raises(Refused, match=says):
        mara.send(plan, PHRASE)
    assert changes
    assert desk.host.asked_for("start") == []
    sends = [r.detail.get("result", "") for r in desk.store.for_run(plan.run_id) if r.action == "send"]
    assert sends == (["", "not-started"] if recorded else [])


@pytest.mark.parametrize("typed", ["", SLUG, "2601", f"{SLUG} 2602", f"{SLUG.upper()} 2601"])
def test_only_the_very_phrase_passes(desk: Desk, typed: str) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    with pytest.raises(Refused, match="asked for"):
        mara.send(plan, typed)
    assert desk.host.asked_for("start") == []


def test_a_console_for_looking_only_does_nothing(desk: Desk) -> None:
    viewer = desk.sit("vera", "viewer")
    for action in ("send", "settle", "send-rest", "close", "release-claim", "break-glass", "hold", "resume"):
        assert "read-only" in viewer.disabled_reason(action, SLUG)
    seq = desk.store.head().seq
    for act in (
        lambda: viewer.decide("hold", SLUG, "x"),
        lambda: viewer.hold_scope("everything", False, "x"),
        lambda: viewer.resolve(1, "x"),
    ):
        with pytest.raises(Refused, match="read-only"):
            act()
    assert desk.store.head().seq == seq


def test_a_plan_of_another_environment_is_refused_though_it_was_typed_right(desk: Desk) -> None:
    mara = desk.sit()
    plan = replace(desk.rehearse(mara), environment="STAGING")
    with pytest.raises(Refused, match="The plan is of STAGING, and this console is in PROD"):
        mara.send(plan, PHRASE)
    assert desk.host.asked_for("start") == []
    assert desk.store.search(action="send") == []
