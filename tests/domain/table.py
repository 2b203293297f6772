"""The state table: every row decided on purpose, by rules over the row's own words, each with its reason.

This is the oracle, not the code: it knows no observations, no findings, no order of the code's rules. A row is read
as an operator would tell it ("overdue, approved, the host is out of reach, nothing ran"), and the first rule that
fits says its status. `FINDINGS` says, for each finding, exactly in which rows it stands. Whoever changes what a row
means changes it here first, with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

MOMENTS = ("before", "due", "grace-1s", "grace+1s", "overdue", "latest-1s", "latest+1s", "expired")
APPROVALS = ("approved", "approval expired", "other digest", "none")
SOURCES = ("fresh", "host stale", "host unreachable", "dashboard unreachable", "contradicting")
HOLDS = ("hold", "none")
RUNS = ("none", "claimed", "running", "stalled", "started", "ended ok", "ended partial", "failed")


@dataclass(frozen=True)
class Row:
    """A run began six minutes ago; of one that ended well or in part a contradicting dashboard says that it failed,
    of anything else that it was sent."""

    moment: str
    approval: str
    sources: str
    hold: str
    run: str

    def __str__(self) -> str:
        return f"{self.moment} | {self.approval} | {self.sources} | hold {self.hold} | run {self.run}"

    @property
    def host_seen(self) -> bool:
        return self.sources not in ("host stale", "host unreachable")

    @property
    def blind(self) -> bool:
        return self.sources in ("host stale", "host unreachable", "dashboard unreachable")

    @property
    def contradicted(self) -> bool:
        return self.sources == "contradicting"

    @property
    def said_sent(self) -> bool:
        """The dashboard says it was sent."""
        return self.contradicted and self.run not in ("ended ok", "ended partial")

    @property
    def mailed(self) -> bool:
        """The host knows that mail went out."""
        return self.run in ("ended ok", "ended partial")

    @property
    def going(self) -> bool:
        return self.run in ("running", "stalled")

    @property
    def began(self) -> bool:
        """Somebody tells of a start: the host of a run, or the dashboard of a send."""
        return self.going or self.run in ("started", "ended ok", "ended partial", "failed") or self.said_sent

    @property
    def late(self) -> bool:
        return self.moment in ("grace+1s", "overdue", "latest-1s")

    @property
    def too_late(self) -> bool:
        return self.moment in ("latest+1s", "expired")


ROWS = tuple(Row(*words) for words in product(MOMENTS, APPROVALS, SOURCES, HOLDS, RUNS))


@dataclass(frozen=True)
class Rule:
    status: str
    when: Callable[[Row], bool]
    because: str


RULES = (
    Rule(
        "CONFLICT",
        lambda r: r.contradicted and r.run in ("none", "claimed"),
        "one says sent, the other, who would have a trace, has none: one of them is wrong, and nobody may guess",
    ),
    Rule(
        "CONFLICT",
        lambda r: r.contradicted and r.run in ("ended ok", "ended partial", "failed"),
        "the run's end and the dashboard's word are opposites",
    ),
    Rule(
        "IN DOUBT",
        lambda r: r.run == "started",
        "it began, has no end and no owner: some may have been mailed. It stays so when the host is lost sight of, "
        "and the dashboard's word that it was sent doesn't tell to whom",
    ),
    Rule("STALLED", lambda r: r.run == "stalled" and r.host_seen, "its owner lives and nothing moves"),
    Rule(
        "SENDING",
        lambda r: r.run == "running" and r.host_seen,
        "a live owner is what is, however late, held, unapproved or told otherwise; a hold stops no run",
    ),
    Rule(
        "CLAIMED", lambda r: r.run == "claimed" and r.host_seen, "somebody is about to start it: not late, not free"
    ),
    Rule("PARTIAL", lambda r: r.run == "ended partial", "an end lasts: no blindness, hold or hour takes it back"),
    Rule("SENT", lambda r: r.run == "ended ok", "an end with every count agreeing lasts like any other"),
    Rule(
        "FAILED", lambda r: r.run == "failed", "an end that reached nobody is an end: it isn't sent again by itself"
    ),
    Rule(
        "HELD", lambda r: r.hold == "hold", "a person's word that it stays: it binds before lateness and blindness"
    ),
    Rule(
        "UNKNOWN",
        lambda r: r.blind,
        "a start could have happened unseen: being blind is not being late, and a run last seen going may go on",
    ),
    Rule("EXPIRED", lambda r: r.too_late, "past its latest start, approved or not: it needs a new plan"),
    Rule(
        "UNAPPROVED",
        lambda r: r.approval != "approved",
        "without an approval that counts for this content now it is not late, since it was never to go",
    ),
    Rule("OVERDUE", lambda r: r.late, "approved, past the grace, no start, and everybody who would know was asked"),
    Rule("DUE", lambda r: r.moment in ("due", "grace-1s"), "its time has come, and the grace isn't over"),
    Rule("PENDING", lambda r: r.moment == "before", "approved, and its time is still to come"),
)


def status(row: Row) -> str:
    return next(rule.status for rule in RULES if rule.when(row))


FINDINGS: dict[str, tuple[Callable[[Row], bool], str]] = {
    "already-started": (
        lambda r: r.began,
        "any word of a start, from anyone, fresh or not, blocks a second one",
    ),
    "claimed": (lambda r: r.run == "claimed", "a claim blocks every other start, seen now or last seen"),
    "source-stale": (lambda r: r.blind, "what can't be seen blocks a send"),
    "content-changed": (
        lambda r: r.approval == "other digest" and status(r) != "SENT",
        "approved was something else than lies there; of what has gone out it no longer matters",
    ),
    "approved-not-executed": (
        lambda r: status(r) in ("OVERDUE", "EXPIRED") and r.approval == "approved",
        "the fault this console is for; only when everybody who would know says that nothing ran",
    ),
    "executed-not-recorded": (
        lambda r: r.mailed and r.sources in ("fresh", "host stale", "host unreachable"),
        "mail went out and the dashboard, asked just now, still says approved; when it says failed that is a "
        "conflict, and when it is out of reach nobody knows what it would say",
    ),
    "sent-early": (
        lambda r: r.moment in ("before", "due") and (r.going or r.run in ("started", "failed") or r.mailed),
        "the host's run began six minutes ago, which was before it was due; the dashboard's word names no hour",
    ),
}
"""By code: in which rows it stands, and why. A code that isn't here stands in no row."""


def findings(row: Row) -> set[str]:
    return {code for code, (stands, _) in FINDINGS.items() if stands(row)}


def sendable(row: Row) -> bool:
    """A send is allowed in few rows: in time, approved, everybody seen and agreeing, nothing held or begun."""
    return (
        row.moment in ("due", "grace-1s", "grace+1s", "overdue", "latest-1s")
        and row.approval == "approved"
        and row.sources == "fresh"
        and row.hold == "none"
        and row.run == "none"
    )
