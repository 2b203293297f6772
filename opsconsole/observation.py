"""What one source said about one campaign, with the instant it speaks of and the instant we looked.

An observation is never edited. Positive evidence (it started, it ended) lasts; the word that nothing happened
perishes with its freshness: being blind is not being late, and not being safe either.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from opsconsole.campaign import Approval, Details

MEMORY_SHORT = 0.95
"""The share of its memory from which on a machine may be slow or stuck for want of it."""


class Says(StrEnum):
    """A source's word on whether the campaign went out."""

    ABSENT = "absent"  # it doesn't know this campaign
    NOTHING = "nothing"  # it knows it, and no start
    SCHEDULED = "scheduled"  # something of its own will start it
    CLAIMED = "claimed"  # a run is claimed, provably not started
    RUNNING = "running"  # started, owner alive
    PAUSED = "paused"  # started, owner alive, on hold by its owner
    STARTED = "started"  # started, no end recorded, no live owner
    ENDED = "ended"  # a run ended, with its counts
    SENT = "sent"  # it went out, by this source's word alone
    FAILED = "failed"  # it was tried and failed, by this source's word alone
    CANCELLED = "cancelled"  # decided not to send


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Recipients of one run. `total` is None when the runner told none."""

    total: int | None = None
    accepted: int = 0
    failed: int = 0
    unknown: int = 0
    deferred: int = 0
    suppressed: int = 0  # asked not to be mailed; not in `total`

    @property
    def settled(self) -> int:
        return self.accepted + self.failed + self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """How a run goes on, by its runner's newest line; "" and None where that doesn't tell.

    Rates in messages a second. `why` it waits or stopped. `classes` counts the failed by class of refusal, and
    `error_class` is that of the last. `rate_limit` is a number as text or `none`. `controls` are the wishes that
    this runner obeys while it goes.
    """

    rate_1s: float | None = None
    rate_30s: float | None = None
    why: str = ""
    classes: tuple[tuple[str, int], ...] = ()
    error_class: str = ""
    rate_limit: str = ""
    account: str = ""
    controls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWord:
    """What is known of a run: who, when, how far. `rc` is its exit code once ended."""

    run_id: str = ""
    attempt: int = 1
    by: str = ""
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress_at: datetime | None = None
    rc: int | None = None
    counts: Counts | None = None
    note: str = ""  # the runner's own word on its state
    waiting: bool = False  # not moving on purpose: outside its window, or waiting to try again
    rate: float | None = None  # messages per second
    eta_s: float | None = None
    beat_at: datetime | None = None  # the supervisor's last sign of life
    planned: int | None = None  # the audience of the plan it was started by
    going: Going = Going()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The campaign's content as a source holds it. Digests are sha256 in hex, by part: on a blast host by file."""

    digest: str = ""
    digests: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    rows_exact: bool = True
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Something that will, or did, start the campaign by itself: a cron line, a scheduled job.

    `key` is its source's own handle, by which it can be switched off and on; "" when that can't be done from here.
    """

    where: str
    text: str
    sends: bool = True
    next_fire: datetime | None = None
    previous_fire: datetime | None = None
    ignored_because: str = ""
    key: str = ""
    off: bool = False  # switched off on purpose, and can be switched on again
    at_boot: bool = False  # fires whenever its machine starts, so at no instant that can be told

    @property
    def live(self) -> bool:
        """Whether it can still start a send. A fire that has passed is no end: most triggers come back."""
        fires = self.next_fire is not None or self.at_boot
        return self.sends and fires and not (self.off or self.ignored_because)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nobody may send: `scope` is a slug, `host:NAME` or `everything`."""

    scope: str
    by: str
    at: datetime | None
    reason: str
    where: str = "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """Somebody's word that a run of others is known and stands: by its id, else by `source` and when it `began`."""

    source: str
    run_id: str
    began: datetime
    by: str
    at: datetime
    ended: bool = False  # its end is on record as well


class Mark(StrEnum):
    """How a piece of evidence looks on the board: one glyph a kind."""

    YES = "✓"
    NO = "–"
    BAD = "✖"
    UNSEEN = "?"
    MOVING = "▶"
    WAITING = "⧖"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One line of what a source has: `letter` heads it on the board, `label` and `text` say it in words."""

    letter: str
    label: str
    mark: Mark
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """What a source finds wrong with a campaign in its own system, such as a queue that doesn't get shorter.

    `code` as those of findings (`dlq-filling`). `blocks` forbids a send; `alarm` calls for attention, whatever the
    status; neither: it is to be known.
    """

    code: str
    text: str
    evidence: tuple[str, ...] = ()
    warns: bool = True
    blocks: bool = False
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One source's word on one campaign.

    `observed_at` is when the source last answered (None: it never did). `keeps_traces` says a start would
    have left a trace here, so that NOTHING means something. `decided` marks a person's decision.
    """

    source: str
    slug: str
    observed_at: datetime | None
    fresh_for: timedelta
    out_of_reach_since: datetime | None = None
    trouble: str = ""
    says: Says = Says.NOTHING
    keeps_traces: bool = False
    decided: bool = False
    since: datetime | None = None
    run: RunWord | None = None
    details: Details = field(default_factory=Details)
    approval: Approval | None = None
    content: Content | None = None
    triggers: tuple[Trigger, ...] = ()
    triggers_unread: str = ""  # why it may have triggers that weren't seen; "" when all of them were read
    holds: tuple[Hold, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    concerns: tuple[Concern, ...] = ()
    clock_offset: float | None = None
    memory_used: float | None = None  # the share its machine has in use, swap counted: above 1 it is swapping
    reference: str = ""  # the source's own handle: a task token, a campaign id
    link: str = ""  # where a person looks at it in the source's own pages
    note: str = ""
    records: bool = False  # it is meant to be told the outcome
    own_runs: tuple[str, ...] | None = None  # run ids this console started; only its own store knows them
    adopted: tuple[Adopted, ...] = ()  # runs of others that somebody adopted; only the store knows them, too
    closed: bool = False  # decided: left as it is, whoever was not reached gets nothing
    break_glass: Approval | None = None  # stands in for the second person
    open_intents: tuple[str, ...] = ()  # what was begun here and has no recorded end, in words
    machine: str = ""  # identifies the machine it looked at, where there is one
    by_person: bool = True  # it can tell, and be told, of each recipient of a run that broke
    next_attempt: int = 1  # the attempt a new run would claim here; those before it were released

    @property
    def went_out(self) -> bool:
        """The word that mail was accepted: an end with something accepted, or a plain "sent"."""
        if self.says is Says.SENT:
            return True
        if self.says is not Says.ENDED:
            return False
        counts = self.run.counts if self.run else None
        if counts is None:
            return self.run is None or self.run.rc in (0, None)
        return counts.accepted > 0 or counts.unknown > 0

    @property
    def denies(self) -> bool:
        """The word that no mail went out, from one who would know."""
        if self.says is Says.FAILED or (self.says is Says.CANCELLED and not self.decided):
            return True
        if self.says is Says.ENDED:
            return self.keeps_traces and not self.went_out
        return self.keeps_traces and self.says in (Says.ABSENT, Says.NOTHING, Says.SCHEDULED, Says.CLAIMED)

    def is_fresh(self, now: datetime) -> bool:
        """Answered within its limit, and not since out of reach. A word from the future is not fresh."""
        if self.observed_at is None or self.out_of_reach_since is not None:
            return False
        age = now - self.observed_at
        return -timedelta(minutes=1) <= age <= self.fresh_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All one source said in one look. `observations` holds one entry for each campaign it knows."""

    source: str
    looked_at: datetime
    fresh_for: timedelta
    observations: tuple[Observation, ...] = ()
    keeps_traces: bool = False
    holds: tuple[Hold, ...] = ()  # those that bind every campaign, also one this source never heard of
    trouble: str = ""  # "" when it answered; else what happened, means, and what to do
    out_of_reach_since: datetime | None = None
    latency_ms: float | None = None
    foreign: tuple[str, ...] = ()  # entries outside the grammar, shown escaped and never used
    findings: tuple[str, ...] = ()  # troubles of the source that concern no single campaign
    own_store: bool = False  # it is the console's own store: a run it doesn't name was started by others
    archived: frozenset[str] = frozenset()  # over for so long that it isn't told of: its silence says nothing
