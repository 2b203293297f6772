"""What is: the statuses, each with the rule and the sentence it is told by. Pure.

They are tried in the order of RULES and the first that matches wins. A sentence names the sources it
rests on, and when what it tells of happened.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from opsconsole.case import Case, say_counts
from opsconsole.observation import MEMORY_SHORT, Observation, Says
from opsconsole.schedule import Moment, say_span


class Status(StrEnum):
    CONFLICT = "CONFLICT"
    IN_DOUBT = "IN DOUBT"
    STALLED = "STALLED"
    PAUSED = "PAUSED"
    SENDING = "SENDING"
    CLAIMED = "CLAIMED"
    PARTIAL = "PARTIAL"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    HELD = "HELD"
    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"
    OVERDUE = "OVERDUE"
    DUE = "DUE"
    PENDING = "PENDING"
    UNAPPROVED = "UNAPPROVED"
    ERROR = "ERROR"


Rule = Callable[[Case], str | None]


def _conflict(case: Case) -> str | None:
    if case.marked:
        return None
    if case.cancelled and (start := case.start_after(case.cancelled.since)):
        return (
            f"cancelled{case.when(case.cancelled.since)} {_by(case.cancelled)}, "
            f"yet {start.source} says it started{case.when(_started(start))}"
        )
    claims = [o for o in case.fresh if o.went_out]
    denials = [o for o in case.fresh if o.denies or o.says is Says.SCHEDULED]
    for claim in claims:
        for denial in denials:
            if denial.source != claim.source:
                return f"{_claims(case, claim)}; {_denies(case, denial)}{_still(case)}"
    return None


def _claims(case: Case, o: Observation) -> str:
    counts = f", {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    return f"{o.source} says it was sent{case.when(o.since)}{counts}"


def _denies(case: Case, o: Observation) -> str:
    if o.says is Says.FAILED:
        return f"{o.source} says it failed{case.when(o.since)}"
    if o.says is Says.CANCELLED:
        return f"{o.source} says it was cancelled{case.when(o.since)}"
    if o.says is Says.ENDED:
        return f"the run on {o.source} ended{case.when(o.since)}{_exit(o)}"
    if o.says is Says.SCHEDULED:
        return f"{o.source} has it scheduled{case.when(o.since)}"
    if o.says is Says.CLAIMED:
        return f"{o.source} holds a claim and has no trace of a start, asked{case.when(o.observed_at)}"
    return f"{o.source} has no trace of a run, asked{case.when(o.observed_at)}"


def _in_doubt(case: Case) -> str | None:
    if case.marked or case.closed:
        return None
    for o in case.observations:
        if o.says is Says.STARTED:
            # What it told last lags behind or runs ahead of the journal, which alone can tell (`doubt`).
            counts = f" {say_counts(o.run.counts)} by what it told last." if o.run and o.run.counts else ""
            note = f" {o.run.note[:1].upper()}{o.run.note[1:]}." if o.run and o.run.note else ""
            return (
                f"a run started{case.when(_started(o))} on {o.source}, no end is recorded and nothing is running: "
                f"it may have been sent.{counts}{note}"
            )
    return None


def _stalled(case: Case) -> str | None:
    o = case.live(Says.RUNNING)
    if o is None or o.run is None or o.run.waiting:
        return None
    last = o.run.progress_at or o.run.started_at
    if last is None or case.now - last < case.policy.stall_after:
        return None
    counts = f" at {say_counts(o.run.counts)}" if o.run.counts else ""
    still = say_span(case.now - last)
    words = f"running on {o.source}, but nothing has moved for {still}, since {case.say(last)},{counts}".rstrip(",")
    words += f"; {o.run.note}" if o.run.note else ""
    used = o.memory_used or 0.0
    return words + (f"; its memory is {used * 100:.0f} % used" if used >= MEMORY_SHORT else "")


def _paused(case: Case) -> str | None:
    o = case.live(Says.PAUSED)
    if o is None:
        return None
    last = case.when(o.run.progress_at) if o.run and o.run.progress_at else ""
    counts = f" after {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    return f"paused on {o.source}{counts}{f', last moved{last}' if last else ''}"


def _sending(case: Case) -> str | None:
    o = case.live(Says.RUNNING)
    if o is None:
        return None
    note = f"; {o.run.note}" if o.run and o.run.note else ""
    counts = f", {say_counts(o.run.counts)}" if o.run and o.run.counts else ""
    began = _started(o)
    return f"running on {o.source}{f' since {case.say(began)}' if began else ''}{counts}{note}"


def _claimed(case: Case) -> str | None:
    o = case.live(Says.CLAIMED)
    if o is None or case.marked or case.cancelled:
        return None
    at = case.when(o.run.claimed_at) if o.run else ""
    by = f" by {o.run.by}" if o.run and o.run.by else ""
    return f"claimed{at}{by} on {o.source} and not started: provably nothing was sent under this claim"


def _partial(case: Case) -> str | None:
    if case.marked:
        return None
    end = (
        " ".join(filter(None, ("; closed", case.say(case.closed.since), f"{_by(case.closed)}: {case.closed.note}")))
        if case.closed
        else ""
    )
    for o in case.observations:
        if o.says is Says.ENDED and o.went_out and (why := case.shortfall(o)):
            return f"ended{case.when(o.since)} on {o.source}: {why}{end}"
        if o.says is Says.STARTED and case.closed:
            counts = (
                f" {say_counts(o.run.counts)} by what it told last"
                if o.run and o.run.counts
                else " how far isn't known"
            )
            return f"broke off on {o.source}:{counts}{end}"
    return None


def _sent(case: Case) -> str | None:
    if case.marked:
        because = f": {case.marked.note}" if case.marked.note else ""
        return f"marked as executed{case.when(case.marked.since)} {_by(case.marked)}{because}"
    words = [o for o in case.observations if o.went_out]
    if not words or any(o.denies for o in case.fresh):
        return None
    ended = min(words, key=lambda o: (o.says is not Says.ENDED, not o.keeps_traces))
    others = [o.source for o in words if o is not ended]
    agree = f"; {' and '.join(others)} agree{'s' if len(others) == 1 else ''}" if others else ""
    counts = f", {say_counts(ended.run.counts)}" if ended.run and ended.run.counts else ""
    return f"sent{case.when(ended.since)} by the word of {ended.source}{counts}{agree}"


def _failed(case: Case) -> str | None:
    for o in case.observations:
        if o.says is Says.ENDED and not o.went_out:
            counts = o.run.counts if o.run else None
            if counts is None:
                reached = "and told no counts: how many were mailed isn't known"
            else:
                reached = "before anything was accepted" + (f" of {counts.total:,}" if counts.total else "")
            note = f"; {o.run.note}" if o.run and o.run.note else ""
            return f"a run ended{case.when(o.since)} on {o.source}{_exit(o)} {reached}{note}"
        if o.says is Says.FAILED:
            return f"{o.source} says it failed{case.when(o.since)}"
    return None


def _cancelled(case: Case) -> str | None:
    if case.cancelled is None:
        return None
    because = f": {case.cancelled.note}" if case.cancelled.note else ""
    return f"cancelled{case.when(case.cancelled.since)} {_by(case.cancelled)}{because}{_still(case)}"


def _held(case: Case) -> str | None:
    if not case.holds:
        return None
    hold = case.holds[0]
    since = f" since {case.say(hold.at)}" if hold.at else ""
    because = f"on hold ({hold.scope}) by {hold.by or 'nobody known'}{since}: {hold.reason or 'no reason given'}"
    return f"{because}{_still(case)}"


def _unknown(case: Case) -> str | None:
    if not case.observations:
        return "no source knows this campaign now"
    if not case.stale:
        return None
    parts = []
    for o in case.stale:
        since = o.out_of_reach_since or o.observed_at
        seen = f" since {case.say(since)}" if since else ""
        last = "" if o.says in (Says.NOTHING, Says.ABSENT) else f" (its last word: {o.says})"
        state = "is out of reach" if o.out_of_reach_since or o.trouble else "has not been heard"
        if since is None and not o.trouble:
            state = "has not answered yet"
        parts.append(f"{o.source} {state}{seen}{last}")
    return f"{'; '.join(parts)}: a start there would not be seen{_still(case)}"


def _expired(case: Case) -> str | None:
    if case.moment is not Moment.EXPIRED or case.details.due is None or case.latest is None:
        return None
    late = say_span(case.now - case.details.due.instant)
    words = f"{case.approved_words}, never started{_witness(case)}; overdue by {late}"
    return f"{words}, too late since {case.say(case.latest)}{_starter(case)}"


def _overdue(case: Case) -> str | None:
    if case.moment is not Moment.LATE or case.approval_trouble or case.details.due is None:
        return None
    due = case.say(case.details.due.instant)
    return f"{case.approved_words}, never started{_witness(case)}; due {due}{_starter(case)}"


def _due(case: Case) -> str | None:
    if case.moment is not Moment.DUE or case.approval_trouble or case.details.due is None:
        return None
    since = case.say(case.details.due.instant)
    return f"{case.approved_words}, due now, not started{_witness(case)}; due since {since}{_starter(case)}"


def _pending(case: Case) -> str | None:
    if case.approval_trouble:
        return None
    if case.details.due is None:
        return f"{case.approved_words}, but no due time is known{_starter(case)}"
    return f"{case.approved_words}, due {case.when_to_come(case.details.due.instant)}{_starter(case)}"


def _unapproved(case: Case) -> str:
    words = case.approval_trouble or "not approved"
    return (
        f"{words}; due {case.when_to_come(case.details.due.instant)}{_still(case)}" if case.details.due else words
    )


def _witness(case: Case) -> str:
    """By whose word it never started: that of the carriers, who would know."""
    names = [o.source for o in case.carriers if o.denies]
    return f" by the word of {' and '.join(names)}" if names else ""


def _starter(case: Case) -> str:
    return _still(case) or "; nothing will start it"


def _still(case: Case) -> str:
    """What will start it if nobody stops it, and how long that leaves."""
    if not case.live_triggers:
        return ""
    first = case.live_triggers[0]
    return f"; {first.where} starts it {case.fires(first)}"


def _by(o: Observation) -> str:
    return f"by {o.run.by}" if o.run and o.run.by else f"on {o.source}"


def _exit(o: Observation) -> str:
    return f" with exit code {o.run.rc}" if o.run and o.run.rc is not None else ""


def _started(o: Observation) -> datetime | None:
    return (o.run.started_at if o.run else None) or o.since


RULES: tuple[tuple[Status, Rule], ...] = (
    (Status.CONFLICT, _conflict),
    (Status.IN_DOUBT, _in_doubt),
    (Status.STALLED, _stalled),
    (Status.PAUSED, _paused),
    (Status.SENDING, _sending),
    (Status.CLAIMED, _claimed),
    (Status.PARTIAL, _partial),
    (Status.SENT, _sent),
    (Status.FAILED, _failed),
    (Status.CANCELLED, _cancelled),
    (Status.HELD, _held),
    (Status.UNKNOWN, _unknown),
    (Status.EXPIRED, _expired),
    (Status.OVERDUE, _overdue),
    (Status.DUE, _due),
    (Status.PENDING, _pending),
    (Status.UNAPPROVED, _unapproved),
)
