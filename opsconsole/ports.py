"""What the console asks of other systems. A backend implements what it can; all calls block and are bounded.

Calls come from the console's own threads, several at once. A call that fails raises `Trouble` (or a subclass);
`MaybeStarted` alone means that mail may have gone out, and then nothing is repeated, only asked about.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from opsconsole.hostfacts import FolderFacts, HostFacts, KeptRunner, RunnerFact
from opsconsole.observation import Counts, Hold, Report, RunWord, Says
from opsconsole.plan import DryRun, Plan
from opsconsole.policy import Policy

if TYPE_CHECKING:
    from opsconsole.preflight.check import Check
    from opsconsole.preview import Preview


class Trouble(Exception):
    """Something didn't work: what happened, what it means, what to do next. Three plain sentences."""

    def __init__(self, what: str, means: str = "", next_step: str = "") -> None:
        super().__init__(" ".join(_sentence(part) for part in (what, means, next_step) if part))
        self.what, self.means, self.next_step = what, means, next_step


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


class OutOfReach(Trouble):
    """The system didn't answer; nothing was done."""


class Refused(Trouble):
    """The system, or a safety rule, said no; nothing was done."""


class NotThere(Refused):
    """What was named doesn't exist: a slip of the hand rather than a rule."""


class MaybeStarted(Trouble):
    """The reply to a start was lost. The run may be going: ask for its id, never start it again."""


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


@runtime_checkable
class HoldKeeper(Protocol):
    """A carrier that obeys holds by itself, also when no console is running."""

    def put_hold(self, scope: str, hold: Hold | None) -> None:
        """Make (or with None take away) the mark that keeps everybody from sending `scope`: a slug, or `ALL`.

        Repeating is harmless.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A trigger that was switched off or on, and what was read again afterwards to prove it."""

    where: str
    before: str  # its text as it was
    after: str  # its text as it is now
    proof: str  # what was read again, in words
    undo: str = ""  # how a person takes it back by hand: the copy that was kept, for one


@runtime_checkable
class TriggerKeeper(Protocol):
    """A source whose triggers (`Trigger.key`) can be switched off and on."""

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        """Switch one trigger, then read it again. The same again changes nothing.

        Raises Refused, with nothing changed, when it isn't what `key` names any more; Trouble when unproven.
        """
        ...


@runtime_checkable
class RunnerKeeper(Protocol):
    """A machine on which the console can put its own runner."""

    def runner(self, path: str = "", *, again: bool = False) -> RunnerFact:
        """What is at `path` ("": where the configuration says), as it was told before unless `again`.

        Looks only. Raises Trouble.
        """
        ...

    def put_runner(self, seen: RunnerFact) -> str:
        """Put this console's runner where `seen` was. The path of the copy of what was there, "" for nothing.

        Raises Refused or OutOfReach with nothing changed; Trouble where what came of it isn't known.
        """
        ...

    def put_back_runner(self, seen: RunnerFact, kept: KeptRunner) -> None:
        """Put a former runner back where `seen` was. Raises like put_runner."""
        ...


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


@runtime_checkable
class AnchorKeeper(Protocol):
    """A place away from the audit store where copies of its head are kept, one line each, for ever."""

    def put_anchor(self, store: str, line: str) -> None:
        """Add a line to what is kept for `store` (16 hex digits), synced. A line that is the last already stays."""
        ...

    def anchors(self, store: str, newest: int = 200) -> tuple[str, ...]:
        """The newest lines kept for `store`, oldest first; none when there is nothing."""
        ...


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
