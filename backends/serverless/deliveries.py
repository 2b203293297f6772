"""The table of deliveries: who was begun, who came to an end, and of whom nobody knows. Looks only."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from backends.serverless.aws import Meter
from backends.serverless.pipe import Pipe
from backends.serverless.values import instant, plain, text, typed
from opsconsole.ports import Unknown
from runner.campaign.address import mask
from runner.worker.schema import State, deduplication_id
from runner.worker.verdicts import STALE_SECONDS

AT_LEAST = timedelta(seconds=STALE_SECONDS)  # so long a living worker may be at one mail, and writing down its end
READ = ("contact_email", "state", "begin_id", "worker", "begun_at", "message_id", "error")


def read(pipe: Pipe, campaign_id: str, meter: Meter | None = None) -> Iterator[dict[str, Any]]:
    """Every delivery of the campaign, consistently read, in the order of the addresses."""
    names = {f"#{number}": name for number, name in enumerate(READ)}
    request = {
        "TableName": pipe.settings.deliveries_table,
        "KeyConditionExpression": "campaign_id = :c",
        "ExpressionAttributeValues": typed({":c": campaign_id}),
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
        "ConsistentRead": True,
    }
    for page in pipe.pages("query", request, meter=meter):
        yield from map(plain, page.get("Items", ()))


def left_behind(delivery: Mapping[str, Any], now: datetime, visibility: int) -> bool:
    """Whether nobody knows what became of it. `visibility`: seconds that the queue gives a worker."""
    state = delivery.get("state")
    if state == State.UNKNOWN:
        return True
    begun = instant(delivery, "begun_at")
    return state == State.SENDING and (begun is None or now - begun > max(AT_LEAST, timedelta(seconds=visibility)))


def row_of(run_id: str, email: str) -> int:
    """A number for a person of a run, the same each time: the table has no rows."""
    return int(deduplication_id(run_id, email)[:10], 16)


def unknown(run_id: str, delivery: Mapping[str, Any]) -> Unknown:
    """The delivery as it is shown."""
    email, begun, worker = text(delivery, "contact_email"), instant(delivery, "begun_at"), text(delivery, "worker")
    when = f" at {begun:%Y-%m-%d %H:%M:%S} UTC" if begun else ""
    why = f"begun{f' by {worker[:80]}' if worker else ''}{when}, and its end was never written"
    return Unknown(
        row=row_of(run_id, email), who=mask(email), message_id=text(delivery, "message_id")[:200], why=why
    )
