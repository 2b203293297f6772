"""Who is let in, and what is said to those who aren't: 403, never 401."""

import base64
from collections.abc import Mapping

import httpx

from backends.embedded.listmonk.people import READ
from tests.support.listmonk import Listmonk

LAST = {
    "GET /api/campaigns": "campaigns:get",
    "GET /api/campaigns/running/stats": "campaigns:get",
    "GET /api/campaigns/analytics/views?id=1&from=2026-07-01&to=2026-07-02": "campaigns:get_analytics",
    "POST /api/campaigns": "campaigns:manage",
    "PUT /api/campaigns/1": "campaigns:manage",
    "POST /api/campaigns/1/test": "campaigns:manage",
    "PUT /api/campaigns/1/status": "campaigns:send",
    "GET /api/subscribers": "subscribers:get",
    "GET /api/bounces": "bounces:get",
    "GET /api/settings": "settings:get",
    "GET /api/logs": "settings:get",
    "PUT /api/settings": "settings:manage",
    "PUT /api/settings/app.concurrency": "settings:manage",
    "POST /api/admin/reload": "settings:manage",
    "POST /api/tx": "tx:send",
    "GET /api/import/subscribers": "subscribers:import",
    "GET /api/templates": "templates:get",
}


def ask(standin: Listmonk, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    reply = httpx.get(f"{standin.url}{path}", headers=dict(headers), verify=False)
    return reply.status_code, reply.json().get("message", "")


def pair(standin: Listmonk) -> str:
    return f"{standin.reader.username}:{standin.reader.token}"


def test_a_token_is_sent_in_one_of_two_ways(standin: Listmonk) -> None:
    for header in (f"token {pair(standin)}", "Basic " + base64.b64encode(pair(standin).encode()).decode()):
        assert ask(standin, "/api/health", {"Authorization": header}) == (200, "")


def test_any_other_header_is_a_403(standin: Listmonk) -> None:
    good = pair(standin)
    for header, message in {
        "": "invalid session",
        f"Bearer {good}": "unknown Authorization scheme",
        f"Token {good}": "unknown Authorization scheme",
        f"basic {good}": "unknown Authorization scheme",
        f"token {good}x": "invalid API credentials",
        "token nobody": "api_key:token missing",
        "token nobody:": "empty `api_key` or `token`",
        "Basic not-base64": "invalid Base64 value in Basic Authorization header",
    }.items():
        assert ask(standin, "/api/health", {"Authorization": header} if header else {}) == (403, message)


def test_a_session_cookie_makes_the_token_unseen(standin: Listmonk) -> None:
    token = f"token {pair(standin)}"
    assert ask(standin, "/api/health", {"Authorization": token, "Cookie": "a=b; session=x"}) == (
        403,
        "invalid session",
    )
    assert ask(standin, "/api/health", {"Authorization": token, "Cookie": "a=b"}) == (200, "")


def test_only_the_public_health_check_asks_for_nothing(standin: Listmonk) -> None:
    assert httpx.get(f"{standin.url}/health", verify=False).json() == {"data": True}


def test_the_last_permission_of_a_route_is_the_one_that_is_named(standin: Listmonk) -> None:
    nobody = standin.standin.add_user("nobody", ())
    with standin.as_user(nobody) as client:
        for request, last in LAST.items():
            method, path = request.split()
            reply = client.request(method, path)
            assert (reply.status_code, reply.json()) == (403, {"message": f"permission denied: {last}"})


def test_the_profile_tells_the_token_its_permissions(standin: Listmonk) -> None:
    with standin.as_user(standin.reader) as client:
        told = client.get("/api/profile").json()["data"]
    assert told["type"] == "api"
    assert told["password"] is None
    assert set(told["user_role"]["permissions"]) == set(READ)
    assert told["list_role"] is None


def test_a_send_token_starts_what_it_may_not_edit(standin: Listmonk) -> None:
    people = standin.standin.add_list("July")
    number = standin.standin.add_campaign("July", people)
    with standin.as_user(standin.sender) as client:
        assert client.put(f"/api/campaigns/{number}/status", json={"status": "running"}).status_code == 200
        assert client.put(f"/api/campaigns/{number}", json={"name": "x"}).status_code == 403


def test_the_permission_to_send_needs_a_list_or_the_campaign(standin: Listmonk) -> None:
    """campaigns:send alone isn't enough: the campaign must be one of the user's lists, or of everybody's."""
    mine, other = standin.standin.add_list("Mine"), standin.standin.add_list("Other")
    allowed, denied = standin.standin.add_campaign("A", mine), standin.standin.add_campaign("B", other)
    user = standin.standin.add_user("narrow", ("campaigns:get", "campaigns:send"), lists={mine.id: ("list:get",)})
    with standin.as_user(user) as client:
        assert client.put(f"/api/campaigns/{allowed}/status", json={"status": "running"}).status_code == 200
        reply = client.put(f"/api/campaigns/{denied}/status", json={"status": "running"})
        assert (reply.status_code, reply.json()) == (403, {"message": "Permission denied: campaigns:manage"})
        reply = client.get(f"/api/campaigns/{denied}")
        assert (reply.status_code, reply.json()) == (403, {"message": "Permission denied: campaigns:get"})
        assert [row["id"] for row in client.get("/api/campaigns").json()["data"]["results"]] == [allowed]
        assert [row["id"] for row in client.get("/api/lists").json()["data"]["results"]] == [mine.id]


def test_without_lists_there_is_an_empty_page_and_no_403(standin: Listmonk) -> None:
    standin.standin.add_campaign("A", standin.standin.add_list("A"))
    user = standin.standin.add_user("lone", ("campaigns:get",))
    with standin.as_user(user) as client:
        assert client.get("/api/campaigns").json()["data"]["results"] == []
        assert client.get("/api/lists?minimal=true").json() == {"data": []}


def test_a_super_admin_is_asked_for_nothing(standin: Listmonk) -> None:
    admin = standin.standin.add_user("admin", (), role_id=1)
    with standin.as_user(admin) as client:
        assert client.get("/api/settings").status_code == 200


def test_an_unknown_path_of_the_api_is_a_404(standin: Listmonk) -> None:
    with standin.as_user(standin.reader) as client:
        reply = client.get("/api/nothing")
        assert (reply.status_code, reply.json()) == (404, {"message": "404 unknown endpoint"})
