"""What becomes of a message: told from the campaign's item, and from what another worker wrote."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.worker.verdicts import Do, Taken, of_campaign, of_delivery

NOW = datetime(2026, 5, 12, 9, tzinfo=UTC)
ONCE = Taken("m1", "r1", "{}")


@pytest.mark.parametrize(
    ("item", "do"),
    [
        ({"status": "queued"}, None),
        ({"status": "processing"}, None),
        ({"status": "processing", "paused": False}, None),
        ({"status": "processing", "paused": True}, Do.WAIT),
        ({"status": "queued", "paused": True}, Do.WAIT),
        ({"status": "cancelled", "paused": True}, Do.DONE),
        ({"status": "completed"}, Do.DEAD),
        ({"status": "draft"}, Do.DEAD),
        ({}, Do.DEAD),
        (None, Do.DEAD),
    ],
)
def test_a_campaign_says_what_becomes_of_its_messages(item: dict[str, Any] | None, do: Do | None) -> None:
    found = of_campaign(item, ONCE)

    assert (found and found.do) == do


def test_a_paused_message_waits_longer_each_time_but_not_for_ever() -> None:
    waits = [of_campaign({"status": "processing", "paused": True}, Taken("m", "r", "", 1, n)) for n in range(12)]

    seconds = [found.seconds for found in waits if found]
    assert seconds == sorted(seconds)
    assert seconds[0] < 10 < seconds[-1] <= 900


@pytest.mark.parametrize("state", ["sent", "failed", "missing", "suppressed", "unknown"])
def test_who_came_to_an_end_is_never_sent_again(state: str) -> None:
    found = of_delivery({"state": state, "begun_at": NOW.isoformat()}, ONCE, NOW, 900)

    assert found
    assert (found.do, found.kind) == (Do.DONE, "duplicates")


def test_a_living_workers_delivery_is_waited_for_and_a_dead_ones_ended() -> None:
    def seen(seconds: float) -> Any:
        begun = (NOW - timedelta(seconds=seconds)).isoformat()
        return of_delivery({"state": "sending", "begun_at": begun}, ONCE, NOW, 900)

    assert seen(1).do is Do.WAIT
    assert 0 < seen(899).seconds <= 3
    assert seen(900) is None
    assert of_delivery({"state": "sending"}, ONCE, NOW, 900) is None  # nobody can tell when it was begun
