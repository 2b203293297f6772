"""Drill 7: sent, but the dashboard was down. It is told later, one sees how far, and nothing is sent again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.audit.records import OutboxItem
from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.observation import Counts, Says
from opsconsole.recording import recorded, recorded_json, say_recorded
from opsconsole.settings import Dashboard, SecretFrom
from screens.campaign import CampaignScreen
from tests.domain.words import NOW, SLUG
from tests.screens.stage import SLUG as HERE
from tests.screens.stage import Stage, screen_text, until
from tests.support.console import Clock, Desk, FakeHost, run
from tests.support.dashboard import TOKEN

KEY = bytes(range(32))
ALL = Counts(total=2601, accepted=2601)
WHY = "Recording the result failed: the dashboard failed by itself (503). It is kept. Try again."


def told(number: int, destination: str = "dashboard", *, done: bool = False, tries: int = 0) -> OutboxItem:
    return OutboxItem(
        id=number,
        created_utc=NOW,
        destination=destination,
        key=f"k{number}",
        payload={"slug": SLUG, "run_id": f"r{number}", "status": "sent"},
        tries=tries,
        next_try_utc=NOW + timedelta(seconds=40),
        last_error=WHY if tries else "",
        done_utc=NOW if done else None,
    )


def test_what_is_recorded_and_what_waits_is_said_in_words() -> None:
    zone = "America/Los_Angeles"
    assert say_recorded(told(1, done=True), NOW, zone) == f"recorded in dashboard today {clock_in(zone)}"
    assert say_recorded(told(1), NOW, zone) == "dashboard: waiting (not tried yet)"
    waiting = told(1, tries=3)
    assert say_recorded(waiting, NOW, zone) == (
        "dashboard: waiting (3 tries, next in 40 s): the dashboard failed by itself (503)"
    )
    as_json = recorded_json(waiting, NOW, zone)
    assert (as_json["recorded_at"], as_json["tries"], as_json["status"]) == (None, 3, "sent")
    assert "Try again." in as_json["why"]
    assert recorded_json(told(1, done=True), NOW, zone)["next_try"] is None


def clock_in(zone: str) -> str:
    return f"{NOW.astimezone(ZoneInfo(zone)):%H:%M %Z}"


def test_a_newer_word_waits_behind_an_older_one() -> None:
    shown = recorded([told(1, done=True), told(2, tries=1), told(3)], {"dashboard"})
    assert [item.id for item in shown] == [2]
    shown = recorded([told(1, done=True), told(2, done=True)], {"dashboard"})
    assert [item.id for item in shown] == [2]


def test_what_others_are_told_besides_is_no_word_on_the_end() -> None:
    hold = OutboxItem(4, NOW, "hold:blast-1", "k", {"scope": SLUG}, 0, NOW, "")
    assert recorded([hold, told(1, "elsewhere")], {"dashboard", "hold:blast-1"}) == ()


@pytest.fixture
def desk(server: DashboardServer, tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    backend = DashboardBackend(
        "dashboard",
        Dashboard(url=server.url, token=SecretFrom(file=str(token))),
        fresh_for=timedelta(seconds=90),
        timeout=timedelta(seconds=5),
        clock=clock,
    )
    with AuditStore(tmp_path / "audit.db", KEY, clock=clock) as store:
        yield Desk(store, FakeHost(clock), backend, clock)  # type: ignore[arg-type]
    backend.close()


def sent_while_down(desk: Desk, server: DashboardServer) -> Console:
    """Sent by this console; the dashboard goes away before the end."""
    console = desk.sit()
    plan = desk.rehearse(console)
    console.send(plan, plan.phrase)
    server.stop()
    desk.host.shows(Says.ENDED, run(Says.ENDED, plan.run_id, counts=ALL))
    console.refresh()
    return console


def test_a_dashboard_that_was_down_is_told_when_it_is_back_and_nothing_is_sent_again(
    server: DashboardServer, desk: Desk
) -> None:
    console = sent_while_down(desk, server)

    assert console.verdict(SLUG).status == "SENT"
    (waiting,) = console.recorded(SLUG)
    words = say_recorded(waiting, desk.clock(), "UTC")
    assert words.startswith("dashboard: waiting (1 try, next in 5 s): the dashboard can't be reached at")

    desk.clock.pass_(timedelta(seconds=6))
    console.refresh()
    (waiting,) = console.recorded(SLUG)
    assert "waiting (2 tries, next in 10 s)" in say_recorded(waiting, desk.clock(), "UTC")

    server.start()
    desk.clock.pass_(timedelta(seconds=11))
    console.refresh()
    (done,) = console.recorded(SLUG)
    assert say_recorded(done, desk.clock(), "UTC").startswith("recorded in dashboard today ")
    there = server.state.campaign(SLUG)
    assert (there["status"], there["recipient_count"], there["failure_count"]) == ("sent", 2601, 0)
    assert there["completion_timestamp"] == NOW.isoformat()
    assert (there["execution_duration_seconds"], there["session_id"]) == (540.0, "s-mara")
    assert len(server.state.operations()) == 1
    assert len(desk.host.asked_for("start")) == 1
    assert console.verdict(SLUG).status == "SENT"
    assert not [f.code for f in console.verdict(SLUG).findings if f.code == "executed-not-recorded"]


@pytest.mark.slow
def test_an_acknowledgement_that_was_lost_is_asked_for_again_and_changes_nothing(
    server: DashboardServer, desk: Desk
) -> None:
    """The dashboard has taken it, and its answer never came."""
    console = sent_while_down(desk, server)
    server.start()
    server.faults.only, server.faults.html = "PATCH", True
    desk.clock.pass_(timedelta(seconds=6))
    console.refresh()
    assert server.state.campaign(SLUG)["status"] == "sent"
    (waiting,) = console.recorded(SLUG)
    assert "not JSON" in say_recorded(waiting, desk.clock(), "UTC")

    server.faults.html = False
    desk.clock.pass_(timedelta(seconds=11))
    console.refresh()
    (done,) = console.recorded(SLUG)
    assert done.done_utc == desk.clock()
    assert len(server.state.operations()) == 1
    assert len(desk.host.asked_for("start")) == 1


@pytest.mark.slow
def test_another_console_tells_what_the_first_could_not(server: DashboardServer, desk: Desk) -> None:
    sent_while_down(desk, server)
    server.start()
    desk.clock.pass_(timedelta(seconds=6))

    other = desk.sit("jo")

    (done,) = other.recorded(SLUG)
    assert done.done_utc is not None
    (operation,) = server.state.operations()
    assert (operation["operator"], operation["session"]) == ("mara", "s-mara")
    assert len(desk.host.asked_for("start")) == 1


@pytest.mark.slow
def test_who_only_looks_tells_nobody(server: DashboardServer, desk: Desk) -> None:
    sent_while_down(desk, server)
    server.start()
    desk.clock.pass_(timedelta(seconds=6))

    looker = desk.sit("vi", read_only=True)

    (waiting,) = looker.recorded(SLUG)
    assert waiting.done_utc is None
    assert server.state.operations() == []


async def test_the_campaign_s_screen_says_who_has_yet_to_hear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path)
    monkeypatch.setattr(stage.console, "recorded", lambda slug: (told(1, tries=3),))
    async with stage.open((160, 50)) as pilot:
        pilot.app.push_screen(CampaignScreen(HERE))
        wanted = "dashboard: waiting (3 tries, due now): the dashboard failed by itself (503)"
        await until(pilot, lambda: wanted in screen_text(pilot))
