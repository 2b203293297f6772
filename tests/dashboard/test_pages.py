"""Every row is read, in whatever pages they come, and unchanged ones only asked about."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backends.embedded.dashboard_server import DashboardServer
from backends.embedded.dashboard_state import DashboardState
from opsconsole.settings import DashboardCampaigns, DashboardTasks
from tests.support.dashboard import TOKEN, Answer, Asked, peer, reach, seen


@pytest.mark.slow
def test_all_pages_are_read_and_unchanged_ones_only_asked_about(tmp_path: Path) -> None:
    many = [{"slug": f"campaign-{n}", "status": "draft"} for n in range(450)]
    with DashboardServer(DashboardState(tmp_path / "d.json", many, []), TOKEN) as server:
        backend = reach(server.url, tmp_path)
        assert len(seen(backend)) == 450
        server.requests.clear()
        assert len(seen(backend)) == 450
        assert {status for _, _, status in server.requests} == {304}
        server.state.change("campaign-7", {"status": "approved"})
        assert seen(backend)["campaign-7"].approval
        backend.close()


SLUGS = [f"campaign-{number}" for number in range(7)]
ROWS = [{"slug": slug, "status": "draft"} for slug in SLUGS]
NO_TASKS = DashboardTasks(path="")


def by_number(size: int, told: int | None = None) -> Any:
    """Gives `size` rows a page, whatever it is asked for, as servers do that have a limit of their own."""

    def answer(asked: Asked) -> Answer:
        page = int(parse_qs(urlsplit(asked.path).query)["page"][0])
        count = {} if told is None else {"total": told}
        return 200, {}, {"data": ROWS[(page - 1) * size : page * size], **count}

    return answer


@pytest.mark.parametrize(
    ("size", "told", "pages"), [(3, None, 3), (7, None, 2), (3, 7, 3), (7, 7, 1), (1, 7, 7), (2, None, 4)]
)
def test_a_server_that_gives_fewer_rows_than_asked_for_hides_none(
    tmp_path: Path, size: int, told: int | None, pages: int
) -> None:
    with peer(by_number(size, told)) as there:
        backend = reach(there.url, tmp_path, tasks=NO_TASKS)
        assert sorted(seen(backend)) == SLUGS
        assert len(there.asked) == pages
        backend.close()


def test_a_server_that_counts_more_than_it_gives_is_told_of(tmp_path: Path) -> None:
    with peer(by_number(3, 12)) as there:
        backend = reach(there.url, tmp_path, tasks=NO_TASKS)
        report = backend.observe()
        assert len(report.observations) == 7
        assert any("counts 12 campaigns and gave 7" in finding for finding in report.findings)
        backend.close()


def test_a_server_that_knows_no_pages_is_found_out(tmp_path: Path) -> None:
    with peer(lambda asked: (200, {}, {"data": ROWS})) as there:
        paged = reach(there.url, tmp_path, tasks=NO_TASKS)
        assert "every page has the same rows" in paged.observe().trouble
        paged.close()
        whole = DashboardCampaigns(path="/api/campaigns", rows="data")
        backend = reach(there.url, tmp_path, campaigns=whole, tasks=NO_TASKS)
        there.asked.clear()
        assert sorted(seen(backend)) == SLUGS
        assert there.paths() == ["/api/campaigns"]
        backend.close()


def linked(links: dict[str, str]) -> Any:
    """Two rows a page; `links` leads from one address to the next."""

    def answer(asked: Asked) -> Answer:
        at = list(links).index(asked.path)
        return 200, {}, {"items": ROWS[2 * at : 2 * at + 2], "links": {"next": links[asked.path] or None}}

    return answer


LINKED = DashboardCampaigns(path="/list", rows="items", next="links.next", total="")


def test_pages_that_name_the_next_one_are_followed(tmp_path: Path) -> None:
    with peer(linked({"/list": "/list?after=b", "/list?after=b": "?after=d", "/list?after=d": ""})) as there:
        backend = reach(there.url, tmp_path, campaigns=LINKED, tasks=NO_TASKS)
        assert sorted(seen(backend)) == SLUGS[:6]
        assert all(one.headers["Authorization"] == f"Bearer {TOKEN}" for one in there.asked)
        backend.close()


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("https://elsewhere.example.com/list", "elsewhere, to https://elsewhere.example.com"),
        ("//elsewhere.example.com/list", "elsewhere, to http://elsewhere.example.com"),
        ("/list", "round in a circle"),
    ],
)
def test_a_link_that_leads_away_or_round_is_not_followed(tmp_path: Path, link: str, words: str) -> None:
    with peer(linked({"/list": link})) as there:
        backend = reach(there.url, tmp_path, campaigns=LINKED, tasks=NO_TASKS)
        assert words in backend.observe().trouble
        assert there.paths() == ["/list"]
        backend.close()


def test_rows_that_did_not_change_are_not_read_again(server: DashboardServer, tmp_path: Path) -> None:
    backend = reach(server.url, tmp_path)
    before, again = backend.observe(), backend.observe()
    assert {status for _, _, status in server.requests[2:]} == {304}
    assert [o.details for o in again.observations] == [o.details for o in before.observations]
    pairs = zip(again.observations, before.observations, strict=True)
    assert all(one.details is other.details for one, other in pairs)
    backend.close()
