"""What carries a campaign out, and what it is asked before, while and after it does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from opsconsole.hostfacts import FolderFacts, HostFacts
from opsconsole.observation import Report, RunWord, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy

if TYPE_CHECKING:
    from opsconsole.preflight.check import Check
    from opsconsole.preview import Preview


class Verb(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class Facts(Protocol):
    """What a carrier gathered for a pre-flight: a type of its own, which its own checks read."""

    @property
    def digests(self) -> Mapping[str, str]:
        """The content that was looked at, by part, as its `Content.digests` and its dry run have it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFacts:
    """What a blast host gathered. `files` holds contents by name, whole and digest-checked.

    A file that could not be read is absent from `files` and named in `unread` with the reason.
    """

    host: HostFacts
    folder: FolderFacts
    files: Mapping[str, bytes]
    unread: Mapping[str, str]

    @property
    def digests(self) -> Mapping[str, str]:
        return {name: fact.sha256 or "" for name, fact in self.folder.files.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run as the carrier's own records tell it. `out_size` is the length of its log in bytes. `released`: its
    claim was given back, provably before anybody was mailed, and nobody is at work in it."""

    slug: str
    run_id: str
    attempt: int
    says: Says
    word: RunWord
    out_size: int = 0
    can: frozenset[Verb] = frozenset()
    released: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The carrier's answer to a start. `fresh` is False when the very run existed already."""

    state: RunState
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How following a log ended: at byte `offset`; `end` is the run's last state once it has ended."""

    offset: int
    end: RunState | None


@runtime_checkable
class Source(Protocol):
    name: str

    def observe(self) -> Report:
        """One look at every campaign. Never raises for a system out of reach: the report says so."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Carrier(Protocol):
    name: str

    def preflight_facts(self, slug: str) -> Facts:
        """What its checks look at, asked now. Raises Trouble."""
        ...

    def checks(self) -> "Sequence[Check[Any]]":
        """Its pre-flight, in order; `preflight.SHARED` are those that any carrier needs."""
        ...

    def dry_run(self, slug: str, on_output: Callable[[bytes], None], stop: Event) -> DryRun:
        """Rehearse on the carrier; sends nothing. `on_output` gets the log as it comes."""
        ...

    def start(self, plan: Plan, by: str) -> Started:
        """Claim, check the plan, start. Raises MaybeStarted; every other Trouble says that nothing was sent."""
        ...

    def run_state(self, slug: str, attempt: int | None = None) -> RunState | None:
        """The newest run (or that attempt) by the carrier's records; None when there is none."""
        ...

    def give_up(self, slug: str, run_id: str) -> RunState | None:
        """The state of this run; None once it is certain that it never started and that a late start is refused."""
        ...

    def follow(
        self, slug: str, attempt: int, offset: int, on_output: Callable[[bytes], None], stop: Event
    ) -> Followed:
        """The run's log from byte `offset` until it ends or `stop` is set; survives lost connections."""
        ...

    def signal(self, slug: str, attempt: int, verb: Verb) -> RunState: ...


@runtime_checkable
class Previews(Protocol):
    """A carrier that shows a campaign's mail as one recipient would get it."""

    def preview(self, slug: str, number: int) -> "Preview":
        """The mail for recipient `number` (from 1), or for the one that the system shows; sends nothing.

        Raises Trouble.
        """
        ...


@runtime_checkable
class Identified(Protocol):
    """A carrier that is no machine of its own, and still can be told from its copies and its likes."""

    def identity(self) -> str:
        """What identifies the system by its newest look, such as account and region; "" before the first."""
        ...


@runtime_checkable
class HostView(Protocol):
    """A carrier that is a machine, and can be looked at as one."""

    def host_facts(self) -> HostFacts | None:
        """The newest probe, without asking again."""
        ...

    def connection(self) -> Mapping[str, Any]: ...

    def retry_now(self) -> None:
        """Somebody asks: try to connect again at once, also where it was refused before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The newest start of a campaign by this console's store. `over`: its outcome is on record."""

    run_id: str
    attempt: int
    at: datetime
    by: str
    planned: int | None
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a backend is given besides its own table of the configuration.

    `data_dir` is this user's folder for what may be lost, such as logs that were read. `started(carrier, slug)`
    tells of the newest start there, for systems that can't keep a run id; None for none, and also where the store
    can't be read.
    """

    policy: Policy
    data_dir: Path
    clock: Callable[[], datetime]
    started: Callable[[str, str], Remembered | None]
