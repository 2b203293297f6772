"""What the console is made of: the systems by what each can do, the store, and what acts and records by them."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from opsconsole.ports import (
    AccessView,
    Carrier,
    HoldKeeper,
    HostView,
    Operates,
    Recorder,
    RunnerKeeper,
    Source,
    TriggerKeeper,
)
from opsconsole.watch import Watched

if TYPE_CHECKING:  # the audit store is heavy; it is imported when first used
    from opsconsole.adopting import Adoptions
    from opsconsole.audit.store import AuditStore
    from opsconsole.decisions import Decisions
    from opsconsole.delivery import Delivery
    from opsconsole.installing import Installing
    from opsconsole.mending import Mending
    from opsconsole.operations import Operations
    from opsconsole.runs import Identity, Runs
    from opsconsole.switching import Switching


class Parts:
    """The parts of one console. `recorders` are told of things besides the sources that want to be."""

    def __init__(
        self,
        watched: tuple[Watched, ...],
        identity: "Callable[[], Identity]",
        store: "Callable[[], AuditStore]",
        clock: Callable[[], datetime],
        recorders: Mapping[str, Recorder],
    ) -> None:
        self.clock = clock
        self._sources: dict[str, Source] = {w.source.name: w.source for w in watched}
        self._carriers = {n: s for n, s in self._sources.items() if isinstance(s, Carrier)}
        self._machines = {n: s for n, s in self._sources.items() if isinstance(s, HostView)}
        self._recorders = {n: s for n, s in self._sources.items() if isinstance(s, Recorder)}
        self._keepers = {n: s for n, s in self._carriers.items() if isinstance(s, HoldKeeper)}
        self._switchers = {n: s for n, s in self._sources.items() if isinstance(s, TriggerKeeper)}
        self._runner_keepers = {n: s for n, s in self._machines.items() if isinstance(s, RunnerKeeper)}
        self._operators = {n: s for n, s in self._sources.items() if isinstance(s, Operates)}
        self._telling = {n: s for n, s in self._sources.items() if isinstance(s, AccessView)}
        self.also_told = dict(recorders)
        self._open_store, self._identity = store, identity
        self._store_lock = threading.Lock()
        self._opened: AuditStore | None = None
        self._our_runs: Runs | None = None
        self._unwritable = ""

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
                    self._unwritable = str(error)
                    raise
                self._unwritable = ""
            return self._opened

    def told_of(self, slug: str) -> tuple[str, ...]:
        """The systems that want to know what becomes of this campaign."""
        return tuple(self._recorders)

    def _before_send(self, carrier: str) -> None:
        """The last thing before a carrier is asked to send, when the intent is on record. Raises Refused."""

    def _runs(self) -> "Runs":
        """One for all threads: it knows the starts that are under way here."""
        from opsconsole.runs import Runs

        with self._store_lock:
            if self._our_runs is None:
                self._our_runs = Runs(
                    self.store, self._carriers, self.identity, self.clock, self.told_of, self._before_send
                )
            return self._our_runs

    def _mending(self) -> "Mending":
        from opsconsole.mending import Mending

        return Mending(self.store, self._carriers, self.identity, self.clock, self._runs())

    def _switching(self) -> "Switching":
        from opsconsole.switching import Switching

        return Switching(self.store, self._switchers, self.identity, self.clock, self._runs())

    def _installing(self) -> "Installing":
        from opsconsole.installing import Installing

        return Installing(self.store, self._runner_keepers, self.identity, self.clock, self._runs())

    def _operations(self) -> "Operations":
        from opsconsole.operations import Operations

        return Operations(self.store, self._operators, self.identity, self.clock, self._runs())

    def _decisions(self) -> "Decisions":
        from opsconsole.decisions import Decisions

        return Decisions(self.store, self.identity, self.told_of, tuple(self._keepers))

    def _adoptions(self) -> "Adoptions":
        from opsconsole.adopting import Adoptions

        return Adoptions(self.store, self.identity, self.told_of)

    def _delivery(self, only: tuple[str, ...] | None = None) -> "Delivery":
        from opsconsole.delivery import Delivery
        from opsconsole.holding import hold_marks

        here = self.identity.environment
        marks = hold_marks(self._keepers, self.store, here)
        recorders = {**self._recorders, **self.also_told, **marks}
        told = {name: recorders[name] for name in (recorders if only is None else only)}
        return Delivery(self.store, told, self.clock, here)
