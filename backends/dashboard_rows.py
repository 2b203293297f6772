"""One row of the dashboard, read into an observation. What has the wrong shape is named and left out, no more."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from opsconsole.campaign import Approval, Details
from opsconsole.mapping import MappingError, Reader, fields, reader
from opsconsole.observation import Counts, Evidence, Mark, Observation, RunWord, Says
from opsconsole.redact import mask_addresses, redact
from opsconsole.schedule import Due, ScheduleError, is_plausible, load_zone, resolve_due
from opsconsole.settings import Dashboard

T = TypeVar("T")

SAYS: Final = {
    "draft": Says.NOTHING,
    "approved": Says.NOTHING,
    "scheduled": Says.NOTHING,
    "sent": Says.SENT,
    "cancelled": Says.CANCELLED,
    "failed": Says.FAILED,
}
MARKS: Final = {"draft": Mark.NO, "scheduled": Mark.WAITING, "cancelled": Mark.NO, "failed": Mark.BAD}
LONGEST_NOTE: Final = 400
LONGEST_RUN: Final = 1_000_000_000  # seconds; a number that isn't less is none of a run
MILLISECONDS: Final = 100_000_000_000  # as seconds the year 5138: a number from here on counts milliseconds


@dataclass(frozen=True, slots=True)
class Task:
    """`done` by the words that the configuration names; texts have no addresses in them."""

    token: str
    done: bool
    status: str
    campaign: str
    title: str = ""
    priority: str = ""
    notes: str = ""

    def says(self) -> str:
        """Everything but token and status: `Send Paul Simon, priority high; approved by phone`."""
        head = ", ".join(filter(None, (self.title, self.priority and f"priority {self.priority}")))
        return "; ".join(filter(None, (head, self.notes)))


class Tasks:
    """All tasks, found by token and by campaign."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._tokens: dict[str, Task] = {}
        self._campaigns: dict[str, list[Task]] = {}
        for task in tasks:
            self._tokens.setdefault(task.token, task)
            if task.campaign:
                self._campaigns.setdefault(task.campaign, []).append(task)

    def of(self, slug: str, token: str) -> tuple[Task, ...]:
        """The one the campaign names; else all that name the campaign."""
        if token:
            return (self._tokens[token],) if token in self._tokens else ()
        return tuple(self._campaigns.get(slug, ()))


class Rows:
    """How rows of this dashboard are read; see settings.DashboardCampaigns and DashboardTasks."""

    def __init__(self, source: str, dashboard: Dashboard, fresh_for: timedelta) -> None:
        self._source, self._fresh_for = source, fresh_for
        self.campaign = fields(dashboard.campaigns)
        self.task = fields(dashboard.tasks)
        self._campaign = {key: reader(expression) for key, expression in self.campaign.items()}
        self._task = {key: reader(expression) for key, expression in self.task.items()}
        self._statuses, self._done = dashboard.campaigns.statuses, frozenset(dashboard.tasks.done)

    def slug(self, raw: Any) -> Any:
        return taken(self._campaign["slug"], raw)

    def status(self, raw: Any) -> str:
        """The dashboard's own word."""
        return _word(taken(self._campaign["status"], raw))

    def meaning(self, status: str) -> str:
        """Our word for the dashboard's; "" when there is none."""
        return self._statuses.get(status, "")

    def read_task(self, raw: Any) -> Task | None:
        """None when it isn't one."""
        token, status, campaign = (taken(self._task[key], raw) for key in ("token", "status", "campaign"))
        token, status = _word(token), _word(status)
        if not token or not status:
            return None
        title, priority, notes = (_note(taken(self._task[key], raw)) for key in ("title", "priority", "notes"))
        return Task(token, status in self._done, status, _word(campaign), title, priority, notes)

    def read(self, slug: str, raw: Any, tasks: Tasks, now: datetime) -> Observation:
        row = _Fields(raw, self.campaign, self._campaign)
        status = row.get("status", _status) or ""
        meaning = self.meaning(status)
        says = SAYS.get(meaning)
        token = row.get("task", _status) or ""
        its_tasks = tasks.of(slug, token)
        zone = row.get("zone", _zone) or ""
        recipients = row.get("recipients", _count)
        completed_at = row.get("completed_at", _stamp)
        approval = _approval(row, meaning, its_tasks, recipients)
        run = _run(row, recipients, completed_at) if says in (Says.SENT, Says.FAILED) else None
        details = Details(
            name=row.get("name", _text) or "",
            due=row.get("due", lambda value: _due(value, zone)),
            zone=zone,
            expected_recipients=recipients,
        )
        return Observation(
            source=self._source,
            slug=slug,
            observed_at=now,
            fresh_for=self._fresh_for,
            says=says or Says.NOTHING,
            records=True,
            since=completed_at if says is not Says.NOTHING else None,
            run=run,
            details=replace(details, problems=tuple(row.problems)),
            approval=approval,
            evidence=_evidence(status, meaning, approval, its_tasks, run, completed_at),
            trouble="" if says else f"its status {status[:40]!a} is none that the console knows",
            reference=token or (its_tasks[0].token if its_tasks else ""),
            note=status if says is Says.NOTHING else "",
        )


def taken(read: Reader, raw: Any) -> Any:
    """A value as it is there; None also where the expression can't be applied to this row."""
    try:
        return read(raw)
    except MappingError:
        return None


def _approval(row: "_Fields", meaning: str, tasks: tuple[Task, ...], recipients: int | None) -> Approval | None:
    """Tasks that are all done approve; so does the campaign's own status. A draft's old approval is none."""
    by, at = row.get("approved_by", _text) or "", row.get("approved_at", _stamp)
    done = bool(tasks) and all(task.done for task in tasks)
    if not done and (meaning in ("", "draft", "cancelled") or not (by or meaning in ("approved", "scheduled"))):
        return None
    return Approval(
        by=by or ("its task" if done else "the dashboard"),
        at=at,
        reference=tasks[0].token if done else "",
        recipients=recipients if SAYS.get(meaning) is Says.NOTHING else None,
    )


def _run(row: "_Fields", recipients: int | None, completed_at: datetime | None) -> RunWord:
    failures, seconds = row.get("failures", _count), row.get("duration", _seconds)
    counts = None
    if recipients is not None and failures is not None:
        failed = min(failures, recipients)
        counts = Counts(total=recipients, accepted=recipients - failed, failed=failed)
    began = completed_at - timedelta(seconds=seconds) if completed_at and seconds is not None else None
    session = row.get("session", _text) or ""
    return RunWord(
        started_at=began, ended_at=completed_at, counts=counts, note=f"session {session}" if session else ""
    )


def _evidence(
    status: str,
    meaning: str,
    approval: Approval | None,
    tasks: tuple[Task, ...],
    run: RunWord | None,
    completed_at: datetime | None,
) -> tuple[Evidence, ...]:
    words = [status or "no status"]
    if approval and SAYS.get(meaning) is Says.NOTHING:
        words.append(f"approved by {approval.by}")
    words += [f"task {task.token} {task.status}" for task in tasks]
    if run and run.counts and run.counts.total is not None:
        # Written back by this console, the number covers those of whom nobody knows.
        failed = f"{run.counts.failed:,} failed{' or unknown' if run.counts.failed else ''}"
        words.append(f"{run.counts.total:,} recipients, {failed}")
    mark = (
        Mark.YES
        if approval and meaning == "draft"
        else MARKS.get(meaning, Mark.YES if meaning in SAYS else Mark.UNSEEN)
    )
    at = completed_at or (approval.at if approval else None)
    row = Evidence(letter="D", label="dashboard", mark=mark, text=", ".join(words), at=at)
    # The board shows one mark a letter: a task's line has the campaign's.
    told = [Evidence(letter="D", label=f"task {t.token}", mark=mark, text=t.says()) for t in tasks if t.says()]
    return (row, *told)


@dataclass(slots=True)
class _Fields:
    """Takes values out of a row by our names; one that can't be used is None and named in `problems`."""

    raw: Any
    names: Mapping[str, str]
    readers: Mapping[str, Reader]
    problems: list[str] = field(default_factory=list)

    def get(self, key: str, read: Callable[[Any], T]) -> T | None:
        value = None
        try:
            value = self.readers[key](self.raw)
            return None if value is None or value == "" else read(value)
        except (ValueError, TypeError, OverflowError, OSError) as error:
            told = isinstance(error, ScheduleError | MappingError)
            why = str(error) if told else f"{str(value)[:60]!a} can't be used"
            self.problems.append(f"dashboard: {self.names[key]}: {why}")
            return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _status(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError
    return _word(value)


def _word(value: Any) -> str:
    """A status or a token: a text, or a JSON number or truth as it is written there; "" for all else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int) else ""


def _note(value: Any) -> str:
    """A text, or several, for people: in one line, without secrets and addresses."""
    texts = map(_said, value[:20]) if isinstance(value, list) else (_said(value),)
    return mask_addresses(redact(" ".join("; ".join(filter(None, texts)).split())))[:LONGEST_NOTE]


def _said(value: Any) -> str:
    """A text as it is, all else as it is written in JSON; "" for nothing, and for what is nested beyond reading."""
    try:
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not (0 <= value < LONGEST_RUN):
        raise TypeError
    return float(value)


def _stamp(value: Any) -> datetime:
    """ISO 8601 with an offset, or seconds or milliseconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        instant = datetime.fromtimestamp(value / 1000 if value >= MILLISECONDS else value, UTC)
    else:
        instant = datetime.fromisoformat(_text(value))
    if instant.tzinfo is None or not is_plausible(instant):
        raise ValueError("no offset, or no time anybody meant")
    return instant.astimezone(UTC)


def _zone(value: Any) -> str:
    load_zone(_text(value))
    return str(value)


def _due(value: Any, zone: str) -> Due:
    if isinstance(value, int | float):
        value = _stamp(value).isoformat()
    if not zone and datetime.fromisoformat(_text(value)).tzinfo is None:
        raise ScheduleError("it has no zone: set the campaign's timezone, such as America/Los_Angeles")
    return resolve_due(_text(value), zone or "UTC")
