"""One look at the pipeline: the campaigns' table, both queues, CloudWatch, SES, and why recipients weren't reached.

Only the campaigns' table must answer; whatever else can't be asked is named and the rest is told. SES, CloudWatch
and the suppression list are asked less often than the rest: they change slowly, and their calls cost more.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from backends.serverless import metrics, reasons, ses
from backends.serverless.aws import Meter
from backends.serverless.backlog import Sample, rate
from backends.serverless.findings import findings
from backends.serverless.looks import Look, Tuning, should_move
from backends.serverless.pipe import Pipe, Queue
from backends.serverless.reasons import Reasons
from backends.serverless.remembering import Memory
from backends.serverless.runwords import GOING, settled, status_of
from backends.serverless.slugs import named
from backends.serverless.troubles import shown
from backends.serverless.values import count, instant, plain, text
from backends.serverless.words import Named, observation
from opsconsole.config import duration
from opsconsole.observation import Observation, Report, Says
from opsconsole.ports import Trouble
from opsconsole.schedule import ScheduleError, load_zone

T = TypeVar("T")

EVERY: Final = {
    "metrics": 60.0,
    "ses": 60.0,
    "suppressed": 600.0,
    "contacts": 600.0,
}  # s; what fails is asked again as soon
REASONS_PAGES: Final = 3
REASONS_AT_ONCE: Final = 5  # campaigns whose deliveries one look reads
REASONS_FOR: Final = timedelta(hours=24)  # after its end
FOREIGN: Final = 50


@dataclass(slots=True)
class _Kept(Generic[T]):
    """What was asked for last, and when by a monotonic clock."""

    at: float
    value: T | None
    unread: str


class PipelineSource:
    """Looks at one pipeline. One look at a time; a second caller waits for it."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe, self._settings = pipe, pipe.settings
        self._fresh_for = duration(pipe.settings.fresh_for)
        self._tuning = tuning_of(pipe)
        self._memory = Memory(pipe.around.data_dir, pipe.name)
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept[Any]] = {}
        self._reasons: dict[str, tuple[tuple[int, ...], Reasons]] = {}
        self._over: dict[str, tuple[str, Mapping[str, Any], Reasons | None, Observation]] = {}
        self._lost_at: datetime | None = None

    def observe(self) -> Report:
        """One look at every campaign. Where the table of campaigns doesn't answer the report says so."""
        with self._lock:
            began = monotonic()
            try:
                report = self._look()
            except Trouble as trouble:
                now = self._pipe.now()
                self._lost_at = self._lost_at or now
                return Report(
                    source=self._pipe.name,
                    looked_at=now,
                    fresh_for=self._fresh_for,
                    keeps_traces=True,
                    trouble=str(trouble),
                    out_of_reach_since=self._lost_at,
                )
            self._lost_at = None
            return replace(report, latency_ms=(monotonic() - began) * 1000)

    def _look(self) -> Report:
        meter = Meter()
        items, foreign, whole = self._campaigns(meter)
        ids = named(items)
        by_id = {text(item, "campaign_id"): item for item in items}
        self._pipe.ids.clear()
        self._pipe.ids.update(ids)
        look = self._around(by_id, meter)
        for gone in self._over.keys() - by_id.keys():
            del self._over[gone]
        return Report(
            source=self._pipe.name,
            looked_at=look.at,
            fresh_for=self._fresh_for,
            keeps_traces=True,
            observations=tuple(self._observed(Named(slug, by_id[key]), look) for slug, key in sorted(ids.items())),
            findings=findings(items, look, self._tuning, whole),
            foreign=foreign,
        )

    def _observed(self, named: Named, look: Look) -> Observation:
        """What is over depends on nothing but its own item: said once, it is said again as it was."""
        key = named.campaign_id
        known = self._over.get(key)
        if known and known[:3] == (named.slug, named.item, look.reasons.get(key)):
            return replace(known[3], observed_at=look.at)
        found = observation(self._pipe.name, named, look, self._tuning, self._fresh_for)
        if found.says in (Says.ENDED, Says.CANCELLED):
            self._over[key] = (named.slug, named.item, look.reasons.get(key), found)
        else:
            self._over.pop(key, None)
        return found

    def _campaigns(self, meter: Meter) -> tuple[list[dict[str, Any]], tuple[str, ...], bool]:
        """All campaigns that can be read, entries that are none, and whether the table ended."""
        items: list[dict[str, Any]] = []
        foreign: list[str] = []
        whole = True
        request = {"TableName": self._settings.campaigns_table}
        for page in self._pipe.pages("scan", request, most=self._settings.pages, meter=meter):
            for item in map(plain, page.get("Items", ())):
                if text(item, "campaign_id"):
                    items.append(item)
                elif len(foreign) < FOREIGN:
                    foreign.append(f"an entry without a campaign_id: {shown(', '.join(sorted(item)))[:120]}")
            whole = not page.get("LastEvaluatedKey")
        return items, tuple(foreign), whole

    def _around(self, by_id: Mapping[str, Mapping[str, Any]], meter: Meter) -> Look:
        unread: dict[str, str] = {}
        queue = _tried(unread, "queue", self._pipe.queue)
        dead = _tried(unread, "dead", lambda: self._pipe.dead_letter(queue)) if queue else None
        now = self._pipe.now()
        told = self._seldom(unread, "metrics", lambda: self._metrics(queue, dead, now, meter)) if queue else None
        account = suppressed = None
        if self._tuning.channel == "ses" or any(text(i, "email_service") == "ses" for i in by_id.values()):
            account = self._seldom(unread, "ses", lambda: ses.account(self._pipe.aws, meter))
            suppressed = self._seldom(unread, "suppressed", lambda: ses.suppressed(self._pipe.aws, meter))
        moving = {key: item for key, item in by_id.items() if status_of(item) in GOING}
        past = self._memory.take(
            (*(told.samples if told else ()), _sample(now, queue, dead, moving)),
            now,
        )
        under_way = frozenset(key for key, item in moving.items() if should_move(item, now))
        return Look(
            at=now,
            queue=queue,
            dead=dead,
            oldest=told.oldest if told else None,
            history=past,
            account=account,
            suppressed=suppressed,
            contacts=self._seldom({}, "contacts", lambda: self._contacts(meter)),
            reasons=self._why(by_id, now, unread, meter),
            under_way=under_way,
            speed=sum(rate(past, key) or 0.0 for key in under_way),
            unread=unread,
            units=meter.total,
            requests=meter.requests,
        )

    def _contacts(self, meter: Meter) -> int | None:
        """None where DynamoDB hasn't counted them yet."""
        table = self._settings.contacts_table
        told = self._pipe.aws.ask("dynamodb", "describe_table", meter=meter, TableName=table).get("Table", {})
        return int(told.get("ItemCount", 0)) or None

    def _metrics(self, queue: Queue | None, dead: Queue | None, now: datetime, meter: Meter) -> metrics.Metrics:
        return metrics.look(self._pipe.aws, queue.name if queue else "", dead.name if dead else "", now, meter)

    def _seldom(self, unread: dict[str, str], part: str, ask: Callable[[], T]) -> T | None:
        """What `ask` gave when it was last due, or why it gave nothing."""
        kept = self._kept.get(part)
        if kept is None or monotonic() - kept.at >= EVERY[part]:
            failed: dict[str, str] = {}
            value = _tried(failed, part, ask)
            kept = self._kept[part] = _Kept(monotonic(), value, failed.get(part, ""))
        if kept.unread:
            unread[part] = kept.unread
        return kept.value

    def _why(
        self, by_id: Mapping[str, Mapping[str, Any]], now: datetime, unread: dict[str, str], meter: Meter
    ) -> Mapping[str, Reasons]:
        """Reasons of campaigns that have failures, read again only when their counts changed."""
        found, asked = {}, 0
        for key, item in by_id.items():
            counts = _failures(item)
            if not any(counts) or not _of_interest(item, now):
                continue
            known = self._reasons.get(key)
            if (known is None or known[0] != counts) and asked < REASONS_AT_ONCE and "reasons" not in unread:
                asked += 1
                fresh = _tried(unread, "reasons", lambda key=key: self._read(key, meter))  # type: ignore[misc]
                known = self._reasons[key] = (counts, fresh) if fresh else known or (counts, Reasons(whole=False))
            if known:
                found[key] = known[1]
        for key in self._reasons.keys() - found.keys():
            del self._reasons[key]
        return found

    def _read(self, campaign_id: str, meter: Meter) -> Reasons:
        return reasons.look(self._pipe, campaign_id, REASONS_PAGES, meter)


def tuning_of(pipe: Pipe) -> Tuning:
    """What the configuration and the policy say; a zone that can't be read is UTC."""
    settings = pipe.settings
    zone = settings.timezone or "UTC"
    try:
        load_zone(zone)
    except ScheduleError:
        zone = "UTC"
    return Tuning(
        backlog_after=duration(settings.backlog_after),
        stall_after=pipe.policy.stall_after,
        quota_warn=settings.quota_warn,
        channel=settings.channel,
        zone=zone,
    )


def _tried(unread: dict[str, str], part: str, ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Trouble as trouble:
        unread[part] = str(trouble)
        return None


def _sample(
    now: datetime, queue: Queue | None, dead: Queue | None, moving: Mapping[str, Mapping[str, Any]]
) -> Sample:
    return Sample(
        now,
        queue.left if queue else None,
        dead.left if dead else None,
        {key: settled(item) for key, item in moving.items()},
    )


def _failures(item: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(count(item, f"{name}_count") for name in ("failed", "missing", "unknown"))


def _of_interest(item: Mapping[str, Any], now: datetime) -> bool:
    if status_of(item) in GOING:
        return True
    times = (instant(item, name) for name in ("completed_at", "cancelled_at", "progress_at", "created_at"))
    ended = next(filter(None, times), None)
    return ended is not None and now - ended <= REASONS_FOR
