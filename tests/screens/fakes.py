"""Scripted systems behind the real Console: a blast host and a dashboard that say what a story needs.

`Night` is a believable night on call; `night.app()` is the terminal app over it.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from opsconsole.audit import key
from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import Board, assemble
from opsconsole.campaign import DATA, METADATA, TEMPLATE, Approval, Details
from opsconsole.console import Console
from opsconsole.hostfacts import FileFact, FolderFacts, HostFacts, Kind
from opsconsole.observation import (
    Content,
    Counts,
    Evidence,
    Mark,
    Observation,
    Report,
    RunWord,
    Says,
    Trigger,
)
from opsconsole.plan import DryRun, Plan, content_digest
from opsconsole.policy import Policy
from opsconsole.ports import CampaignFacts, Followed, OutOfReach, Refused, RunState, Started, Verb
from opsconsole.runs import Identity
from opsconsole.schedule import Due, resolve_due
from opsconsole.settings import BlastHost, Environment, Role
from opsconsole.watch import Watch, Watched
from screens.app import OpsConsoleApp

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
PACIFIC = "America/Los_Angeles"
DIGESTS = {TEMPLATE: "a" * 64, DATA: "b" * 64, METADATA: "c" * 64}
FRESH = timedelta(seconds=90)


def due(text: str, zone: str = PACIFIC) -> Due:
    return resolve_due(text, zone)


def campaign(
    slug: str,
    *,
    when: Due | None = None,
    rows: int | None = 1000,
    approved: str = "ana",
    says: Says = Says.NOTHING,
    run: RunWord | None = None,
    since: datetime | None = None,
    name: str = "",
    subject: str = "",
    dashboard: Says = Says.NOTHING,
    cron: Trigger | None = None,
    clock: float = 0.2,
    **details: Any,
) -> dict[str, Observation]:
    """What blast host and dashboard say of one campaign, with the evidence a real look would bring."""
    zone = when.zone if when else ""
    words = Details(name=name, subject=subject or f"News from {slug}", zone=zone, **details)
    log = {
        Says.NOTHING: (Mark.NO, "none"),
        Says.RUNNING: (Mark.MOVING, "growing"),
        Says.ENDED: (Mark.YES, "complete, closing summary there"),
        Says.STARTED: (Mark.BAD, "ends in the middle"),
        Says.PAUSED: (Mark.WAITING, "paused"),
    }.get(says, (Mark.NO, "none"))
    host = Observation(
        source="blast-mail-prod",
        slug=slug,
        observed_at=NOW,
        fresh_for=FRESH,
        says=says,
        keeps_traces=True,
        since=since,
        run=run,
        details=replace(words, due=when),
        content=Content(
            digest=content_digest(DIGESTS), digests=tuple(sorted(DIGESTS.items())), rows=rows, rows_exact=True
        ),
        triggers=(cron,) if cron else (),
        clock_offset=clock,
        evidence=(
            Evidence(letter="F", label="host files", mark=Mark.YES, text=f"complete, {rows or 0:,} rows", at=NOW),
            Evidence(
                letter="C",
                label="host cron",
                mark=Mark.YES if cron else Mark.NO,
                text=cron.text if cron else "no line",
            ),
            Evidence(letter="L", label="host log", mark=log[0], text=log[1]),
        ),
    )
    approval = Approval(by=approved, at=NOW - timedelta(days=3), reference="t-71c0") if approved else None
    told = Observation(
        source="dashboard",
        slug=slug,
        observed_at=NOW,
        fresh_for=FRESH,
        says=dashboard,
        since=since if dashboard is Says.SENT else None,
        details=Details(name=name, due=when, zone=zone),
        approval=approval,
        records=True,
        reference="t-71c0",
        evidence=(
            Evidence(
                letter="D",
                label="approval",
                mark=Mark.YES if approved else Mark.NO,
                text=f"approved by {approved} (t-71c0)" if approved else "not approved",
                at=approval.at if approval else None,
            ),
        ),
    )
    return {"blast-mail-prod": host, "dashboard": told}


class FakeSource:
    """A source that says what it was told to say; `reach = False` cuts the line."""

    def __init__(self, name: str, clock: Callable[[], datetime], *, keeps_traces: bool = False) -> None:
        self.name, self.keeps_traces, self.reach = name, keeps_traces, True
        self.words: dict[str, Observation] = {}
        self.findings: tuple[str, ...] = ()
        self.latency_ms: float | None = 24.0
        self.asked = 0
        self._clock = clock

    def observe(self) -> Report:
        self.asked += 1
        now = self._clock()
        if not self.reach:
            return Report(
                source=self.name,
                looked_at=now,
                fresh_for=FRESH,
                keeps_traces=self.keeps_traces,
                trouble=f"{self.name} did not answer within 5 s.",
                out_of_reach_since=now,
            )
        seen = tuple(replace(o, observed_at=now) for o in self.words.values())
        return Report(
            source=self.name,
            looked_at=now,
            fresh_for=FRESH,
            observations=seen,
            keeps_traces=self.keeps_traces,
            latency_ms=self.latency_ms,
            findings=self.findings,
        )

    def close(self) -> None:
        pass


class FakeHost(FakeSource):
    """A blast host and carrier whose runs are a script: `script` is what a followed run prints."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        super().__init__(name, clock, keeps_traces=True)
        self.states: dict[str, RunState] = {}
        self.started: list[Plan] = []
        self.signals: list[Verb] = []
        self.files = {TEMPLATE: b"<p>{{ name }}</p>", DATA: b"email,name\nmara@example.com,Mara\n", METADATA: b"{}"}
        self.script: list[bytes] = [b"starting\n", b"1000 recipients processed\n"]
        self.start_error: Exception | None = None
        self.identity = "ops@blast-mail-prod"

    def host_facts(self) -> HostFacts:
        return HostFacts(host=self.name, machine_id="m1", hostname="blast-mail-prod", zone=PACIFIC, user="ops")

    def retry_now(self) -> None: ...

    def connection(self) -> Mapping[str, Any]:
        return {"identity": self.identity, "latency_ms": 24.0, "state": "up", "fingerprint": "SHA256:fake"}

    def preflight_facts(self, slug: str) -> CampaignFacts:
        if not self.reach:
            raise OutOfReach(f"{self.name} is out of reach.")
        files = {
            name: FileFact(path=f"/c/{slug}/{name}", kind=Kind.FILE, size=len(raw), sha256=DIGESTS.get(name))
            for name, raw in self.files.items()
        }
        folder = FolderFacts(slug=slug, folder=Kind.FOLDER, files=files, metadata=self.files.get(METADATA))
        return CampaignFacts(host=self.host_facts(), folder=folder, files=self.files, unread={})

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: threading.Event) -> DryRun:
        for part in self.script:
            on_output(part)
        rows = self.words[slug].content
        return DryRun(
            slug=slug,
            carrier=self.name,
            at=self._clock(),
            ok=True,
            digests=DIGESTS,
            audience=rows.rows if rows else None,
            summary=f"{rows.rows if rows else 0} recipients counted",
        )

    def start(self, plan: Plan, by: str) -> Started:
        if self.start_error is not None:
            raise self.start_error
        self.started.append(plan)
        word = RunWord(run_id=plan.run_id, attempt=plan.attempt, by=by, started_at=self._clock())
        state = RunState(slug=plan.slug, run_id=plan.run_id, attempt=plan.attempt, says=Says.RUNNING, word=word)
        self.states[plan.slug] = state
        return Started(state=state, fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self.states.get(slug)

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        return self.states.get(slug)

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: threading.Event
    ) -> Followed:
        state = self.states[slug]
        whole = b"".join(self.script)
        on_output(whole[offset:])
        total = Counts(total=1000, accepted=1000)
        word = replace(state.word, ended_at=self._clock(), rc=0, counts=total)
        self.states[slug] = replace(state, says=Says.ENDED, word=word, out_size=len(whole))
        return Followed(offset=len(whole), end=self.states[slug])

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        if slug not in self.states:
            raise Refused("There is no such run.")
        self.signals.append(verb)
        return self.states[slug]


class Night:
    """One night: a blast host, a dashboard, the real audit store and the real Console over them."""

    def __init__(self, folder: Path, *, role: Role = "operator", read_only: bool = False) -> None:
        self.folder, self.role, self.read_only, self.at = folder, role, read_only, NOW
        self.host = FakeHost("blast-mail-prod", self.clock)
        self.dashboard = FakeSource("dashboard", self.clock)
        self.store_error: Exception | None = None
        self.policy = Policy()
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
            settings=Environment(label="PROD", danger=True, blasthost={self.host.name: BlastHost(ssh="x")}),
            policy=self.policy,
            role=self.role,
            read_only=self.read_only,
            local_zone=PACIFIC,
            identity=lambda: identity,
            watched=watched,
            hosts={self.host.name: BlastHost(ssh="x")},
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


def run(started: timedelta, accepted: int, total: int, **more: Any) -> RunWord:
    """A run that started so long ago and got so far."""
    counts = Counts(total=total, accepted=accepted, failed=more.pop("failed", 0), unknown=more.pop("unknown", 0))
    begun = NOW - started
    return RunWord(
        run_id="5f0e1c2d3b4a5968",
        by="mara",
        started_at=begun,
        progress_at=more.pop("progress_at", more.get("ended_at") or NOW - timedelta(seconds=1)),
        counts=counts,
        **more,
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
            run=run(3 * hour, 4012, 9120, progress_at=NOW - 2 * hour),
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
