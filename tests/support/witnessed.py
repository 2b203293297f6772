"""A store, a host that keeps copies of its head, and the witness that compares them."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost.anchors import Anchors
from opsconsole.audit.chain import store_id
from opsconsole.audit.records import Event, Record
from opsconsole.audit.rules import StoreRules
from opsconsole.audit.store import AuditStore
from opsconsole.audit.tidings import Ear
from opsconsole.delivery import Delivery
from opsconsole.policy import Policy
from opsconsole.ports import OutOfReach
from opsconsole.runs import Identity
from opsconsole.witness import Witness
from tests.blasthost.local import LocalSession, Tree

KEY = bytes(range(32))
ME = Identity("mara", "s-1", "prod")
HOST = "blast-1"


class Desk:
    """A store, one blast host whose scripts are the real ones, and a console's witness over both."""

    def __init__(self, root: Path) -> None:
        self.now = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
        self.path = root / "console" / "audit.db"
        self.tree = Tree(root / "host")
        self.session = LocalSession()
        self.keeper = Switch(Anchors(self.session, self.tree.settings(), HOST))  # type: ignore[arg-type]
        self.machine = "a1b2c3"
        self.line: int | None = 1  # which connection to it this is, None while there is none
        self.store = self.open()
        self.witness = self.console()

    def open(self) -> AuditStore:
        rules = StoreRules(keepers={"prod": (HOST,)}, told={"prod": (Ear("ops"),)})
        return AuditStore(self.path, KEY, clock=lambda: self.now, rules=rules)

    def console(self) -> Witness:
        """As a console that has just started."""
        return Witness(
            {HOST: self.keeper},
            store=lambda: self.store,
            identity=lambda: ME,
            clock=lambda: self.now,
            policy=Policy(unanchored_for=timedelta(minutes=10)),
            machine=lambda name: self.machine,
            connected=lambda name: self.line,
            told=("notify:ops",),
        )

    def restart(self) -> Witness:
        self.witness = self.console()
        self.witness.look(walk=True)
        return self.witness

    def record(self, action: str = "send") -> Record:
        """A record that matters for a send, and the copy of it that waits to be taken to the host."""
        self.now += timedelta(seconds=1)
        return self.store.note(Event("mara", "s-1", "prod", action, "spring-offer"))

    def deliver(self) -> tuple[int, int]:
        self.now += timedelta(minutes=30)  # past every back-off
        return Delivery(lambda: self.store, self.witness.recorders(), lambda: self.now, "prod").deliver()

    def records(self, count: int) -> None:
        for _ in range(count):
            self.record()
        done, failed = self.deliver()
        assert (done >= count, failed) == (True, 0)

    @property
    def kept(self) -> Path:
        return self.tree.state.parent / "anchors" / store_id(KEY)

    def swap_store(self, other: Path) -> None:
        self.store.close()
        shutil.copyfile(other, self.path)
        self.store = self.open()

    def copy_store(self, name: str) -> Path:
        copy = self.path.with_name(name)
        shutil.copyfile(self.path, copy)
        return copy


class Switch:
    """The host's anchors, out of reach at will."""

    def __init__(self, keeper: Anchors) -> None:
        self.keeper, self.away = keeper, False

    def put_anchor(self, store: str, line: str) -> None:
        self._reach()
        self.keeper.put_anchor(store, line)

    def anchors(self, store: str, newest: int = 200) -> tuple[str, ...]:
        self._reach()
        return self.keeper.anchors(store, newest)

    def _reach(self) -> None:
        if self.away:
            raise OutOfReach("blast-1 doesn't answer")


@pytest.fixture(name="desk")
def a_desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def troubles(witness: Witness) -> tuple[str, str]:
    return witness.chain_trouble, witness.carrier_trouble(HOST)
