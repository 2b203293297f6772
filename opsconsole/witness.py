"""Watches that the store and the copies of its head kept elsewhere tell the same story, before anything is sent.

What speaks against the store stops every action of this console; what speaks against one keeper (it lost or changed
its records, or is another machine now) stops sends there, until a person has accepted it as it is.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opsconsole.audit import anchored, tidings
from opsconsole.audit.anchors import Contradiction, Kind, Line, compare, parse, place, seal
from opsconsole.audit.chain import Anchor
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import Record
from opsconsole.audit.store import AuditStore
from opsconsole.errors import AuditUnavailable
from opsconsole.policy import Policy
from opsconsole.ports import AnchorKeeper, OutOfReach, Refused, Trouble
from opsconsole.runs import Identity

NOTHING_SENT = "Nothing was sent."
NEWEST = 200
"""So many lines of a keeper are compared."""
INDEXED = 200_000
"""Up to so many records a start looks at the indexes too: with more, an intent would wait for it too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One keeper's newest comparison. `held` is the newest record it holds a copy of, 0 for none; `unreached` says
    why it couldn't be asked, "" when it could."""

    keeper: str
    found: tuple[Contradiction, ...] = ()
    held: int = 0
    lines: int = 0
    unreached: str = ""


@dataclass
class _Anchoring:
    """What takes a copy of the head to one keeper, out of the outbox. Repeating is harmless."""

    name: str
    put: Callable[[Anchor], None]

    def record(self, payload: Mapping[str, Any]) -> None:
        self.put(Anchor(int(payload["seq"]), str(payload["mac"])))


class Witness:
    """One for a console; safe for several threads.

    `machine` tells what identifies a keeper's machine, "" when not known yet; `connected` gives a value that
    changes with each new connection to it, None while there is none; `told` names the outbox destinations that hear
    of a store that isn't whole.
    """

    def __init__(
        self,
        keepers: Mapping[str, AnchorKeeper],
        *,
        store: Callable[[], AuditStore],
        identity: Callable[[], Identity],
        clock: Callable[[], datetime],
        policy: Policy,
        machine: Callable[[str], str] = lambda name: "",
        connected: Callable[[str], object] = lambda name: True,
        told: tuple[str, ...] = (),
    ) -> None:
        self._keepers, self._store, self._identity = dict(keepers), store, identity
        self._clock, self._policy, self._machine, self._connected = clock, policy, machine, connected
        self._told = told
        self._lock = threading.RLock()
        self._compared: dict[str, Compared] = {}
        self._compared_over: dict[str, object] = {}
        self._chain = ""  # what the walk over the whole store found, "" for nothing
        self._walked = False
        self._seen: Anchor | None = None
        self._said: set[str] = set()

    @property
    def keepers(self) -> tuple[str, ...]:
        return tuple(self._keepers)

    def recorders(self) -> dict[str, _Anchoring]:
        """By outbox destination, what brings a copy of the head to each keeper."""
        return {
            anchored.destination(name): _Anchoring(anchored.destination(name), self._putter(name))
            for name in self._keepers
        }

    def _putter(self, keeper: str) -> Callable[[Anchor], None]:
        def put(head: Anchor) -> None:
            if self._connected(keeper) is None:  # its watch tries to reach it; here nobody should wait for that
                raise OutOfReach(f"{keeper} isn't connected", "The copy waits.", "It is tried again by itself.")
            self._put(keeper, head)

        return put

    # What is known.

    @property
    def chain_trouble(self) -> str:
        """Why the store can't be believed, in whole sentences; "" when nothing speaks against it."""
        if not (why := self._why_not_whole()):
            return ""
        return (
            f"The audit store isn't whole: {why}. Every action is off until somebody has looked. "
            "Run: opsconsole audit verify. Keep the file as it is; don't repair it."
        )

    def _why_not_whole(self) -> str:
        with self._lock:
            against = [c for one in self._compared.values() for c in one.found if c.kind is Kind.STORE]
            return self._chain or next((c.text for c in sorted(against, key=lambda c: c.seq or 0)), "")

    def carrier_trouble(self, name: str) -> str:
        """Why nothing may be sent by this carrier, in whole sentences; "" when its anchors are in order."""
        with self._lock:
            one = self._compared.get(name)
        against = [c.text for c in one.found if c.kind is Kind.KEEPER] if one else []
        if not against:
            return ""
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        return (
            f"host-lost-records: {against[0]}{more}. What {name} says of earlier runs may not be all, so nothing "
            f"is sent there. Find out what happened to it, then: opsconsole host accept {name} --reason …"
        )

    def unanchored(self, name: str) -> str:
        """`unanchored: 3 events since 14:02 UTC`; "" when no copy waits. Raises AuditUnavailable."""
        waits = self._waits(name)
        return _say_unanchored(waits) if waits else ""

    def findings(self) -> dict[str, tuple[str, ...]]:
        """By keeper, everything an operator should see beside it. Asks nobody; a silent store hides nothing."""
        found = {}
        for name in self._keepers:
            texts = [self.carrier_trouble(name)]
            with suppress(AuditUnavailable):
                texts.append(self.unanchored(name))
            found[name] = tuple(text for text in texts if text)
        return found

    # Looking.

    def look(self, walk: bool = False, tell: bool = True) -> None:
        """Compare the keepers that were not compared over their present connection; with `walk`, go through the
        whole store once; with `tell`, let others hear of a store that isn't whole. Keepers out of reach are left
        for the next time. Raises AuditUnavailable."""
        self._still_there()
        if walk:
            self._walk()
        for name in self._keepers:
            if self._connected(name) is not None and self._epoch(name) != self._compared_over.get(name, ()):
                self.compare(name)
        if tell:
            self._tell()

    def check(self) -> tuple[Compared, ...]:
        """Compare every keeper now. Raises AuditUnavailable."""
        return tuple(self.compare(name) for name in self._keepers)

    def compare(self, name: str) -> Compared:
        """What one keeper holds, against the store and against what it acknowledged. Raises AuditUnavailable."""
        store, epoch = self._store(), self._epoch(name)
        here, since = self._place(name)
        # In this order: what is acknowledged is there already, and what is there is in the store already.
        acknowledged = self._acknowledged(name, since)
        try:
            texts = self._keepers[name].anchors(here, NEWEST)
        except Trouble as error:
            with self._lock:
                before = self._compared.get(name, Compared(keeper=name))
                one = Compared(keeper=name, found=before.found, held=before.held, unreached=str(error))
                self._compared[name] = one
            return one
        found = compare(
            texts,
            key=store.key,
            store=store.id,
            head=store.head(),
            mac_of=lambda seqs: anchored.macs(store, seqs),
            keeper=name,
            acknowledged=acknowledged,
            machine=self._machine(name),
            whole=len(texts) < NEWEST,
        )
        lines = [line for text in texts if (line := parse(text, store.key))]
        one = Compared(keeper=name, found=found, held=lines[-1].seq if lines else 0, lines=len(texts))
        with self._lock:
            self._compared[name], self._compared_over[name] = one, epoch
        return one

    def lines(self, name: str) -> tuple[tuple[str, Line | None], ...]:
        """The newest lines of one keeper as they are, each with what it says; None for one that isn't honest."""
        texts = self._keepers[name].anchors(self._place(name)[0])
        return tuple((text, parse(text, self._store().key)) for text in texts)

    # Before mail.

    def before_send(self, carrier: str) -> None:
        """After the intent is committed and before the carrier is asked: take a copy of the head to it.

        Raises Refused (nothing was sent) when the store or the carrier's anchors can't be believed, or copies have
        been waiting for longer than `policy.unanchored_for`.
        """
        self._still_there()
        self._walk()
        one = self.compare(carrier) if carrier in self._keepers else None
        self._refuse_for(carrier)
        if one is None:
            return
        waits = self._waits(carrier)
        try:
            if one.unreached:
                raise OutOfReach(one.unreached)
            self._put(carrier, self._store().head())
        except Refused:
            self._refuse_for(carrier)
            raise
        except Trouble as error:
            if waits and self._clock() - waits.since > self._policy.unanchored_for:
                raise Refused(
                    f"{_say_unanchored(waits)} at {carrier}, and no copy of this send's record could be left there",
                    NOTHING_SENT,
                    str(error),
                ) from error
            return
        outbox = Outbox(self._store())
        for id_ in waits.ids if waits else ():  # the newest copy stands for those before it
            with suppress(KeyError, AuditUnavailable):
                outbox.done(id_)

    def _refuse_for(self, carrier: str) -> None:
        self._tell()
        if trouble := self.chain_trouble or self.carrier_trouble(carrier):
            raise Refused(trouble, NOTHING_SENT)

    # Decisions of a person.

    def accept(self, name: str, reason: str) -> Record:
        """Take this keeper as it is from now on; what it held stays there as evidence, and is compared no more.

        Raises Refused when nothing speaks against it, or it can't be asked; AuditUnavailable.
        """
        if name not in self._keepers:
            raise Refused(f"{name} keeps no anchors.", "Nothing was done.")
        one = self.compare(name)
        if one.unreached:
            raise Refused(f"{name} can't be asked now: {one.unreached}", "Nothing was done.", "Try again.")
        against = [c.text for c in one.found if c.kind is Kind.KEEPER]
        if not against:
            raise Refused(f"Nothing speaks against the anchors of {name}.", "Nothing was done.")
        if self.chain_trouble:
            raise Refused(self.chain_trouble, "Nothing was done.")
        event = self._identity().event(
            anchored.ACCEPTED, "", "", reason, host=name, machine=self._machine(name), held=one.held, found=against
        )
        record = self._store().note(event)
        with suppress(Trouble):  # out of reach again: the next record takes it along
            self._put(name, Anchor(record.seq, record.mac))
        self.compare(name)
        return record

    # Parts.

    def _put(self, keeper: str, head: Anchor) -> None:
        """Take a copy of `head` to the keeper. Raises Refused when it contradicts, other Trouble when it can't."""
        here, since = self._place(keeper)
        if head.seq < since:
            return  # what was before the acceptance is covered by it
        store = self._store()
        line = Line(
            store=store.id,
            seq=head.seq,
            mac=head.mac,
            utc=self._clock(),
            environment=self._identity().environment,
            after=self._acknowledged(keeper, since),
            machine=self._machine(keeper),
        )
        try:
            self._keepers[keeper].put_anchor(here, seal(line, store.key))
        except Refused:
            # A newer copy that is in order stands for this one; anything else is looked into.
            one = self.compare(keeper)
            if one.found or one.unreached or one.held < head.seq:
                raise

    def _place(self, keeper: str) -> tuple[str, int]:
        """Where the keeper's lines are, and the record by which it was last accepted, 0 when it never had to be."""
        by = anchored.accepted(self._store(), keeper, self._identity().environment)
        since = by.seq if by else 0
        return place(self._store().id, since), since

    def _acknowledged(self, keeper: str, since: int) -> int:
        newest = anchored.acknowledged(self._store(), keeper, self._identity().environment)
        return newest if newest > since else 0

    def _waits(self, keeper: str) -> anchored.Waiting | None:
        return anchored.waiting(Outbox(self._store()).waiting(), keeper, self._identity().environment)

    def _epoch(self, keeper: str) -> object:
        return self._connected(keeper), self._machine(keeper)

    def _still_there(self) -> None:
        """What was the head a moment ago is still in the store, as it was."""
        store = self._store()
        head, seen = store.head(), self._seen
        if seen is not None and seen.seq and anchored.macs(store, (seen.seq,)).get(seen.seq) != seen.mac:
            self._chain = f"record {seen.seq} was the newest a moment ago, and is missing or another one now"
            return
        self._seen = head

    def _walk(self) -> None:
        """Go through the whole store, once."""
        if self._walked:
            return
        store = self._store()
        result = store.verify(indexes=store.head().seq <= INDEXED)
        if not result.ok:
            self._chain = f"record {result.first_bad_seq}: {result.why}"
        self._walked = True

    def _tell(self) -> None:
        """Let others know, once: who only reads a channel is told by the channel."""
        why = self._why_not_whole()
        if not why or why in self._said:
            return
        self._said.add(why)
        store, identity = self._store(), self._identity()
        head = store.head()
        said = tidings.message(
            tidings.CRITICAL, "the audit store isn't whole", environment=identity.environment, reason=why
        )
        payload = {**said, **tidings.head(head.seq, head.mac)}
        for destination in self._told:
            with suppress(AuditUnavailable):
                Outbox(store).put(destination, f"{destination}:chain-trouble:{why}", payload)


def _say_unanchored(waits: anchored.Waiting) -> str:
    count = len(waits.ids)
    return f"unanchored: {count} {'event' if count == 1 else 'events'} since {waits.since:%H:%M} UTC"
