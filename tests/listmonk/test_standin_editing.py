"""What an edit keeps, what it needs, and what it does on the side."""

from datetime import timedelta
from typing import Any

import httpx

from backends.embedded.listmonk.rows import stamp
from tests.support.listmonk import Listmonk

HOUR = timedelta(hours=1)


def put(client: httpx.Client, number: int, **body: Any) -> httpx.Response:
    return client.put(f"/api/campaigns/{number}", json=body)


def refused(reply: httpx.Response) -> str:
    assert reply.status_code == 400
    message: str = reply.json()["message"]
    return message


def test_what_isnt_sent_stays_save_the_attributes_and_the_lists(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    number = on.add_campaign("A", people, tags=["x"], attribs={"a": 1}, headers=[{"X-A": "b"}])
    before = on.campaign(number)
    with standin.as_user(standin.manager) as client:
        assert refused(put(client, number, subject="New")) == "Invalid list IDs."
        row = put(client, number, subject="New", lists=[people.id, 999]).json()["data"]
    assert (row["subject"], row["name"], row["tags"], row["headers"]) == ("New", "A", ["x"], [{"X-A": "b"}])
    assert row["attribs"] == {}
    assert row["lists"] == [{"id": people.id, "name": "July"}]  # an id that nobody has is left out
    assert on.campaign(number).updated_at > before.updated_at


def test_the_stored_date_is_checked_again(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    people = on.add_list("July")
    late = on.add_campaign("A", people, send_at=on.now() - HOUR)
    with standin.as_user(standin.manager) as client:
        assert (
            refused(put(client, late, subject="New", lists=[people.id]))
            == "Scheduled date should be in the future."
        )
        moved = stamp(on.now() + HOUR)
        assert put(client, late, lists=[people.id], send_at=moved).json()["data"]["send_at"] == moved
        assert put(client, late, lists=[people.id], send_at=None).json()["data"]["send_at"] is None
        assert put(client, late, lists=[people.id], send_at="2026-07-01 09:00").status_code == 400


def test_a_scheduled_one_without_its_date_is_a_draft(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    number = on.add_campaign("A", people, send_at=on.now() + HOUR, status="scheduled")
    with standin.as_user(standin.manager) as client:
        assert put(client, number, lists=[people.id], send_at=None).json()["data"]["status"] == "draft"


def test_only_what_isnt_under_way_can_be_edited(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    people = on.add_list("July")
    with standin.as_user(standin.manager) as client:
        for status in ("running", "finished", "cancelled"):
            number = on.add_campaign(status, people, status=status)
            message = refused(put(client, number, subject="New", lists=[people.id]))
            assert message == "Cannot update a running or a finished campaign."
        paused = on.add_campaign("paused", people, status="paused")
        assert put(client, paused, subject="New", lists=[people.id]).json()["data"]["status"] == "paused"


def test_a_new_one_is_a_draft_whatever_is_asked(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    body = {"name": "New", "subject": "Hi", "lists": [people.id], "status": "running", "to_send": 4}
    with standin.as_user(standin.manager) as client:
        row = client.post("/api/campaigns", json=body).json()["data"]
        assert (row["status"], row["to_send"], row["messenger"], row["content_type"]) == (
            "draft",
            0,
            "email",
            "richtext",
        )
        assert row["from_email"] == on.settings["app.from_email"]
        assert (
            refused(client.post("/api/campaigns", json={**body, "messenger": "pigeon"}))
            == "Unknown messenger pigeon."
        )
        assert refused(client.post("/api/campaigns", json={**body, "body": "{{ Frist }}"})).startswith(
            "Error compiling"
        )
        assert refused(client.post("/api/campaigns", content=b"{")) != ""


def test_a_deletion_asks_for_no_status(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    number = on.add_campaign("A", on.add_list("July"), status="running")
    with standin.as_user(standin.manager) as client:
        assert client.delete(f"/api/campaigns/{number}").json() == {"data": True}
        assert client.get(f"/api/campaigns/{number}").status_code == 400


def test_a_test_is_queued_and_only_the_log_knows_its_end(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("Testers")
    on.add_person("ana@example.com", people, name="Ana Lee")
    number = on.add_campaign("July", people)
    body = {
        "name": "July", "subject": "Hi {{ .Subscriber.FirstName }}", "lists": [people.id], "messenger": "email",
        "content_type": "html", "body": "<p>x</p>", "subscribers": ["ANA@example.com"],
    }  # fmt: skip
    path = f"/api/campaigns/{number}/test"
    with standin.as_user(standin.manager) as client:
        assert client.post(path, json=body).json() == {"data": True}
        on.until(lambda: on.post.letters)
        assert on.post.letters[0].subject == "Hi Ana"
        on.post.fails = "454 4.7.0 Throttling failure: Maximum sending rate exceeded"
        assert client.post(path, json=body).json() == {"data": True}
        on.until_logged("error sending message in campaign July: subscriber 1: 454 4.7.0 Throttling")
        assert refused(client.post(path, json={**body, "messenger": ""})) == "Unknown messenger ."
        unknown = {**body, "subscribers": ["nobody@example.com"]}
        assert refused(client.post(path, json=unknown)) == "No known subscribers to test."
        assert refused(client.post(path, json={**body, "send_at": stamp(on.now() - HOUR)})) != ""
    row = on.campaign(number)
    assert (row.status, row.sent, row.to_send) == ("draft", 0, 0)
