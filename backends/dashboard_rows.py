"""One row of the dashboard, read into an observation. What has the wrong shape is named and left out, no more."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from opsconsole.campaign import Approval, Details
from opsconsole.observation import Counts, Evidence, Mark, Observation, RunWord, Says
from opsconsole.schedule import Due, ScheduleError, load_zone, resolve_due

T = TypeVar("T")

# Ours → theirs.
CAMPAIGN = {
    "slug": "slug",
    "name": "name",
    "status": "status",
    "due": "due_at",
    "zone": "timezone",
    "approved_by": "approved_by",
    "approved_at": "approved_at",
    "task": "task_token",
    "recipients": "recipient_count",
    "completed_at": "completion_timestamp",
    "failures": "failure_count",
    "duration": "execution_duration_seconds",
    "session": "session_id",
}
TASK = {"token": "token", "status": "status", "campaign": "campaign"}

SAYS = {
    "draft": Says.NOTHING,
    "approved": Says.NOTHING,
    "scheduled": Says.NOTHING,
    "sent": Says.SENT,
    "cancelled": Says.CANCELLED,
    "failed": Says.FAILED,
}
MARKS = {"draft": Mark.NO, "scheduled": Mark.WAITING, "cancelled": Mark.NO, "failed": Mark.BAD}


@dataclass(frozen=True, slots=True)
class Task:
    token: str
    done: bool
    status: str
    campaign: str


@dataclass(frozen=True, slots=True)
class Row:
    """A campaign's raw row, and when and by whom it was read."""

    source: str
    slug: str
    raw: Mapping[str, Any]
    now: datetime
    fresh_for: timedelta


def read_task(raw: Any) -> Task | None:
    """None when it isn't one."""
    if not isinstance(raw, dict):
        return None
    token, status, campaign = (raw.get(TASK[key]) for key in ("token", "status", "campaign"))
    if not isinstance(token, str) or not token or not isinstance(status, str):
        return None
    return Task(token, status == "done", status, campaign if isinstance(campaign, str) else "")


def read_row(row: Row, tasks: Iterable[Task]) -> Observation:
    fields = _Fields(row.raw)
    status = fields.get("status", _text) or ""
    says = SAYS.get(status)
    token = fields.get("task", _text) or ""
    task = next((t for t in tasks if (token and t.token == token) or (not token and t.campaign == row.slug)), None)
    zone = fields.get("zone", _zone) or ""
    recipients = fields.get("recipients", _count)
    completed_at = fields.get("completed_at", _stamp)
    approval = _approval(fields, status, task, recipients)
    run = _run(fields, recipients, completed_at) if says in (Says.SENT, Says.FAILED) else None
    details = Details(
        name=fields.get("name", _text) or "",
        due=fields.get("due", lambda value: _due(value, zone)),
        zone=zone,
        expected_recipients=recipients,
    )
    return Observation(
        source=row.source,
        slug=row.slug,
        observed_at=row.now,
        fresh_for=row.fresh_for,
        says=says or Says.NOTHING,
        records=True,
        since=completed_at if says is not Says.NOTHING else None,
        run=run,
        details=replace(details, problems=tuple(fields.problems)),
        approval=approval,
        evidence=(_evidence(status, approval, task, run, completed_at),),
        trouble="" if says else f"its status {status[:40]!a} is none that the console knows",
        reference=token or (task.token if task else ""),
        note=status if says is Says.NOTHING else "",
    )


def _approval(fields: "_Fields", status: str, task: Task | None, recipients: int | None) -> Approval | None:
    """A task that is done approves; so does the campaign's own status. A draft's old approval is none."""
    by, at = fields.get("approved_by", _text) or "", fields.get("approved_at", _stamp)
    done = task is not None and task.done
    if not done and (status in ("draft", "cancelled") or not (by or status in ("approved", "scheduled"))):
        return None
    return Approval(
        by=by or ("its task" if done else "the dashboard"),
        at=at,
        reference=task.token if task and done else "",
        recipients=recipients if SAYS.get(status) is Says.NOTHING else None,
    )


def _run(fields: "_Fields", recipients: int | None, completed_at: datetime | None) -> RunWord:
    failures, seconds = fields.get("failures", _count), fields.get("duration", _seconds)
    counts = None
    if recipients is not None and failures is not None:
        failed = min(failures, recipients)
        counts = Counts(total=recipients, accepted=recipients - failed, failed=failed)
    began = completed_at - timedelta(seconds=seconds) if completed_at and seconds is not None else None
    session = fields.get("session", _text) or ""
    return RunWord(
        started_at=began, ended_at=completed_at, counts=counts, note=f"session {session}" if session else ""
    )


def _evidence(
    status: str, approval: Approval | None, task: Task | None, run: RunWord | None, completed_at: datetime | None
) -> Evidence:
    words = [status or "no status"]
    if approval and SAYS.get(status) is Says.NOTHING:
        words.append(f"approved by {approval.by}")
    if task:
        words.append(f"task {task.token} {task.status}")
    if run and run.counts and run.counts.total is not None:
        # Written back by this console, the number covers those of whom nobody knows.
        failed = f"{run.counts.failed:,} failed{' or unknown' if run.counts.failed else ''}"
        words.append(f"{run.counts.total:,} recipients, {failed}")
    mark = (
        Mark.YES
        if approval and status == "draft"
        else MARKS.get(status, Mark.YES if status in SAYS else Mark.UNSEEN)
    )
    at = completed_at or (approval.at if approval else None)
    return Evidence(letter="D", label="dashboard", mark=mark, text=", ".join(words), at=at)


@dataclass(slots=True)
class _Fields:
    """Takes values out of a row by our names; one that can't be used is None and named in `problems`."""

    raw: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    def get(self, key: str, read: Callable[[Any], T]) -> T | None:
        value = self.raw.get(CAMPAIGN[key])
        if value is None or value == "":
            return None
        try:
            return read(value)
        except (ValueError, TypeError, OverflowError) as error:
            why = str(error) if isinstance(error, ScheduleError) else f"{str(value)[:60]!a} can't be used"
            self.problems.append(f"dashboard: {CAMPAIGN[key]}: {why}")
            return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not (0 <= value < math.inf):
        raise TypeError
    return float(value)


def _stamp(value: Any) -> datetime:
    instant = datetime.fromisoformat(_text(value))
    if instant.tzinfo is None:
        raise ValueError("no offset")
    return instant.astimezone(UTC)


def _zone(value: Any) -> str:
    load_zone(_text(value))
    return str(value)


def _due(value: Any, zone: str) -> Due:
    if not zone and datetime.fromisoformat(_text(value)).tzinfo is None:
        raise ScheduleError("it has no zone: set the campaign's timezone, such as America/Los_Angeles")
    return resolve_due(_text(value), zone or "UTC")
