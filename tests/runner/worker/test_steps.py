"""What DynamoDB is asked: each write holds to what must be true for it."""

from typing import Any

import pytest

from runner.worker.schema import State
from runner.worker.steps import Begin, End, Record, Step, Tables, give_back, transaction

NOW = "2026-05-12T09:00:00+00:00"
BEGIN = Begin("c", "ana@example.com", 3, "b1", "w", NOW)
RECORD = Record("c", "ana@example.com", 3, State.MISSING, "w", NOW)
END = End("c", "ana@example.com", "b1", State.SENT, NOW, "ses-1")


def parts(step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
    (head, own) = transaction(Tables(), [step])
    return next(iter(head.values())), next(iter(own.values()))


@pytest.mark.parametrize("step", [BEGIN, RECORD])
def test_nobody_is_begun_or_recorded_unless_the_campaign_goes_with_this_content(step: Step) -> None:
    head, own = parts(step)

    assert head["TableName"] == "EmailCampaigns"
    for condition in ("#status = :processing", "paused = :no", "content_version = :version"):
        assert condition in head["ConditionExpression"]
    assert head["ExpressionAttributeValues"][":processing"] == {"S": "processing"}
    assert head["ExpressionAttributeValues"][":version"] == {"N": "3"}
    assert "attribute_not_exists" in own["ConditionExpression"]
    assert own["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_a_campaign_without_a_content_version_counts_as_version_none() -> None:
    head, _ = parts(Begin("c", "ana@example.com", 0, "b1", "w", NOW))

    assert "attribute_not_exists(content_version) OR" in head["ConditionExpression"]


def test_an_end_is_written_by_whoever_began_it_and_counted_though_the_campaign_is_paused() -> None:
    head, own = parts(END)

    assert "paused" not in head["ConditionExpression"]
    assert "ADD sent_count :add_sent" in head["UpdateExpression"]
    assert own["ConditionExpression"] == "#state = :former AND begin_id = :begin_id"
    assert own["ExpressionAttributeValues"][":former"] == {"S": "sending"}
    assert own["ExpressionAttributeValues"][":message_id"] == {"S": "ses-1"}


def test_beginning_again_keeps_what_was_decided_and_needs_that_decision() -> None:
    _, own = parts(Begin("c", "ana@example.com", 3, "b2", "w", NOW, again=True))

    assert own["ConditionExpression"] == "#state = :resend"
    assert own["ExpressionAttributeValues"][":before"] == {"S": "resend"}
    assert "UpdateExpression" in own  # not a new item: who decided it stays in it


def test_giving_back_undoes_ones_own_begin_alone() -> None:
    (first, delete), (second, update) = give_back(Tables(), BEGIN)

    assert (first, second) == ("delete_item", "update_item")
    for request in (delete, update):
        assert "#state = :sending AND begin_id = :begin_id" in request["ConditionExpression"]
        assert request["ExpressionAttributeValues"][":begin_id"] == {"S": "b1"}
    assert update["UpdateExpression"] == "SET #state = :resend"


@pytest.mark.parametrize("step", [BEGIN, RECORD, END])
def test_every_name_and_value_that_is_given_is_used(step: Step) -> None:
    for part in parts(step):
        said = " ".join(part.get(key, "") for key in ("UpdateExpression", "ConditionExpression")).replace(",", " ")
        words = said.replace("(", " ").replace(")", " ").split()
        assert set(part.get("ExpressionAttributeNames", {})) <= set(words)
        assert set(part.get("ExpressionAttributeValues", {})) <= set(words)
