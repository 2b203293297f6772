"""moto's DynamoDB with writes that don't disturb each other. Import it before the server starts.

moto answers in threads and locks nothing, copies whole tables for each item of a transaction, and puts those copies
back when one is cancelled: whatever others wrote meanwhile is lost. Here each write has the backend for itself, and
a transaction looks at all its conditions first and touches its own items alone.
"""

import functools
import re
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
)
from moto.dynamodb.models import DynamoDBBackend

_LOCK = threading.RLock()
_FAILED = "ConditionalCheckFailed"


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with _LOCK:
            return method(*args, **kwargs)

    return locked


def _transact(self: Any, transact_items: list[dict[str, Any]]) -> None:
    if len(transact_items) > 100:
        raise TooManyTransactionsException
    work = [next(iter(item.items())) for item in transact_items]
    keys = [(operation["TableName"], _key(self, kind, operation)) for kind, operation in work]
    if len({str(key) for key in keys}) < len(keys):
        raise MultipleTransactionsException
    before = [self.get_item(table, key) for table, key in keys]
    reasons = [_reason(operation, item) for (_, operation), item in zip(work, before, strict=True)]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    kept = [item and dict(item.to_json()["Attributes"]) for item in before]
    try:
        for (kind, operation), (table, key) in zip(work, keys, strict=True):
            if kind == "Put":
                self.put_item(table, operation["Item"])
            elif kind == "Delete":
                self.delete_item(table, key)
            elif kind == "Update":
                names, values = (operation.get(f"ExpressionAttribute{what}") for what in ("Names", "Values"))
                used = operation["UpdateExpression"]
                self.update_item(table, key, used, _used(names, used), _used(values, used))
    except Exception:
        for (table, key), attributes in zip(keys, kept, strict=True):
            self.put_item(table, attributes) if attributes else self.delete_item(table, key)
        raise


def _key(backend: Any, kind: str, operation: dict[str, Any]) -> dict[str, Any]:
    if kind != "Put":
        return dict(operation["Key"])
    table = backend.get_table(operation["TableName"])
    names = (table.hash_key_attr, table.range_key_attr)
    return {name: operation["Item"][name] for name in names if name is not None}


def _reason(operation: dict[str, Any], item: Any) -> tuple[Any, Any, Any]:
    condition = operation.get("ConditionExpression")
    if condition is None:
        return None, None, None
    names, values = (operation.get(f"ExpressionAttribute{what}") for what in ("Names", "Values"))
    if get_filter_expression(condition, names, values).expr(item):
        return None, None, None
    wanted = operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return _FAILED, "The conditional request failed", item.to_json()["Attributes"] if wanted and item else None


def _used(given: dict[str, Any] | None, expression: str) -> dict[str, Any] | None:
    """moto refuses names and values that only the condition uses."""
    mentioned = re.findall(r"[#:]\w+", expression)
    return {name: value for name, value in given.items() if name in mentioned} if given else None


DynamoDBBackend.transact_write_items = _alone(_transact)
for _name in ("get_item", "put_item", "update_item", "delete_item"):
    setattr(DynamoDBBackend, _name, _alone(getattr(DynamoDBBackend, _name)))
