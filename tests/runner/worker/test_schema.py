"""The messages' form, and when a campaign has ended."""

import pytest

from runner.worker.schema import Reference, completion, ended, parse_reference, reference


def test_a_message_is_about_a_hundred_bytes_whatever_the_campaign_holds() -> None:
    body = reference("campaign_1704067200", "john.doe@example.com")

    assert parse_reference(body) == Reference("campaign_1704067200", "john.doe@example.com")
    assert len(body) <= 100


@pytest.mark.parametrize(
    "body",
    [
        "",
        "john.doe@example.com",
        "[]",
        "7",
        '{"campaign_id": "c"}',
        '{"campaign_id": "", "contact_email": "a"}',
        '{"campaign_id": 7, "contact_email": "a"}',
        '{"campaign_id": "\\ud800", "contact_email": "a"}',
        '{"campaign_id": "c", "contact_email": "' + "€" * 342 + '"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_reference_is_refused_without_repeating_it(body: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_reference(body)

    assert "john" not in str(refused.value)


def test_a_campaign_ends_when_all_are_queued_and_every_one_is_counted() -> None:
    counts = {"queued_count": 10, "sent_count": 5, "failed_count": 1, "missing_count": 2, "suppressed_count": 1}

    assert not ended({**counts, "queued_at": "2026-05-12T08:00:00+00:00"})
    assert not ended({**counts, "unknown_count": 1})  # more may be queued
    assert ended({**counts, "unknown_count": 1, "queued_at": "2026-05-12T08:00:00+00:00"})


@pytest.mark.parametrize("odd", ["lots", None, [1]])
def test_a_campaign_whose_counts_are_no_numbers_has_not_ended(odd: object) -> None:
    assert not ended({"queued_at": "2026-05-12T08:00:00+00:00", "queued_count": 1, "sent_count": odd})
    assert not ended({"queued_at": "2026-05-12T08:00:00+00:00", "queued_count": odd, "sent_count": 1})


def test_completing_holds_to_the_counts_that_were_read() -> None:
    wanted = completion({"campaign_id": "c", "queued_count": 2, "sent_count": 2}, "2026-05-12T09:00:00+00:00")

    assert "sent_count = :c1" in wanted["ConditionExpression"]
    assert "attribute_not_exists(unknown_count)" in wanted["ConditionExpression"]
    assert wanted["ExpressionAttributeValues"][":c1"] == {"N": "2"}
