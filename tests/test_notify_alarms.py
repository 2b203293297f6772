"""What begins and ends: a pager's incidents, Alertmanager's alerts, the dead man's signal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.notify import Alertmanager, Heartbeat, PagerDuty, notifier
from opsconsole.audit.tidings import head, message
from opsconsole.ports import OutOfReach, Refused
from opsconsole.settings import Notify, SecretFrom
from tests.support.channel import Channel

KEY = "prod/paul-simon-may12/OVERDUE/2026-05-12T17:00:00Z"
SINCE = "2026-05-12T17:10:00+00:00"
SECRET = "R0UT1NGCANARY00000000000000000XY"


def alarm(event: str = "trigger", **more: Any) -> dict[str, Any]:
    said = message("critical", "OVERDUE: approved by ana, never started", campaign="paul-simon-may12")
    fields = {"campaign": "paul-simon-may12", "environment": "prod", "status": "OVERDUE"}
    about = {"key": KEY, "event": event, "since": SINCE, **more}
    return {**said, "fields": fields, "alarm": about, **head(52, "9f" * 32)}


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def pager(channel: Channel, tmp_path: Path) -> PagerDuty:
    (tmp_path / "key").write_text(SECRET)
    made = notifier(
        "pager",
        Notify(
            kind="pagerduty",
            routing_key=SecretFrom(file=str(tmp_path / "key")),
            endpoint=channel.url.rpartition("/services")[0] + "/v2/enqueue",
            link="https://ops.example.com/board",
        ),
    )
    assert isinstance(made, PagerDuty)
    return made


def prometheus(channel: Channel) -> Alertmanager:
    made = notifier(
        "am",
        Notify(
            kind="alertmanager", endpoint=channel.url.rpartition("/services")[0], link="https://ops.example.com"
        ),
    )
    assert isinstance(made, Alertmanager)
    return made


def test_an_incident_begins_and_ends_with_the_same_key(channel: Channel, pager: PagerDuty) -> None:
    channel.status = 202
    pager.record(alarm())
    pager.record(alarm("resolve"))
    begun, ended = channel.bodies
    assert (begun["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert begun["dedup_key"] == ended["dedup_key"] == KEY
    assert begun["routing_key"] == SECRET
    assert begun["payload"]["severity"] == "critical"
    assert begun["payload"]["timestamp"] == SINCE, "dated to when it became so, not to when it was told"
    assert begun["payload"]["summary"] == "paul-simon-may12: OVERDUE: approved by ana, never started"
    assert begun["payload"]["custom_details"]["audit_head"] == f"52 {'9f' * 32}"
    assert begun["client_url"] == "https://ops.example.com/board"


def test_what_merely_happened_is_one_incident_however_often_it_is_told(channel: Channel, pager: PagerDuty) -> None:
    glass = {key: value for key, value in alarm().items() if key != "alarm"}
    pager.record(glass)
    pager.record(glass)
    first, second = channel.bodies
    assert first["dedup_key"] == second["dedup_key"]
    assert first["event_action"] == "trigger"


def test_a_refusal_that_would_come_again_is_told_as_such_and_never_holds_the_key(
    channel: Channel, pager: PagerDuty
) -> None:
    channel.status, channel.body = 400, f"invalid routing key {SECRET}".encode()
    with pytest.raises(Refused, match=r"refused the message \(400\), and would refuse it again") as raised:
        pager.record(alarm())
    assert "CANARY" not in str(raised.value)
    channel.status = 429
    with pytest.raises(OutOfReach, match="tries again by itself"):
        pager.record(alarm())


def test_a_key_too_long_for_the_pager_still_ends_what_it_began(channel: Channel, pager: PagerDuty) -> None:
    pager.record(alarm(key="k" * 300))
    pager.record(alarm("resolve", key="k" * 300))
    begun, ended = channel.bodies
    assert begun["dedup_key"] == ended["dedup_key"]
    assert len(begun["dedup_key"]) <= 255


def test_an_alert_stands_until_it_is_ended_with_the_same_labels(channel: Channel) -> None:
    started = datetime.now(UTC)
    manager = prometheus(channel)
    manager.record(alarm())
    manager.renew([alarm()])
    manager.record(alarm("resolve", until=(started - timedelta(minutes=1)).isoformat()))
    ((begun,), (renewed,), (ended,)) = channel.bodies
    assert channel.got[0][0] == "/api/v2/alerts"
    assert begun["labels"] == renewed["labels"] == ended["labels"]
    assert begun["labels"]["alertname"] == "CampaignNeedsAttention"
    assert begun["labels"]["campaign"] == "paul-simon-may12"
    assert begun["startsAt"] == SINCE
    assert begun["generatorURL"] == "https://ops.example.com"
    assert datetime.fromisoformat(begun["endsAt"]) > started + timedelta(hours=1), "outlives a watcher that died"
    assert datetime.fromisoformat(ended["endsAt"]) < started


def test_an_end_in_the_future_is_no_end(channel: Channel) -> None:
    prometheus(channel).record(alarm("resolve", until="2999-01-01T00:00:00+00:00"))
    ((ended,),) = channel.bodies
    assert datetime.fromisoformat(ended["endsAt"]) <= datetime.now(UTC)


def test_the_watchdog_fires_for_a_while_only(channel: Channel) -> None:
    before = datetime.now(UTC)
    prometheus(channel).beat("prod", timedelta(minutes=3))
    ((alert,),) = channel.bodies
    assert alert["labels"]["alertname"] == "Watchdog"
    lasts = datetime.fromisoformat(alert["endsAt"]) - before
    assert timedelta(minutes=2) < lasts < timedelta(minutes=5)


def test_the_dead_mans_signal_never_shows_its_address(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PING", channel.url)
    signal = Heartbeat(SecretFrom(env="PING"))
    signal.beat()
    assert len(channel.got) == 1
    channel.status = 404
    with pytest.raises(Refused, match="404") as raised:
        signal.beat()
    assert "CANARY" not in str(raised.value)


def test_doctor_can_look_at_each_without_anybody_being_told(
    channel: Channel, pager: PagerDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PING", channel.url)
    hook = notifier("ops", Notify(kind="slack", url=SecretFrom(env="PING")))
    signal = Heartbeat(SecretFrom(env="PING"))
    for one in (hook, pager, prometheus(channel), signal):
        one.check()  # type: ignore[attr-defined]
    for broken in ("", "no address", "gopher://127.0.0.1/x", "http://[bad"):
        monkeypatch.setenv("PING", broken)
        fresh = Heartbeat(SecretFrom(env="PING"))
        with pytest.raises(Refused) as raised:
            fresh.check()
        assert "bad" not in str(raised.value), "an address isn't shown, however wrong it is"
    login: dict[str, Any] = {"kind": "email", "host": "mail.example.com", "sender": "a@example.com", "to": ["b"]}
    mail = notifier("team", Notify(**login, tls="none", password=SecretFrom(env="PING")))
    with pytest.raises(Refused, match="without encryption"):
        mail.check()  # type: ignore[attr-defined]
    assert channel.got == []
