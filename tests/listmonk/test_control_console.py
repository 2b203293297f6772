"""The whole way through a console: checked, rehearsed, planned, sent, paused, made slower, followed to its end."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.records import Phase
from opsconsole.console import Console
from opsconsole.ports import Refused
from opsconsole.preflight.check import Outcome
from tests.listmonk.desk import now
from tests.support.listmonk import Listmonk
from tests.support.platforms import LISTS, Platforms


def ready(console: Console, slug: str = "july") -> None:
    """Approved, checked and rehearsed."""
    console.decide("approve", slug, "looked at it")
    blocking = [f"{it.check_id}: {it.says}" for it in console.preflight(slug) if it.outcome is Outcome.FAIL]
    assert blocking == []
    rehearsed = console.dry_run(slug, lambda data: None, threading.Event())
    assert rehearsed.ok, rehearsed.troubles


def world(standin: Listmonk, tmp_path: Path, people: int = 20) -> tuple[Platforms, int]:
    handle = standin.standin
    to = handle.add_list("July list")
    handle.add_people(to, people)
    body = '<p>Hello</p><a href="{{ UnsubscribeURL }}">unsubscribe</a>'
    number = handle.add_campaign("July", to, body=body, send_at=now() - timedelta(minutes=1))
    platforms = Platforms(tmp_path)
    platforms.add_listmonk(standin.url, standin.manager)
    return platforms, number


def heard() -> tuple[list[bytes], Callable[[bytes], None]]:
    lines: list[bytes] = []
    return lines, lines.append


@pytest.mark.slow
def test_a_campaign_from_its_pre_flight_to_the_end_on_record(standin: Listmonk, tmp_path: Path) -> None:
    platforms, number = world(standin, tmp_path)
    with platforms.console() as console:
        ready(console)
        plan = console.plan("july")
        assert plan.audience == 20
        console.send(plan, plan.phrase)
        lines, hear = heard()
        followed = console.follow("july", 1, 0, hear, threading.Event())
        assert followed.end is not None
        verdict = console.verdict("july")
        assert verdict.status == "SENT", verdict.why
        with pytest.raises(Refused):
            console.plan("july")
        records = console.store().search(campaign="july", action="send", environment="prod", limit=10)
        (end,) = [one.detail for one in records if one.detail.get("result") == "ended"]
        counts = end["counts"]
        assert isinstance(counts, dict)
        assert (end["status"], counts["accepted"]) == ("sent", 20)
    assert set(standin.standin.post.sent_to(number).values()) == {1}
    assert b"reconciled: 20 of 20 accepted" in b"".join(lines)


@pytest.mark.slow
def test_what_the_plan_rests_on_changed_by_the_time_it_is_sent(standin: Listmonk, tmp_path: Path) -> None:
    platforms, number = world(standin, tmp_path)
    with platforms.console() as console:
        ready(console)
        plan = console.plan("july")
        with standin.as_user(standin.manager) as editor:
            lists = [entry["id"] for entry in editor.get(f"/api/campaigns/{number}").json()["data"]["lists"]]
            edit = {"lists": lists, "subject": "Another", "send_at": None}
            editor.put(f"/api/campaigns/{number}", json=edit).raise_for_status()
        with pytest.raises(Refused, match=r"(?s)stale: .*subject was"):
            console.send(plan, plan.phrase)
    assert standin.standin.campaign(number).status == "draft"


@pytest.mark.slow
def test_paused_until_drained_then_slower_then_resumed(standin: Listmonk, tmp_path: Path) -> None:
    standin.standin.configure({"app.concurrency": 2, "app.message_rate": 1000, "app.batch_size": 25})
    standin.standin.post.latency = 0.05
    platforms, number = world(standin, tmp_path, people=100)
    with platforms.console() as console:
        ready(console)
        plan = console.plan("july")
        console.send(plan, plan.phrase)
        rate = next(one for one in console.operations().operations if one.id == "message-rate")
        assert "July is running" in rate.against
        paused = console.signal("july", "pause")
        assert "drained" in paused.word.note or "pausing: at most 2" in paused.word.note
        standin.standin.until_logged("stop processing campaign (July)")
        console.refresh()
        assert console.verdict("july").status == "PAUSED"
        rate = next(one for one in console.operations().operations if one.id == "message-rate")
        confirmation = console.confirm_operation(rate, "500")
        done = console.operate(
            rate, "500", confirmation.phrase, "the provider asked for it", lambda data: None, threading.Event()
        )
        assert done.after == "500"
        standin.standin.post.latency = 0.0
        console.signal("july", "resume")
        followed = console.follow("july", 1, 0, lambda data: None, threading.Event())
        assert followed.end is not None
        assert console.verdict("july").status == "SENT"
        records = console.store().search(action="operate", environment="prod", limit=10)
        (outcome,) = [one.detail for one in records if one.phase is Phase.OUTCOME]
        assert (outcome["source"], outcome["before"], outcome["after"]) == (LISTS, "1,000", "500")
    assert set(standin.standin.post.sent_to(number).values()) == {1}
    assert len(standin.standin.post.sent_to(number)) == 100
