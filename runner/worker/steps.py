"""What a worker writes of one recipient, as parts of one DynamoDB transaction. Pure: items in, requests out.

A transaction takes many recipients' steps of one kind and one campaign, and looks at that campaign's item or counts
in it once. Each step can be told afterwards by its `begin_id` or its state, so that one whose answer was lost is
simply asked for again: its condition then fails at its own trace.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.worker.schema import COUNTS, State, Status

Item = Mapping[str, Any]
Request = dict[str, Any]
MOST: Final = 99  # steps in one transaction, which takes a hundred parts


@dataclass(frozen=True, slots=True)
class Tables:
    """Their names."""

    campaigns: str = "EmailCampaigns"
    contacts: str = "EmailContacts"
    deliveries: str = "EmailDeliveries"


@dataclass(frozen=True, slots=True)
class Begin:
    """From here on this worker alone may send to them. `now` is ISO 8601 in UTC, as in the other steps. `again`: a
    person decided that one who may have got it gets it once more."""

    campaign_id: str
    contact_email: str
    content_version: int
    begin_id: str
    worker: str
    now: str
    again: bool = False

    @property
    def together(self) -> tuple[object, ...]:
        return Begin, self.campaign_id, self.content_version


@dataclass(frozen=True, slots=True)
class Record:
    """They came to an end without anything being sent: no such contact, or nothing that could be."""

    campaign_id: str
    contact_email: str
    content_version: int
    state: State
    worker: str
    now: str
    error_class: str = ""
    error: str = ""

    @property
    def together(self) -> tuple[object, ...]:
        return Record, self.campaign_id, self.content_version


@dataclass(frozen=True, slots=True)
class End:
    """What came of a delivery that was begun. `former` is its state until now: SENDING, or what was made of it
    while its answer was awaited."""

    campaign_id: str
    contact_email: str
    begin_id: str
    state: State
    now: str
    message_id: str = ""
    error_class: str = ""
    error: str = ""
    former: State = State.SENDING

    @property
    def together(self) -> tuple[object, ...]:
        return End, self.campaign_id


Step = Begin | Record | End
"""Steps of which `together` is equal may be written in one transaction."""


def transaction(tables: Tables, steps: Sequence[Step]) -> list[Request]:
    """The parts, the campaign's first; `steps` may be written `together` and are of different contacts."""
    first = steps[0]
    if isinstance(first, Begin):
        head = {"ConditionCheck": {**_campaign(tables, first), **_gate(first.content_version)}}
    else:
        gated = _gate(first.content_version) if isinstance(first, Record) else _there()
        head = {"Update": {**_campaign(tables, first), **_counted(steps, gated)}}
    return [head, *(_part(tables, step) for step in steps)]


def give_back(tables: Tables, step: Begin) -> list[tuple[str, Request]]:
    """Undo a Begin of which nothing was sent: operations to be tried one after the other until one's condition
    holds. Who was to be sent again still is."""
    key = _key(tables, step)
    mine = {":sending": _s(State.SENDING), ":begin_id": _s(step.begin_id), ":none": _s("")}
    names = {"#state": "state", "#before": "before"}
    ours = "#state = :sending AND begin_id = :begin_id AND #before"
    again = {**mine, ":resend": _s(State.RESEND)}
    del again[":none"]
    return [
        (
            "delete_item",
            {
                **key,
                "ConditionExpression": f"{ours} = :none",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": mine,
            },
        ),
        (
            "update_item",
            {
                **key,
                "UpdateExpression": "SET #state = :resend",
                "ConditionExpression": f"{ours} = :resend",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": again,
            },
        ),
    ]


def _part(tables: Tables, step: Step) -> Request:
    if isinstance(step, Begin):
        sets = {"begin_id": step.begin_id, "worker": step.worker, "begun_at": step.now, "state": State.SENDING}
        sets |= {"before": State.RESEND if step.again else ""}
        if not step.again:
            return {"Put": _new(tables, step, sets)}
        begun = _update(sets, {":resend": State.RESEND}, "#state = :resend")
        begun["UpdateExpression"] += " REMOVE ended_at, message_id, error_class, #error"
        begun["ExpressionAttributeNames"]["#error"] = "error"
        return {"Update": {**_key(tables, step), **begun}}
    if isinstance(step, Record):
        sets = {"worker": step.worker, "begun_at": step.now, "ended_at": step.now, "state": step.state}
        sets |= {"error_class": step.error_class, "error": step.error} if step.error else {}
        free = _update(sets, {":resend": State.RESEND}, "attribute_not_exists(#state) OR #state = :resend")
        return {"Update": {**_key(tables, step), **free}}
    sets = {"ended_at": step.now, "state": step.state}
    sets |= {"message_id": step.message_id} if step.message_id else {}
    sets |= {"error_class": step.error_class, "error": step.error} if step.error else {}
    ours = {":former": step.former, ":begin_id": step.begin_id}
    ended = _update(sets, ours, "#state = :former AND begin_id = :begin_id")
    return {"Update": {**_key(tables, step), **ended}}


def _new(tables: Tables, step: Begin, sets: Mapping[str, str]) -> Request:
    key = _key(tables, step)
    return {
        "TableName": key["TableName"],
        "Item": key["Key"] | {name: _s(value) for name, value in sets.items()},
        "ConditionExpression": "attribute_not_exists(campaign_id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _update(sets: Mapping[str, str], more: Mapping[str, str], condition: str) -> Request:
    """An update of a delivery; `more` are values that its condition needs besides those that are set."""
    values = {f":{name}": value for name, value in sets.items()} | dict(more)
    return {
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in sets),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in sets},
        "ExpressionAttributeValues": {name: _s(value) for name, value in values.items()},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _gate(content_version: int) -> Request:
    """What the campaign's item must say for anybody to be begun or recorded."""
    values = {":processing": _s(Status.PROCESSING), ":no": {"BOOL": False}, ":version": _n(content_version)}
    version = "content_version = :version"
    return {
        "ConditionExpression": "#status = :processing AND (attribute_not_exists(paused) OR paused = :no) AND "
        + (version if content_version else f"(attribute_not_exists(content_version) OR {version})"),
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _there() -> Request:
    """A count of a campaign that was deleted must not make a new one."""
    return {
        "ConditionExpression": "attribute_exists(campaign_id)",
        "ExpressionAttributeNames": {},
        "ExpressionAttributeValues": {},
    }


def _counted(steps: Sequence[Step], gated: Request) -> Request:
    changes: Counter[State] = Counter()
    now = ""
    for step in steps:
        assert isinstance(step, Record | End)
        changes[step.state] += 1
        now = max(now, step.now)
        if isinstance(step, End) and step.former is State.UNKNOWN:
            changes[State.UNKNOWN] -= 1
    adds = {state: change for state, change in changes.items() if change}
    counted = {
        **gated,
        "UpdateExpression": "SET progress_at = :now",
        "ExpressionAttributeValues": {**gated["ExpressionAttributeValues"], ":now": _s(now)},
    }
    if adds:
        counted["UpdateExpression"] += " ADD " + ", ".join(f"{COUNTS[state]} :add_{state}" for state in adds)
        counted["ExpressionAttributeValues"] |= {f":add_{state}": _n(change) for state, change in adds.items()}
    if not counted["ExpressionAttributeNames"]:
        del counted["ExpressionAttributeNames"]
    return counted


def _campaign(tables: Tables, step: Step) -> Request:
    return {"TableName": tables.campaigns, "Key": {"campaign_id": _s(step.campaign_id)}}


def _key(tables: Tables, step: Step) -> Request:
    return {
        "TableName": tables.deliveries,
        "Key": {"campaign_id": _s(step.campaign_id), "contact_email": _s(step.contact_email)},
    }


def _s(value: str) -> dict[str, str]:
    return {"S": str(value)}


def _n(value: int) -> dict[str, str]:
    return {"N": str(value)}
