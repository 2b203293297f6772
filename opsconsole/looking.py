"""What the console knows: sources, verdicts, the store, and what is looked after by itself. Acts on no campaign."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opsconsole import actions
from opsconsole.access import SystemAccess, judged
from opsconsole.actions import Action, Context
from opsconsole.board import Board, assemble, judge_one
from opsconsole.campaign import check_slug
from opsconsole.clocks import Jump
from opsconsole.hostfacts import HostFacts
from opsconsole.outages import Outages
from opsconsole.parts import Parts
from opsconsole.policy import Policy
from opsconsole.ports import (
    Carrier,
    Identified,
    Inspected,
    Mapped,
    Recorder,
    Refused,
    Trouble,
)
from opsconsole.settings import BlastHost, Environment, Role
from opsconsole.verdict import Verdict
from opsconsole.watch import Watch, Watched

if TYPE_CHECKING:  # the audit store is heavy; it is imported when first used
    from opsconsole.audit.records import OutboxItem
    from opsconsole.audit.store import AuditStore
    from opsconsole.runs import Identity
    from opsconsole.witness import Witness

TIDY_EVERY_S = 5.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Looking(Parts):
    """What may be seen in one environment. `recorders` are told of things besides the sources that want to be.

    `carrier_trouble` says, by carrier, why no mail may be started on it now; who knows it sets it.
    """

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
        recorders: Mapping[str, Recorder] | None = None,
        witness: "Witness | None" = None,
    ) -> None:
        self.environment, self.settings, self.policy = environment, settings, policy
        self.role, self.read_only, self.local_zone = role, read_only or role == "viewer", local_zone
        self.watch = watch
        super().__init__(watched, identity, store, clock, recorders or {})
        self.witness = witness
        self.outages = Outages(watch.reports)
        watch.on_change(self.outages.looked)
        self._beside: dict[str, tuple[str, ...]] = {}  # by source, what the witness found
        self._hosts = hosts
        self._tidying = threading.Lock()
        self._tidied = False
        self._staying = False
        self._closing = threading.Event()
        self.carrier_trouble: dict[str, str] = {}
        self.found_at_start: tuple[str, ...] = ()

    def board(self, at: datetime | None = None) -> Board:
        """The board from what is known now, judged as of `at` (default: now); asks nobody."""
        reports, unheard = self.watch.heard()
        board = assemble(reports, self.policy, at or self.clock(), unheard)
        beside = self._beside
        sources = (replace(s, findings=(*s.findings, *beside.get(s.name, ()))) for s in board.sources)
        return replace(board, sources=tuple(sources)) if beside else board

    @property
    def store_trouble(self) -> str:
        """Why nothing can be recorded, or nothing on record be believed; "" when all is well."""
        return self._unwritable or self.chain_trouble

    @store_trouble.setter
    def store_trouble(self, trouble: str) -> None:
        self._unwritable = trouble

    @property
    def chain_trouble(self) -> str:
        """Why nothing on record can be believed; "" when nothing speaks against the store."""
        return self.witness.chain_trouble if self.witness else ""

    def verdict(self, slug: str, at: datetime | None = None) -> Verdict:
        """The verdict from what is known now, as of `at` (default: now). Raises NotThere."""
        verdict = self._known(check_slug(slug), at)
        if verdict is None:
            raise self.watch.nobody_knows(slug)
        return verdict

    def _known(self, slug: str, at: datetime | None = None) -> Verdict | None:
        reports, unheard = self.watch.heard()
        return judge_one(reports, slug, self.policy, at or self.clock(), unheard)

    def refresh(self, names: tuple[str, ...] | None = None) -> Board:
        """Ask every source (or these) again, look after what was left open, and give the new board."""
        for machine in self._machines.values() if names is None else ():
            machine.retry_now()
        self.watch.refresh(names)
        self.tidy()
        return self.board()

    def tidy(self) -> None:
        """After a look: record ends nobody watched, and tell the others what waits for them."""
        from opsconsole.errors import AuditUnavailable

        if not self._tidying.acquire(blocking=False):
            return
        try:
            self._bear_witness()
            if self.read_only:
                return
            if self.chain_trouble:  # what is there is evidence: nothing is added to it, and people are told
                self._delivery(only=self.notified).deliver()
                return
            before = self.store().head().seq
            runs, triggers, runners = self._runs(), self._switching(), self._installing()
            found = (*runs.reconcile(), *triggers.reconcile(self._known), *runners.reconcile())
            found += self._operations().reconcile()
            self._record_adopted_ends()
            if not self._tidied:  # later it finds this console's own runs, which nobody left open
                self.found_at_start, self._tidied = found, True
                self.store().purge_outbox(self.clock(), self.store().rules.outbox_kept_for)
            told, _ = self._delivery().deliver()
            self._unwritable = ""
            self._heed_witness()  # copies that waited have been taken now
            if told or self.store().head().seq != before:
                self.watch.refresh(("console", *self._recorders) if told else ("console",))
        except AuditUnavailable as error:  # looking goes on, under a banner
            self._unwritable = str(error)
        finally:
            self._tidying.release()

    def _record_adopted_ends(self) -> None:
        """Of runs that were adopted while they were going: their ends are recorded and told, like those of ours."""
        known = [o for report in self.watch.heard()[0].values() for o in report.observations]
        for slug in {o.slug for o in known for adopted in o.adopted if not adopted.ended}:
            if (verdict := self._known(slug)) is not None:
                self._adoptions().record_end(verdict, self.clock())

    def _bear_witness(self) -> None:
        """Compare the store with the copies of its head; go through all of it once, where one stays and looks."""
        if self.witness is None:
            return
        self.witness.look(walk=self._staying, tell=not self.read_only)
        self._heed_witness()

    def _heed_witness(self) -> None:
        if self.witness is not None:
            self._beside = self.witness.findings()
            self.carrier_trouble.update({name: self.witness.carrier_trouble(name) for name in self._beside})

    def _before_send(self, carrier: str) -> None:
        """The last thing before a carrier is asked to send, when the intent is on record. Raises Refused."""
        if self.witness is None:
            return
        try:
            self.witness.before_send(carrier)
        finally:
            self._heed_witness()

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
            carrier_trouble=self.why_no_mail(verdict),
        )

    def why_no_mail(self, verdict: Verdict | None) -> str:
        """Of the carrier this campaign would be sent by; of every one that has it, when that isn't clear."""
        names = {o.source for o in verdict.observations if o.says != "absent"} if verdict else set()
        there = self._carriers.keys() & (names & self._carriers.keys() or self._carriers.keys())
        return " ".join(why for name, why in sorted(dict(self.carrier_trouble).items()) if why and name in there)

    def disabled_reason(self, action_id: str, slug: str | None = None) -> str:
        return actions.BY_ID[action_id].disabled_reason(self.context(slug))

    def host_names(self) -> tuple[str, ...]:
        return tuple(self._machines)

    def carrier_names(self) -> tuple[str, ...]:
        """Every system that can send, machines and others."""
        return tuple(self._carriers)

    def host_facts(self, name: str) -> HostFacts | None:
        return self._machines[name].host_facts() if name in self._machines else None

    def host_settings(self, name: str) -> BlastHost:
        """Those of a blast host; of another carrier the defaults, which its checks don't read."""
        return self._hosts.get(name) or BlastHost(ssh="")

    def connection(self, name: str) -> Mapping[str, Any]:
        return self._machines[name].connection() if name in self._machines else {}

    def access_names(self) -> tuple[str, ...]:
        """The systems that can tell who and what may act on them."""
        return tuple(self._telling)

    def access(self, name: str) -> SystemAccess:
        """Who and what may act on `name`, asked now, troubles first. One that can't be asked says so; changes
        nothing."""
        try:
            told = self._telling[name].access()
        except Trouble as error:
            return SystemAccess(name=name, trouble=str(error))
        return SystemAccess(name=name, entries=judged(told, self.policy, self.clock()))

    def waiting(self) -> "list[OutboxItem]":
        return self._delivery().waiting()

    def told_of(self, slug: str) -> tuple[str, ...]:
        """Those that have it: one that was just read and doesn't is spared what it would refuse."""
        reports, now = self.watch.reports(), self.clock()

        def has_not(name: str) -> bool:
            report = reports.get(name)
            if report is None or report.trouble or now - report.looked_at > report.fresh_for:
                return False
            return all(o.slug != slug for o in report.observations)

        return tuple(name for name in super().told_of(slug) if not has_not(name))

    def recorded(self, slug: str) -> "tuple[OutboxItem, ...]":
        """The newest word on this campaign for each system that wants one. Raises AuditUnavailable."""
        from opsconsole.audit.outbox import Outbox
        from opsconsole.recording import recorded

        told = Outbox(self.store()).about(check_slug(slug), (), self.identity.environment)
        return recorded(told, self._recorders)

    def mapped(self) -> dict[str, Mapped]:
        """The sources that are read by a mapping of the configuration."""
        return {name: source for name, source in self._sources.items() if isinstance(source, Mapped)}

    def inspected(self) -> dict[str, Inspected]:
        """The systems that can tell what of them is reached, allowed and missing."""
        return {name: source for name, source in self._sources.items() if isinstance(source, Inspected)}

    @property
    def notified(self) -> tuple[str, ...]:
        """The destinations that hear of what others must know at once, such as broken glass."""
        return tuple(name for name in self.also_told if name.startswith("notify:"))

    def untold_holds(self) -> tuple[str, ...]:
        """A sentence for each host that doesn't know yet of a hold, or of its release, that is recorded here."""
        from opsconsole.holding import say_untold

        return say_untold(self.waiting())

    def told_of_hold(self, scope: str) -> dict[str, bool]:
        """By host concerned, whether it knows of the newest hold or release of `scope`."""
        from opsconsole.holding import told_of

        return told_of(self.waiting(), scope, self._keepers)

    def unkept_hold(self, scope: str) -> tuple[str, ...]:
        """A sentence for each carrier that a hold of `scope` is about, and that can't keep it by itself."""
        from opsconsole.holding import say_unkept

        verdict = None if scope == "everything" or scope.startswith("host:") else self._known(scope)
        there = {o.source for o in verdict.observations if o.says != "absent"} if verdict else set(self._carriers)
        return say_unkept(scope, [n for n in self._carriers if n in there and n not in self._keepers])

    def carrier_of(self, slug: str) -> Carrier:
        """The carrier that holds this campaign. Raises Refused when none does."""
        for o in verdict.observations if (verdict := self._known(slug)) else ():
            if o.source in self._carriers and o.says != "absent":
                return self._carriers[o.source]
        if len(self._carriers) == 1:
            return next(iter(self._carriers.values()))
        raise Refused(f"No carrier holds {slug}.", "It can't be sent from here.", "Look where its files are.")

    def where(self, carrier: str) -> str:
        """Where a carrier really is: read from the live connection, not from the configuration."""
        if carrier not in self._machines:
            return f"{carrier} at {identity}" if (identity := self.machine(carrier)) else carrier
        return str(self.connection(carrier).get("identity") or self.machine(carrier) or carrier)

    def start(self) -> None:
        """Begin to watch: every source is asked now and then, and what was left open is looked after."""
        self._staying = True
        self.watch.on_jump(self._after_jump)
        self.watch.start()
        threading.Thread(target=self._keep_tidy, name="tidy", daemon=True).start()

    def _after_jump(self, kind: Jump, seconds: float) -> None:
        """The connections are old: nobody waits to try them again. A clock that was set is on record."""
        for machine in self._machines.values():
            machine.retry_now()
        if kind is Jump.STEPPED and not self.read_only:
            self.store().note(self.identity.event("clock-step", seconds=round(seconds, 1)))

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
        """What identifies the machine or system behind a carrier, by its newest look; "" before the first."""
        source: object = self._sources.get(carrier)
        if isinstance(source, Identified):
            return source.identity()
        facts = self.host_facts(carrier)
        return facts.machine_id or facts.host if facts else ""
