"""A run that broke: what is on record of it, and what a person may decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from opsconsole.observation import Counts
from opsconsole.ports.carrier import RunState, Started


class Fate(StrEnum):
    """What a person decides of a recipient whose mail may or may not have been accepted."""

    SENT = "sent"
    RESEND = "resend"


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryUnknown:
    """All of whom nobody knows, decided alike: `count` of them, or nothing is decided."""

    fate: Fate
    count: int


Fates = Mapping[int, Fate] | EveryUnknown
"""What a person decides: of these rows, or of every unknown one."""


def concerned(fates: Fates) -> int:
    """How many recipients a decision is about."""
    return fates.count if isinstance(fates, EveryUnknown) else len(fates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """One recipient whose acceptance isn't known. `who` is masked; `why` is the journal's word, `maillog` the mail
    log's ("" when it has none of this message). `taken`: by that log the mail server made itself responsible."""

    row: int
    who: str
    message_id: str
    why: str
    maillog: str = ""
    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What is on record of a run that may not have reached everybody, told by its journal and the mail log.

    `unsent` were provably never handed over. `unknown` holds the first thousand of `unknown_total`. `maillog` says
    which log was read, or why none was. `against` is why the rest can't be sent; "" when it can.
    """

    slug: str
    run_id: str
    attempt: int
    counts: Counts
    unsent: int
    unknown: tuple[Unknown, ...]
    unknown_total: int
    maillog: str
    against: str = ""
    has_maillog: bool = True  # there is a log that could name a message


@runtime_checkable
class Doubts(Protocol):
    """A carrier that keeps a journal of recipients, so that a broken run can be gone on with."""

    def doubt(self, slug: str, attempt: int) -> Doubt:
        """Looks only. Raises Trouble when the journal can't be read or believed."""
        ...

    def decide(self, slug: str, attempt: int, run_id: str, fates: Fates, by: str) -> Doubt:
        """Write a person's decision on unknown rows into the journal; what is left then.

        Raises Refused, with nothing written, where a row isn't unknown or EveryUnknown counts another number.
        """
        ...

    def send_rest(self, slug: str, attempt: int, run_id: str, by: str) -> Started:
        """Go on with this very run: the provably unsent and those to be sent again, nobody else.

        Repeating is harmless: the journal and the lock decide. Raises MaybeStarted; any other Trouble says that
        nothing was sent.
        """
        ...


@runtime_checkable
class Releases(Protocol):
    """A carrier whose claims can be given back."""

    def release(self, slug: str, attempt: int, run_id: str, by: str, reason: str) -> RunState:
        """Give up a claim under which provably nothing was sent, so that another attempt may be made.

        Raises Refused when that can't be proven. The claim's own record stays.
        """
        ...
