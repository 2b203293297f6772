"""What CloudWatch knows of the queues: the age of the oldest message, and how deep they were before we looked.

SQS itself doesn't tell an age, and a message is never received to learn it: that would count as a try, and can push
it into the dead-letter queue. CloudWatch gets its numbers each minute, some minutes late.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backends.serverless.aws import Aws, Meter
from backends.serverless.backlog import Sample

LOOKS_BACK: Final = timedelta(minutes=30)
PERIOD: Final = 60  # s
FRESH: Final = timedelta(minutes=10)  # an older age says nothing of now
NAMES: Final = {
    "age": ("queue", "ApproximateAgeOfOldestMessage"),
    "visible": ("queue", "ApproximateNumberOfMessagesVisible"),
    "flight": ("queue", "ApproximateNumberOfMessagesNotVisible"),
    "delayed": ("queue", "ApproximateNumberOfMessagesDelayed"),
    "dead": ("dead", "ApproximateNumberOfMessagesVisible"),
}


@dataclass(frozen=True, slots=True)
class Metrics:
    """`oldest`: since when the oldest message waits, by CloudWatch's newest word. `samples` are by the minute."""

    oldest: datetime | None = None
    samples: tuple[Sample, ...] = ()


def look(aws: Aws, queue: str, dead: str, now: datetime, meter: Meter | None = None) -> Metrics:
    """The last half hour of these queues, by name; `dead` is "" for none. Raises Trouble."""
    wanted = {"queue": queue, "dead": dead}
    queries = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "QueueName", "Value": wanted[which]}],
                },
                "Period": PERIOD,
                "Stat": "Maximum",
            },
            "ReturnData": True,
        }
        for key, (which, metric) in NAMES.items()
        if wanted[which]
    ]
    answer = aws.ask(
        "cloudwatch",
        "get_metric_data",
        meter=meter,
        MetricDataQueries=queries,
        StartTime=now - LOOKS_BACK,
        EndTime=now,
    )
    return read(answer.get("MetricDataResults", ()), now)


def read(results: Iterable[Mapping[str, Any]], now: datetime) -> Metrics:
    """CloudWatch's answer in our words. A minute counts only where waiting and in flight are both told."""
    series = {str(result.get("Id")): _points(result) for result in results}
    ages = series.get("age", {})
    oldest = None
    if ages and now - (newest := max(ages)) <= FRESH and ages[newest] > 0:
        oldest = newest - timedelta(seconds=ages[newest])
    visible, flight, delayed = (series.get(name, {}) for name in ("visible", "flight", "delayed"))
    dead = series.get("dead", {})
    samples = []
    for at in sorted({*visible, *dead}):
        left = int(visible[at] + flight[at] + delayed.get(at, 0.0)) if at in visible and at in flight else None
        samples.append(Sample(at, left, int(dead[at]) if at in dead else None))
    return Metrics(oldest, tuple(samples))


def _points(result: Mapping[str, Any]) -> dict[datetime, float]:
    found = {}
    for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False):
        if isinstance(at, datetime) and isinstance(value, int | float):
            found[at.astimezone(UTC)] = float(value)
    return found
