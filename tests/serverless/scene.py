"""A pipeline in words: items as the table has them and a look at the queues, without any service."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.serverless.backlog import Sample, rate
from backends.serverless.looks import Look, Tuning, should_move
from backends.serverless.pipe import Queue
from backends.serverless.reasons import Reasons, grouped
from backends.serverless.runwords import GOING, settled, status_of
from backends.serverless.ses import Account
from backends.serverless.slugs import named
from backends.serverless.words import Named, observation
from opsconsole.observation import Observation
from opsconsole.policy import Policy
from opsconsole.verdict import Verdict, judge

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
FRESH = timedelta(seconds=90)


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


def item(**fields: Any) -> dict[str, Any]:
    """A campaign of ours under way: 10,000 queued, 4,000 of them sent. A field that is None is left out."""
    found = {
        "campaign_id": "spring-sale",
        "campaign_name": "Spring Sale",
        "subject": "Hello {{ first_name }}",
        "body": "<p>Dear {{ first_name }}</p>",
        "from_email": "news@example.com",
        "email_service": "ses",
        "status": "processing",
        "run_id": "r1",
        "started_by": "ana",
        "started_at": ago(40),
        "queued_at": ago(38),
        "progress_at": ago(0.2),
        "approved_by": "boss",
        "approved_at": ago(300),
        "due_at": ago(41),
        "total_contacts": 10_000,
        "queued_count": 10_000,
        "sent_count": 4_000,
        **fields,
    }
    return {key: value for key, value in found.items() if value is not None}


def seeds(**fields: Any) -> dict[str, Any]:
    """A campaign as the seed's own pipeline has it: no run id, no times of its own but the first."""
    own = {"run_id": None, "started_by": None, "started_at": None, "queued_at": None, "progress_at": None}
    return item(**{**own, "campaign_id": "campaign_1704067200", "created_at": ago(60), **fields})


def queue(waiting: int, in_flight: int = 0, delayed: int = 0, *, dead: bool = False) -> Queue:
    name = "bulk-email-dead" if dead else "bulk-email-queue"
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-west-2:123456789012:bulk-email-dead", "maxReceiveCount": 3}
    return Queue(
        f"https://sqs.us-west-2.amazonaws.com/123456789012/{name}",
        {
            "ApproximateNumberOfMessages": str(waiting),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            **({} if dead else {"RedrivePolicy": json.dumps(policy)}),
        },
    )


def past(
    *samples: tuple[float, int, int], settled: Mapping[str, Iterable[int]] | None = None
) -> tuple[Sample, ...]:
    """(minutes ago, in the queue, in the dead-letter queue), oldest first; `settled` one number for each."""
    counts = {key: list(values) for key, values in (settled or {}).items()}
    return tuple(
        Sample(NOW - timedelta(minutes=minutes), left, dead, {key: values[n] for key, values in counts.items()})
        for n, (minutes, left, dead) in enumerate(samples)
    )


def look(*items: Mapping[str, Any], **fields: Any) -> Look:
    """A look now; without a `history`, the first one."""
    here = {
        "queue": queue(6_000),
        "dead": queue(0, dead=True),
        "account": Account(50_000.0, 14.0, 10_000.0, True, True),
    }
    here |= fields
    if "history" not in fields:
        counts = {str(i["campaign_id"]): settled(i) for i in items if status_of(i) in GOING}
        left = here["queue"].left if here["queue"] else None
        here["history"] = (Sample(NOW, left, here["dead"].left if here["dead"] else None, counts),)
    moving = frozenset(str(i["campaign_id"]) for i in items if should_move(i, NOW))
    speed = sum(rate(here["history"], key) or 0.0 for key in moving)
    return Look(at=NOW, under_way=moving, speed=speed, units=2.5, requests=6, **here)


def reasons(**counts: int) -> Reasons:
    """`reasons(contact_not_found=12)`: failures by what was said, underscores for blanks."""
    return grouped(
        {"state": "failed", "error": error.replace("_", " ")} for error, n in counts.items() for _ in range(n)
    )


def seen(what: Look, *items: Mapping[str, Any], tuning: Tuning | None = None) -> dict[str, Observation]:
    """By slug."""
    by_id = {str(i["campaign_id"]): i for i in items}
    return {
        slug: observation("bulk", Named(slug, by_id[key]), what, tuning or Tuning(), FRESH)
        for slug, key in named(items).items()
    }


def judged(campaign: Mapping[str, Any], **fields: Any) -> Verdict:
    """The verdict on this campaign alone."""
    ((slug, found),) = seen(look(campaign, **fields), campaign).items()
    return judge(slug, [found], Policy(), NOW)


def codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


def told(verdict: Verdict, code: str) -> str:
    """The text of its one finding of this code."""
    (text,) = [finding.text for finding in verdict.findings if finding.code == code]
    return text
