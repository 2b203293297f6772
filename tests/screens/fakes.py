"""Systems that say what a story needs: a source, and a blast host that can carry, mend and hold."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from opsconsole.campaign import DATA, METADATA, TEMPLATE
from opsconsole.hostfacts import FileFact, FolderFacts, HostFacts, Kind
from opsconsole.observation import Counts, Hold, Observation, Report, RunWord, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.ports import (
    CampaignFacts,
    Doubt,
    EveryUnknown,
    Fate,
    Fates,
    Followed,
    OutOfReach,
    Refused,
    RunState,
    Started,
    Verb,
)
from opsconsole.preflight import CHECKS
from tests.screens.told import DIGESTS, FRESH, PACIFIC


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
        self.identity, self.state, self.calls_itself = "ops@blast-mail-prod", "connected", "blast-mail-prod"
        self.doubts: dict[str, Doubt] = {}
        self.decided: list[dict[int, Fate]] = []
        self.decided_all: list[tuple[Fate, int]] = []
        self.released: list[str] = []
        self.marks: dict[str, Hold] = {}
        self.hold_error: Exception | None = None
        self.slow = threading.Event()  # a start answers once this is set
        self.slow.set()

    def host_facts(self) -> HostFacts:
        return HostFacts(host=self.name, machine_id="m1", hostname=self.calls_itself, zone=PACIFIC, user="ops")

    def retry_now(self) -> None: ...

    def connection(self) -> Mapping[str, Any]:
        return {"identity": self.identity, "latency_ms": 24.0, "state": self.state, "fingerprint": "SHA256:fake"}

    def checks(self) -> Any:
        return CHECKS

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
        self.started.append(plan)
        self.slow.wait(30)
        if self.start_error is not None:
            raise self.start_error
        word = RunWord(run_id=plan.run_id, attempt=plan.attempt, by=by, started_at=self._clock())
        state = RunState(slug=plan.slug, run_id=plan.run_id, attempt=plan.attempt, says=Says.RUNNING, word=word)
        self.states[plan.slug] = state
        return Started(state=state, fresh=True)

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        if slug in self.states:
            return self.states[slug]
        known = self.words.get(slug)
        if known is None or known.run is None:
            return None
        run = known.run
        return RunState(slug=slug, run_id=run.run_id, attempt=run.attempt, says=known.says, word=run)

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

    # Mending.

    def doubt(self, slug: str, attempt: int) -> Doubt:
        if not self.reach:
            raise OutOfReach(f"{self.name} is out of reach.", "Its journal can't be read now.")
        return self.doubts[slug]

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        before = self.doubts[slug]
        if isinstance(fates, EveryUnknown):
            self.decided_all.append((fates.fate, fates.count))
            self.doubts[slug] = replace(before, unknown=(), unknown_total=0, unsent=before.unsent + fates.count)
            return self.doubts[slug]
        self.decided.append(dict(fates))
        again = sum(fate is Fate.RESEND for fate in fates.values())
        self.doubts[slug] = replace(
            before,
            unknown=tuple(one for one in before.unknown if one.row not in fates),
            unknown_total=before.unknown_total - len(fates),
            unsent=before.unsent + again,
            counts=replace(before.counts, unknown=before.counts.unknown - len(fates)),
        )
        return self.doubts[slug]

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        self.slow.wait(30)
        if self.start_error is not None:
            raise self.start_error
        word = RunWord(run_id=run_id, attempt=attempt, by=by, started_at=self._clock())
        self.states[slug] = RunState(slug=slug, run_id=run_id, attempt=attempt, says=Says.RUNNING, word=word)
        return Started(state=self.states[slug], fresh=True)

    def release(self, slug: str, attempt: int, run_id: str, by: str, reason: str) -> RunState:
        state = self.run_state(slug)
        assert state is not None
        self.released.append(slug)
        self.words[slug] = replace(self.words[slug], says=Says.NOTHING, run=None, next_attempt=attempt + 1)
        return state

    def put_hold(self, scope: str, hold: Hold | None) -> None:
        if self.hold_error is not None:
            raise self.hold_error
        if hold is None:
            self.marks.pop(scope, None)
        else:
            self.marks[scope] = hold
