"""Which change of status is taken, what is stored, and what happens then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.listmonk.contract.peer import Draft, Peer


@pytest.fixture
def draft(listmonk: Peer) -> Draft:
    listmonk.need("campaigns:send")
    return listmonk.draft(2)


def dated(listmonk: Peer, draft: Draft, seconds: float) -> None:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    body = {"lists": [draft.list_id], "send_at": at.isoformat().replace("+00:00", "Z")}
    listmonk.data("PUT", f"/api/campaigns/{draft.id}", json=body)


def put(listmonk: Peer, draft: Draft, *statuses: str) -> list[int]:
    return [listmonk.put_status(draft.id, status).status_code for status in statuses]


def stored(listmonk: Peer, draft: Draft) -> str:
    status: str = listmonk.campaign(draft.id)["status"]
    return status


def ended(listmonk: Peer, draft: Draft) -> dict[str, Any]:
    listmonk.until(lambda: stored(listmonk, draft) in ("finished", "paused"), scans=10)
    return listmonk.campaign(draft.id)


def test_what_a_draft_may_not_become(listmonk: Peer, draft: Draft) -> None:
    assert put(listmonk, draft, "paused", "cancelled", "draft", "scheduled") == [400, 400, 400, 400]
    assert put(listmonk, draft, "started") == [500]
    assert stored(listmonk, draft) == "draft"


def test_a_scheduled_one_goes_back_by_way_of_draft_only(listmonk: Peer, draft: Draft) -> None:
    dated(listmonk, draft, 48 * 3600)
    assert put(listmonk, draft, "scheduled", "running", "cancelled", "paused") == [200, 400, 400, 400]
    assert stored(listmonk, draft) == "scheduled"
    assert put(listmonk, draft, "draft") == [200]
    assert stored(listmonk, draft) == "draft"


def test_with_a_date_running_is_only_an_echo(listmonk: Peer, draft: Draft) -> None:
    dated(listmonk, draft, 48 * 3600)
    reply = listmonk.put_status(draft.id, "running")
    assert (reply.status_code, reply.json()["data"]["status"]) == (200, "running")
    assert stored(listmonk, draft) == "scheduled"


def test_finished_is_taken_from_a_draft(listmonk: Peer, draft: Draft) -> None:
    assert put(listmonk, draft, "finished") == [200]
    assert put(listmonk, draft, "running", "draft") == [400, 400]
    row = listmonk.campaign(draft.id)
    assert (row["status"], row["sent"]) == ("finished", 0)
    assert listmonk.refusal("PUT", f"/api/campaigns/{draft.id}", json={"lists": [draft.list_id]}) == 400


@pytest.mark.slow
def test_a_started_one_is_picked_up_counted_and_finished(listmonk: Peer, draft: Draft) -> None:
    assert put(listmonk, draft, "running") == [200]
    listmonk.until(lambda: listmonk.campaign(draft.id)["to_send"])
    row = ended(listmonk, draft)
    assert row["to_send"] == 2
    assert 0 <= row["sent"] <= 2  # its mail server may refuse both
    assert row["started_at"] is not None
    assert put(listmonk, draft, "running") == ([400] if row["status"] == "finished" else [200])
    if listmonk.may("settings:get"):
        lines = listmonk.data("GET", "/api/logs")
        assert any(f"start processing campaign ({draft.name})" in line for line in lines)


@pytest.mark.slow
def test_nobody_in_the_list_ends_it_with_nothing(listmonk: Peer) -> None:
    listmonk.need("campaigns:send")
    empty = listmonk.draft(0)
    assert put(listmonk, empty, "running") == [200]
    row = ended(listmonk, empty)
    assert (row["status"], row["to_send"], row["sent"]) == ("finished", 0, 0)


@pytest.mark.slow
def test_a_scheduled_one_starts_at_its_time(listmonk: Peer, draft: Draft) -> None:
    dated(listmonk, draft, 5.0 if listmonk.real else 1.0)  # it must still lie ahead when the edit arrives
    assert put(listmonk, draft, "scheduled") == [200]
    listmonk.until(lambda: stored(listmonk, draft) != "scheduled", scans=4)
    assert ended(listmonk, draft)["to_send"] == 2


@pytest.mark.slow
def test_a_pause_is_stored_at_once_and_a_cancel_is_the_end(listmonk: Peer) -> None:
    listmonk.need("campaigns:send")
    draft = listmonk.draft(40)
    assert put(listmonk, draft, "running", "paused") == [200, 200]
    assert stored(listmonk, draft) == "paused"
    assert put(listmonk, draft, "draft", "cancelled") == [400, 200]
    assert put(listmonk, draft, "running", "paused", "scheduled", "draft") == [400] * 4
    assert stored(listmonk, draft) == "cancelled"
    assert draft.id not in [row["id"] for row in listmonk.data("GET", "/api/campaigns/running/stats")]
