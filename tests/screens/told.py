"""What blast host and dashboard say of a campaign on the night all these stories are told of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opsconsole.campaign import DATA, METADATA, TEMPLATE, Approval, Details
from opsconsole.digests import content_digest
from opsconsole.observation import Content, Counts, Evidence, Mark, Observation, RunWord, Says, Trigger
from opsconsole.ports import Doubt, Unknown
from opsconsole.schedule import Due, resolve_due

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
PACIFIC = "America/Los_Angeles"
DIGESTS = {TEMPLATE: "a" * 64, DATA: "b" * 64, METADATA: "c" * 64}
FRESH = timedelta(seconds=90)


def due(text: str, zone: str = PACIFIC) -> Due:
    return resolve_due(text, zone)


def campaign(
    slug: str,
    *,
    when: Due | None = None,
    rows: int | None = 1000,
    approved: str = "ana",
    says: Says = Says.NOTHING,
    run: RunWord | None = None,
    since: datetime | None = None,
    name: str = "",
    subject: str = "",
    dashboard: Says = Says.NOTHING,
    cron: Trigger | None = None,
    clock: float = 0.2,
    **details: Any,
) -> dict[str, Observation]:
    """What blast host and dashboard say of one campaign, with the evidence a real look would bring."""
    zone = when.zone if when else ""
    words = Details(name=name, subject=subject or f"News from {slug}", zone=zone, **details)
    log = {
        Says.NOTHING: (Mark.NO, "none"),
        Says.RUNNING: (Mark.MOVING, "growing"),
        Says.ENDED: (Mark.YES, "complete, closing summary there"),
        Says.STARTED: (Mark.BAD, "ends in the middle"),
        Says.PAUSED: (Mark.WAITING, "paused"),
    }.get(says, (Mark.NO, "none"))
    host = Observation(
        source="blast-mail-prod",
        slug=slug,
        observed_at=NOW,
        fresh_for=FRESH,
        says=says,
        keeps_traces=True,
        since=since,
        run=run,
        details=replace(words, due=when),
        content=Content(
            digest=content_digest(DIGESTS), digests=tuple(sorted(DIGESTS.items())), rows=rows, rows_exact=True
        ),
        triggers=(cron,) if cron else (),
        clock_offset=clock,
        evidence=(
            Evidence(letter="F", label="host files", mark=Mark.YES, text=f"complete, {rows or 0:,} rows", at=NOW),
            Evidence(
                letter="C",
                label="host cron",
                mark=Mark.YES if cron else Mark.NO,
                text=cron.text if cron else "no line",
            ),
            Evidence(letter="L", label="host log", mark=log[0], text=log[1]),
        ),
    )
    approval = Approval(by=approved, at=NOW - timedelta(days=3), reference="t-71c0") if approved else None
    told = Observation(
        source="dashboard",
        slug=slug,
        observed_at=NOW,
        fresh_for=FRESH,
        says=dashboard,
        since=since if dashboard is Says.SENT else None,
        details=Details(name=name, due=when, zone=zone),
        approval=approval,
        records=True,
        reference="t-71c0",
        evidence=(
            Evidence(
                letter="D",
                label="approval",
                mark=Mark.YES if approved else Mark.NO,
                text=f"approved by {approved} (t-71c0)" if approved else "not approved",
                at=approval.at if approval else None,
            ),
        ),
    )
    return {"blast-mail-prod": host, "dashboard": told}


def run(started: timedelta, accepted: int, total: int, **more: Any) -> RunWord:
    """A run that started so long ago and got so far."""
    counts = Counts(total=total, accepted=accepted, failed=more.pop("failed", 0), unknown=more.pop("unknown", 0))
    begun = NOW - started
    return RunWord(
        run_id="5f0e1c2d3b4a5968",
        by="mara",
        started_at=begun,
        progress_at=more.pop("progress_at", more.get("ended_at") or NOW - timedelta(seconds=1)),
        counts=counts,
        **more,
    )


def broken(rows: int = 3, **changes: Any) -> Doubt:
    """What is on record of harbour-tour, which broke off: so many rows are unknown, half with a word in the mail
    log."""
    unknown = tuple(
        Unknown(
            row=4012 + n,
            who=f"{'abcdefgh'[n % 8]}•••@example.com",
            message_id=f"<harbour-tour.5f0e1c2d3b4a5968.{4012 + n}@blast-mail-prod.example.test>",
            why="handed over, then the process ended before an answer came",
            maillog="" if n % 2 else f"2026-05-12T15:52:0{n % 10} status=sent (250 2.0.0 Ok: queued as 4XkT{n})",
        )
        for n in range(1, rows + 1)
    )
    values: dict[str, Any] = {
        "slug": "harbour-tour",
        "run_id": "5f0e1c2d3b4a5968",
        "attempt": 1,
        "counts": Counts(total=9120, accepted=4000, failed=12, unknown=rows),
        "unsent": 9120 - 4012 - rows,
        "unknown": unknown,
        "unknown_total": rows,
        "maillog": "/var/log/mail.log, from 14:52 to now",
    }
    return Doubt(**{**values, **changes})
