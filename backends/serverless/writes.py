"""Changes of items: one conditional UpdateItem each, put together from what is set and what must be so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backends.serverless.pipe import Pipe
from backends.serverless.troubles import ConditionFailed
from backends.serverless.values import plain, typed

Op = Literal["is", "is or absent", "in", "in or absent", "absent", "before", "before or absent", "lacks", "is not"]


@dataclass(frozen=True, slots=True)
class Must:
    """What has to be so of an attribute. `value` is a tuple for "in"; "lacks" is of a set of texts."""

    name: str
    op: Op
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`sets` replaces, `adds` are numbers or sets of texts that are added: all of it, if every `must` holds."""

    must: Sequence[Must]
    sets: Mapping[str, Any]
    adds: Mapping[str, Any] | None = None
    removes: Sequence[str] = ()

    def request(self) -> dict[str, Any]:
        """UpdateItem's arguments besides the table and the key."""
        names: dict[str, str] = {}
        values: dict[str, Any] = {}

        def name(attribute: str) -> str:
            return next((k for k, v in names.items() if v == attribute), None) or _put(
                names, f"#n{len(names)}", attribute
            )

        def value(held: Any) -> str:
            _put(values, key := f":v{len(values)}", held)
            return key

        parts = []
        if self.sets:
            parts.append("SET " + ", ".join(f"{name(k)} = {value(v)}" for k, v in self.sets.items()))
        if self.adds:
            parts.append("ADD " + ", ".join(f"{name(k)} {value(v)}" for k, v in self.adds.items()))
        if self.removes:
            parts.append("REMOVE " + ", ".join(name(k) for k in self.removes))
        conditions = [_condition(name(must.name), must, value) for must in self.must]
        return {
            "UpdateExpression": " ".join(parts),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": typed(values),
        }


def change(pipe: Pipe, campaign_id: str, what: Change, *, again: bool = False) -> dict[str, Any]:
    """Change a campaign; the item afterwards. `again` says that its condition holds once it is done, so that it may
    be repeated. Raises ConditionFailed with `item` as Python values ({}: there is none), and Unclear."""
    call = pipe.aws.ask if again else pipe.aws.once
    try:
        answer = call(
            "dynamodb",
            "update_item",
            TableName=pipe.settings.campaigns_table,
            Key=typed({"campaign_id": campaign_id}),
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **what.request(),
        )
    except ConditionFailed as error:
        # Where the service doesn't tell what is there, it is asked.
        there = plain(error.item) if error.item else pipe.item(campaign_id)
        raise ConditionFailed(error.what, error.means, error.next_step, there) from None
    return plain(answer.get("Attributes", {}))


def _put(held: dict[str, Any], key: str, value: Any) -> str:
    held[key] = value
    return key


def _condition(name: str, must: Must, value: Any) -> str:
    op, held = must.op, must.value
    absent = f"attribute_not_exists({name})"
    if op == "absent":
        return absent
    if op == "is not":
        return f"({absent} OR {name} <> {value(held)})"
    if op == "lacks":
        return f"({absent} OR NOT contains({name}, {value(held)}))"
    if op.startswith("in"):
        said = f"{name} IN ({', '.join(value(each) for each in held)})"
    elif op.startswith("before"):
        said = f"{name} < {value(held)}"
    else:
        said = f"{name} = {value(held)}"
    return f"({absent} OR {said})" if op.endswith("or absent") else said
