"""One pipeline as the console's parts share it: the campaign's item, the two queues, what they hold.

Looking is consistent where a decision hangs on it. Nothing here writes, and no queue is ever received from.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.serverless.aws import Aws, Meter
from backends.serverless.slugs import NEEDED, named, slug_of
from backends.serverless.values import plain, typed
from opsconsole.campaign import check_slug
from opsconsole.policy import Policy
from opsconsole.ports import NotThere, OutOfReach, Surroundings
from opsconsole.settings import Serverless

FIFO = ".fifo"


@dataclass(frozen=True, slots=True)
class Queue:
    """`attributes` are SQS's own, as texts. What it holds is what SQS says: about so many."""

    url: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def fifo(self) -> bool:
        return self.name.endswith(FIFO)

    @property
    def arn(self) -> str:
        return self.attributes.get("QueueArn", "")

    @property
    def visible(self) -> int:
        return self._number("ApproximateNumberOfMessages")

    @property
    def in_flight(self) -> int:
        return self._number("ApproximateNumberOfMessagesNotVisible")

    @property
    def delayed(self) -> int:
        return self._number("ApproximateNumberOfMessagesDelayed")

    @property
    def left(self) -> int:
        return self.visible + self.in_flight + self.delayed

    @property
    def visibility(self) -> int:
        """Seconds that a worker has for a batch before it is given to another."""
        return self._number("VisibilityTimeout")

    @property
    def redrive(self) -> Mapping[str, Any]:
        """The redrive policy; {} for none."""
        try:
            policy = json.loads(self.attributes.get("RedrivePolicy", "") or "{}")
        except ValueError:
            return {}
        return policy if isinstance(policy, dict) else {}

    def _number(self, name: str) -> int:
        value = self.attributes.get(name, "")
        return int(value) if value.isascii() and value.isdigit() else 0


@dataclass(slots=True)
class Pipe:
    """`name` is the source's, `ids` its campaigns by slug as they were last seen. Blocking; safe for threads."""

    name: str
    aws: Aws
    settings: Serverless
    around: Surroundings
    ids: dict[str, str] = field(default_factory=dict)
    _urls: dict[str, str] = field(default_factory=dict)

    @property
    def policy(self) -> Policy:
        return self.around.policy

    def now(self) -> datetime:
        return self.around.clock()

    def identity(self) -> str:
        """The account, the region and the table that plans are bound to."""
        try:
            account = self.aws.identity().account
        except OutOfReach:  # a network of its own may have no way to STS; the queue's name tells the same
            account = self.queue().arn.split(":")[4]
        return f"{account} {self.settings.region} {self.settings.campaigns_table}"

    # -- the campaign ----------------------------------------------------------------------------------------
    def campaign(self, slug: str) -> dict[str, Any]:
        """The item of the campaign that goes by `slug` on the console, as it is now. Raises NotThere."""
        known = self.ids.get(check_slug(slug), slug)
        item = self.item(known)
        if item and (known != slug or slug_of(item) == slug):
            return item
        self.ids.update(named(self._names()))
        if slug in self.ids and (item := self.item(self.ids[slug])):
            return item
        raise NotThere(f"There is no campaign {slug} in {self.settings.campaigns_table}", "Nothing was done")

    def item(self, campaign_id: str, meter: Meter | None = None) -> dict[str, Any]:
        """The item by its key, consistently read; {} for none."""
        answer = self.aws.ask(
            "dynamodb",
            "get_item",
            meter=meter,
            TableName=self.settings.campaigns_table,
            Key=typed({"campaign_id": campaign_id}),
            ConsistentRead=True,
        )
        return plain(answer.get("Item", {}))

    def _names(self) -> Iterator[dict[str, Any]]:
        names = {f"#{number}": name for number, name in enumerate(NEEDED)}
        request = {
            "TableName": self.settings.campaigns_table,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
        }
        for page in self.pages("scan", request, most=self.settings.pages):
            yield from map(plain, page.get("Items", ()))

    def pages(
        self, operation: str, request: Mapping[str, Any], *, most: int | None = None, meter: Meter | None = None
    ) -> Iterator[dict[str, Any]]:
        """DynamoDB's answers to a scan or a query, page after page, `most` of them at most."""
        asked = 0
        begin: Any = None
        while most is None or asked < most:
            after: dict[str, Any] = {"ExclusiveStartKey": begin} if begin else {}
            answer = self.aws.ask("dynamodb", operation, meter=meter, **request, **after)
            asked += 1
            yield answer
            begin = answer.get("LastEvaluatedKey")
            if not begin:
                return

    # -- the queues ------------------------------------------------------------------------------------------
    def queue_url(self) -> str:
        return self._url(self.settings.queue)

    def queue(self) -> Queue:
        """The queue with its attributes as they are now. Raises NotThere."""
        return self._look(self.queue_url())

    def dead_letter(self, queue: Queue | None = None) -> Queue | None:
        """The dead-letter queue, by the configuration or the redrive policy of `queue`; None for none."""
        name = self.settings.dead_letter_queue
        if not name:
            arn = (queue or self.queue()).redrive.get("deadLetterTargetArn")
            name = arn.rpartition(":")[2] if isinstance(arn, str) else ""
        return self._look(self._url(name)) if name else None

    def _url(self, name: str) -> str:
        if "://" in name:
            return name
        if name not in self._urls:
            self._urls[name] = str(self.aws.ask("sqs", "get_queue_url", QueueName=name)["QueueUrl"])
        return self._urls[name]

    def _look(self, url: str) -> Queue:
        answer = self.aws.ask("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        return Queue(url, {str(k): str(v) for k, v in answer.get("Attributes", {}).items()})
