"""A console over one scripted host and a real audit store, for stories about who may do what, and when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from opsconsole.audit.store import AuditStore
from opsconsole.audit.words import ConsoleSource
from opsconsole.campaign import DATA, METADATA, TEMPLATE
from opsconsole.console import Console
from opsconsole.digests import content_digest
from opsconsole.observation import Content, Counts, Hold, Observation, Report, RunWord, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import (
    Doubt,
    EveryUnknown,
    Fate,
    Fates,
    Followed,
    Recorder,
    Refused,
    RunState,
    Started,
    Trouble,
    Unknown,
    Verb,
)
from opsconsole.preflight import CHECKS
from opsconsole.runs import Identity
from opsconsole.settings import BlastHost, Environment, Role
from opsconsole.watch import Watch, Watched
from tests.domain.words import NOW, SLUG, dashboard, host

HOST = "blast-mail-prod"
DIGESTS = {TEMPLATE: "1" * 64, DATA: "2" * 64, METADATA: "3" * 64}
CONTENT = Content(digest=content_digest(DIGESTS), digests=tuple(DIGESTS.items()), rows=2601)
PHRASE = f"{SLUG} 2601"


@dataclass
class Clock:
    """The instant of everybody in a story; `pass_` lets time go by."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, span: timedelta) -> None:
        self.now += span


@dataclass
class FakeHost:
    """A blast host that answers as scripted and remembers what it was asked. It keeps a journal and holds."""

    clock: Clock
    name: str = HOST
    word: Observation = field(default_factory=lambda: host(content=CONTENT))
    state: RunState | None = None
    left: Doubt | None = None
    trouble: Trouble | None = None  # raised by everything that acts, once it has acted
    digests: Mapping[str, str] = field(default_factory=lambda: DIGESTS)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    on_start: Callable[[], None] = lambda: None
    releases: bool = True  # a release reaches it, whatever becomes of the answer

    def observe(self) -> Report:
        now = self.clock()
        word = replace(self.word, source=self.name, observed_at=now)
        return Report(
            source=self.name, looked_at=now, fresh_for=word.fresh_for, observations=(word,), keeps_traces=True
        )

    def close(self) -> None: ...

    def _acted(self, what: str, about: Any) -> None:
        self.asked.append((what, about))
        if self.trouble is not None:
            raise self.trouble

    def asked_for(self, what: str) -> list[Any]:
        return [about for asked, about in self.asked if asked == what]

    def checks(self) -> Any:
        return CHECKS

    def preflight_facts(self, slug: str) -> Any:
        raise Trouble("not asked here")

    def dry_run(self, slug: str, on_output: Any, stop: Any) -> DryRun:
        return DryRun(
            slug=slug, carrier=self.name, at=self.clock(), ok=True, digests=dict(self.digests), audience=2601
        )

    def start(self, plan: Plan, by: str) -> Started:
        self.on_start()
        self.state = run(Says.RUNNING, plan.run_id, by=by, attempt=plan.attempt)
        self._acted("start", plan)
        return Started(state=self.state, fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self.state

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        return self.state

    def follow(self, slug: str, attempt: int, offset: int, on_output: Any, stop: Any) -> Followed:
        return Followed(offset=offset, end=self.state)

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        self._acted("signal", verb)
        assert self.state is not None
        return self.state

    def doubt(self, slug: str, attempt: int) -> Doubt:
        assert self.left is not None
        return self.left

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        assert self.left is not None
        if isinstance(fates, EveryUnknown):
            self._acted("decide", fates)
            again = fates.count if fates.fate is Fate.RESEND else 0
            self.left = replace(self.left, unknown=(), unknown_total=0, unsent=self.left.unsent + again)
            return self.left
        again = sum(fate is Fate.RESEND for fate in fates.values())
        rest = tuple(one for one in self.left.unknown if one.row not in fates)
        self.left = replace(self.left, unknown=rest, unknown_total=len(rest), unsent=self.left.unsent + again)
        self._acted("decide", dict(fates))
        return self.left

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        self.state = run(Says.RUNNING, run_id, by=by)
        self._acted("send-rest", run_id)
        return Started(state=self.state, fresh=True)

    def release(self, slug: str, attempt: int, run_id: str, by: str, reason: str) -> RunState:
        assert self.state is not None
        self.asked.append(("release", (attempt, run_id, by)))
        if isinstance(self.trouble, Refused):
            raise self.trouble
        if self.releases:
            self.state = replace(self.state, says=Says.NOTHING, released=True)
            self.word = replace(self.word, says=Says.NOTHING, run=None, next_attempt=attempt + 1)
        if self.trouble is not None:
            raise self.trouble
        return self.state

    def put_hold(self, scope: str, hold: Hold | None) -> None:
        self._acted("hold", (scope, hold is not None))
        if hold is None:
            self.holds.pop(scope, None)
        else:
            self.holds[scope] = hold

    def host_facts(self) -> None:
        return None

    def connection(self) -> Mapping[str, Any]:
        return {"identity": f"ops@{self.name}"}

    def retry_now(self) -> None: ...

    # What befell it.

    def shows(self, says: Says, state: RunState) -> None:
        self.state = state
        since = state.word.ended_at or state.word.started_at or state.word.claimed_at
        self.word = replace(self.word, says=says, run=state.word, since=since)

    def broke_off(self, run_id: str, unknown: tuple[int, ...] = (3, 7), unsent: int = 1012) -> None:
        """The run ended nowhere: `unknown` rows may have been taken, `unsent` were not handed over."""
        counts = Counts(total=2601, accepted=2601 - unsent - len(unknown), unknown=len(unknown))
        self.shows(Says.STARTED, run(Says.STARTED, run_id, counts=counts))
        self.left = Doubt(
            slug=SLUG,
            run_id=run_id,
            attempt=1,
            counts=counts,
            unsent=unsent,
            unknown=tuple(
                Unknown(row=row, who="g•••@example.com", message_id=f"<{row}@example.test>", why="no reply")
                for row in unknown
            ),
            unknown_total=len(unknown),
            maillog="/var/log/mail.log",
        )


def run(
    says: Says, run_id: str, *, by: str = "mara", counts: Counts | None = None, attempt: int = 1, at: datetime = NOW
) -> RunState:
    claimed = at - timedelta(minutes=9)
    word = RunWord(
        run_id=run_id,
        attempt=attempt,
        by=by,
        claimed_at=claimed,
        started_at=None if says is Says.CLAIMED else claimed,
        ended_at=at if says is Says.ENDED else None,
        progress_at=at,
        rc=0 if says is Says.ENDED else None,
        counts=counts,
    )
    return RunState(slug=SLUG, run_id=run_id, attempt=attempt, says=says, word=word)


class FakeDashboard:
    """The dashboard's word; not told of anything here."""

    name = "dashboard"

    def __init__(self, clock: Clock, word: Observation | None = None) -> None:
        self._clock, self.word = clock, word or dashboard()

    def observe(self) -> Report:
        now = self._clock()
        word = replace(self.word, observed_at=now)
        return Report(source=self.name, looked_at=now, fresh_for=word.fresh_for, observations=(word,))

    def close(self) -> None: ...


@dataclass
class Desk:
    """One audit store, host and dashboard, and the operators who sit at them."""

    store: AuditStore
    host: FakeHost
    board: FakeDashboard
    clock: Clock
    policy: Policy = field(default_factory=Policy)
    told: dict[str, Recorder] = field(default_factory=dict)
    beside: tuple[Any, ...] = ()  # sources besides these two

    def sit(self, operator: str = "mara", role: Role = "operator", *, read_only: bool = False) -> Console:
        """A console of this operator, with every source asked once."""
        identity = Identity(operator, f"s-{operator}", "prod")
        own = ConsoleSource(lambda: self.store, self.clock, "prod")
        watched = tuple(
            Watched(source, timedelta(seconds=15)) for source in (self.host, self.board, *self.beside, own)
        )
        console = Console(
            environment="PROD",
            settings=Environment(),
            policy=self.policy,
            role=role,
            read_only=read_only,
            local_zone="UTC",
            identity=lambda: identity,
            watched=watched,
            hosts={self.host.name: BlastHost(ssh=self.host.name)},
            store=lambda: self.store,
            watch=Watch(watched, self.clock, None),
            clock=self.clock,
            recorders=self.told,
        )
        console.refresh()
        return console

    def rehearse(self, console: Console) -> Plan:
        """Pre-flight and dry run as if they had passed, and the plan made from them."""
        digest = self.host.word.content.digest if self.host.word.content else ""
        self.store.note(console.identity.event("preflight", SLUG, digest=digest, blocking=[]))
        console.dry_run(SLUG, lambda data: None, None)  # type: ignore[arg-type]
        return console.plan(SLUG)
