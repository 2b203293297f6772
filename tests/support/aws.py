"""The pipeline's world on moto: its tables, its queue with a dead-letter queue, a sender at SES, and who is in it.

    def test_something(pipeline: Pipeline) -> None:
        pipeline.contacts("ana@example.com", "ben@example.com")
        pipeline.campaign("spring-sale", status="processing", total_contacts=2)
        backend = ServerlessBackend("aws", pipeline.settings, around)

Fixtures `cloud` (one server a session), `pipeline` and `fifo_pipeline` are in tests/conftest.py.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from opsconsole.settings import Serverless
from runner.worker.schema import deduplication_id, reference
from tests.support.cloud import ACCOUNT, KEY, REGION, SECRET, Cloud

ENVIRONMENT: dict[str, str] = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}
"""What the console's own clients, and a worker's in another process, find their credentials by."""
FORGOTTEN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION")
SENDER = "news@example.com"


class Pipeline:
    """Everything a campaign needs, made anew. `settings` are what the console is configured by."""

    def __init__(self, cloud: Cloud, *, fifo: bool = False, max_receives: int = 3, visibility: int = 30) -> None:
        cloud.reset()
        self.cloud, self.fifo = cloud, fifo
        suffix = ".fifo" if fifo else ""
        self.settings = Serverless(region=REGION, endpoint=cloud.endpoint, queue=f"bulk-email-queue{suffix}")
        dynamodb, sqs = cloud.client("dynamodb"), cloud.client("sqs")
        for table, *keys in (
            (self.settings.campaigns_table, "campaign_id"),
            (self.settings.contacts_table, "email"),
            (self.settings.deliveries_table, "campaign_id", "contact_email"),
        ):
            make_table(dynamodb, table, *keys)
        kind = {"FifoQueue": "true"} if fifo else {}
        self.dead_url: str = sqs.create_queue(QueueName=f"bulk-email-dead{suffix}", Attributes=kind)["QueueUrl"]
        self.dead_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:bulk-email-dead{suffix}"
        policy = json.dumps({"deadLetterTargetArn": self.dead_arn, "maxReceiveCount": max_receives})
        self.queue_url: str = sqs.create_queue(
            QueueName=self.settings.queue,
            Attributes={**kind, "RedrivePolicy": policy, "VisibilityTimeout": str(visibility)},
        )["QueueUrl"]
        cloud.client("ses").verify_email_identity(EmailAddress=SENDER)

    def with_settings(self, **changed: Any) -> Serverless:
        """The settings with some of them changed; kept as the pipeline's own."""
        self.settings = msgspec.structs.replace(self.settings, **changed)
        return self.settings

    def campaign(self, campaign_id: str, **fields: Any) -> dict[str, Any]:
        """A campaign as those who write campaigns put it; a field that is None is left out."""
        item: dict[str, Any] = {
            "campaign_id": campaign_id,
            "campaign_name": "Monthly Newsletter",
            "subject": "Hello {{ first_name }}!",
            "body": "<p>Dear {{ first_name }} {{ last_name }}, welcome to {{ company }}.</p>",
            "from_email": SENDER,
            "email_service": "ses",
            "status": "draft",
            "created_at": "2026-05-11T09:00:00+00:00",
            **fields,
        }
        self.put(self.settings.campaigns_table, {key: value for key, value in item.items() if value is not None})
        return item

    def contacts(self, *emails: str, **fields: Any) -> None:
        """People with these addresses, all with these fields besides."""
        self.people(
            {"email": email, "first_name": "Ana", "last_name": "Doe", "company": "Acme", **fields}
            for email in emails
        )

    def people(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Contacts as they are given, in batches."""
        self._batch(self.settings.contacts_table, items)

    def deliveries(self, campaign_id: str, state: str, *emails: str, **fields: Any) -> None:
        """What workers wrote of these people: one state for all of them."""
        self._batch(
            self.settings.deliveries_table,
            ({"campaign_id": campaign_id, "contact_email": email, "state": state, **fields} for email in emails),
        )

    def item(self, campaign_id: str) -> dict[str, Any]:
        """The campaign as it lies in its table; {} when it isn't there. Numbers are int or Decimal."""
        answer = self.cloud.client("dynamodb").get_item(
            TableName=self.settings.campaigns_table, Key=typed({"campaign_id": campaign_id}), ConsistentRead=True
        )
        return plain(answer.get("Item", {}))

    def delivered(self, campaign_id: str) -> dict[str, dict[str, Any]]:
        """All deliveries of a campaign by address."""
        pages = (
            self.cloud.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.settings.deliveries_table,
                KeyConditionExpression="campaign_id = :c",
                ExpressionAttributeValues=typed({":c": campaign_id}),
            )
        )
        found = [plain(item) for page in pages for item in page["Items"]]
        return {item["contact_email"]: item for item in found}

    def queue(self, campaign_id: str, *emails: str, run_id: str = "run", dead: bool = False) -> None:
        """References in the queue, or in the dead-letter queue, as the console puts them there."""
        sqs, url = self.cloud.client("sqs"), self.dead_url if dead else self.queue_url
        for begin in range(0, len(emails), 10):
            entries = [
                {
                    "Id": str(number),
                    "MessageBody": reference(campaign_id, email),
                    **(
                        {"MessageGroupId": email, "MessageDeduplicationId": deduplication_id(run_id, email)}
                        if self.fifo
                        else {}
                    ),
                }
                for number, email in enumerate(emails[begin : begin + 10])
            ]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def bodies(self, *, dead: bool = False) -> list[str]:
        """What lies in a queue, looked at from behind: nothing is received."""
        from moto.sqs.models import sqs_backends

        name = (self.dead_url if dead else self.queue_url).rpartition("/")[2]
        return [message.body for message in sqs_backends[ACCOUNT][REGION].queues[name]._messages]

    @property
    def depth(self) -> int:
        return len(self.bodies())

    @property
    def dead(self) -> int:
        return len(self.bodies(dead=True))

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        self.cloud.client("dynamodb").put_item(TableName=table, Item=typed(item))

    def _batch(self, table: str, items: Iterable[Mapping[str, Any]]) -> None:
        client, waiting = self.cloud.client("dynamodb"), [{"PutRequest": {"Item": typed(item)}} for item in items]
        for begin in range(0, len(waiting), 25):
            client.batch_write_item(RequestItems={table: waiting[begin : begin + 25]})


def make_table(dynamodb: Any, name: str, *keys: str) -> None:
    """A table by its hash key, and its range key where there is one."""
    kinds = ("HASH", "RANGE")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, kinds, strict=False)],
        BillingMode="PAY_PER_REQUEST",
    )


def typed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in DynamoDB's own form."""
    serialize = TypeSerializer().serialize
    return {
        key: serialize(Decimal(str(value)) if isinstance(value, float) else value) for key, value in item.items()
    }


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB's own form as Python values."""
    deserialize = TypeDeserializer().deserialize
    values = {key: deserialize(value) for key, value in item.items()}
    return {
        key: int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
        for key, value in values.items()
    }
