"""The board: the verdict on every campaign, in the order an operator wants them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from opsconsole.observation import Hold, Observation, Report, Says
from opsconsole.policy import Policy
from opsconsole.rounds import compared, name_of
from opsconsole.verdict import Group, Status, Verdict, broken, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a source stands: when it last answered, and what is wrong with it now."""

    name: str
    answered_at: datetime | None
    fresh: bool
    trouble: str
    latency_ms: float | None
    findings: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All verdicts at one instant, in order: groups as in Group, then by status, then by due time."""

    at: datetime
    verdicts: tuple[Verdict, ...]
    sources: tuple[SourceState, ...]

    def get(self, slug: str) -> Verdict | None:
        return next((v for v in self.verdicts if v.slug == slug), None)

    def group(self, group: Group | None) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if group is None or v.group is group)

    def counts(self) -> dict[Group, int]:
        counts = dict.fromkeys(Group, 0)
        for verdict in self.verdicts:
            counts[verdict.group] += 1
        return counts


def assemble(reports: Mapping[str, Report], policy: Policy, now: datetime, unheard: Collection[str] = ()) -> Board:
    """The board of all campaigns that any source knows, from the newest report of each source.

    `unheard` names the sources that never answered so far: nothing is late, or safe, before they did.
    """
    by_slug: dict[str, dict[str, Observation]] = {}
    for report in reports.values():
        for observation in report.observations:
            by_slug.setdefault(observation.slug, {})[report.source] = observation
    judged = (
        _safely_judge(slug, _words(reports, known, slug, unheard), policy, now) for slug, known in by_slug.items()
    )
    verdicts = compared(judged, now)
    return Board(
        at=now,
        verdicts=tuple(sorted(verdicts, key=_order)),
        sources=tuple(_state(report, now) for report in reports.values()),
    )


def judge_one(
    reports: Mapping[str, Report], slug: str, policy: Policy, now: datetime, unheard: Collection[str] = ()
) -> Verdict | None:
    """The verdict on one campaign, as on the board; None when no source knows it."""
    by_slug = _with_its_series(reports, slug)
    if slug not in by_slug:
        return None
    judged = (_safely_judge(s, _words(reports, known, s, unheard), policy, now) for s, known in by_slug.items())
    return next(verdict for verdict in compared(judged, now) if verdict.slug == slug)


def _with_its_series(reports: Mapping[str, Report], slug: str) -> dict[str, dict[str, Observation]]:
    """What is said of `slug` and of every campaign that may be another round of it: no more is judged for it."""
    words = [(r.source, o) for r in reports.values() for o in r.observations]
    names = {name_of(o.details.series) for _, o in words if o.slug == slug} - {""}
    slugs = {slug}
    if names:
        spelled = {text for text in {o.details.series for _, o in words} if name_of(text) in names}
        slugs |= {o.slug for _, o in words if o.details.series in spelled}
    by_slug: dict[str, dict[str, Observation]] = {}
    for source, o in words:
        if o.slug in slugs:
            by_slug.setdefault(o.slug, {})[source] = o
    return by_slug


def merge(old: Report | None, new: Report) -> Report:
    """`new`, or when it failed, what the source last said, marked as out of reach since it stopped answering."""
    if not new.trouble or old is None:
        return new
    since = old.out_of_reach_since or new.out_of_reach_since or new.looked_at
    return Report(
        source=new.source,
        looked_at=old.looked_at,
        fresh_for=new.fresh_for,
        observations=tuple(_out_of_reach(o, since, new.trouble) for o in old.observations),
        keeps_traces=new.keeps_traces,
        holds=old.holds,
        trouble=new.trouble,
        out_of_reach_since=since,
        latency_ms=None,
        foreign=old.foreign,
        findings=old.findings,
        own_store=new.own_store,
        archived=old.archived,
    )


def _out_of_reach(o: Observation, since: datetime, trouble: str) -> Observation:
    return replace(o, out_of_reach_since=since, trouble=trouble)


def _words(
    reports: Mapping[str, Report], known: Mapping[str, Observation], slug: str, unheard: Collection[str]
) -> list[Observation]:
    told = (r for r in reports.values() if slug not in r.archived and not _elsewhere(r, known))
    words = [_word(r, known, slug, unheard) for r in told]
    never = timedelta(0)
    return words + [Observation(source=n, slug=slug, observed_at=None, fresh_for=never) for n in unheard]


def _elsewhere(report: Report, known: Mapping[str, Observation]) -> bool:
    """A carrier that has answered and doesn't have this campaign, which another carrier has: its silence says
    nothing. Else each campaign of one system would contradict, or wait for, all the others."""
    if not report.keeps_traces or report.source in known or (report.trouble and not report.observations):
        return False
    return any(o.keeps_traces and o.says is not Says.ABSENT for o in known.values())


def _word(report: Report, known: Mapping[str, Observation], slug: str, unheard: Collection[str]) -> Observation:
    word = known.get(report.source) or _silence(report, slug)
    binding = tuple(hold for hold in report.holds if _binds(hold, known, unheard))
    return replace(word, holds=word.holds + binding) if binding else word


def _binds(hold: Hold, known: Mapping[str, Observation], unheard: Collection[str]) -> bool:
    """A hold on one carrier binds the campaigns it has, and any it may have as long as it never answered."""
    kind, _, name = hold.scope.partition(":")
    return kind != "host" or name in known or name in unheard


def _silence(report: Report, slug: str) -> Observation:
    """The word of a source that doesn't mention this campaign: absent if it answered, nothing known if not."""
    answered = report.out_of_reach_since is None and not report.trouble
    return Observation(
        source=report.source,
        slug=slug,
        observed_at=report.looked_at if answered else None,
        fresh_for=report.fresh_for,
        out_of_reach_since=report.out_of_reach_since,
        trouble=report.trouble,
        says=Says.ABSENT,
        keeps_traces=report.keeps_traces,
        own_runs=() if report.own_store and answered else None,
    )


def _safely_judge(slug: str, words: Sequence[Observation], policy: Policy, now: datetime) -> Verdict:
    try:
        return judge(slug, words, policy, now)
    except Exception as error:  # one campaign's fault must never hide the others
        return broken(slug, error, words)


def _state(report: Report, now: datetime) -> SourceState:
    answered = None if report.trouble and not report.observations else report.looked_at
    fresh = not report.trouble and answered is not None and now - answered <= report.fresh_for
    return SourceState(
        name=report.source,
        answered_at=answered,
        fresh=fresh,
        trouble=report.trouble,
        latency_ms=report.latency_ms,
        findings=report.findings,
        foreign=report.foreign,
    )


_GROUPS = list(Group)
STATUSES = [
    Status.CONFLICT,
    Status.IN_DOUBT,
    Status.STALLED,
    Status.PARTIAL,
    Status.FAILED,
    Status.OVERDUE,
    Status.UNKNOWN,
    Status.EXPIRED,
    Status.ERROR,
    Status.CLAIMED,
    Status.SENDING,
    Status.PAUSED,
    Status.DUE,
    Status.PENDING,
    Status.HELD,
    Status.UNAPPROVED,
    Status.SENT,
    Status.CANCELLED,
]
_NEVER = datetime.max.replace(tzinfo=UTC)


def _order(verdict: Verdict) -> tuple[int, int, timedelta, str]:
    due = verdict.details.due.instant if verdict.details.due else _NEVER
    far = due - datetime.min.replace(tzinfo=UTC)
    # What is done is read from the newest back; everything else from the earliest on.
    return (
        _GROUPS.index(verdict.group),
        STATUSES.index(verdict.status),
        -far if verdict.group is Group.DONE else far,
        verdict.slug,
    )
