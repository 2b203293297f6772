"""Verdicts, boards and records as plain JSON values and as lines of text: one form for every command. Pure."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from opsconsole.board import Board
from opsconsole.observation import Going, Observation
from opsconsole.schedule import say_distance, say_instant, say_span
from opsconsole.verdict import Status, Verdict

_CALM = frozenset({Status.PENDING, Status.DUE, Status.SENDING, Status.CANCELLED, Status.UNAPPROVED})


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """All of a verdict; instants as ISO texts in UTC."""
    details, run = verdict.details, verdict.run
    return {
        "slug": verdict.slug,
        "status": str(verdict.status),
        "group": str(verdict.group),
        "why": verdict.why,
        "name": details.name,
        "subject": details.subject,
        "series": details.series,
        "round": details.round,
        "rounds": details.rounds,
        "owner": details.owner,
        "due": _iso(details.due.instant if details.due else None),
        "due_local": details.due.text if details.due else None,
        "zone": details.zone or None,
        "latest_start": _iso(verdict.latest_start),
        "audience": verdict.audience,
        "approval": _approval(verdict),
        "findings": [
            {"code": f.code, "severity": str(f.severity), "text": f.text, "evidence": list(f.evidence)}
            for f in verdict.findings
        ],
        "next": list(verdict.next_steps),
        "moved": _iso(verdict.moved),
        "run": {
            "run_id": run.run_id,
            "attempt": run.attempt,
            "by": run.by,
            "started_at": _iso(run.started_at),
            "ended_at": _iso(run.ended_at),
            "rc": run.rc,
            "counts": asdict(run.counts) if run.counts else None,
            "rate": run.rate,
            "eta_s": run.eta_s,
            "going": going_json(run.going),
        }
        if run
        else None,
        "sources": [source_json(o) for o in verdict.observations],
    }


def going_json(going: Going) -> dict[str, Any]:
    """How a run goes, by its runner's newest line; None and "" where that doesn't tell."""
    return {**asdict(going), "classes": dict(going.classes), "controls": list(going.controls)}


def source_json(o: Observation) -> dict[str, Any]:
    return {
        "source": o.source,
        "says": str(o.says),
        "since": _iso(o.since),
        "observed_at": _iso(o.observed_at),
        "out_of_reach_since": _iso(o.out_of_reach_since),
        "trouble": o.trouble,
        "link": o.link,
        "evidence": [
            {"letter": e.letter, "label": e.label, "mark": str(e.mark), "text": e.text, "at": _iso(e.at)}
            for e in o.evidence
        ],
        "triggers": [
            {
                "where": t.where,
                "text": t.text,
                "next_fire": _iso(t.next_fire),
                "previous_fire": _iso(t.previous_fire),
                "ignored_because": t.ignored_because,
                "live": t.live,
                "off": t.off,
            }
            for t in o.triggers
        ],
    }


def board_json(board: Board) -> dict[str, Any]:
    return {
        "at": board.at.isoformat(),
        "groups": {str(group): count for group, count in board.counts().items()},
        "sources": [
            {
                "name": s.name,
                "fresh": s.fresh,
                "answered_at": _iso(s.answered_at),
                "latency_ms": s.latency_ms,
                "trouble": s.trouble,
                "findings": list(s.findings),
                "foreign": list(s.foreign),
            }
            for s in board.sources
        ],
        "campaigns": [verdict_json(v) for v in board.verdicts],
    }


def due_words(verdict: Verdict, now: datetime) -> str:
    """`today 10:00 PDT  in 12 min`; a dash when no due time is known."""
    if verdict.details.due is None:
        return "–"
    due = verdict.details.due
    return f"{say_instant(due.instant, verdict.details.zone, now)}  {say_distance(due.instant, now)}"


def moved_words(verdict: Verdict, now: datetime) -> str:
    return say_span(now - verdict.moved) if verdict.moved else "–"


def round_mark(verdict: Verdict) -> str:
    """`2/3`, `2/?` when nobody says of how many; "" for what is no round."""
    number, of = verdict.details.round, verdict.details.rounds
    if number is None:
        return ""
    return f"{_few(number)}/{'?' if of is None else _few(of)}"


def _few(number: int) -> str:
    return str(number) if 0 <= number <= 999 else "…"


def say_series(verdict: Verdict, verdicts: Sequence[Verdict], now: datetime) -> str:
    """`round 2/3 of Welcome: round 1 sent yesterday 10:00 PDT; round 3 …`; "" for what has no siblings there."""
    from opsconsole.ordering import nearest, siblings  # the first paint has no such sentence

    others = siblings(verdicts, verdict)
    if not others:
        return ""
    shown = nearest(others, verdict)
    more = f"; and {len(others) - len(shown)} more" if len(others) > len(shown) else ""
    head = f"round {round_mark(verdict)} of" if round_mark(verdict) else "of the series"
    return f"{head} {verdict.details.series}: {'; '.join(say_sibling(v, now) for v in shown)}{more}"


def say_sibling(verdict: Verdict, now: datetime) -> str:
    """`round 1 sent yesterday 10:00 PDT`, `round 3 pending, due tomorrow 10:00 PDT`."""
    details = verdict.details
    name = verdict.slug if details.round is None else f"round {_few(details.round)}"
    if verdict.status is Status.SENT:
        at = (verdict.run.started_at if verdict.run else None) or verdict.moved
        return f"{name} sent {say_instant(at, details.zone, now)}" if at else f"{name} sent"
    status = verdict.status.lower() if verdict.status in _CALM else str(verdict.status)
    if details.due is None:
        return f"{name} {status}, no due time known"
    was = "was " if details.due.instant < now and verdict.status not in _CALM else ""
    return f"{name} {status}, {was}due {say_instant(details.due.instant, details.zone, now)}"


def _approval(verdict: Verdict) -> dict[str, Any] | None:
    a = verdict.approval
    if a is None:
        return None
    return {
        "by": a.by,
        "at": _iso(a.at),
        "reference": a.reference,
        "recipients": a.recipients,
        "digest": a.digest,
        "expires": _iso(a.expires),
        "broken_glass": a.alone,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
