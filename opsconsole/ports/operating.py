"""What can be done to a system beyond a run."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that can be done to a system, beyond a run: empty a dead-letter queue, lower the rate of all.

    `lines` say what is there now and what will come of it, as confirmations show them. `count`: of how many it is;
    with `slug` (or the source, where it is about no campaign) it is the phrase to type. `asks`: the value that is
    needed, in words with the present one; "" for none. `against`: why it can't be done now. `mails`: people may get
    mail by it, so holds bind it. `state` is what was seen, for the system to compare before it acts.
    """

    id: str
    source: str
    label: str
    slug: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    count: int | None = None
    asks: str = ""
    against: str = ""
    mails: bool = False
    needs_reason: bool = True
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated:
    """What came of an operation: in words, read again afterwards. `count`: how many were concerned in the end.
    `stopped`: somebody stopped it before its end."""

    says: str
    count: int | None = None
    before: str = ""
    after: str = ""
    stopped: bool = False


@runtime_checkable
class Operates(Protocol):
    """A system that offers operations of its own."""

    def operations(self, slug: str = "") -> tuple[Operation, ...]:
        """What can be done now, about this campaign or about no single one. Looks only. Raises Trouble."""
        ...

    def operate(
        self, operation: Operation, value: str, by: str, on_output: Callable[[bytes], None], stop: Event
    ) -> Operated:
        """Do it, bounded, and read again what came of it. `value` is what `asks` asked for.

        Raises Refused, with nothing done, where `state` isn't what is there any more or `value` can't be;
        OutOfReach with nothing done; any other Trouble where what came of it isn't known. Never repeats what may
        have mailed.
        """
        ...
