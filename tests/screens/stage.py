"""A scripted source and carrier behind the real Console and the real audit store: all that the screens stand on."""

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

from textual.pilot import Pilot

from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.board import Board
from opsconsole.campaign import DATA, METADATA, TEMPLATE, Approval, parse_metadata
from opsconsole.console import Console
from opsconsole.digests import content_digest
from opsconsole.hostfacts import CronFact, DiskFact, FileFact, FolderFacts, HostFacts, Kind, ProcessFact
from opsconsole.observation import Content, Counts, Evidence, Mark, Observation, Report, RunWord, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import CampaignFacts, Followed, RunState, Started, Verb
from opsconsole.preflight import CHECKS
from opsconsole.runs import Identity
from opsconsole.settings import BlastHost, Environment
from opsconsole.watch import Watch, Watched
from opsconsole.wishes import Wish
from screens.app import OpsConsoleApp

SLUG = "paul-simon-may12"
NASTY = "[Sale] [/today] \x1b[2Jgone \u202egnp.exe"
ZONE = "America/Los_Angeles"
HTML = "<html><body><p>Dear {{ first_name }},</p><p>One night only.</p></body></html>"
COLUMNS = "email,first_name,city\n"


def rows(count: int) -> str:
    return COLUMNS + "".join(f"anna{n}@example.com,Anna {n},Paris\n" for n in range(1, count + 1))


class Host:
    """A blast host that does what the test says. Change its attributes and refresh."""

    name = "blast-1"

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.due = (now() - timedelta(minutes=20)).astimezone(ZoneInfo(ZONE))
        self.subject = "One night only"
        self.extra: dict[str, Any] = {}
        self.data = rows(3)
        self.html = HTML
        self.says, self.run = Says.NOTHING, None  # type: Says, RunWord | None
        self.log: list[bytes] = []  # handed out piece by piece by follow()
        self.go_on = Event()  # follow() ends when this is set
        self.end = Counts(total=3, accepted=3)
        self.troubles: list[Exception] = []  # raised one by one by follow()
        self.link = "connected"
        self.signals: list[Verb] = []
        self.steered: list[tuple[Wish, str]] = []
        self.started: list[Plan] = []
        self.cron = b""
        self.rehearsal: list[bytes] = [b"rendering\n", b"3 recipients counted, 0 rows refused\n"]
        self.rehearsed_ok = True
        self.rehearsal_told: dict[str, Any] = {}
        self.foreign: tuple[str, ...] = ()

    def metadata(self) -> bytes:
        known = {
            "name": "Paul Simon",
            "subject": self.subject,
            "from": "Events <events@example.com>",
            "expected_recipients": 3,
            "due_at": f"{self.due:%Y-%m-%d %H:%M}",
            "timezone": ZONE,
        }
        return json.dumps({**known, **self.extra}).encode()

    def files(self) -> dict[str, bytes]:
        return {TEMPLATE: self.html.encode(), DATA: self.data.encode(), METADATA: self.metadata()}

    def digests(self) -> dict[str, str]:
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files().items()}

    # Source

    def observe(self) -> Report:
        now, digests = self._now(), self.digests()
        details = parse_metadata(self.metadata())
        lines = self.data.count("\n") - 1
        observation = Observation(
            source=self.name,
            slug=SLUG,
            observed_at=now,
            fresh_for=timedelta(minutes=5),
            says=self.says,
            since=now - timedelta(minutes=1),
            keeps_traces=True,
            run=self.run,
            details=details,
            approval=Approval(by="ana", at=now - timedelta(days=1), reference="t-9a8cae17"),
            content=Content(digest=content_digest(digests), digests=tuple(digests.items()), rows=lines),
            evidence=(
                Evidence(letter="F", label="host files", mark=Mark.YES, text="complete, 3 rows", at=now),
                Evidence(letter="C", label="host cron", mark=Mark.NO, text=NASTY),
            ),
        )
        return Report(
            source=self.name,
            looked_at=now,
            fresh_for=timedelta(minutes=5),
            observations=(observation,),
            keeps_traces=True,
            latency_ms=24.0,
            foreign=self.foreign,
        )

    def close(self) -> None:
        self.go_on.set()

    # HostView

    def host_facts(self) -> HostFacts:
        now = self._now()
        return HostFacts(
            host=self.name,
            hostname="blast-mail-prod",
            machine_id="m-1",
            user="blast",
            epoch=now.timestamp(),
            zone=ZONE,
            clock_offset=0.2,
            clock_error=0.05,
            memory_total=4 << 30,
            memory_available=1 << 30,
            load=0.4,
            mail_queue=7,
            disks=(DiskFact(path="/var", free=9 << 30, total=40 << 30),),
            processes=(ProcessFact(pid=4711, ppid=1, elapsed_s=62, user="blast", args=f"runner {NASTY}"),),
            cron=(
                CronFact(file=FileFact(path="/etc/cron.d/mail-blasts", kind=Kind.FILE, mode=0o644, owner="root"),
                         text=self.cron),
            ),
            runner=FileFact(path="/usr/local/bin/mail-blast-runner", kind=Kind.FILE, mode=0o755, executable=True),
            credentials=FileFact(path="/etc/mail/blast.conf", kind=Kind.FILE, mode=0o600, owner="blast"),
            state_dir=FileFact(path="/var/lib/mail-blasts/runs", kind=Kind.FOLDER, mode=0o700),
            log_dir=FileFact(path="/var/log/mail-blasts", kind=Kind.FOLDER, mode=0o755),
            campaigns={SLUG: self.folder()},
        )  # fmt: skip

    def folder(self) -> FolderFacts:
        digests = self.digests()
        facts = {
            name: FileFact(
                path=f"/var/mail/campaigns/{SLUG}/{name}",
                kind=Kind.FILE,
                size=len(content),
                mtime_ns=int(self._now().timestamp() * 1e9) - 7200 * 10**9,
                mode=0o644,
                owner="blast",
                sha256=digests[name],
                rows=self.data.count("\n") - 1 if name == DATA else None,
            )
            for name, content in self.files().items()
        }
        return FolderFacts(slug=SLUG, folder=Kind.FOLDER, files=facts, metadata=self.metadata())

    def retry_now(self) -> None: ...

    def connection(self) -> Mapping[str, Any]:
        return {
            "state": self.link,
            "latency_ms": 24.0,
            "identity": "blast@blast-mail-prod",
            "fingerprint": "SHA256:abc",
        }

    # Carrier

    def checks(self) -> Any:
        return CHECKS

    def preflight_facts(self, slug: str) -> CampaignFacts:
        return CampaignFacts(host=self.host_facts(), folder=self.folder(), files=self.files(), unread={})

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
        for piece in self.rehearsal:
            on_output(piece)
        return DryRun(
            slug=slug,
            carrier=self.name,
            at=self._now(),
            ok=self.rehearsed_ok,
            digests=self.digests(),
            audience=3,
            duration_s=0.5,
            summary="3 recipients counted",
            troubles=() if self.rehearsed_ok else (f"row 2: {NASTY}",),
            **self.rehearsal_told,
        )

    def start(self, plan: Plan, by: str) -> Started:
        self.started.append(plan)
        self.says = Says.RUNNING
        self.run = RunWord(run_id=plan.run_id, attempt=1, by=by, started_at=self._now(), progress_at=self._now())
        return Started(state=self._state(), fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self._state() if self.run else None

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        return self._state() if self.run else None

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
    ) -> Followed:
        if self.troubles:
            raise self.troubles.pop(0)
        whole = b"".join(self.log)
        for start in range(offset, len(whole), 30_000):
            on_output(whole[start : start + 30_000])
        while not (self.go_on.wait(0.01) or stop.is_set()):
            pass
        if stop.is_set():
            return Followed(offset=len(whole), end=None)
        now = self._now()
        self.says = Says.ENDED
        assert self.run is not None
        self.run = replace(self.run, ended_at=now, rc=0, counts=self.end)
        return Followed(offset=len(whole), end=self._state())

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        self.signals.append(verb)
        self.says = {Verb.PAUSE: Says.PAUSED, Verb.RESUME: Says.RUNNING, Verb.CANCEL: Says.ENDED}[verb]
        return self._state()

    def steer(self, slug: str, attempt: int, wish: Wish, value: str) -> RunState:
        assert self.run is not None
        self.steered.append((wish, value))
        field = "rate_limit" if wish is Wish.RATE else "account"
        self.run = replace(self.run, going=replace(self.run.going, **{field: value}))
        return self._state()

    def running(self, log: list[bytes] | None = None) -> None:
        """Somebody else's run is going."""
        self.says, self.log = Says.RUNNING, log or []
        now = self._now()
        self.run = RunWord(run_id="r-77", attempt=1, by="cron", started_at=now, progress_at=now)

    def _state(self) -> RunState:
        assert self.run is not None
        size = sum(map(len, self.log))
        return RunState(slug=SLUG, run_id=self.run.run_id, attempt=1, says=self.says, word=self.run, out_size=size)


class Stage:
    """The host, the console over it, and where its data goes."""

    def __init__(
        self, folder: Path, *, read_only: bool = False, danger: bool = True, beside: tuple[Any, ...] = ()
    ) -> None:
        self.folder, self.clock = folder, lambda: datetime.now(UTC)
        self.host = Host(self.clock)
        self.read_only, self.danger = read_only, danger
        identity = Identity(operator="mara", session="s-1", environment="prod")
        path = folder / "audit.db"
        watched = (
            Watched(self.host, timedelta(hours=1)),
            *(Watched(source, timedelta(hours=1)) for source in beside),
            Watched(ConsoleSource(lambda: self.console.store(), self.clock, "prod"), timedelta(hours=1)),
        )
        self.console = Console(
            environment="PROD",
            settings=Environment(label="PROD", danger=danger, blasthost={"blast-1": BlastHost(ssh="blast-1")}),
            policy=Policy(),
            role="approver",
            read_only=read_only,
            local_zone="Europe/Paris",
            identity=lambda: identity,
            watched=watched,
            hosts={"blast-1": BlastHost(ssh="blast-1")},
            store=lambda: AuditStore(path, bytes(range(32)), clock=self.clock),
            watch=Watch(watched, self.clock, None),
            clock=self.clock,
        )

    def records(self, action: str) -> list[Any]:
        return self.console.store().search(action=action)

    def app(self) -> OpsConsoleApp:
        self.console.watch.refresh()
        return OpsConsoleApp(
            Board(at=self.clock(), verdicts=(), sources=()),
            lambda: self.console,
            environment="PROD",
            danger=self.danger,
            read_only=self.read_only,
            local_zone="Europe/Paris",
            operator="mara",
            data_dir=self.folder,
        )

    @asynccontextmanager
    async def open(self, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Pilot[None]]:
        """The app with its console up and its board known."""
        app = self.app()
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app.console_ready and app.get(SLUG) is not None)
            yield pilot


async def until(pilot: Pilot[Any], true: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until it holds; fails when it doesn't in good time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came about"
        await pilot.pause(0.02)


def screen_text(pilot: Pilot[Any]) -> str:
    """All that is on the screen, as plain lines."""
    width, height = pilot.app.size
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)[: (width + 1) * height * 4]
