"""Systems that tell of themselves, or are told how a campaign ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from opsconsole.observation import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One thing by which somebody or something may act: a key, a role, a file, a credential. Never its content."""

    kind: str  # "key", "role", "file", "credential"
    name: str
    where: str
    scope: str = ""  # what it lets its holder do, as far as that can be told
    owner: str = ""
    mode: str = ""  # as ls shows it, such as -rw-------
    fingerprint: str = ""
    since: datetime | None = None
    trouble: str = ""  # what is wrong with it, in one sentence


@runtime_checkable
class AccessView(Protocol):
    """A system that can tell who and what may act on it."""

    def access(self) -> tuple[Access, ...]:
        """Looks only. Raises Trouble."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One line of what a system can be asked for, may be asked for, or lacks. `warn`: it works without it."""

    says: str
    ok: bool = True
    warn: bool = False


@runtime_checkable
class Inspected(Protocol):
    """A system that can tell what of it is reached, allowed and missing, for `opsconsole doctor`."""

    def inspect(self) -> tuple[Told, ...]:
        """Looks only. Raises Trouble when it can't be reached at all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What the dashboard is told once a campaign ended. Idempotent by `run_id`."""

    slug: str
    run_id: str
    status: str
    completed_at: datetime
    counts: Counts
    duration_s: float
    session: str
    operator: str
    note: str = ""
    reference: str = ""


@runtime_checkable
class Recorder(Protocol):
    """A system that wants to know the outcome: written to through the outbox, so repeating must be harmless."""

    name: str

    def record(self, payload: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How one field of a mapping fared on a page of `rows` rows: in how many it was `found`, and what is wrong."""

    table: str
    field: str
    expression: str
    rows: int
    found: int
    trouble: str = ""


@runtime_checkable
class Mapped(Protocol):
    """A system whose answers are read by a mapping of the configuration, which can be tried."""

    def try_mapping(self) -> tuple[Tried, ...]:
        """Looks only. Raises Trouble."""
        ...
