"""Shapes and codes of what is only read."""

import re
from email.utils import parsedate_to_datetime

import httpx

from tests.listmonk.contract.peer import Peer

NOWHERE = 2_000_000_000
PAGE = ["results", "search", "query", "total", "per_page", "page"]
LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d+ \S+\.go:\d+: ")


def bare(listmonk: Peer, **headers: str) -> httpx.Response:
    return httpx.get(f"{listmonk.url}/api/profile", headers=headers, timeout=30, verify=listmonk.verify)


def test_a_wrong_token_is_a_403_and_never_a_401(listmonk: Peer) -> None:
    good = f"{listmonk.user}:{listmonk.token}"
    assert bare(listmonk, Authorization=f"token {good}").status_code == 200
    for header in (f"token {listmonk.user}:wrong", f"Bearer {listmonk.token}", f"Token {good}"):
        reply = bare(listmonk, Authorization=header)
        assert (reply.status_code, type(reply.json()["message"])) == (403, str)
    assert bare(listmonk).status_code == 403
    assert bare(listmonk, Authorization=f"token {good}", Cookie="session=x").status_code == 403


def test_the_profile_is_of_an_api_user_with_its_permissions(listmonk: Peer) -> None:
    told = listmonk.data("GET", "/api/profile")
    assert (told["username"], told["type"]) == (listmonk.user, "api")
    assert isinstance(told["user_role"]["permissions"], list)


def test_what_isnt_there_is_a_400_and_an_unknown_path_a_404(listmonk: Peer) -> None:
    listmonk.need("campaigns:get_all")
    assert listmonk.refusal("GET", f"/api/campaigns/{NOWHERE}") == 400
    assert listmonk.refusal("GET", "/api/campaigns/abc") == 400
    assert listmonk.refusal("GET", "/api/no-such-thing") == 404


def test_a_page_of_campaigns(listmonk: Peer) -> None:
    listmonk.need("campaigns:get_all", "campaigns:get")
    assert list(listmonk.data("GET", "/api/campaigns")) == PAGE
    empty = listmonk.data("GET", "/api/campaigns", params={"tag": listmonk.prefix})
    assert empty == {"results": [], "search": "", "query": "", "total": 0, "per_page": 0, "page": 0}
    assert listmonk.data("GET", "/api/campaigns", params={"page": 100_000})["total"] == 0
    assert listmonk.refusal("GET", "/api/campaigns", params={"status": "started"}) == 500


def test_what_runs_is_a_list(listmonk: Peer) -> None:
    listmonk.need("campaigns:get_all", "campaigns:get")
    assert isinstance(listmonk.data("GET", "/api/campaigns/running/stats"), list)


def test_config_about_and_health(listmonk: Peer) -> None:
    config = listmonk.data("GET", "/api/config")
    assert re.match(r"v\d+\.\d+", config["version"])
    assert isinstance(config["needs_restart"], bool)
    assert "email" in config["messengers"]
    reply = listmonk.client.get("/api/about")
    assert "version" in reply.json()  # without an envelope
    assert parsedate_to_datetime(reply.headers["date"])
    assert httpx.get(f"{listmonk.url}/health", timeout=30, verify=listmonk.verify).json() == {"data": True}


def test_the_log_is_lines_of_gos(listmonk: Peer) -> None:
    listmonk.need("settings:get")
    lines = listmonk.data("GET", "/api/logs")
    assert lines
    assert any(LINE.match(line) for line in lines)


def test_settings_are_flat_and_secrets_are_dots(listmonk: Peer) -> None:
    listmonk.need("settings:get")
    told = listmonk.data("GET", "/api/settings")
    numbers = ("batch_size", "concurrency", "message_rate", "max_send_errors", "message_sliding_window_rate")
    assert all(isinstance(told[f"app.{name}"], int) for name in numbers)
    assert isinstance(told["app.message_sliding_window"], bool)
    assert isinstance(told["app.message_sliding_window_duration"], str)
    for block in told["smtp"]:
        assert set(block["password"]) <= {"•"}
        assert {"name", "uuid", "enabled", "host", "port", "max_conns"} <= set(block)


def test_lists_without_counts(listmonk: Peer) -> None:
    told = listmonk.data("GET", "/api/lists", params={"minimal": "true"})
    rows = told["results"] if isinstance(told, dict) else told
    assert all({"id", "name", "optin", "status"} <= set(row) for row in rows)


def test_bounces_are_a_page(listmonk: Peer) -> None:
    listmonk.need("bounces:get")
    assert list(listmonk.data("GET", "/api/bounces", params={"campaign_id": NOWHERE})) == PAGE


def test_the_state_of_an_import(listmonk: Peer) -> None:
    listmonk.need("subscribers:import")
    assert {"name", "total", "imported", "status"} <= set(listmonk.data("GET", "/api/import/subscribers"))
