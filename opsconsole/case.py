"""One campaign's observations, put in order so that rules can be asked of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cached_property

from opsconsole.campaign import Approval, Details
from opsconsole.observation import Content, Counts, Hold, Observation, RunWord, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.schedule import Moment, latest_start, moment, say_distance, say_instant

STARTS = frozenset({Says.RUNNING, Says.PAUSED, Says.STARTED, Says.ENDED, Says.SENT})


@dataclass(frozen=True)
class Case:
    """What is asked of the observations on one campaign at one instant."""

    slug: str
    observations: tuple[Observation, ...]
    policy: Policy
    now: datetime

    @classmethod
    def of(cls, slug: str, observations: Iterable[Observation], policy: Policy, now: datetime) -> "Case":
        return cls(slug, _ranked(tuple(observations)), policy, now)

    def say(self, instant: datetime | None) -> str:
        """The instant in the campaign's zone, "" for None."""
        return say_instant(instant, self.details.zone, self.now) if instant else ""

    def when(self, instant: datetime | None) -> str:
        """The instant with a space before it, to be put behind a word; "" for None."""
        return f" {self.say(instant)}" if instant else ""

    def when_to_come(self, instant: datetime | None) -> str:
        """`today 10:00 BST, in 12 min`; only when it was, for what should have happened by now."""
        if instant is None or instant <= self.now:
            return self.say(instant)
        return f"{self.say(instant)}, {say_distance(instant, self.now)}"

    @cached_property
    def fresh(self) -> tuple[Observation, ...]:
        return tuple(o for o in self.observations if o.is_fresh(self.now))

    @cached_property
    def stale(self) -> tuple[Observation, ...]:
        return tuple(o for o in self.observations if not o.is_fresh(self.now))

    @cached_property
    def carriers(self) -> tuple[Observation, ...]:
        return tuple(o for o in self.observations if o.keeps_traces)

    @cached_property
    def details(self) -> Details:
        """Merged: a decision before everything, the dashboard before the carrier for the due time, the carrier
        first for what it will really send."""
        merged = Details()
        for o in sorted(self.observations, key=lambda o: not o.keeps_traces):
            merged = _fill(merged, o.details)
        due = next((o.details.due for o in self.observations if o.details.due), None)
        moved = any(o.decided and o.details.due for o in self.observations)
        return replace(
            merged,
            due=due,
            zone=merged.zone or (due.zone if due else ""),
            # A new due time comes with a new latest start; the old one would make it late at once.
            latest_start=None if moved else merged.latest_start,
        )

    @cached_property
    def latest(self) -> datetime | None:
        details = self.details
        if details.latest_start or details.due is None:
            return details.latest_start
        return latest_start(details.due, details.window, self.policy.latest_start_after)

    @cached_property
    def moment(self) -> Moment | None:
        if self.details.due is None or self.latest is None:
            return None
        return moment(self.details.due.instant, self.latest, self.policy.start_grace, self.now)

    @cached_property
    def content(self) -> Content | None:
        return next((o.content for o in self.carriers if o.content), None)

    @cached_property
    def holder(self) -> str:
        """The carrier whose content that is; "" when none is seen."""
        return next((o.source for o in self.carriers if o.content), "")

    @cached_property
    def audience(self) -> int | None:
        if self.content and self.content.rows is not None:
            return self.content.rows
        return self.details.expected_recipients

    @cached_property
    def approvals(self) -> tuple[Approval, ...]:
        """Those that count for this content now, newest first."""
        return tuple(a for a in self._all_approvals if not self._against(a))

    @cached_property
    def approval(self) -> Approval | None:
        """The newest that counts, else the newest of any source; one without an instant is the oldest."""
        return next(iter((*self.approvals, *self._all_approvals)), None)

    @cached_property
    def approval_trouble(self) -> str:
        """Why there is no valid approval for this content; "" when there is one."""
        return self._against(self.approval) if self.approval else "nobody has approved it"

    @cached_property
    def _all_approvals(self) -> tuple[Approval, ...]:
        found = [a for o in self.observations for a in (o.approval, o.break_glass) if a]
        return tuple(sorted(found, key=lambda a: (a.at is not None, a.at or self.now, a.by), reverse=True))

    def _against(self, approval: Approval) -> str:
        by = f"the approval by {approval.said_by()}"
        if approval.expires and approval.expires <= self.now:
            return f"{by} expired {self.say(approval.expires)}"
        if approval.digest and self.content and approval.digest != self.content.digest:
            return (
                f"{by} was for other content ({approval.digest[:12]}, {self.holder} has {self.content.digest[:12]})"
            )
        if self.policy.four_eyes and not approval.digest:
            return f"{by} names no content, and four eyes are asked for here: approve it in the console"
        if self.policy.four_eyes and not approval.expires:
            return f"{by} never expires, and four eyes are asked for here: approve it in the console"
        return ""

    @cached_property
    def approved_words(self) -> str:
        approval = self.approval
        if approval is None or self.approval_trouble:
            return self.approval_trouble or "not approved"
        reference = f" ({approval.reference})" if approval.reference else ""
        at = f" {self.say(approval.at)}" if approval.at else ""
        return f"approved by {approval.said_by(self.say(approval.expires))}{at}{reference}"

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        return tuple(t for o in self.observations for t in o.triggers)

    @cached_property
    def live_triggers(self) -> tuple[Trigger, ...]:
        """Those that will start it if nobody stops them, the next first; also those of a source out of reach."""
        live = [t for t in self.triggers if t.live]
        return tuple(sorted(live, key=lambda t: (t.next_fire or self.now, t.where)))

    def fires(self, trigger: Trigger) -> str:
        """When a live trigger fires, in words: `today 10:00 BST, in 12 min`."""
        return self.when_to_come(trigger.next_fire) or "when its machine starts"

    @cached_property
    def schedulers(self) -> tuple[Observation, ...]:
        """Sources that will start it by themselves and name no trigger for it."""
        return tuple(o for o in self.observations if o.says is Says.SCHEDULED and not o.triggers)

    @cached_property
    def over(self) -> bool:
        """It started once, or it was decided that it never will: nothing may start it any more."""
        return bool(self.starts or self.cancelled)

    @cached_property
    def max_run(self) -> timedelta:
        """Twice what a run of this audience at its rate takes, within the bounds of the policy."""
        counts, rate = self.run.counts if self.run else None, self.details.max_rate
        people = counts.total if counts and counts.total is not None else self.audience
        if not people or not rate:
            return self.policy.max_run
        return max(self.policy.min_max_run, 2 * timedelta(seconds=people / rate))

    def moved_since(self, approved_at: datetime | None) -> bool:
        """Whether a person gave it another due time after the approval. Under four eyes that doesn't count: one
        person's new time isn't what the other approved."""
        return not self.policy.four_eyes and any(
            o.decided and o.details.due and (approved_at is None or o.since is None or o.since >= approved_at)
            for o in self.observations
        )

    @cached_property
    def holds(self) -> tuple[Hold, ...]:
        return tuple(h for o in self.observations for h in o.holds)

    @cached_property
    def marked(self) -> Observation | None:
        """A person's word that it was executed."""
        return next((o for o in self.observations if o.decided and o.says is Says.SENT), None)

    @cached_property
    def closed(self) -> Observation | None:
        """A person's word that it is left as it is."""
        return next((o for o in self.observations if o.closed), None)

    @cached_property
    def cancelled(self) -> Observation | None:
        return next((o for o in self.observations if o.says is Says.CANCELLED), None)

    @cached_property
    def run(self) -> RunWord | None:
        """The run as the system that carries it tells it, else as anyone does."""
        for group in (self.carriers, self.observations):
            for o in group:
                if o.run and o.says in STARTS | {Says.CLAIMED}:
                    return o.run
        return None

    @cached_property
    def moved(self) -> datetime | None:
        instants = [
            instant
            for o in self.observations
            for instant in (o.since, *((o.run.progress_at, o.run.ended_at, o.run.started_at) if o.run else ()))
            if instant is not None and instant <= self.now
        ]
        return max(instants, default=None)

    @cached_property
    def starts(self) -> tuple[Observation, ...]:
        """Every word, fresh or not, that a run started: evidence of a start lasts."""
        return tuple(o for o in self.observations if o.says in STARTS)

    def live(self, says: Says) -> Observation | None:
        return next((o for o in self.fresh if o.says is says), None)

    def start_after(self, instant: datetime | None) -> Observation | None:
        for o in self.starts:
            started = (o.run.started_at if o.run else None) or o.since
            if instant and started and started > instant:
                return o
        return None

    def shortfall(self, ended: Observation) -> str:
        """In what an ended run differs from what was meant; "" when every count agrees."""
        counts = ended.run.counts if ended.run else None
        if counts is None:
            return ""
        if counts.unknown:
            return f"{say_counts(counts)}; {counts.unknown:,} may or may not have been accepted"
        if counts.failed or (counts.total is not None and counts.accepted != counts.total):
            return say_counts(counts)
        planned = ended.run.planned if ended.run else None
        # whoever was suppressed since the plan isn't missing; the runner counts those of before with them
        if planned is not None and counts.accepted + counts.suppressed < planned:
            return f"{counts.accepted:,} accepted, but {planned:,} were planned"
        for other in self.observations:
            theirs = other.run.counts if other.run else None
            if other is not ended and other.went_out and theirs and theirs.accepted != counts.accepted:
                return f"{counts.accepted:,} accepted, but {other.source} counts {theirs.accepted:,}"
        return ""


def say_counts(counts: Counts) -> str:
    """`1,587 of 2,601 accepted, 3 failed`."""
    of = f" of {counts.total:,}" if counts.total is not None and counts.total != counts.accepted else ""
    parts = [f"{counts.accepted:,}{of} accepted"]
    parts += [f"{number:,} {word}" for number, word in _others(counts) if number]
    return ", ".join(parts)


def _others(counts: Counts) -> tuple[tuple[int, str], ...]:
    return (
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.deferred, "deferred"),
        (counts.suppressed, "suppressed"),
    )


def _ranked(observations: tuple[Observation, ...]) -> tuple[Observation, ...]:
    """Decisions first, then systems that record, then carriers, each by name: the order they come in is lost."""

    def rank(o: Observation) -> tuple[bool, bool, str]:
        return (not o.decided, o.keeps_traces, o.source)

    if len({rank(o) for o in observations}) < len(observations):  # one source twice: any order, but always the same
        observations = tuple(sorted(observations, key=repr))
    return tuple(sorted(observations, key=rank))


def _fill(known: Details, more: Details) -> Details:
    """`known` with its gaps filled from `more`; problems are collected."""
    empty = Details()
    gaps = {
        f.name: getattr(more, f.name)
        for f in fields(Details)
        if getattr(known, f.name) == getattr(empty, f.name) and f.name not in ("problems", "extra")
    }
    return replace(known, **gaps, problems=known.problems + more.problems, extra={**more.extra, **known.extra})
