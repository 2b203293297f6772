"""Who may follow on which status, what is stored, and what the answer says instead."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from backends.embedded.listmonk import rules
from backends.embedded.listmonk.rows import STATUSES, Campaign
from tests.support.listmonk import Listmonk

SOON = timedelta(hours=1)
ALLOWED = {
    "draft": {"scheduled"},
    "scheduled": {"draft", "paused"},
    "running": {"draft", "paused"},
    "paused": {"running"},
    "cancelled": {"running", "paused"},
    "finished": set(STATUSES),
}


def put(client: httpx.Client, number: int, status: str) -> httpx.Response:
    return client.put(f"/api/campaigns/{number}/status", json={"status": status})


@pytest.mark.parametrize("target", STATUSES)
def test_the_table_of_transitions(target: str) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    for status in STATUSES:
        row = Campaign(1, "u", at, at, "July", "Hi", "a@example.com", status=status, send_at=at)
        assert (rules.refused_status(row, target) == "") == (status in ALLOWED[target]), (status, target)


def test_a_target_that_is_no_status_is_the_databases_error(standin: Listmonk) -> None:
    number = standin.standin.add_campaign("July", standin.standin.add_list("July"))
    with standin.as_user(standin.sender) as client:
        reply = put(client, number, "started")
    assert reply.status_code == 500
    assert 'invalid input value for enum campaign_status: "started"' in reply.json()["message"]


def test_a_campaign_that_isnt_there_is_a_400(standin: Listmonk) -> None:
    with standin.as_user(standin.sender) as client:
        assert put(client, 77, "running").json() == {"message": "Campaign not found"}
        assert put(client, 77, "running").status_code == 400
        assert client.get("/api/campaigns/abc").json() == {"message": "invalid ID"}
        assert client.get("/api/campaigns/0").status_code == 400


def test_running_is_stored_as_scheduled_where_there_is_a_date_and_the_answer_is_an_echo(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign("July", on.add_list("July"), send_at=on.now() + SOON)
    with standin.as_user(standin.sender) as client:
        assert put(client, number, "running").json()["data"]["status"] == "running"
        assert client.get(f"/api/campaigns/{number}").json()["data"]["status"] == "scheduled"
    assert not on.post.letters


def test_a_paused_one_with_a_date_resumes_by_way_of_scheduled(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    number = on.add_campaign("July", on.add_list("July"), status="paused", send_at=on.now() - SOON)
    with standin.as_user(standin.sender) as client:
        put(client, number, "running")
    assert on.campaign(number).status == "scheduled"


def test_scheduling_needs_a_date_and_takes_one_that_is_past(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    people = on.add_list("July")
    undated, late = on.add_campaign("A", people), on.add_campaign("B", people, send_at=on.now() - SOON)
    with standin.as_user(standin.sender) as client:
        assert put(client, undated, "scheduled").json() == {"message": rules.NEEDS_SEND_AT}
        assert put(client, late, "scheduled").status_code == 200
        assert put(client, late, "running").status_code == 400  # no way from scheduled to running
        assert put(client, late, "cancelled").status_code == 400
        assert put(client, late, "draft").status_code == 200


def test_finished_is_taken_from_anywhere(standin: Listmonk) -> None:
    number = standin.standin.add_campaign("July", standin.standin.add_list("July"))
    with standin.as_user(standin.sender) as client:
        assert put(client, number, "finished").status_code == 200
        assert put(client, number, "running").status_code == 400
    assert standin.standin.campaign(number).status == "finished"


def test_what_it_says_is_in_the_language_it_is_set_to(standin: Listmonk) -> None:
    standin.standin.faults.foreign = True
    with standin.as_user(standin.sender) as client:
        reply = put(client, 77, "running")
    assert (reply.status_code, reply.json()) == (400, {"message": "Das geht so nicht."})


def test_a_change_of_status_moves_updated_at(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign("July", on.add_list("July"), send_at=on.now() + SOON)
    before = on.campaign(number).updated_at
    with standin.as_user(standin.sender) as client:
        put(client, number, "scheduled")
    assert on.campaign(number).updated_at > before
