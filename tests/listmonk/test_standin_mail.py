"""Transactional mail, bounces, and the numbers that come after."""

from datetime import timedelta

import pytest

from backends.embedded.listmonk.rows import stamp
from tests.support.listmonk import Listmonk


def test_a_transactional_mail_is_queued_and_its_failure_is_in_the_log(standin: Listmonk) -> None:
    on = standin.standin
    on.add_person("ana@example.com", name="Ana Lee")
    template = on.database.add_template(
        "Receipt", "<p>{{ .Tx.Data.sum }}</p>", type="tx", subject="For {{ .Subscriber.Name }}"
    )
    body = {"subscriber_emails": ["ana@example.com"], "template_id": template.id, "data": {"sum": "4 €"}}
    with standin.as_user(standin.manager) as client:
        assert client.post("/api/tx", json=body).json() == {"data": True}
        on.until(lambda: on.post.letters)
        assert (on.post.letters[0].subject, on.post.letters[0].body) == ("For Ana Lee", "<p>4 €</p>")
        on.post.fails = "550 5.1.1 no such user"
        assert client.post("/api/tx", json=body).status_code == 200
        on.until_logged("error sending message 'For Ana Lee': 550 5.1.1 no such user")
        on.post.fails = ""
        some = {**body, "subscriber_emails": ["nobody@example.com", "ana@example.com"]}
        reply = client.post("/api/tx", json=some)
        assert (reply.status_code, "not found" in reply.json()["message"]) == (400, True)
        on.until(lambda: len(on.post.letters) == 2)  # the one who is known
        outside = {**some, "subscriber_mode": "external", "subscriber_emails": ["nobody@example.com"]}
        assert client.post("/api/tx", json=outside).status_code == 200
        on.until(lambda: on.post.sent_to()["nobody@example.com"])
        assert client.post("/api/tx", json={**body, "template_id": 1}).status_code == 400  # no tx template


@pytest.mark.slow
def test_a_full_queue_is_waited_for_and_then_given_up(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"app.concurrency": 1, "app.message_rate": 1})
    people = on.add_list("July")
    on.add_people(people, 20)
    number = on.add_campaign("July", people)
    on.post.only(0)
    body = {
        "name": "T",
        "subject": "Hi",
        "lists": [people.id],
        "messenger": "email",
        "subscribers": ["p1@example.com"],
    }
    with standin.as_user(standin.manager) as client:
        client.put(f"/api/campaigns/{number}/status", json={"status": "running"})
        on.until(lambda: on.app.manager.waiting() == 2)
        reply = client.post(f"/api/campaigns/{number}/test", json={**body, "content_type": "html", "body": "x"})
    assert (reply.status_code, "timed out" in reply.json()["message"]) == (500, True)
    on.until_logged("message push timed out: 'Hi'")


def test_bounces_saturate_once_somebody_is_blocked(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 2)
    number = on.add_campaign("July", people)
    assert on.bounce("p1@example.com", number)
    assert not on.bounce("p1@example.com", number)  # a hard one blocks at once
    assert [on.bounce("p2@example.com", number, "soft") for _ in range(5)].count(True) == 3
    with standin.as_user(standin.reader) as client:
        page = client.get(f"/api/bounces?campaign_id={number}&order_by=type&order=asc").json()["data"]
        assert page["total"] == 4
        first = page["results"][0]
        assert (first["type"], first["email"], first["subscriber_status"]) == (
            "hard",
            "p1@example.com",
            "blocklisted",
        )
        assert first["campaign"] == {"id": number, "name": "July"}
        assert client.get(f"/api/campaigns/{number}").json()["data"]["bounces"] == 4
    assert on.database.audience(on.campaign(number)) == [2]


@pytest.mark.slow
def test_bounces_come_in_only_where_they_are_switched_on(standin: Listmonk) -> None:
    on = standin.standin
    on.add_person("ana@example.com")
    body = {"email": "ana@example.com", "type": "complaint", "source": "ses"}
    with standin.as_user(standin.manager) as client:
        assert client.post("/webhooks/bounce", json=body).status_code == 404
        on.configure({"bounce.webhooks_enabled": True})
        assert client.post("/webhooks/bounce", json=body).status_code == 503
        on.configure({"bounce.enabled": True})
        assert client.post("/webhooks/bounce", json=body).json() == {"data": True}
        assert client.post("/webhooks/bounce", json={**body, "email": "who@example.com"}).json() == {"data": True}
    assert [row.type for row in on.database.bounces] == ["complaint"]


@pytest.mark.slow
def test_what_was_seen_is_counted_by_the_hour_or_the_day(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign("July", on.add_list("July"))
    for url in ("https://example.com/a", "https://example.com/a", "https://example.com/b"):
        on.database.record_seen("clicks", number, url)
    on.database.record_seen("views", number)
    now = on.now()
    around = {"id": number, "from": stamp(now - timedelta(hours=2)), "to": stamp(now + timedelta(hours=2))}
    around = {name: str(value)[:19] + "Z" if name != "id" else value for name, value in around.items()}
    with standin.as_user(standin.reader) as client:
        (views,) = client.get("/api/campaigns/analytics/views", params=around).json()["data"]
        assert (views["campaign_id"], views["count"], views["timestamp"][14:]) == (number, 1, "00:00Z")
        links = client.get("/api/campaigns/analytics/links", params=around).json()["data"]
        assert links == [{"url": "https://example.com/a", "count": 2}, {"url": "https://example.com/b", "count": 1}]
        assert client.get("/api/campaigns/analytics/views?id=1").status_code == 400
        row = client.get(f"/api/campaigns/{number}").json()["data"]
        assert (row["views"], row["clicks"]) == (1, 3)


@pytest.mark.slow
def test_a_server_can_be_tried_at_once(standin: Listmonk) -> None:
    with standin.as_user(standin.manager) as client:
        block = {"host": "two.example.com", "port": 25, "email": "ana@example.com"}
        assert client.post("/api/settings/smtp/test", json=block).status_code == 200
        standin.standin.post.fails_at["two.example.com"] = "535 5.7.8 bad credentials"
        reply = client.post("/api/settings/smtp/test", json=block)
        assert (reply.status_code, reply.json()) == (500, {"message": "535 5.7.8 bad credentials"})
