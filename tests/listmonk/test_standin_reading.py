"""Pages, filters and shapes of what is read."""

from datetime import timedelta

import httpx

from backends.embedded.listmonk.rows import stamp
from tests.support.listmonk import Listmonk

NO_ROWS = {"results": [], "search": "", "query": "", "total": 0, "per_page": 0, "page": 0}


def page(client: httpx.Client, query: str) -> dict[str, object]:
    found: dict[str, object] = client.get(f"/api/campaigns?{query}").json()["data"]
    return found


def ids(client: httpx.Client, query: str) -> list[int]:
    rows = page(client, query)["results"]
    assert isinstance(rows, list)
    return [row["id"] for row in rows]


def test_a_page_says_what_it_is(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    numbers = [on.add_campaign(f"C{one}", people) for one in range(25)]
    with standin.as_user(standin.reader) as client:
        first = page(client, "")
        assert list(first) == ["results", "search", "query", "total", "per_page", "page"]
        assert (first["total"], first["per_page"], first["page"]) == (25, 20, 1)
        assert ids(client, "page=2") == numbers[4::-1]  # the newest come first
        everything = page(client, "per_page=all&no_body=true")
        assert (everything["total"], everything["per_page"]) == (25, 0)
        assert page(client, "page=9") == NO_ROWS
        assert len(ids(client, "per_page=100")) == 25  # no cap


def test_status_and_tag_filter_and_tags_are_all_wanted(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    draft = on.add_campaign("A", people, tags=["monthly", "club"])
    paused = on.add_campaign("B", people, tags=["monthly"], status="paused")
    with standin.as_user(standin.reader) as client:
        assert ids(client, "status=draft&status=paused&order_by=name&order=asc") == [draft, paused]
        assert ids(client, "status=draft") == [draft]
        assert ids(client, "tag=monthly&tag=club") == [draft]
        assert set(ids(client, "tags=club")) == {draft, paused}  # the documented name isn't read
        assert ids(client, "order_by=send_at") == [paused, draft]  # unknown: the newest first
        assert client.get("/api/campaigns?status=started").status_code == 500
        assert client.get("/api/campaigns?query=a%3Ab").status_code == 500


def test_without_bodies_they_are_blank_and_one_row_keeps_its_source(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign("A", on.add_list("July"), body="<p>x</p>", body_source="{}")
    with standin.as_user(standin.reader) as client:
        row = client.get("/api/campaigns?no_body=true").json()["data"]["results"][0]
        assert (row["body"], row["body_source"]) == ("", None)
        row = client.get(f"/api/campaigns/{number}?no_body=true").json()["data"]
        assert (row["body"], row["body_source"]) == ("", "{}")
        assert client.get(f"/api/campaigns/{number}").json()["data"]["body"] == "<p>x</p>"


def test_nothing_has_three_shapes(standin: Listmonk) -> None:
    with standin.as_user(standin.reader) as client:
        assert client.get("/api/campaigns").json() == {"data": NO_ROWS}
        assert client.get("/api/bounces").json() == {"data": NO_ROWS}
        assert client.get("/api/lists?minimal=true").json() == {"data": []}
        assert client.get("/api/campaigns/running/stats").json() == {"data": []}


def test_what_the_engine_knows_isnt_told(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign("A", on.add_list("July"), last_subscriber_id=4, max_subscriber_id=9)
    with standin.as_user(standin.reader) as client:
        row = client.get(f"/api/campaigns/{number}").json()["data"]
    assert not {"last_subscriber_id", "max_subscriber_id", "finished_at", "errors"} & set(row)
    assert row["to_send"] == 0
    assert row["created_at"] == stamp(on.campaign(number).created_at)


def test_a_deleted_list_leaves_its_name(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 2)
    number = on.add_campaign("A", people)
    with standin.as_user(standin.manager) as client:
        assert client.delete(f"/api/lists/{people.id}").json() == {"data": True}
        assert client.get(f"/api/campaigns/{number}").json()["data"]["lists"] == [{"id": None, "name": "July"}]
    assert on.database.audience(on.campaign(number)) == []


def test_lists_count_only_where_they_are_asked_to(standin: Listmonk) -> None:
    on = standin.standin
    people = on.add_list("July")
    on.add_people(people, 3)
    on.add_person("gone@example.com", people, subscription="unsubscribed")
    with standin.as_user(standin.reader) as client:
        (full,) = client.get("/api/lists").json()["data"]["results"]
        assert (full["subscriber_count"], full["subscriber_statuses"]) == (4, {"confirmed": 3, "unsubscribed": 1})
        (short,) = client.get("/api/lists?minimal=true").json()["data"]["results"]
        assert short["subscriber_count"] == 0


def test_the_date_of_an_answer_is_its_own_clocks(standin: Listmonk) -> None:
    with standin.as_user(standin.reader) as client:
        right = client.get("/api/health").headers["date"]
        standin.standin.offset = timedelta(days=3)
        assert client.get("/api/health").headers["date"] != right


def test_config_and_about_are_told(standin: Listmonk) -> None:
    with standin.as_user(standin.reader) as client:
        config = client.get("/api/config").json()["data"]
        assert (config["version"], config["needs_restart"], config["messengers"]) == ("v6.2.0", False, ["email"])
        assert client.get("/api/about").json()["version"] == "v6.2.0"  # no envelope
        assert client.get("/api/dashboard/counts").json()["data"]["campaigns"] == {"total": 0, "by_status": {}}


def test_a_preview_is_a_page_for_nobody(standin: Listmonk) -> None:
    on = standin.standin
    number = on.add_campaign(
        "A",
        on.add_list("July"),
        body='<p>Hi {{ .Subscriber.FirstName }}</p><a href="{{ TrackLink "https://example.com" . }}">x</a>',
    )
    broken = on.add_campaign("B", on.add_list("June"), body="{{ Frist }}")
    with standin.as_user(standin.reader) as client:
        reply = client.get(f"/api/campaigns/{number}/preview")
        assert reply.headers["content-type"].startswith("text/html")
        assert "Hi Demo" in reply.text
        assert on.campaign(number).uuid not in reply.text
        reply = client.get(f"/api/campaigns/{broken}/preview")
        assert reply.status_code == 400
        assert 'function "Frist" not defined' in reply.json()["message"]
        form = {"body": "<b>{{ .Subscriber.Email }}</b>", "content_type": "html"}
        reply = client.post(f"/api/campaigns/{number}/preview", data=form)
        assert "demo@listmonk.app" in reply.text
