"""boto3's clients for a worker, and the tables by them. Loaded only where a queue is worked on.

Writes to tables may be repeated by the client: each can be told by its own trace. A mail is never handed over
twice.
"""

import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from runner.errors import CONFIG, Refused
from runner.worker.schema import Status, completion, ended
from runner.worker.steps import Begin, Item, Request, Tables, give_back
from runner.worker.teller import Cancelled, NotNow

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
SEND_SECONDS: Final = 30.0  # for the answer of SES: what has none by then is unknown
POLL_SECONDS: Final = 20  # the longest SQS lets a receive wait
_AT_ONCE: Final = 100  # keys in one BatchGetItem
_TRANSIENT: Final = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)


class Clients:
    """The clients of one account and region; thread-safe. Raises Refused (78) when boto3 or a setting lacks."""

    def __init__(self, region: str | None, endpoint: str | None, connections: int) -> None:
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise Refused(
                CONFIG, "the worker needs boto3, which is not installed: pip install 'opsconsole[aws]'"
            ) from None
        self._region, self._endpoint, self._connections = region, endpoint, connections
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        try:
            self._session = boto3.session.Session(region_name=region)
            self.dynamodb = self._client("dynamodb", 3, READ_SECONDS)
            self.sqs = self._client("sqs", 3, POLL_SECONDS + READ_SECONDS)
        except (BotoCoreError, ValueError) as error:
            raise Refused(CONFIG, f"no client for AWS can be made: {error}. Check region and endpoint") from None

    @property
    def ses(self) -> Any:
        """SES v2. One attempt a call: a second one could mail twice."""
        with self._lock:
            if "ses" not in self._made:
                self._made["ses"] = self._client("sesv2", 1, SEND_SECONDS)
            return self._made["ses"]

    def _client(self, service: str, attempts: int, seconds: float) -> Any:
        from botocore.config import Config

        return self._session.client(
            service,
            endpoint_url=self._endpoint,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=seconds,
                max_pool_connections=self._connections,
                user_agent_appid="mail-blast-runner",
            ),
        )


class Store:
    """The three tables. All reads see what was written before them. Raises NotNow when DynamoDB doesn't answer or
    throttles, botocore's ClientError for what trying again won't mend."""

    def __init__(self, dynamodb: Any, tables: Tables) -> None:
        self._dynamodb, self.tables = dynamodb, tables

    def campaign(self, campaign_id: str) -> Item | None:
        return self._item(self.tables.campaigns, {"campaign_id": campaign_id})

    def delivery(self, campaign_id: str, contact_email: str) -> Item | None:
        return self._item(self.tables.deliveries, {"campaign_id": campaign_id, "contact_email": contact_email})

    def contacts(self, emails: Iterable[str]) -> dict[str, Item]:
        """Those that are there."""
        wanted = [{"email": {"S": email}} for email in dict.fromkeys(emails)]
        found: dict[str, Item] = {}
        table = self.tables.contacts
        while wanted:
            request = {table: {"Keys": wanted[:_AT_ONCE], "ConsistentRead": True}}
            answer = self._call("batch_get_item", RequestItems=request)
            for item in map(plain, answer.get("Responses", {}).get(table, [])):
                found[item["email"]] = item
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if len(left) == len(wanted):
                raise NotNow("DynamoDB read none of the contacts")
            wanted = [*left, *wanted[_AT_ONCE:]]
        return found

    def write(self, parts: list[Request]) -> None:
        """One transaction. Raises Cancelled too."""
        from botocore.exceptions import ClientError

        try:
            self._call("transact_write_items", TransactItems=parts)
        except ClientError as error:
            if _code(error) != "TransactionCanceledException":
                raise
            reasons = error.response.get("CancellationReasons", [])
            raise Cancelled([_reason(reason) for reason in reasons]) from None

    def give_back(self, step: Begin) -> bool:
        """Undo a Begin of which nothing was sent; False when it isn't ours any more."""
        return any(self._conditional(operation, request) for operation, request in give_back(self.tables, step))

    def set_processing(self, campaign_id: str) -> bool:
        """A queued campaign begins to be mailed; False when it wasn't queued."""
        return self._conditional(
            "update_item",
            {
                **self._campaign(campaign_id),
                "UpdateExpression": "SET #status = :processing",
                "ConditionExpression": "#status = :queued",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {
                    ":processing": {"S": Status.PROCESSING.value},
                    ":queued": {"S": Status.QUEUED.value},
                },
            },
        )

    def pause(self, campaign_id: str, by: str, reason: str) -> bool:
        """Pause a campaign that is being mailed; False when it is paused or isn't mailed any more."""
        return self._conditional(
            "update_item",
            {
                **self._campaign(campaign_id),
                "UpdateExpression": "SET paused = :yes, paused_by = :by, pause_reason = :reason",
                "ConditionExpression": "#status IN (:processing, :queued) "
                "AND (attribute_not_exists(paused) OR paused = :no)",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {
                    ":yes": {"BOOL": True},
                    ":no": {"BOOL": False},
                    ":by": {"S": by},
                    ":reason": {"S": reason},
                    ":processing": {"S": Status.PROCESSING.value},
                    ":queued": {"S": Status.QUEUED.value},
                },
            },
        )

    def complete(self, campaign_id: str, now: str) -> bool:
        """Complete a campaign of which everybody came to an end; `now` is ISO 8601 in UTC."""
        item = self.campaign(campaign_id)
        if item is None or item.get("status") == Status.COMPLETED or not ended(item):
            return False
        return self._conditional("update_item", {"TableName": self.tables.campaigns, **completion(item, now)})

    def _campaign(self, campaign_id: str) -> Request:
        return {"TableName": self.tables.campaigns, "Key": {"campaign_id": {"S": campaign_id}}}

    def _item(self, table: str, key: Mapping[str, str]) -> Item | None:
        typed = {name: {"S": value} for name, value in key.items()}
        answer = self._call("get_item", TableName=table, Key=typed, ConsistentRead=True)
        return plain(answer["Item"]) if "Item" in answer else None

    def _conditional(self, operation: str, request: Request) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._call(operation, **request)
        except ClientError as error:
            if _code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
        from botocore.parsers import ResponseParserError

        try:
            answer: dict[str, Any] = getattr(self._dynamodb, operation)(**request)
        except ClientError as error:
            if _code(error) in _TRANSIENT:
                raise NotNow(f"DynamoDB: {_code(error)}") from None
            raise
        except (BotoCoreError, HTTPClientError, ResponseParserError) as error:
            raise NotNow(f"DynamoDB: {type(error).__name__}") from None
        return answer


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB's own form as Python values; numbers are int or Decimal."""
    from boto3.dynamodb.types import TypeDeserializer

    read = TypeDeserializer().deserialize
    values = {key: read(value) for key, value in item.items()}
    return {
        key: int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value
        for key, value in values.items()
    }


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _reason(reason: Mapping[str, Any]) -> tuple[str, Item | None]:
    code = str(reason.get("Code") or "None")
    item = reason.get("Item")
    return "" if code == "None" else code, plain(item) if item else None
