"""The one object that screens and commands talk to.

Every call that reaches another system blocks and is bounded: screens make it from threads of their own. Whoever
calls, the same rules decide (actions.py, safety.py), and the same records are written.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opsconsole import actions
from opsconsole.actions import Action, Context
from opsconsole.board import Board, assemble, judge_one
from opsconsole.campaign import check_slug
from opsconsole.hostfacts import HostFacts
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy
from opsconsole.ports import (
    Carrier,
    Followed,
    HostView,
    Recorder,
    Refused,
    RunState,
    Source,
    Started,
    Verb,
)
from opsconsole.safety import CONSEQUENCES, Confirmation, check_plan, confirm_decision, confirm_send
from opsconsole.settings import BlastHost, Environment, Role
from opsconsole.verdict import Verdict
from opsconsole.watch import Watch, Watched

if TYPE_CHECKING:  # the audit store and the pre-flight are heavy; they are imported when first used
    from opsconsole.audit.records import OutboxItem, Record
    from opsconsole.audit.store import AuditStore
    from opsconsole.decisions import Decisions
    from opsconsole.delivery import Delivery
    from opsconsole.preflight.check import Result
    from opsconsole.runs import Identity, Runs

TIDY_EVERY_S = 5.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Console:
    """What the operator may see and do in one environment."""

    def __init__(
        self,
        *,
        environment: str,
        settings: Environment,
        policy: Policy,
        role: Role,
        read_only: bool,
        local_zone: str,
        identity: "Callable[[], Identity]",
        watched: tuple[Watched, ...],
        hosts: Mapping[str, BlastHost],
        store: "Callable[[], AuditStore]",
        watch: Watch,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.environment, self.settings, self.policy = environment, settings, policy
        self.role, self.read_only, self.local_zone = role, read_only or role == "viewer", local_zone
        self.clock, self.watch = clock, watch
        self._sources: dict[str, Source] = {w.source.name: w.source for w in watched}
        self._carriers = {n: s for n, s in self._sources.items() if isinstance(s, Carrier)}
        self._machines = {n: s for n, s in self._sources.items() if isinstance(s, HostView)}
        self._recorders = {n: s for n, s in self._sources.items() if isinstance(s, Recorder)}
        self._hosts, self._open_store, self._identity = hosts, store, identity
        self._store_lock = threading.Lock()
        self._opened: AuditStore | None = None
        self._our_runs: Runs | None = None
        self._tidying = threading.Lock()
        self._tidied = False
        self._closing = threading.Event()
        self.store_trouble = ""
        self.found_at_start: tuple[str, ...] = ()

    # Looking.

    def board(self) -> Board:
        """The board from what is known now; asks nobody."""
        reports, unheard = self.watch.heard()
        return assemble(reports, self.policy, self.clock(), unheard)

    def verdict(self, slug: str) -> Verdict:
        verdict = self._known(check_slug(slug))
        if verdict is None:
            raise self.watch.nobody_knows(slug)
        return verdict

    def _known(self, slug: str) -> Verdict | None:
        reports, unheard = self.watch.heard()
        return judge_one(reports, slug, self.policy, self.clock(), unheard)

    def refresh(self, names: tuple[str, ...] | None = None) -> Board:
        """Ask every source (or these) again, look after what was left open, and give the new board."""
        for machine in self._machines.values() if names is None else ():
            machine.retry_now()
        self.watch.refresh(names)
        self.tidy()
        return self.board()

    def tidy(self) -> None:
        """After a look: record ends nobody watched, and tell the others what waits for them."""
        from opsconsole.audit.records import AuditUnavailable

        if self.read_only or not self._tidying.acquire(blocking=False):
            return
        try:
            before = self.store().head().seq
            found = self._runs().reconcile()
            if not self._tidied:  # later it finds this console's own runs, which nobody left open
                self.found_at_start, self._tidied = found, True
            told, _ = self._delivery().deliver()
            self.store_trouble = ""
            if told or self.store().head().seq != before:
                self.watch.refresh(("console", *self._recorders) if told else ("console",))
        except AuditUnavailable as error:  # looking goes on, under a banner
            self.store_trouble = str(error)
        finally:
            self._tidying.release()

    def _keep_tidy(self) -> None:
        while not self._closing.wait(TIDY_EVERY_S):
            with suppress(Exception):  # a fault in it comes up with the next look; this thread must not end of it
                self.tidy()

    def context(self, slug: str | None = None) -> Context:
        verdict = self._known(slug) if slug else None
        return Context(
            role=self.role,
            read_only=self.read_only,
            verdict=verdict,
            store_trouble=self.store_trouble,
            carrier=bool(self._carriers),
        )

    def disabled_reason(self, action_id: str, slug: str | None = None) -> str:
        return actions.BY_ID[action_id].disabled_reason(self.context(slug))

    def host_names(self) -> tuple[str, ...]:
        return tuple(self._machines)

    def host_facts(self, name: str) -> HostFacts | None:
        return self._machines[name].host_facts() if name in self._machines else None

    def host_settings(self, name: str) -> BlastHost:
        return self._hosts[name]

    def connection(self, name: str) -> Mapping[str, Any]:
        return self._machines[name].connection() if name in self._machines else {}

    # Rehearsing.

    def preflight(self, slug: str) -> "Iterator[Result]":
        """Every check, one by one, from facts gathered now. What was found is recorded at the end."""
        from opsconsole.rehearsal import preflight

        self._require("preflight", slug)
        yield from preflight(self, self.verdict(slug))

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: threading.Event) -> DryRun:
        """Rehearse on the carrier, record the result, and look at the host again."""
        from opsconsole.rehearsal import dry_run

        self._require("dry-run", slug)
        return dry_run(self, self.verdict(slug), on_output, stop)

    def last_dry_run(self, slug: str) -> DryRun | None:
        from opsconsole.rehearsal import last_dry_run

        return last_dry_run(self.store(), check_slug(slug), self.identity.environment)

    def why_no_send(self, slug: str) -> tuple[str, ...]:
        """Every reason why no plan can be made now; empty when one can. Records nothing."""
        from opsconsole.rehearsal import why_no_send

        return why_no_send(self, self.verdict(slug))

    def plan(self, slug: str) -> Plan:
        """Freeze what the last dry run rehearsed, and record it. Raises Refused with every reason against it."""
        from opsconsole.rehearsal import plan

        self._require("send", slug)
        return plan(self, self.verdict(slug))

    def plan_of(self, slug: str, digest: str) -> Plan:
        """The recorded plan of this campaign whose digest begins with `digest` (at least 12 digits)."""
        from opsconsole.rehearsal import plan_of

        return plan_of(self, check_slug(slug), digest)

    # Acting.

    def confirmation(self, action_id: str, slug: str, plan: Plan | None = None) -> Confirmation:
        """What must be read and typed before this action. Raises Refused when it is not allowed now."""
        action = self._require(action_id, slug)
        verdict = self.verdict(slug)
        where, danger = self.where(self.carrier_of(slug).name), self.settings.danger
        if action_id == "send":
            if plan is None:
                raise Refused("There is no plan.", "Nothing was sent.", "Run the dry run first.")
            warnings = tuple(f.text for f in verdict.findings if f.severity == "warn")
            return confirm_send(
                plan,
                verdict.details,
                where=where,
                danger=danger,
                now=self.clock(),
                local_zone=self.local_zone,
                warnings=warnings,
            )
        return confirm_decision(
            action_id,
            f"{action.label.capitalize()}: {slug}",
            verdict,
            consequence=CONSEQUENCES.get(action_id, action.tooltip),
            environment=f"{self.environment} ({where})",
            danger=danger,
            needs_reason=action.needs_reason,
        )

    def send(self, plan: Plan, typed: str, reason: str = "") -> Started:
        """Start the run of `plan`. Everything is looked at again first; the host looks once more itself."""
        from opsconsole.rehearsal import preflight_obstacles

        self._require("send", plan.slug)
        self.confirmation("send", plan.slug, plan).check(typed, reason)
        self.watch.refresh()
        verdict, now = self.verdict(plan.slug), self.clock()
        dry_run = self.last_dry_run(plan.slug)
        check_plan(plan, verdict, dry_run, self.machine(plan.carrier), self.policy, now)
        self._require("send", plan.slug)
        if obstacles := preflight_obstacles(self, verdict):
            raise Refused(obstacles, "Nothing was sent.")
        try:
            return self._runs().start(plan, reason)
        finally:
            self.watch.refresh((plan.carrier, "console"))

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        return self.carrier_of(slug).run_state(check_slug(slug), attempt)

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: threading.Event
    ) -> Followed:
        """The run's log from byte `offset` on. When it ends, the end is recorded and others are told."""
        carrier = self.carrier_of(slug).name
        if self.read_only or self.store_trouble:
            return self._carriers[carrier].follow(slug, attempt, offset, on_output, stop)
        followed = self._runs().follow(slug, attempt, offset, on_output, stop, carrier)
        if followed.end is not None:
            self.refresh((carrier, "console"))
        return followed

    def signal(self, slug: str, action_id: str, typed: str = "", reason: str = "") -> RunState:
        """Pause, resume or stop the newest run."""
        action = self._require(action_id, slug)
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug).check(typed, reason)
        carrier = self.carrier_of(slug)
        state = carrier.run_state(slug)
        if state is None:
            raise Refused(f"{carrier.name} knows no run of {slug}.", "There is nothing to act on.")
        verb = {"pause": Verb.PAUSE, "resume": Verb.RESUME, "stop": Verb.CANCEL}[action_id]
        try:
            return self._runs().signal(slug, state.attempt, verb, carrier.name, reason)
        finally:
            self.watch.refresh((carrier.name, "console"))

    def decide(self, action_id: str, slug: str, reason: str, *, typed: str = "", local: str = "") -> "Record":
        """Take a decision: hold, release, approve, mark, reschedule (with `local`, its new due time) or cancel."""
        action = self._require(action_id, slug)
        if action.needs_reason and not reason.strip():
            raise Refused(
                f"{action.label.capitalize()} needs a reason.", "Nothing was done.", "Say in a few words why."
            )
        if action.danger is actions.Danger.DESTRUCTIVE:
            self.confirmation(action_id, slug).check(typed, reason)
        verdict, decisions = self.verdict(slug), self._decisions()
        if action_id == "reschedule":
            record = decisions.reschedule(verdict, local, self.clock(), reason)
        elif action_id in ("hold", "release"):
            record = getattr(decisions, action_id)(slug, reason)
        else:
            record = getattr(decisions, action_id)(verdict, reason)
        self.watch.refresh(("console",))
        self.tidy()
        return record

    def hold_everything(self, release: bool, reason: str) -> "Record":
        """Hold every campaign, or release that hold."""
        from opsconsole.audit.words import EVERYTHING

        action = actions.BY_ID["release" if release else "hold"]
        if refusal := actions.authorize(action, self.context()):
            raise Refused(refusal, "Nothing was done.")
        if not reason.strip():
            raise Refused("A hold needs a reason.", "Nothing was done.", "Say in a few words why.")
        decisions = self._decisions()
        record = decisions.release(EVERYTHING, reason) if release else decisions.hold(EVERYTHING, reason)
        self.watch.refresh(("console",))
        return record

    def reveal(self, what: str, slug: str = "") -> None:
        """Record that personal data is being shown. Raises when it can't be recorded: then it isn't shown."""
        self.store().note(self.identity.event("reveal", slug, "", "", what=what))

    def waiting(self) -> "list[OutboxItem]":
        return self._delivery().waiting()

    # Parts.

    @property
    def identity(self) -> "Identity":
        return self._identity()

    def store(self) -> "AuditStore":
        """The audit store, opened when first asked for. Raises AuditUnavailable."""
        with self._store_lock:
            if self._opened is None:
                try:
                    self._opened = self._open_store()
                except Exception as error:
                    self.store_trouble = str(error)
                    raise
                self.store_trouble = ""
            return self._opened

    def carrier_of(self, slug: str) -> Carrier:
        """The carrier that holds this campaign. Raises Refused when none does."""
        verdict = self._known(slug)
        for o in verdict.observations if verdict else ():
            if o.source in self._carriers and o.says != "absent":
                return self._carriers[o.source]
        if len(self._carriers) == 1:
            return next(iter(self._carriers.values()))
        raise Refused(f"No carrier holds {slug}.", "It can't be sent from here.", "Look where its files are.")

    def where(self, carrier: str) -> str:
        """Where a carrier really is: read from the live connection, not from the configuration."""
        return str(self.connection(carrier).get("identity") or carrier)

    def start(self) -> None:
        """Begin to watch: every source is asked now and then, and what was left open is looked after."""
        self.watch.start()
        threading.Thread(target=self._keep_tidy, name="tidy", daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self.watch.stop()
        for source in self._sources.values():
            with suppress(Exception):  # a connection that can't be closed must not keep the console open
                source.close()
        if self._opened is not None:
            self._opened.close()

    def _require(self, action_id: str, slug: str) -> Action:
        action = actions.BY_ID[action_id]
        self.verdict(slug)
        if reason := action.disabled_reason(self.context(slug)):
            raise Refused(reason, "Nothing was done.")
        return action

    def machine(self, carrier: str) -> str:
        """What identifies the machine behind a carrier, by its newest look; "" before the first."""
        facts = self.host_facts(carrier)
        return facts.machine_id or facts.host if facts else ""

    def _runs(self) -> "Runs":
        """One for all threads: it knows the starts that are under way here."""
        from opsconsole.runs import Runs

        with self._store_lock:
            if self._our_runs is None:
                destinations = tuple(self._recorders)
                self._our_runs = Runs(self.store, self._carriers, self.identity, self.clock, destinations)
            return self._our_runs

    def _decisions(self) -> "Decisions":
        from opsconsole.decisions import Decisions

        return Decisions(self.store, self.identity, tuple(self._recorders))

    def _delivery(self) -> "Delivery":
        from opsconsole.delivery import Delivery

        return Delivery(self.store, self._recorders, self.clock)
