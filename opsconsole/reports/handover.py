"""The hand-over: the whole board for the next shift, what needs somebody first. Facts in, model out. Pure."""

from collections.abc import Iterable

from opsconsole import actions
from opsconsole.case import say_counts
from opsconsole.deeds import is_deed, say_item, say_record
from opsconsole.observation import Hold, Trigger
from opsconsole.reports.facts import ShiftFacts
from opsconsole.reports.model import Model, Section, chain_pairs, finished, person, say_full, say_heard, say_zones
from opsconsole.schedule import say_distance, say_span
from opsconsole.verdict import Group, Verdict

MOST = 200
"""Rows of one table; of more only the number is told."""


def handover_model(facts: ShiftFacts) -> Model:
    """The same facts give the same model."""
    board, setting = facts.board, facts.setting
    counts = board.counts()
    needed, blind = counts[Group.ATTENTION], [s.name for s in board.sources if not s.fresh]
    words = ", ".join(f"{str(group).lower()} {count}" for group, count in counts.items())
    unseen = f" {', '.join(blind)} can't be seen, so nothing said of it is sure." if blind else ""
    calm = "Nothing needs anybody now" if not needed else f"{needed} {'needs' if needed == 1 else 'need'} somebody"
    return finished(
        Model(
            title="Hand-over",
            environment=setting.environment,
            danger=setting.danger,
            tone="bad" if needed or blind else "fine",
            lead=f"{needed} in trouble" if needed else "all calm",
            sentence=f"{calm}; of {len(board.verdicts)} campaigns: {words}.{unseen}",
            about=(
                ("As of", f"{say_zones(setting.at, setting.local_zone)}, the newest look at the sources"),
                ("Looks back", say_span(facts.back)),
                ("Looks ahead", say_span(facts.ahead)),
            ),
            sections=(
                _attention(facts),
                _open(facts),
                _in_flight(facts),
                _due(facts),
                _holds(facts),
                _decided(facts),
                _waiting(facts),
                _sources(facts),
                Section(
                    title="The record",
                    pairs=(
                        *chain_pairs(facts.chain.seq, facts.chain.mac, facts.chain.whole, facts.chain.why),
                        ("Trouble", facts.store_trouble),
                    ),
                ),
            ),
            foot=f"Gathered by opsconsole for {person(setting.operator)}. Nothing was sent or changed by it.",
            stem="hand-over",
        )
    )


def _table(
    title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], nothing: str, more: str = ""
) -> Section:
    found = tuple(rows)
    text = (f"{len(found) - MOST:,} more are left out here.",) if len(found) > MOST else ()
    return Section(
        title=title, text=(*text, *([more] if more else [])), heads=heads, rows=found[:MOST], nothing=nothing
    )


def _attention(facts: ShiftFacts) -> Section:
    rows = (
        (v.slug, str(v.status), _audience(v), f"{v.why}{_beside(v)}", _steps(v))
        for v in facts.board.group(Group.ATTENTION)
    )
    heads = ("Campaign", "Status", "Audience", "Why", "What can be done")
    return _table("Needs attention", heads, rows, "Nothing.")


def _beside(verdict: Verdict) -> str:
    """What else calls for somebody, where the status alone wouldn't."""
    alarms = [f.text for f in verdict.findings if f.alarm]
    return f". {'; '.join(alarms)}" if alarms else ""


def _steps(verdict: Verdict) -> str:
    steps = (actions.BY_ID[s] for s in verdict.next_steps if s in actions.BY_ID)
    return ", ".join(f"{a.label} [{a.key}]" if a.key else a.label for a in steps) or "look"


def _audience(verdict: Verdict) -> str:
    return f"{verdict.audience:,}" if verdict.audience is not None else "not known"


def _in_flight(facts: ShiftFacts) -> Section:
    rows = (
        (
            v.slug,
            str(v.status),
            say_counts(v.run.counts) if v.run and v.run.counts else "nobody counted",
            f"moved {say_heard(v.moved, facts.setting.at)}" if v.moved else "not known",
            v.why,
        )
        for v in facts.board.group(Group.IN_FLIGHT)
    )
    return _table("In flight", ("Campaign", "Status", "How far", "Moved", "Why"), rows, "No run is going.")


def _due(facts: ShiftFacts) -> Section:
    at, until = facts.setting.at, facts.setting.at + facts.ahead
    coming = sorted(
        (v for v in facts.board.verdicts if v.details.due and at < v.details.due.instant <= until),
        key=lambda v: (v.details.due.instant if v.details.due else at, v.slug),
    )
    rows = (
        (
            say_full(v.details.due.instant, v.details.zone),
            say_distance(v.details.due.instant, at),
            v.slug,
            str(v.status),
            _audience(v),
            _starter(v),
        )
        for v in coming
        if v.details.due
    )
    heads = ("Due", "When", "Campaign", "Status", "Audience", "What starts it")
    return _table(f"Due within {say_span(facts.ahead)}", heads, rows, "Nothing is due.")


def _starter(verdict: Verdict) -> str:
    if verdict.group is Group.DONE:
        return "it is done"
    live: list[Trigger] = [
        t
        for o in verdict.observations
        for t in o.triggers
        if t.sends and t.next_fire and not t.ignored_because and not t.off
    ]
    if not live:
        return "nothing: somebody has to send it"
    return "; ".join(f"{t.where} at {say_full(t.next_fire, verdict.details.zone)}" for t in live)


def _holds(facts: ShiftFacts) -> Section:
    """Each once, with all places that know of it: the record, and the hosts that obey it."""
    found: dict[tuple[str, str, str], list[Hold]] = {}
    for h in dict.fromkeys(h for v in facts.board.verdicts for o in v.observations for h in o.holds):
        found.setdefault((h.scope, h.by, h.reason), []).append(h)
    zone = facts.setting.local_zone
    rows = (
        (
            scope,
            person(by),
            say_full(min((h.at for h in holds if h.at), default=None), zone),
            " and ".join(sorted({h.where for h in holds})),
            reason or "no reason given",
        )
        for (scope, by, reason), holds in sorted(found.items())
    )
    return _table("Holds", ("What", "By", "Since", "Where", "Why"), rows, "Nothing is held.")


def _decided(facts: ShiftFacts) -> Section:
    zone = facts.setting.local_zone
    came = {r.ref: say_record(r)[1] for r in facts.records if r.ref is not None}
    rows = (
        (
            say_full(r.utc, zone),
            person(r.operator),
            r.campaign or "–",
            say_record(r)[1] + (f": {came[r.seq]}" if r.seq in came else ""),
            r.reason or "–",
        )
        for r in facts.records
        if is_deed(r)
    )
    heads = ("When", "Who", "Campaign", "What", "Why")
    return _table(f"Decided in the last {say_span(facts.back)}", heads, rows, "Nobody decided anything.")


def _open(facts: ShiftFacts) -> Section:
    zone = facts.setting.local_zone
    rows = (
        (f"record {r.seq}", say_full(r.utc, zone), person(r.operator), r.action, r.campaign or "–")
        for r in facts.open_intents
    )
    heads = ("Which", "When", "Who", "What", "Campaign")
    more = (
        "No outcome is recorded of these. Look at each; nothing is repeated by itself."
        if facts.open_intents
        else ""
    )
    return _table("Left open", heads, rows, "Nothing: everything that was begun has a recorded end.", more)


def _waiting(facts: ShiftFacts) -> Section:
    rows = (
        (
            item.destination,
            say_full(item.created_utc, facts.setting.local_zone),
            say_item(item, facts.setting.at)[1],
        )
        for item in facts.waiting
    )
    return _table("Not told yet", ("Whom", "Since", "What"), rows, "Everybody who had to be told was told.")


def _sources(facts: ShiftFacts) -> Section:
    rows = (
        (
            s.name,
            "answers" if s.fresh else "CAN'T BE SEEN",
            say_heard(s.answered_at, facts.setting.at),
            "; ".join(w for w in (s.trouble, *s.findings, *(f"unknown entry {f}" for f in s.foreign)) if w)
            or "nothing",
        )
        for s in facts.board.sources
    )
    return _table("Sources", ("Source", "State", "Heard", "What is wrong"), rows, "No source is configured.")
