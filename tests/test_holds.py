"""Holds: on a campaign, a host or everything; in the records at once, on the hosts as soon as they can be told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest

from opsconsole.audit.outbox import Outbox
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import assemble
from opsconsole.holding import HoldMarks
from opsconsole.observation import Hold, Observation, Report, Says
from opsconsole.policy import Policy
from opsconsole.ports import NotThere, OutOfReach, Refused
from opsconsole.verdict import Status
from tests.domain.words import NOW, SLUG, dashboard
from tests.domain.words import host as host_word
from tests.support.console import HOST, Clock, Desk, FakeDashboard, FakeHost, run

OTHER = "blast-mail-two"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


@pytest.mark.parametrize(("scope", "mark"), [(SLUG, SLUG), (f"host:{HOST}", "ALL"), ("everything", "ALL")], ids=str)
def test_a_hold_reaches_the_host_as_a_mark_and_its_release_takes_it_away(desk: Desk, scope: str, mark: str) -> None:
    mara = desk.sit()
    hold(desk, scope, "hold")
    assert desk.host.holds[mark].reason == "provider down"
    assert desk.host.holds[mark].by == "mara"
    assert mara.untold_holds() == ()
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.HELD
    hold(desk, scope, "release")
    assert desk.host.holds == {}


def hold(desk: Desk, scope: str, action: str) -> None:
    mara = desk.sit()
    if scope == SLUG:
        mara.decide(action, SLUG, "provider down")
    else:
        mara.hold_scope(scope, action == "release", "provider down")


def test_a_host_that_can_not_be_told_is_named_with_what_that_means(desk: Desk) -> None:
    mara = desk.sit()
    desk.host.trouble = OutOfReach("no route to it")
    mara.decide("hold", SLUG, "wrong subject")
    (said,) = mara.untold_holds()
    assert f"{HOST} hasn't been told: its cron can still start it" in said
    mara.decide("release", SLUG, "mended")
    assert "it still refuses to send" in mara.untold_holds()[-1]
    assert mara.verdict(SLUG).status is Status.OVERDUE


@pytest.mark.parametrize("scope", [SLUG, f"host:{HOST}", "everything"])
def test_of_each_host_it_is_known_whether_it_was_told(desk: Desk, scope: str) -> None:
    mara = desk.sit()
    hold(desk, scope, "hold")
    assert mara.told_of_hold(scope) == {HOST: True}
    desk.host.trouble = OutOfReach("no route to it")
    hold(desk, scope, "release")
    assert mara.told_of_hold(scope) == {HOST: False}
    assert mara.told_of_hold("host:elsewhere") == {}


def test_a_late_hold_undoes_no_release(desk: Desk) -> None:
    mara = desk.sit()
    desk.host.trouble = OutOfReach("no route to it")
    mara.decide("hold", SLUG, "wrong subject")
    mara.decide("release", SLUG, "mended")
    desk.host.trouble = None
    items = Outbox(desk.store).waiting()
    assert len(items) == 2
    for order in permutations(items):  # in whatever order they come through
        marks = HoldMarks(HOST, desk.host, lambda: desk.store, "prod")
        for item in order:
            marks.record(item.payload)
        assert desk.host.holds == {}


def test_a_release_while_the_mark_is_made_is_seen_before_the_word_is_given(desk: Desk) -> None:
    mara = desk.sit()
    desk.host.trouble = OutOfReach("no route to it")
    mara.decide("hold", SLUG, "wrong subject")
    desk.host.trouble = None
    put = desk.host.put_hold

    def overtaken(scope: str, hold: Hold | None) -> None:
        desk.host.put_hold = put  # type: ignore[method-assign]
        desk.store.note(mara.identity.event("release", SLUG, "", "mended", scope=SLUG))
        HoldMarks(HOST, desk.host, lambda: desk.store, "prod").record(
            {"scope": SLUG}
        )  # the other console is quicker
        put(scope, hold)

    desk.host.put_hold = overtaken  # type: ignore[method-assign]
    HoldMarks(HOST, desk.host, lambda: desk.store, "prod").record({"scope": SLUG})
    assert desk.host.holds == {}


def test_a_release_of_the_host_leaves_the_hold_on_everything(desk: Desk) -> None:
    mara = desk.sit()
    mara.hold_scope("everything", False, "provider down")
    mara.hold_scope(f"host:{HOST}", False, "maintenance")
    mara.hold_scope(f"host:{HOST}", True, "done")
    assert desk.host.holds["ALL"].reason == "provider down"
    mara.hold_scope("everything", True, "provider back")
    assert desk.host.holds == {}


def test_a_hold_on_one_host_binds_its_campaigns_alone(desk: Desk) -> None:
    desk.sit().hold_scope(f"host:{HOST}", False, "maintenance")
    report = ConsoleSource(lambda: desk.store, desk.clock, "prod").observe()
    there = replace(host_word(), source=OTHER)
    board = {
        "console": report,
        "dashboard": told(dashboard(), replace(dashboard(), slug="elsewhere")),
        HOST: told(host_word()),
        OTHER: told(replace(there, slug="elsewhere")),
    }
    found = assemble(board, Policy(), NOW)
    status = {v.slug: [h.scope for o in v.observations for h in o.holds] for v in found.verdicts}
    assert status == {SLUG: [f"host:{HOST}"], "elsewhere": []}


def test_a_host_that_never_answered_may_have_the_campaign_so_its_hold_binds(desk: Desk) -> None:
    desk.sit().hold_scope(f"host:{HOST}", False, "maintenance")
    report = ConsoleSource(lambda: desk.store, desk.clock, "prod").observe()
    (verdict,) = assemble({"console": report, "dashboard": told(dashboard())}, Policy(), NOW, {HOST}).verdicts
    assert verdict.status is Status.HELD


def told(*words: Observation) -> Report:
    first = words[0]
    return Report(
        source=first.source,
        looked_at=NOW,
        fresh_for=timedelta(seconds=90),
        observations=words,
        keeps_traces=first.keeps_traces,
    )


def test_a_hold_on_a_host_that_is_none_is_refused(desk: Desk) -> None:
    mara = desk.sit()
    with pytest.raises(NotThere, match="no carrier 'blast-mail-prd'"):
        mara.hold_scope("host:blast-mail-prd", False, "maintenance")
    with pytest.raises(Refused, match="needs a reason"):
        mara.hold_scope("everything", False, " ")
    assert desk.store.search(action="hold") == []


def test_a_paused_run_does_not_go_on_under_a_hold(desk: Desk) -> None:

    mara = desk.sit()
    desk.host.shows(Says.PAUSED, run(Says.PAUSED, "r1"))
    mara.decide("hold", SLUG, "wrong subject")
    mara.refresh()
    assert mara.verdict(SLUG).status is Status.PAUSED
    with pytest.raises(Refused, match="wrong subject"):
        mara.signal(SLUG, "resume")
    assert desk.host.asked_for("signal") == []
