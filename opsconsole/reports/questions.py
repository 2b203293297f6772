"""What a report leaves open: computed from the facts, so that nobody has to remember to ask. Pure."""

from collections.abc import Iterator
from datetime import timedelta

from opsconsole.case import say_counts
from opsconsole.deeds import say_item
from opsconsole.observation import Counts, Observation, Says, Trigger
from opsconsole.reports.facts import IncidentFacts
from opsconsole.reports.model import person, say_full
from opsconsole.schedule import say_span
from opsconsole.verdict import Group, Status

LATE = timedelta(minutes=10)
NEVER_STARTED = (Status.OVERDUE, Status.EXPIRED)


def questions(facts: IncidentFacts) -> tuple[str, ...]:
    """What must be answered first comes first."""
    found = (
        *_which_is_right(facts),
        *_who_got_it(facts),
        *_intents(facts),
        *_blind(facts),
        *_never_started(facts),
        *_late(facts),
        *_on_a_word(facts),
        *_triggers(facts),
        *_counts(facts),
        *_foreign(facts),
        *_told(facts),
        *_held(facts),
        *_store(facts),
        *_unread(facts),
    )
    return tuple(dict.fromkeys(found))


def _zone(facts: IncidentFacts) -> str:
    return facts.verdict.details.zone


def _which_is_right(facts: IncidentFacts) -> Iterator[str]:
    if facts.verdict.status is Status.CONFLICT:
        yield f"Which of them is right? {facts.verdict.why}."


def _who_got_it(facts: IncidentFacts) -> Iterator[str]:
    verdict = facts.verdict
    counts = verdict.run.counts if verdict.run else None
    if verdict.status is Status.IN_DOUBT:
        yield "Who got it? The run broke off; only its journal can tell (opsconsole doubt)."
    if counts is not None and counts.unknown:
        yield f"Did the {counts.unknown:,} unknown recipients get it? Nobody mails them again before that is known."
    if counts is not None and counts.failed:
        yield f"Are the {counts.failed:,} recipients that failed to be reached in another way?"


def _intents(facts: IncidentFacts) -> Iterator[str]:
    for record in facts.open_intents:
        about = f" of {record.campaign}" if record.campaign else ""
        yield (
            f"What came of record {record.seq}, {record.action}{about} by {person(record.operator)} at "
            f"{say_full(record.utc, _zone(facts))}? It has no outcome. Look; nothing is repeated."
        )


def _blind(facts: IncidentFacts) -> Iterator[str]:
    at = facts.setting.at
    for o in facts.verdict.observations:
        if o.is_fresh(at):
            continue
        since = o.out_of_reach_since or o.observed_at
        seen = f" since {say_full(since, _zone(facts))}" if since else ", which never answered"
        because = f": {o.trouble}" if o.trouble else "."
        yield f"What happened on {o.source}{seen}? It can't be seen from here{because}"


def _live(o: Observation) -> tuple[Trigger, ...]:
    return tuple(t for t in o.triggers if t.sends and t.next_fire and not t.ignored_because and not t.off)


def _never_started(facts: IncidentFacts) -> Iterator[str]:
    verdict = facts.verdict
    if verdict.status not in NEVER_STARTED:
        return
    triggers = [t for o in verdict.observations for t in o.triggers]
    if not triggers:
        yield "Who was to start it? Nothing that was seen was set up to, before the due time or after it."
    for t in triggers:
        if t.ignored_because or t.off:
            yield f"Who noticed that {t.where} doesn't start it ({t.ignored_because or 'switched off'})?"
    if verdict.status is Status.EXPIRED:
        yield "Is it still worth sending? It is too late for this plan: reschedule it, call it off, or mark it."
    else:
        yield "Is it to be sent now, moved, or called off? Nobody has decided."


def _late(facts: IncidentFacts) -> Iterator[str]:
    """It went out, but not when it was to."""
    run, due = facts.verdict.run, facts.verdict.details.due
    if run is None or run.started_at is None or due is None or run.started_at - due.instant < LATE:
        return
    triggers = [t for o in facts.verdict.observations for t in o.triggers if t.sends]
    because = "" if triggers else " Nothing that was seen was set up to start it."
    yield f"Why was it started {say_span(run.started_at - due.instant)} after it was due?{because}"


def _on_a_word(facts: IncidentFacts) -> Iterator[str]:
    """Somebody's word that it went out, which no source bears out."""
    for o in facts.verdict.observations:
        if o.decided and o.says is Says.SENT and not any(e.went_out for e in _others(facts, o)):
            by = person(o.run.by) if o.run else o.source
            yield f"What does the mail provider count? It stands as sent on the word of {by} alone."


def _others(facts: IncidentFacts, one: Observation) -> Iterator[Observation]:
    """Those that know by themselves: who was told of it by us only repeats it."""
    return (o for o in facts.verdict.observations if o is not one and not o.records and not o.decided)


def _triggers(facts: IncidentFacts) -> Iterator[str]:
    verdict = facts.verdict
    over = verdict.group is Group.DONE or any(
        f.code in ("fires-again", "scheduled-twice") for f in verdict.findings
    )
    for o in verdict.observations if over else ():
        for t in _live(o):
            at = say_full(t.next_fire, _zone(facts))
            yield f"Is {t.where} on {o.source} to fire again at {at}? Nobody took it out."


def _counts(facts: IncidentFacts) -> Iterator[str]:
    told: list[tuple[str, Counts]] = []
    for o in facts.verdict.observations:
        if o.run is None:
            continue
        if o.run.counts is not None:
            told.append((o.source, o.run.counts))
        elif o.says is Says.ENDED:
            yield f"How many were mailed? {o.source} recorded the end and no counts."
    if len({(c.accepted, c.failed + c.unknown) for _, c in told}) > 1:
        words = "; ".join(f"{source}: {say_counts(counts)}" for source, counts in told)
        yield f"Why do the counts differ? {words}."
    if any(f.code == "count-mismatch" for f in facts.verdict.findings):
        yield "Which audience was meant? " + " ".join(
            f"{f.text}." for f in facts.verdict.findings if f.code == "count-mismatch"
        )


def _foreign(facts: IncidentFacts) -> Iterator[str]:
    if any(f.code == "foreign-run" for f in facts.verdict.findings):
        by = f", but by {facts.verdict.run.by}" if facts.verdict.run and facts.verdict.run.by else ""
        yield f"Who started the run, and on whose word? It wasn't started from here{by}."


def _told(facts: IncidentFacts) -> Iterator[str]:
    waiting = [item for item in facts.past.items if item.done_utc is None]
    for item in waiting:
        if not item.destination.startswith("anchor:"):
            yield f"Who tells {item.destination}? {say_item(item, facts.setting.at)[1]}."
    if not waiting:
        for f in facts.verdict.findings:
            if f.code == "executed-not-recorded":
                yield f"Who records it? {f.text}."


def _held(facts: IncidentFacts) -> Iterator[str]:
    for o in facts.verdict.observations:
        for h in o.holds:
            yield f"Until when is it held? {h.scope} by {person(h.by)}: {h.reason}"


def _unread(facts: IncidentFacts) -> Iterator[str]:
    for said in facts.past.unread:
        if not (facts.store_trouble and facts.store_trouble in said):  # asked already
            yield f"What does this say? It could not be looked at: {said}"


def _store(facts: IncidentFacts) -> Iterator[str]:
    if facts.chain.whole is False:
        yield f"Who changed the audit store? {facts.chain.why}."
    elif facts.store_trouble:
        yield f"What was done and couldn't be recorded? {facts.store_trouble}"
