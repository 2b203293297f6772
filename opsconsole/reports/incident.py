"""The incident report: one campaign, for somebody who wasn't there. Facts in, model out. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from opsconsole import actions
from opsconsole.case import STARTS, say_counts
from opsconsole.deeds import say_digest, say_item, say_record
from opsconsole.digests import parts, short
from opsconsole.observation import Observation
from opsconsole.reports.facts import IncidentFacts
from opsconsole.reports.model import (
    Model,
    Section,
    chain_pairs,
    finished,
    person,
    say_clock,
    say_full,
    say_heard,
    say_zones,
    tone_of,
)
from opsconsole.reports.questions import questions
from opsconsole.runlog import say_duration
from opsconsole.schedule import say_clocks, say_distance
from opsconsole.timeline import CONSOLE, Entry, timeline
from opsconsole.verdict import Group, Status, Verdict

BY_ITSELF = frozenset({"send-started", "report"})
"""Records that tell of no deed of their own."""


def incident_model(facts: IncidentFacts) -> Model:
    """The same facts give the same model."""
    verdict, at = facts.verdict, facts.setting.at
    details = verdict.details
    due = details.due
    words = f"{say_clocks(due.instant, details.zone, facts.setting.local_zone)}, {_distance(facts)}" if due else ""
    approval = verdict.approval
    approved = (
        f"{person(approval.said_by())} at {say_zones(approval.at, details.zone)}"
        + (f" ({approval.reference})" if approval.reference else "")
        + ("" if approval in verdict.approvals else "; it doesn't count for what lies there now")
        if approval
        else "nobody"
    )
    steps = ", ".join(actions.BY_ID[s].label for s in verdict.next_steps if s in actions.BY_ID)
    return finished(
        Model(
            title=f"Incident report: {verdict.slug}",
            environment=facts.setting.environment,
            danger=facts.setting.danger,
            tone=tone_of(verdict),
            lead=str(verdict.status),
            sentence=_sentence(verdict.why),
            about=(
                ("Who got it", reached(facts)),
                ("Campaign", " · ".join(w for w in (details.name, details.subject) if w)),
                ("Due", words or "no due time is known"),
                ("Latest start", say_zones(verdict.latest_start, details.zone) if verdict.latest_start else ""),
                ("Audience", f"{verdict.audience:,} people" if verdict.audience is not None else "not known"),
                ("Approved by", approved),
                ("Owner", details.owner),
                (
                    "Series",
                    f"{details.series}, round {details.round or '?'} of {details.rounds or '?'}"
                    * bool(details.series),
                ),
                ("Can be done now", steps or "nothing is needed"),
                ("As of", f"{say_zones(at, details.zone)}, the newest look at the sources"),
            ),
            sections=(
                _open(facts),
                _findings(facts),
                _done(facts),
                _timeline(facts),
                _evidence(facts),
                _run(facts),
                _content(facts),
                _delivery(facts),
                _record(facts),
            ),
            foot=f"Gathered by opsconsole for {person(facts.setting.operator)}. Nothing was sent or changed by it.",
            stem=verdict.slug,
        )
    )


def reached(facts: IncidentFacts) -> str:
    """What the people it was meant for got, in one sentence."""
    verdict, at = facts.verdict, facts.setting.at
    counts = verdict.run.counts if verdict.run else None
    audience = verdict.audience
    of = f" of {audience:,}" if audience is not None else ""
    if counts is not None:
        left = max((counts.total or audience or 0) - counts.settled, 0)
        more = [f"{n:,} {w}" for n, w in ((counts.failed, "failed"), (counts.unknown, "may or may not have")) if n]
        rest = [f"{left:,} {_of_the_rest(verdict)}"] if left else []
        # The log of a run that broke off lags behind: it proves who was mailed, and of nobody the contrary.
        least = "" if _ended(verdict) or _live(verdict) else "At least "
        return least + "; ".join((f"{counts.accepted:,}{of} were accepted by the mail server", *more, *rest)) + "."
    words = [o for o in verdict.observations if o.says in STARTS]
    if not words:
        blind = [o.source for o in verdict.observations if o.keeps_traces and not o.is_fresh(at)]
        if blind:
            return f"Not known: {', '.join(blind)} can't be seen. No source that answers knows of a start."
        return f"Nobody{of}: no source knows of a start."
    if all(o.decided or o.records for o in words):
        return f"Not proven: a person says that it went out{f' to {audience:,}' if audience is not None else ''}."
    return "Not counted: a run is known, and nobody told how many it reached."


def _of_the_rest(verdict: Verdict) -> str:
    """What is known of those whom the counts don't tell of."""
    if _live(verdict):
        return "are still to come"
    return "were not handed over" if _ended(verdict) else "more nobody knows of: see who got it"


def _live(verdict: Verdict) -> bool:
    return verdict.group is Group.IN_FLIGHT or verdict.status is Status.STALLED


def _ended(verdict: Verdict) -> bool:
    return verdict.status is not Status.IN_DOUBT and verdict.run is not None and verdict.run.ended_at is not None


def _distance(facts: IncidentFacts) -> str:
    due = facts.verdict.details.due
    assert due is not None
    words = say_distance(due.instant, facts.setting.at)
    return f"{words[1:]} ago" if words.startswith("+") else words


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _open(facts: IncidentFacts) -> Section:
    asked = questions(facts)
    return Section(
        title="Open questions",
        heads=("", "Question"),
        rows=tuple((str(n), text) for n, text in enumerate(asked, 1)),
        nothing="None: every source answered and they agree.",
    )


def _findings(facts: IncidentFacts) -> Section:
    """What is wrong. That something sent is not to be sent again is no news of it."""
    weights = {"block": "forbids a send", "warn": "warning", "info": "to know"}
    over = facts.verdict.status is Status.SENT
    rows = tuple(
        (f.code, weights.get(str(f.severity), str(f.severity)), "; ".join((f.text, *f.evidence)))
        for f in facts.verdict.findings
        if not (over and f.code == "already-started")
    )
    return Section(title="Findings", heads=("Finding", "Weight", "What"), rows=rows, nothing="Nothing is wrong.")


def _done(facts: IncidentFacts) -> Section:
    """Every deed with its reason, and what came of it."""
    zone = facts.verdict.details.zone
    came = {r.ref: say_record(r)[1] for r in facts.past.records if r.ref is not None}
    rows = [
        (
            say_full(r.utc, zone),
            person(r.operator),
            say_record(r)[1],
            f"“{r.reason}”" if r.reason else "–",
            f"→ {came[r.seq]}" if r.seq in came else "–",
        )
        for r in facts.past.records
        if str(r.phase) != "outcome" and r.action not in BY_ITSELF
    ]
    return Section(
        title="What was done, by whom and why",
        heads=("When", "Who", "What", "Why", "What came of it"),
        rows=tuple(rows),
        nothing="Nothing was done about it from this console.",
    )


def _timeline(facts: IncidentFacts) -> Section:
    zone, at = facts.verdict.details.zone, facts.setting.at
    rows: list[tuple[str, ...]] = []
    told = False
    for e in timeline(facts.verdict, facts.past, at):
        if e.at is None:
            continue
        if e.at > at and not told:
            rows.append(_now(facts, "; what follows is to come"))
            told = True
        rows.append(
            (say_full(e.at, zone), f"{e.at:%H:%M:%S}", e.source, person(e.who) if e.who else "–", _what(e, zone))
        )
    if not told:
        rows.append(_now(facts))
    return Section(
        title="Timeline",
        text=("Every instant is the true one: what a clock was off has been taken off, and is named beside it.",),
        heads=("When", "UTC", "Source", "Who", "What"),
        rows=tuple(rows),
    )


def _now(facts: IncidentFacts, more: str = "") -> tuple[str, ...]:
    at = facts.setting.at
    return (
        say_full(at, facts.verdict.details.zone),
        f"{at:%H:%M:%S}",
        "report",
        "–",
        f"◆ the report speaks of this instant{more}",
    )


def _what(e: Entry, zone: str) -> str:
    why = f" “{e.why}”" if e.why else ""
    record = f" (record {e.record})" if e.record else ""
    raw = ""
    if e.raw is not None and e.offset is not None:
        raw = f" (its clock said {say_full(e.raw, zone)}, {say_clock(e.offset).removeprefix('clock ')})"
    return f"{e.mark} {e.text}{why}{record}{raw}"


def _evidence(facts: IncidentFacts) -> Section:
    return Section(
        title="What each source says",
        heads=("Source", "Heard", "Word", "Evidence"),
        rows=tuple(_source(facts, o) for o in facts.verdict.observations),
        nothing="No source knows this campaign now.",
    )


def _source(facts: IncidentFacts, o: Observation) -> tuple[str, ...]:
    offset = o.clock_offset
    heard = [say_heard(o.observed_at, facts.setting.at)]
    if o.out_of_reach_since:
        heard.append(f"out of reach since {say_zones(o.out_of_reach_since, facts.verdict.details.zone)}")
    if o.source != CONSOLE:
        heard.append(say_clock(offset))
    said = [str(o.says), *([o.note] if o.note else []), *([o.reference] if o.reference else [])]
    lines = [f"{e.letter}{e.mark} {e.label}: {e.text}" for e in o.evidence]
    lines += [o.trouble] if o.trouble else []
    return o.source, ", ".join(heard), ", ".join(said), "; ".join(lines) or "nothing"


def _run(facts: IncidentFacts) -> Section:
    verdict = facts.verdict
    run, zone = verdict.run, verdict.details.zone
    if run is None or not (run.run_id or run.claimed_at or run.started_at or run.ended_at):
        return Section(title="The run", nothing="No source knows of a run.")
    took = ""
    if run.started_at and run.ended_at:
        took = say_duration((run.ended_at - run.started_at).total_seconds())
    late = ""
    if run.started_at and verdict.details.due:
        off = run.started_at - verdict.details.due.instant
        late = f", {say_distance(verdict.details.due.instant, run.started_at)[1:]} after it was due" * (
            off > timedelta(0)
        )
    counts = tuple(
        (o.source, say_counts(o.run.counts), say_heard(o.observed_at, facts.setting.at))
        for o in verdict.observations
        if o.run and o.run.counts
    )
    return Section(
        title="The run",
        pairs=(
            ("Run", f"{run.run_id or 'without an id'}, attempt {run.attempt}"),
            ("Started by", person(run.by)),
            ("Claimed", say_zones(run.claimed_at, zone) if run.claimed_at else ""),
            ("Started", f"{say_zones(run.started_at, zone)}{late}" if run.started_at else "not known"),
            ("Last moved", say_zones(run.progress_at, zone) if run.progress_at and not run.ended_at else ""),
            ("Ended", say_zones(run.ended_at, zone) if run.ended_at else "no end is recorded"),
            ("Took", took),
            ("Exit code", str(run.rc) if run.rc is not None else ""),
            ("Planned for", f"{run.planned:,}" if run.planned is not None else ""),
            ("Note", run.note),
        ),
        heads=("Counted by", "How many", "Heard"),
        rows=counts,
    )


def _content(facts: IncidentFacts) -> Section:
    """What was rehearsed, planned, and lies there now: the same digits are the same content."""
    plan, dry_run = _newest(facts, "send") or _newest(facts, "plan"), _newest(facts, "dry-run")
    document = plan.get("plan") if plan else None
    planned = document if isinstance(document, Mapping) else {}
    zone = facts.verdict.details.zone
    word = next((o for o in facts.verdict.observations if o.keeps_traces and o.content), None)
    content, holder = (word.content, word.source) if word else (None, "its carrier")
    there = dict(content.digests) if content else {}
    pairs = [(f"On {holder} now", f"{short(content.digest)}, {_rows(content.rows)}" if content else "not seen")]
    rehearsed: Mapping[str, str] = {}
    if dry_run:
        digests, audience = dry_run.get("digests"), dry_run.get("audience")
        rehearsed = digests if isinstance(digests, Mapping) else {}
        passed = "passed" if dry_run.get("ok") is True else "failed"
        pairs.append(("Dry run", f"{passed}, {_rows(audience)}, {_stamp(dry_run.get('at'), zone)}"))
    if planned and plan:
        expires = f", until {_stamp(planned.get('expires_at'), zone)}"
        by = person(str(planned.get("planned_by", "")))
        pairs.append(
            ("Plan", f"{say_digest(plan.get('digest'))} by {by}, {_rows(planned.get('audience'))}{expires}")
        )
    digests = planned.get("digests")
    of_plan = digests if isinstance(digests, Mapping) else {}
    rows = tuple(
        (
            name,
            short(there.get(name, "")),
            say_digest(rehearsed.get(name)),
            say_digest(of_plan.get(part)),
        )
        for name, part in parts(there, rehearsed).items()
        if name in there or name in rehearsed or of_plan.get(part)
    )
    window = facts.verdict.details.window
    pairs.append(("May be sent", f"{window} {zone}" if window else ""))
    dashes = tuple(tuple("–" if cell == "missing" else cell for cell in row) for row in rows)
    return Section(
        title="Content, dry run and plan",
        pairs=tuple(pairs),
        heads=("Part", "There now", "Rehearsed", "Planned"),
        rows=dashes,
        labelled=True,
    )


def _stamp(text: object, zone: str) -> str:
    """An instant as a record holds it, in words; as it is when it can't be read."""
    try:
        return say_zones(datetime.fromisoformat(str(text)).astimezone(UTC), zone)
    except ValueError:
        return str(text)


def _rows(count: object) -> str:
    return f"{count:,} people" if isinstance(count, int) else "nobody counted"


def _newest(facts: IncidentFacts, action: str) -> Mapping[str, object] | None:
    found = [r.detail for r in facts.past.records if r.action == action and str(r.phase) != "outcome"]
    return found[-1] if found else None


def _delivery(facts: IncidentFacts) -> Section:
    """Who was told, and who wasn't; of the copies of the head only how many."""
    zone, at = facts.verdict.details.zone, facts.setting.at
    plain = [item for item in facts.past.items if not item.destination.startswith("anchor:")]
    rows = tuple(
        (item.destination, say_full(item.done_utc or item.created_utc, zone), say_item(item, at)[1])
        for item in plain
    )
    copies = [item for item in facts.past.items if item.destination.startswith("anchor:")]
    waits = sum(item.done_utc is None for item in copies)
    kept = f"Copies of the audit head kept elsewhere: {len(copies) - waits}"
    text = (f"{kept}{f', waiting to be: {waits}' if waits else ''}.",) if copies else ()
    return Section(
        title="Who was told", text=text, heads=("Whom", "When", "What"), rows=rows, nothing="Nobody had to be told."
    )


def _record(facts: IncidentFacts) -> Section:
    chain = facts.chain
    pairs = chain_pairs(chain.seq, chain.mac, chain.whole, chain.why)
    return Section(title="The record", pairs=(*pairs, ("Trouble", facts.store_trouble)))
