"""The whole way to real receivers: Prometheus' Alertmanager and Postfix' smtp-sink."""

import email
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backends.notify import Alertmanager, Email, notifier
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tidings import Ear
from opsconsole.lookout import Lookout
from opsconsole.settings import Notify
from opsconsole.watching import Watcher
from tests.domain.words import SLUG
from tests.support.alertmanager import RealAlertmanager
from tests.support.channel import Channel
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost
from tests.support.smtp_sink import SmtpSink

pytestmark = pytest.mark.slow


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    made = SmtpSink()
    yield made
    made.stop()


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


@pytest.fixture
def manager(tmp_path: Path, channel: Channel) -> Iterator[RealAlertmanager]:
    made = RealAlertmanager(tmp_path, channel.url)
    made.start()
    yield made
    made.stop()


def desk_with(told: Alertmanager | Email, tmp_path: Path) -> Desk:
    clock = Clock()
    ear = Ear(told.name.removeprefix("notify:"))
    store = AuditStore(
        tmp_path / "audit.db", bytes(range(32)), clock=clock, rules=StoreRules(told={"prod": (ear,)})
    )
    return Desk(store, FakeHost(clock), FakeDashboard(clock), clock, told={told.name: told})


def passed_on(channel: Channel) -> list[tuple[str, str]]:
    """What Alertmanager told in turn: (status, campaign or name of the alert)."""
    alerts = [alert for body in channel.bodies for alert in body["alerts"]]
    return [(a["status"], a["labels"].get("campaign") or a["labels"]["alertname"]) for a in alerts]


@pytest.mark.needs("prometheus-alertmanager")
def test_an_alert_fires_is_renewed_after_a_restart_and_ends(
    manager: RealAlertmanager, channel: Channel, tmp_path: Path
) -> None:
    told = notifier("am", Notify(kind="alertmanager", endpoint=manager.url, link="https://ops.example.com/"))
    assert isinstance(told, Alertmanager)
    desk = desk_with(told, tmp_path)
    console = desk.sit()
    one = Watcher(console, Lookout("prod", None))
    (change,) = one.turn()
    console.tidy()
    until(lambda: passed_on(channel) == [("firing", SLUG)])
    (alert,) = manager.alerts()
    assert alert["labels"]["key"] == change.alarm.key
    assert alert["startsAt"].startswith(f"{change.alarm.since:%Y-%m-%dT%H:%M:%S}")
    assert alert["generatorURL"] == "https://ops.example.com/"
    manager.stop()
    manager.start()
    assert manager.alerts() == [], "it forgets"
    one.renew()
    until(lambda: len(manager.alerts()) == 1)
    console.decide("hold", SLUG, "wait")
    one.turn()
    console.tidy()
    until(lambda: ("resolved", SLUG) in passed_on(channel))
    assert manager.alerts() == []


@pytest.mark.needs("prometheus-alertmanager")
def test_the_watchdog_goes_out_by_itself_when_nobody_renews_it(manager: RealAlertmanager, channel: Channel) -> None:
    told = notifier("am", Notify(kind="alertmanager", endpoint=manager.url))
    assert isinstance(told, Alertmanager)
    told.beat("prod", timedelta(seconds=2))
    until(lambda: ("firing", "Watchdog") in passed_on(channel))
    until(lambda: ("resolved", "Watchdog") in passed_on(channel))


@pytest.mark.needs("smtp-sink")
def test_a_real_mail_server_takes_the_page_and_its_end(sink: SmtpSink, tmp_path: Path) -> None:
    table = Notify(
        kind="email",
        host="127.0.0.1",
        port=sink.port,
        tls="none",
        sender="opsconsole@example.com",
        to=["oncall@example.com"],
    )
    told = notifier("team", table)
    assert isinstance(told, Email)
    desk = desk_with(told, tmp_path)
    console = desk.sit()
    one = Watcher(console, Lookout("prod", None))
    one.turn()
    console.tidy()
    console.decide("hold", SLUG, "wait")
    one.turn()
    console.tidy()
    until(lambda: sink.mailed()["oncall@example.com"] == 2)
    mails = [email.message_from_bytes(file.read_bytes()) for file in sink.dump.iterdir()]
    subjects = sorted(re.sub(r"\s+", " ", str(mail["Subject"])) for mail in mails)
    assert subjects[0].startswith(f"[opsconsole] prod: {SLUG}: OVERDUE: approved by ana")
    assert subjects[1] == f"[opsconsole] prod: {SLUG}: no longer OVERDUE"
    assert len({mail["Message-ID"] for mail in mails}) == 2
