"""Settings: masked, replaced whole or one by one, in force after a restart that drains nothing; the log too."""

import json
from typing import Any

import httpx
import pytest

from backends.embedded.listmonk import settings
from backends.embedded.listmonk.durations import parsed, shown
from backends.embedded.listmonk.standin import StandIn
from tests.support.listmonk import Listmonk

SECRET = "smtp-canary-1"


def read(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/settings").json()["data"]
    return found


def life(on: StandIn) -> object:
    """A restart makes a new log."""
    return on.app.log


def with_a_restart(on: StandIn, client: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    before = life(on)
    answer = client.request(method, path, json=body).json()["data"]
    on.until(lambda: life(on) is not before and on.is_up)
    return answer


def test_a_secret_is_shown_as_so_many_dots(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"smtp": [settings.smtp_block(password=SECRET)]})
    with standin.as_user(standin.reader) as client:
        told = client.get("/api/settings")
        assert SECRET not in told.text
        assert read(client)["smtp"][0]["password"] == "•" * len(SECRET)


@pytest.mark.slow
def test_an_empty_secret_keeps_the_old_one_and_the_dots_replace_it(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"smtp": [settings.smtp_block(password=SECRET)]})
    with standin.as_user(standin.manager) as client:
        told = read(client)
        told["smtp"][0]["password"] = ""
        told["app.message_rate"] = 3
        assert with_a_restart(on, client, "PUT", "/api/settings", told) is True
        assert on.settings["smtp"][0]["password"] == SECRET
        assert on.app.in_force["app.message_rate"] == 3
        with_a_restart(on, client, "PUT", "/api/settings", read(client))
        assert on.settings["smtp"][0]["password"] == "•" * len(SECRET)


@pytest.mark.slow
def test_dots_for_a_password_lock_the_mail_out(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 3)
    on.configure({"smtp": [settings.smtp_block(password="•••")]})
    number = on.add_campaign("July", people, status="running")
    on.until_status(number, "finished")
    assert on.campaign(number).sent == 0
    on.until_logged("535 5.7.8 Error: authentication failed")


@pytest.mark.slow
def test_a_whole_document_must_be_whole_and_have_a_server(standin: Listmonk) -> None:
    with standin.as_user(standin.manager) as client:
        reply = client.put("/api/settings", json={"app.concurrency": 1})
        assert (reply.status_code, reply.json()) == (400, {"message": "At least one SMTP block should be enabled."})
        assert standin.standin.settings["app.concurrency"] == 10


@pytest.mark.slow
def test_one_setting_is_its_json_and_one_that_isnt_there_changes_nothing(standin: Listmonk) -> None:
    on = standin.standin
    with standin.as_user(standin.manager) as client:
        assert with_a_restart(on, client, "PUT", "/api/settings/app.concurrency", 2) is True
        assert on.settings["app.concurrency"] == on.app.in_force["app.concurrency"] == 2
        before = dict(on.settings)
        assert with_a_restart(on, client, "PUT", "/api/settings/app.no_such", 2) is True
        assert on.settings == before


def test_with_a_campaign_in_memory_it_waits_for_a_reload_that_loses_its_mail(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 60)
    number = on.add_campaign("July", people)
    on.post.only(10)
    with standin.as_user(standin.manager) as client:
        client.put(f"/api/campaigns/{number}/status", json={"status": "running"})
        on.until(lambda: len(on.post.letters) == 10)
        answer = client.put("/api/settings/app.concurrency", json=2).json()["data"]
        assert answer == {"needs_restart": True}
        assert client.get("/api/config").json()["data"]["needs_restart"] is True
        assert (on.settings["app.concurrency"], on.app.in_force["app.concurrency"]) == (2, 10)
        assert with_a_restart(on, client, "POST", "/api/admin/reload") is True
        on.post.only(None)
        assert client.get("/api/config").json()["data"]["needs_restart"] is False
        assert on.app.in_force["app.concurrency"] == 2
    on.until_status(number, "finished")
    assert on.campaign(number).sent < 60
    assert len(on.post.letters) == 10


@pytest.mark.slow
def test_a_paused_campaign_is_in_memory_until_it_is_drained(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 30)
    number = on.add_campaign("July", people)
    on.post.only(0)
    with standin.as_user(standin.manager) as client:
        client.put(f"/api/campaigns/{number}/status", json={"status": "running"})
        on.until(lambda: on.post.held)
        client.put(f"/api/campaigns/{number}/status", json={"status": "paused"})
        assert client.put("/api/settings/app.message_rate", json=5).json()["data"] == {"needs_restart": True}
        on.post.only(None)
        on.until_logged("stop processing")
        on.until(lambda: not on.app.manager.running())
        assert with_a_restart(on, client, "PUT", "/api/settings/app.message_rate", 5) is True


@pytest.mark.slow
def test_a_named_server_is_a_messenger_of_its_own(standin: Listmonk) -> None:
    on = standin.standin
    blocks = [
        settings.smtp_block(host="one.example.com"),
        settings.smtp_block("fallback", host="two.example.com"),
        settings.smtp_block("off", host="three.example.com", enabled=False),
    ]
    on.configure({"smtp": blocks})
    people = on.add_list("July")
    on.add_people(people, 20)
    with standin.as_user(standin.reader) as client:
        assert client.get("/api/config").json()["data"]["messengers"] == ["email", "email-fallback"]
    on.post.fails_at["one.example.com"] = "454 4.7.0 Throttling failure"
    number = on.add_campaign("July", people, messenger="email-fallback", status="running")
    on.until_status(number, "finished")
    assert {letter.server for letter in on.post.letters} == {"two.example.com"}
    mixed = on.add_campaign("Mixed", people, status="running")
    on.until_status(mixed, "finished")
    assert 0 < on.campaign(mixed).sent < 20


@pytest.mark.slow
def test_a_server_may_be_a_senders_own(standin: Listmonk) -> None:
    on = standin.standin
    blocks = [
        settings.smtp_block(host="one.example.com"),
        settings.smtp_block("club", host="two.example.com", from_addresses=["club.example.com"]),
    ]
    on.configure({"smtp": blocks})
    people = on.add_list("July")
    on.add_people(people, 12)
    number = on.add_campaign("July", people, from_email="Club <news@club.example.com>", status="running")
    on.until_status(number, "finished")
    assert {letter.server for letter in on.post.letters} == {"two.example.com"}


@pytest.mark.slow
def test_saved_and_not_in_force_can_be_set_up(standin: Listmonk) -> None:
    standin.standin.configure({"app.message_rate": 1}, in_force=False)
    with standin.as_user(standin.reader) as client:
        assert client.get("/api/config").json()["data"]["needs_restart"] is True


@pytest.mark.slow
def test_the_log_is_a_ring_that_a_restart_empties(standin: Listmonk) -> None:
    on = standin.standin
    for number in range(5005):
        on.app.log.write(f"line {number}")
    with standin.as_user(standin.reader) as client:
        lines = client.get("/api/logs").json()["data"]
        assert len(lines) == 5000
        assert lines[-1].endswith("main.go:240: line 5004")
        on.restart()
        assert len(client.get("/api/logs").json()["data"]) == 1


@pytest.mark.slow
def test_events_are_the_lines_with_an_error_in_them(standin: Listmonk) -> None:
    on = standin.standin
    with standin.as_user(standin.reader) as client, client.stream("GET", "/api/events") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        on.until(lambda: on.app.log.listeners)
        on.app.log.write("start processing campaign (July)")
        on.app.log.write("error sending message in campaign July: subscriber 1: 550")
        lines = stream.iter_lines()
        assert next(lines) == "retry: 3000"
        event = json.loads(next(lines).removeprefix("data: "))
    assert event["message"].endswith("error sending message in campaign July: subscriber 1: 550")


@pytest.mark.slow
def test_an_import_is_told(standin: Listmonk) -> None:
    user = standin.standin.add_user("importer", ("subscribers:import",))
    with standin.as_user(user) as client:
        assert client.get("/api/import/subscribers").json()["data"]["status"] == "none"
        standin.standin.importing(10, 5)
        told = client.get("/api/import/subscribers").json()["data"]
        assert told == {"name": "people.csv", "total": 10, "imported": 5, "status": "importing"}


def test_durations_are_gos() -> None:
    for text, same in {
        "1h": "1h0m0s",
        "1h30m": "1h30m0s",
        "90s": "1m30s",
        "45s": "45s",
        "51m46s": "51m46s",
    }.items():
        assert shown(parsed(text)) == same
    assert not parsed("soon")
