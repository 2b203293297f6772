"""What is said when the dashboard refuses, breaks, or isn't there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.dashboard import DashboardBackend
from backends.embedded.dashboard_server import DashboardServer
from opsconsole.ports import OutOfReach, Refused, Trouble
from tests.support.dashboard import NOW, TOKEN, Answer, Asked, completion, peer, reach


@pytest.mark.parametrize(
    ("faults", "kind", "words"),
    [
        ({"status": 401}, Refused, ("doesn't accept our token", "token")),
        ({"status": 403}, Refused, ("doesn't let our token", "token")),
        ({"status": 404}, Refused, ("404", "url in the config")),
        ({"status": 409}, Refused, ("conflicts", "decide")),
        ({"status": 422}, Refused, ("refused it (422", "out of order")),
        ({"status": 429, "retry_after": "17"}, OutOfReach, ("wait (429), 17 s", "Wait")),
        ({"status": 429, "retry_after": "\x1b]0;x"}, OutOfReach, ("until '\\x1b]0;x'", "Wait")),
        ({"status": 503}, OutOfReach, ("failed by itself (503)", "Try again")),
        ({"status": 302}, Refused, ("elsewhere (302)", "config")),
        ({"html": True}, Trouble, ("text/html and not JSON", "sign-in page")),
        ({"raw": b'{"data": ['}, Trouble, ("broken", "Ask")),
        ({"raw": b"[1, 2]"}, Trouble, ("not with what was written",)),
    ],
)
def test_each_failure_says_what_it_means_and_what_to_do(
    server: DashboardServer,
    dashboard: DashboardBackend,
    faults: dict[str, Any],
    kind: type[Trouble],
    words: tuple[str],
) -> None:
    for name, value in faults.items():
        setattr(server.faults, name, value)
    with pytest.raises(kind) as caught:
        dashboard.record(completion())
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "kept and can be recorded again" in caught.value.means
    assert TOKEN not in text
    report = dashboard.observe()
    assert report.trouble
    assert report.out_of_reach_since == NOW
    assert report.observations == ()
    assert TOKEN not in report.trouble


def test_reading_recovers_by_itself(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.status = 503
    assert dashboard.observe().out_of_reach_since == NOW
    server.faults.status = None
    assert dashboard.observe().out_of_reach_since is None


@pytest.mark.slow
def test_a_stopped_dashboard_is_out_of_reach_and_a_slow_one_too(
    server: DashboardServer, dashboard: DashboardBackend, tmp_path: Path
) -> None:
    hasty = reach(server.url, tmp_path, timeout=0.2)
    server.faults.slow = 0.6
    assert "didn't answer within 0.2 s" in hasty.observe().trouble
    with pytest.raises(OutOfReach):
        hasty.record(completion())
    hasty.close()
    server.faults.slow = 0
    server.stop()
    trouble = dashboard.observe().trouble
    assert "can't be reached" in trouble
    assert "See whether it is up" in trouble


@pytest.mark.slow
def test_an_endless_answer_is_cut_off(server: DashboardServer, dashboard: DashboardBackend) -> None:
    server.faults.raw = b" " * (33 * 1024 * 1024)
    assert "more than 32 MiB" in dashboard.observe().trouble


def scripted(*answers: Answer) -> Callable[[Asked], Answer]:
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


EMPTY: Answer = (200, {}, {"data": [], "total": 0})


def test_a_read_that_stumbled_is_tried_once_more_and_no_oftener(tmp_path: Path) -> None:
    with peer(scripted((503, {}, {}), EMPTY)) as there:
        backend = reach(there.url, tmp_path)
        assert backend.observe().trouble == ""
        backend.close()
    with peer(scripted((503, {}, {}))) as there:
        backend = reach(there.url, tmp_path)
        assert "failed by itself (503)" in backend.observe().trouble
        assert len(there.asked) == 2
        backend.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "40"},
        {"Retry-After": "Tue, 12 May 2026 18:00:40 GMT", "Date": "Tue, 12 May 2026 18:00:00 GMT"},
    ],
)
def test_who_asks_us_to_wait_is_left_alone(tmp_path: Path, headers: dict[str, str]) -> None:
    with peer(scripted((429, headers, {}), EMPTY)) as there:
        backend = reach(there.url, tmp_path)
        assert "asks us to wait (429), 40 s" in backend.observe().trouble
        assert "asked us to wait" in backend.observe().trouble
        with pytest.raises(OutOfReach, match="asked us to wait"):
            backend.record(completion())
        assert len(there.asked) == 1
        backend.close()


def test_after_the_wait_it_is_asked_again(tmp_path: Path) -> None:
    with peer(scripted((429, {"Retry-After": "0"}, {}), EMPTY)) as there:
        backend = reach(there.url, tmp_path)
        assert "429" in backend.observe().trouble
        assert backend.observe().trouble == ""
        backend.close()


@pytest.mark.parametrize(
    ("location", "words", "asked"),
    [
        ("/api/campaigns?page=1&per_page=200", "round in a circle (302", 1),
        ("https://signin.example.com/?back=1&key=hush", "elsewhere, to https://signin.example.com,", 1),
    ],
)
def test_redirects_that_lead_nowhere_are_named(tmp_path: Path, location: str, words: str, asked: int) -> None:
    with peer(scripted((302, {"Location": location}, {}))) as there:
        backend = reach(there.url, tmp_path)
        trouble = backend.observe().trouble
        assert words in trouble
        assert "hush" not in trouble
        assert len(there.asked) == asked
        backend.close()


def test_a_redirect_within_the_dashboard_is_followed_by_reads_and_not_by_writes(tmp_path: Path) -> None:
    def moved(asked: Asked) -> Answer:
        return EMPTY if asked.path.startswith("/v2/") else (307, {"Location": f"/v2{asked.path}"}, {})

    with peer(moved) as there:
        backend = reach(there.url, tmp_path)
        assert backend.observe().trouble == ""
        there.asked.clear()
        with pytest.raises(Refused, match="elsewhere"):
            backend.record(completion())
        assert there.paths() == ["/api/operations"]
        backend.close()
