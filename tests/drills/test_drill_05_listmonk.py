"""Drill 5: a listmonk campaign is running and nothing moves; bounces come in heaps; its mail server refuses."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.listmonk import Listmonk, listmonk
from tests.support.operator import before_the_screens
from tests.support.platforms import LISTS, Platforms

pytestmark = pytest.mark.slow

SLUG, PEOPLE = "july", 40
MAIN = {"name": "main", "enabled": True, "host": "smtp.example.com", "username": "main", "password": "one"}
SPARE = {"name": "spare", "enabled": False, "host": "spare.example.com", "username": "spare", "password": "two"}


@pytest.fixture
def lists() -> Iterator[Listmonk]:
    made = listmonk()
    yield made
    made.standin.stop()


@pytest.fixture
def world(lists: Listmonk, tmp_path: Path) -> Platforms:
    made = Platforms(tmp_path / "w", stall_after="2 s")
    made.add_listmonk(lists.url, lists.manager, fallback_smtp="spare")
    return made


def july(lists: Listmonk, **settings: object) -> int:
    """A campaign to forty people, under way."""
    standin = lists.standin
    servers = [{**standin.settings["smtp"][0], **server, "uuid": f"0-{server['name']}"} for server in (MAIN, SPARE)]
    standin.configure({"smtp": servers, **settings})
    to = standin.add_list("July readers")
    standin.add_people(to, PEOPLE)
    number = standin.add_campaign("July", to, status="running")
    standin.until(lambda: standin.campaign(number).to_send)
    return number


def window_is_full(lists: Listmonk) -> int:
    full = {
        "message_sliding_window": True,
        "message_sliding_window_rate": 5,
        "message_sliding_window_duration": "1h",
    }
    number = july(lists, **{f"app.{key}": value for key, value in full.items()})
    lists.standin.until_logged("messages exceeded")
    return number


def stalled(world: Platforms) -> dict[str, object]:
    """What is told of it once nothing has moved for as long as the policy allows."""
    end = time.monotonic() + 30
    while (told := world.spoken(SLUG))["status"] != "STALLED":
        assert time.monotonic() < end, told
        time.sleep(0.5)
    return told


def test_it_is_stalled_and_why_and_until_when(world: Platforms, lists: Listmonk) -> None:
    window_is_full(lists)

    told = stalled(world)

    assert re.search(
        r"nothing has moved for .*, at 5 of 40 accepted; the sliding window .* until", str(told["why"])
    )
    assert told["next"][:3] == ["attach", "pause", "stop"]  # type: ignore[index]
    again = world.command("dry-run", SLUG, "--json")
    assert (again.code, "STALLED" in again.err) == (3, True)


def test_bounces_are_told_by_class_and_a_heap_of_them_calls_for_somebody(world: Platforms, lists: Listmonk) -> None:
    number = july(lists)
    lists.standin.until_status(number, "finished")
    for n in range(1, 13):
        lists.standin.bounce(f"p{n}@example.com", number, kind="soft" if n % 3 else "complaint")

    told = world.spoken(SLUG)

    lines = {line["letter"]: line["text"] for source in told["sources"] for line in source["evidence"]}
    assert "8 soft" in lines["B"]
    assert "4 complaint" in lines["B"]
    assert told["group"] == "Needs attention"
    assert any("bounce" in finding["code"] for finding in told["findings"])


def test_a_mail_server_that_refuses_is_told_with_its_class_and_who_is_missing_is_counted(
    world: Platforms, lists: Listmonk
) -> None:
    lists.standin.post.fails = "454 4.7.0 Throttling failure: Maximum sending rate exceeded."
    number = july(lists)
    lists.standin.until_status(number, "finished")

    told = world.spoken(SLUG)

    assert told["status"] in ("FAILED", "PARTIAL"), "listmonk says finished, and nobody got it"
    text = str(told)
    assert "454" in text or "throttl" in text.lower()
    assert "p1@example.com" not in text
    assert "40" in str(told["why"])


def test_while_it_sleeps_in_its_window_a_pause_is_no_drain_and_nothing_that_restarts_it_is_done(
    world: Platforms, lists: Listmonk
) -> None:
    window_is_full(lists)
    stalled(world)

    assert world.command("pause", SLUG).code in (0, 1)

    told = world.spoken(SLUG)
    assert told["status"] == "PAUSED"
    assert "in flight" in str(told)
    with pytest.raises(AssertionError, match="refused"):
        change(world, "fallback-smtp")
    assert lists.standin.settings["smtp"][0]["enabled"]


def test_it_is_paused_until_drained_and_only_then_is_the_rate_lowered_and_the_other_server_taken(
    world: Platforms, lists: Listmonk
) -> None:
    lists.standin.post.latency = 0.4
    number = july(lists)
    with pytest.raises(AssertionError, match="refused"):
        change(world, "fallback-smtp")

    assert world.command("pause", SLUG).code in (0, 1)
    lists.standin.until_logged("stop processing campaign (July)")
    assert world.spoken(SLUG)["status"] == "PAUSED"
    change(world, "message-rate", "3")
    change(world, "fallback-smtp")

    assert lists.standin.settings["app.message_rate"] == 3
    servers = lists.standin.settings["smtp"]
    assert [server["name"] for server in servers if server["enabled"]] == ["email-spare"]
    assert [server["password"] for server in servers] == ["one", "two"]
    kept = world.command("audit", "search", "--json").out
    assert kept.count("message-rate") >= 2, "the intent and the outcome"
    assert kept.count("fallback-smtp") >= 2
    lists.standin.post.latency = 0.0
    assert world.command("resume", SLUG).code in (0, 1)
    lists.standin.until_status(number, "finished")
    assert set(lists.standin.post.sent_to(number).values()) == {1}


def change(world: Platforms, operation: str, value: str = "") -> None:
    """As an operator does it: by the phrase that is asked for, with a reason."""
    wanted = ("--value", value) if value else ()
    said = world.command("op", LISTS, operation, *wanted, "--reason", "SES throttles", "--confirm", LISTS)
    assert said.code == 0, f"refused: {said.err}"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_it_is_answered_within_three_keys(world: Platforms, lists: Listmonk, size: tuple[int, int]) -> None:
    window_is_full(lists)
    stalled(world)
    async with before_the_screens(world, size, sources=2) as operator:  # type: ignore[arg-type]
        await operator.press("home")
        await operator.sees("STALLED", "[f6] pause", "[f9] stop")
        await operator.sees_like("sliding window.*until")
        await operator.press("S")
        await operator.sees("It is STALLED")
