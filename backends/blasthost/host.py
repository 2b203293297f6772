"""A blast host as the console sees it: a source of observations, a carrier of runs, and a machine to look at."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from backends.blasthost import installing, words
from backends.blasthost.access import look as look_at_access
from backends.blasthost.anchors import Anchors
from backends.blasthost.cronswitch import switch
from backends.blasthost.doubts import Doubter
from backends.blasthost.errors import HostLost, HostTimeout
from backends.blasthost.fetch import fetch
from backends.blasthost.follow import follow
from backends.blasthost.hashcache import HashCache
from backends.blasthost.holds import put_hold
from backends.blasthost.launcher import Launcher
from backends.blasthost.mending import Mender
from backends.blasthost.probe import Probe
from backends.blasthost.rehearsal import dry_run
from backends.blasthost.runnerfile import runner_file
from backends.blasthost.session import HostSession
from backends.blasthost.target import target_of
from opsconsole.campaign import check_slug
from opsconsole.config import duration
from opsconsole.hostfacts import FileFact, HostFacts, KeptRunner, RunnerFact
from opsconsole.observation import Hold, Report
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import (
    Access,
    CampaignFacts,
    Doubt,
    Fates,
    Followed,
    OutOfReach,
    RunState,
    Started,
    Switched,
    Trouble,
    Verb,
)
from opsconsole.preflight import CHECKS, Check
from opsconsole.settings import BlastHost
from opsconsole.wishes import Wish


class BlastHostBackend:
    """A host: Source, Carrier, HostView, Releases, Doubts, HoldKeeper, TriggerKeeper, RunnerKeeper,
    AnchorKeeper and AccessView.

    Connects at the first call; safe for several threads.
    """

    def __init__(
        self,
        name: str,
        settings: BlastHost,
        *,
        policy: Policy,
        own_known_hosts: Path | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        """`own_known_hosts` is the console's own file of host keys; digests are remembered in `cache_dir`."""
        self.name = name
        self.settings = settings
        self._policy = policy
        self._own_known_hosts = own_known_hosts
        self._cache = HashCache(cache_dir / f"digests-{name}.db" if cache_dir else None)
        self._opening = threading.Lock()
        self._opened: tuple[HostSession, Probe] | None = None
        self._facts: HostFacts | None = None
        self._program: tuple[FileFact | None, RunnerFact] | None = None  # the file by its stat, and what it said
        self._memo: words.Memo = {}
        self._unreached_since: datetime | None = None

    # -- Source --------------------------------------------------------------------------------------------
    def observe(self) -> Report:
        """One look at every campaign. A host that can't be asked is a report that says so."""
        now = datetime.now(UTC)
        try:
            facts = self._probe().look()
        except Trouble as error:
            self._unreached_since = self._unreached_since or now
            return Report(
                source=self.name,
                looked_at=now,
                fresh_for=duration(self.settings.fresh_for),
                keeps_traces=True,
                trouble=str(error),
                out_of_reach_since=self._unreached_since,
            )
        self._facts, self._unreached_since = facts, None
        return words.report(
            facts,
            self.settings,
            source=self.name,
            now=now,
            fresh_for=duration(self.settings.fresh_for),
            policy=self._policy,
            memo=self._memo,
        )

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    # -- HostView ------------------------------------------------------------------------------------------
    def host_facts(self) -> HostFacts | None:
        """The newest look at the whole host; None before the first."""
        return self._facts

    def connection(self) -> Mapping[str, Any]:
        """`state`, `latency_ms`, `identity`, `fingerprint`, `since` and `last_error` of the connection."""
        status = self._opened[0].status if self._opened else None
        return {
            "state": status.state if status else "connecting",
            "latency_ms": status.latency_ms if status else None,
            "identity": status.identity if status else None,
            "fingerprint": status.server_fingerprint if status else None,
            "since": status.since if status else None,
            "last_error": str(status.last_error) if status and status.last_error else "",
        }

    def retry_now(self) -> None:
        if self._opened is not None:
            self._opened[0].retry_now()

    # -- Carrier -------------------------------------------------------------------------------------------
    def preflight_facts(self, slug: str) -> CampaignFacts:
        """A look of its own at the host and at `slug`, and the campaign's files, whole."""
        check_slug(slug)
        with _looking():
            facts = self._probe().look([slug])
            folder = facts.campaigns[slug]
            if self._ours and facts.runner is not None and facts.runner.executable:
                with suppress(Trouble):  # a runner that says nothing of itself may send all the same
                    facts = replace(facts, program=self._asked(facts.runner))
            files, unread = fetch(self._session(), self.settings.campaigns_dir, slug, folder.files)
        return CampaignFacts(host=facts, folder=folder, files=files, unread=unread)

    def checks(self) -> Sequence[Check[Any]]:
        return CHECKS

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
        with _looking():
            return dry_run(self._session(), self.settings, self.name, slug, on_output, stop)

    def start(self, plan: Plan, by: str) -> Started:
        started = self._launcher().start(plan, by)
        return replace(started, state=self._dated(started.state))

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        with _looking():
            state = self._launcher().run_state(slug, attempt)
        return self._dated(state) if state else None

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        with _looking():
            state = self._launcher().give_up(slug, run_id)
        return self._dated(state) if state else None

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
    ) -> Followed:
        launcher = self._launcher()

        def state() -> RunState | None:
            found = launcher.run_state(slug, attempt)  # a lost answer is follow's to ask for again
            return self._dated(found) if found else None

        return follow(
            self._session(),
            launcher.state_dir,
            slug,
            attempt,
            offset,
            on_output,
            stop,
            state,
        )

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState:
        return self._dated(self._launcher().signal(slug, attempt, verb))

    def steer(self, slug: str, attempt: int, wish: Wish, value: str) -> RunState:
        return self._dated(self._launcher().steer(slug, attempt, wish, value))

    # -- Releases, Doubts, HoldKeeper, TriggerKeeper ---------------------------------------------------------
    def release(self, slug: str, attempt: int, run_id: str, by: str, reason: str) -> RunState:
        return self._dated(self._mender().release(slug, attempt, run_id, by, reason))

    def doubt(self, slug: str, attempt: int) -> Doubt:
        return self._doubter().doubt(slug, attempt)

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        return self._doubter().decide(slug, attempt, run_id, fates, by)

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        started = self._mender().send_rest(slug, attempt, run_id, by)
        return replace(started, state=self._dated(started.state))

    def put_hold(self, scope: str, hold: Hold | None) -> None:
        put_hold(self._session(), self.settings, self.name, scope, hold)

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        return switch(self._session(), self.settings, self.name, key, on, by, datetime.now(UTC))

    # -- RunnerKeeper --------------------------------------------------------------------------------------
    def runner(self, path: str = "", *, again: bool = False) -> RunnerFact:
        with _looking():
            if again or path not in ("", self.settings.runner) or self._facts is None:
                return installing.look(
                    self._session(), path or self.settings.runner, runner_file(), ask=self._is_ours(path)
                )
            return self._asked(self._facts.runner)

    def put_runner(self, seen: RunnerFact) -> str:
        self._program = None
        return installing.put(self._session(), self.name, seen, runner_file(), datetime.now(UTC))

    def put_back_runner(self, seen: RunnerFact, kept: KeptRunner) -> None:
        self._program = None
        installing.put_back(self._session(), self.name, seen, kept)

    @property
    def _ours(self) -> bool:
        return self.settings.runner_kind == "mail-blast-runner"

    def _is_ours(self, path: str) -> bool:
        """Whether what is at `path` may be run, to say what it can do. Another's runner could start to send."""
        return self._ours and path in ("", self.settings.runner)

    def _asked(self, file: FileFact | None) -> RunnerFact:
        """What the configured runner says; asked again only when the file there is another."""
        if self._program is None or self._program[0] != file:
            path = self.settings.runner
            self._program = file, installing.look(self._session(), path, runner_file(), ask=self._is_ours(path))
        return self._program[1]

    def _dated(self, state: RunState) -> RunState:
        """With true instants, as far as the host's clock is known: these times go into the records."""
        facts = self._facts
        return replace(state, word=words.dated(state.word, facts, self._policy)) if facts else state

    # -- AnchorKeeper --------------------------------------------------------------------------------------
    def put_anchor(self, store: str, line: str) -> None:
        self._anchors().put_anchor(store, line)

    def anchors(self, store: str, newest: int = 200) -> tuple[str, ...]:
        return self._anchors().anchors(store, newest)

    def _anchors(self) -> Anchors:
        return Anchors(self._session(), self.settings, self.name)

    # -- AccessView ----------------------------------------------------------------------------------------
    def access(self) -> tuple[Access, ...]:
        return look_at_access(
            self._session(),
            self.settings,
            target_of(self.settings)[0],
            lambda: str(self.connection()["fingerprint"] or ""),
            self.name,
        )

    # -- the parts -----------------------------------------------------------------------------------------
    def _open(self) -> tuple[HostSession, Probe]:
        """Made at the first use: finding out where a host is asks ssh, and may fail."""
        with self._opening:
            if self._opened is None:
                target, known_hosts = target_of(self.settings)
                own = (self._own_known_hosts,) if self._own_known_hosts else ()
                session = HostSession(
                    target, known_hosts=(*known_hosts, *own), compression=self.settings.compression
                )
                self._opened = session, Probe(session, self.settings, self._cache)
            return self._opened

    def _session(self) -> HostSession:
        return self._open()[0]

    def _probe(self) -> Probe:
        return self._open()[1]

    def _launcher(self) -> Launcher:
        return Launcher(self._session(), self.settings, self._policy, self.name)

    def _mender(self) -> Mender:
        return Mender(self._session(), self.settings, self._policy, self.name)

    def _doubter(self) -> Doubter:
        return Doubter(self._session(), self.settings, self.name)


@contextmanager
def _looking() -> Iterator[None]:
    """While only looking, a lost answer is a host out of reach: nothing was done."""
    try:
        yield
    except (HostLost, HostTimeout) as error:
        raise OutOfReach(error.what, "Nothing was done.", "Try again when the connection is well.") from error
