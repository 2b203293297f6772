"""Scripted systems behind the real Console: `Night` is a night on call, `night.app()` the terminal app over it."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole.audit import key
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import Board, assemble
from opsconsole.console import Console
from opsconsole.observation import Observation, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.runs import Identity
from opsconsole.settings import BlastHost, Environment, Role
from opsconsole.watch import Watch, Watched
from screens.app import OpsConsoleApp
from tests.screens.fakes import FakeHost, FakeSource
from tests.screens.told import NOW, PACIFIC, campaign, due, run


class Night:
    """One night: a blast host, a dashboard, the real audit store and the real Console over them."""

    def __init__(self, folder: Path, *, role: Role = "operator", read_only: bool = False) -> None:
        self.folder, self.role, self.read_only, self.at = folder, role, read_only, NOW
        self.host = FakeHost("blast-mail-prod", self.clock)
        self.dashboard = FakeSource("dashboard", self.clock)
        self.store_error: Exception | None = None
        self.policy = Policy()
        self.ssh = "blast-mail-prod"
        self.consoles: list[Console] = []

    def clock(self) -> datetime:
        return self.at

    def knows(self, words: Mapping[str, Observation]) -> "Night":
        """Put a campaign on both systems."""
        for source in (self.host, self.dashboard):
            if source.name in words:
                source.words[words[source.name].slug] = words[source.name]
        return self

    def build(self) -> Console:
        identity = Identity(operator="mara", session=secrets.token_hex(4), environment="prod")
        made: list[Console] = []
        watched = (
            Watched(self.host, timedelta(hours=1)),
            Watched(self.dashboard, timedelta(hours=1)),
            Watched(ConsoleSource(lambda: made[0].store(), self.clock, "prod"), timedelta(hours=1)),
        )
        console = Console(
            environment="PROD",
            settings=Environment(label="PROD", danger=True, blasthost={self.host.name: BlastHost(ssh=self.ssh)}),
            policy=self.policy,
            role=self.role,
            read_only=self.read_only,
            local_zone=PACIFIC,
            identity=lambda: identity,
            watched=watched,
            hosts={self.host.name: BlastHost(ssh=self.ssh)},
            store=self.open_store,
            watch=Watch(watched, self.clock, None),
            clock=self.clock,
        )
        made.append(console)
        self.consoles.append(console)
        return console

    def open_store(self) -> AuditStore:
        if self.store_error is not None:
            raise self.store_error
        self.folder.mkdir(exist_ok=True)
        secret = key.load_or_create(self.folder / "audit.key")
        return AuditStore(self.folder / "audit.db", secret, clock=self.clock)

    def remembered(self) -> Board:
        """The board as the last session left it."""
        reports = [self.host.observe(), self.dashboard.observe()]
        return assemble({report.source: report for report in reports}, self.policy, self.at)

    def app(self, remembered: Board | None = None) -> OpsConsoleApp:
        return OpsConsoleApp(
            remembered if remembered is not None else self.remembered(),
            self.build,
            environment="PROD",
            danger=True,
            read_only=self.read_only,
            local_zone=PACIFIC,
            operator="mara",
            data_dir=self.folder,
        )


def believable(folder: Path, **options: Any) -> Night:
    """A night with a campaign in every state an operator meets."""
    night = Night(folder, **options)
    day = timedelta(days=1)
    hour = timedelta(hours=1)
    ended = run(day, 830, 830, ended_at=NOW - day + hour, rc=0)
    line = "0 14 12 5 * blast /usr/local/bin/mail-blast-runner --campaign summer-preview --mode send"
    again = Trigger(where="/etc/cron.d/mail-blasts:4", text=line, next_fire=NOW + 3 * hour)
    for words in (
        campaign("paul-simon-may12", when=due("2026-05-12 10:30"), rows=2601, name="Paul Simon presale"),
        campaign("birthday-sail-may11", when=due("2026-05-11 10:00"), rows=1204, name="Birthday Sail"),
        campaign(
            "client-letter-r3",
            when=due("2026-05-12 19:04", "Europe/London"),
            rows=830,
            dashboard=Says.SENT,
            since=NOW - day,
            name="Client Letter",
            round=3,
            rounds=3,
        ),
        campaign(
            "members-may",
            when=due("2026-05-12 09:00"),
            rows=4410,
            says=Says.RUNNING,
            run=run(2 * hour, 1587, 4410, progress_at=NOW - timedelta(minutes=12)),
            since=NOW - 2 * hour,
        ),
        campaign(
            "night-train",
            when=due("2026-05-12 10:40"),
            rows=2600,
            says=Says.RUNNING,
            run=run(timedelta(minutes=8), 1587, 2600, rate=5.4, eta_s=187.0),
            since=NOW - timedelta(minutes=8),
        ),
        campaign(
            "harbour-tour",
            when=due("2026-05-12 08:00"),
            rows=9120,
            says=Says.STARTED,
            run=run(3 * hour, 4000, 9120, progress_at=NOW - 2 * hour),
            since=NOW - 3 * hour,
        ),
        campaign(
            "gala-invitation",
            when=due("2026-05-12 07:30"),
            rows=640,
            says=Says.ENDED,
            run=run(3 * hour, 631, 640, failed=9, ended_at=NOW - 2 * hour, rc=1),
            since=NOW - 2 * hour,
        ),
        campaign(
            "summer-preview",
            when=due("2026-05-11 14:00"),
            rows=830,
            says=Says.ENDED,
            run=ended,
            since=NOW - day + hour,
            dashboard=Says.SENT,
            cron=again,
        ),
        campaign("spring-offer", when=due("2026-05-12 11:00"), rows=4410),
        campaign("vip-weekend", when=due("2026-05-12 18:00"), rows=212, approved=""),
        campaign("autumn-dates", when=due("2026-05-14 10:00"), rows=15200),
        campaign("jazz-brunch", when=due("2026-05-16 10:00"), rows=1800),
        campaign(
            "april-letter",
            when=due("2026-04-28 10:00"),
            rows=7800,
            says=Says.ENDED,
            run=run(14 * day, 7800, 7800, ended_at=NOW - 14 * day + hour, rc=0),
            since=NOW - 14 * day + hour,
            dashboard=Says.SENT,
        ),
        campaign(
            "easter-matinee",
            when=due("2026-04-02 10:00"),
            rows=2210,
            says=Says.ENDED,
            run=run(40 * day, 2210, 2210, ended_at=NOW - 40 * day + hour, rc=0),
            since=NOW - 40 * day + hour,
            dashboard=Says.SENT,
        ),
    ):
        night.knows(words)
    return night
