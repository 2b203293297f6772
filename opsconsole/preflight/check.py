"""What a pre-flight check is: two small functions, one that gathers and one that judges what was gathered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from opsconsole.campaign import Approval, Details
from opsconsole.hostfacts import FileFact, HostFacts, Kind
from opsconsole.observation import Hold, Observation, Says
from opsconsole.policy import Policy
from opsconsole.ports import CampaignFacts, Facts
from opsconsole.redact import mask_addresses, redact
from opsconsole.settings import BlastHost

T = TypeVar("T")

SHOWN = 8  # lines of evidence before "and 93 more"


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - a word, no password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a judge says. `says` is one sentence, `remedy` how to mend it ("" on a pass).

    `blocks` forbids a send. Texts are plain and may hold characters from outside: screens escape them.
    """

    outcome: Outcome
    says: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    blocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finding with the check it came from."""

    check_id: str
    title: str
    topic: str
    outcome: Outcome
    says: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    blocks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A run of this campaign that the console's own records tell of."""

    where: str  # such as "audit record 41"
    says: Says
    at: datetime | None = None
    run_id: str = ""
    note: str = ""


class CannotJudge(Exception):
    """Raised by a gather function: what the check needs isn't there. The check is skipped, and blocks a send."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why, self.remedy = why, remedy


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything a pre-flight looks at, gathered beforehand.

    `facts` is None when the carrier was not reached, and `blind` says why. `details` are those that hold for
    this campaign over all sources. `runs` and `holds` are the console's own records.
    """

    slug: str
    now: datetime
    environment: str
    carrier: str
    facts: Facts | None
    blind: str = ""
    details: Details = field(default_factory=Details)
    approval: Approval | None = None
    policy: Policy = field(default_factory=Policy)
    settings: BlastHost = field(default_factory=lambda: BlastHost(ssh=""))
    observations: tuple[Observation, ...] = ()
    runs: tuple[Earlier, ...] = ()
    holds: tuple[Hold, ...] = ()
    _studied: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def gathered(self, kind: type[T]) -> T:
        """The facts of the carrier, of this type. Raises CannotJudge when it was not reached."""
        if self.facts is None:
            raise CannotJudge(
                f"Blind: {self.carrier or 'the carrier'} was not reached"
                + (f" ({self.blind.rstrip('.')})." if self.blind else "."),
                f"Reach {self.carrier or 'the carrier'} again, then repeat the pre-flight.",
            )
        if not isinstance(self.facts, kind):
            raise TypeError(f"this check reads {kind.__name__}, not {type(self.facts).__name__}")
        return self.facts

    @property
    def seen(self) -> CampaignFacts:
        """The facts of a blast host. Raises CannotJudge when it was not reached."""
        return self.gathered(CampaignFacts)

    @property
    def on_host(self) -> CampaignFacts | None:
        """The facts, where it is a blast host that was reached."""
        return self.facts if isinstance(self.facts, CampaignFacts) else None

    @property
    def host(self) -> HostFacts:
        return self.seen.host

    @property
    def our_runner(self) -> bool:
        """The configuration says it is our own runner: it claims as the console does, and mails nobody twice."""
        return self.settings.runner_kind == "mail-blast-runner"

    def fact(self, name: str) -> FileFact | None:
        """What is at the campaign's file `name`; None when the carrier didn't look."""
        return self.seen.folder.files.get(name)

    def content(self, name: str) -> bytes:
        """The bytes of the campaign's file `name`. Raises CannotJudge when they were not read."""
        seen = self.seen
        if name in seen.files:
            return seen.files[name]
        fact = seen.folder.files.get(name)
        if name in seen.unread:
            why = seen.unread[name]
        elif fact is None or fact.kind is Kind.MISSING:
            why = "it is not there"
        else:
            why = fact.trouble or f"it is {fact.kind.value}"
        raise CannotJudge(f"{name} was not read: {why.rstrip('.')}.", f"Mend {self.path(name)} first.")

    def path(self, name: str = "") -> str:
        """Where the campaign's folder, or its file `name`, is on the carrier."""
        folder = f"{self.settings.campaigns_dir.rstrip('/')}/{self.slug}"
        return f"{folder}/{name}" if name else folder

    def once(self, study: Callable[["Situation"], T]) -> T:
        """`study(self)`, worked out once: several checks look at the same reading."""
        if study not in self._studied:
            self._studied[study] = study(self)
        return cast(T, self._studied[study])


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """`gather` takes from the situation what `judge` needs, or raises CannotJudge. Both only look."""

    id: str
    title: str
    topic: str
    gather: Callable[[Situation], T]
    judge: Callable[[T, Situation], Finding]

    def run(self, situation: Situation) -> Finding:
        return self.judge(self.gather(situation), situation)


def passed(says: str, *evidence: str) -> Finding:
    return Finding(Outcome.PASS, says, evidence)


def warned(says: str, remedy: str, evidence: Iterable[str] = ()) -> Finding:
    return Finding(Outcome.WARN, says, tuple(evidence), remedy)


def failed(says: str, remedy: str, evidence: Iterable[str] = (), blocks: bool = True) -> Finding:
    return Finding(Outcome.FAIL, says, tuple(evidence), remedy, blocks)


def shown(lines: Iterable[str], total: int | None = None) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    kept = list(lines)
    more = (len(kept) if total is None else total) - min(len(kept), SHOWN)
    return (*kept[:SHOWN], f"… and {more:,} more") if more > 0 else tuple(kept)


def many(count: int, one: str, several: str = "") -> str:
    """`1 row`, `2,601 rows`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def outside(text: str) -> str:
    """A line of another system as evidence: secrets out, addresses masked, not endless."""
    clean = mask_addresses(redact(text[:2000]))
    return clean if len(clean) <= 200 else clean[:199] + "…"


def everything(situation: Situation) -> Situation:
    """The gather of a check that judges what the console itself knows."""
    return situation
