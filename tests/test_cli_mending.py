"""The commands for what went wrong, as an operator and a script meet them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backends.embedded.world import HOST, World
from opsconsole.cli import main

DOUBTED = "boat-show-tickets"  # 694 got it, 6 may have, 1,050 didn't
UNPROVEN = "moonlight-concert"  # its log tells of 1,190, its journal of nobody
CLAIMED = "volunteer-call"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(runner_name="blast-runner-mend") as world:
        yield world


def call(world: World, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(world.config_path), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def records(world: World, slug: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(call(world, "audit", "search", slug, "--json").stdout)
    return found


def test_doubt_sets_the_journal_beside_every_source_and_says_what_can_be_done(world: World) -> None:
    result = call(world, "doubt", DOUBTED)
    assert result.exit_code == 1
    for words in ("journal of run", "mail log:", f"{HOST}: started, 700 of 1,750 accepted", "dashboard: "):
        assert words in result.stdout
    view = json.loads(call(world, "doubt", DOUBTED, "--json").stdout)
    assert view["status"] == "IN DOUBT"
    assert {s["source"] for s in view["sources"]} == {"dashboard", "console", HOST}


@pytest.mark.slow
def test_a_rest_nobody_can_prove_is_refused_with_3(world: World) -> None:
    result = call(world, "send-rest", UNPROVEN, "--confirm", f"{UNPROVEN} 1204")
    assert result.exit_code == 3
    assert "the journal isn't whole" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--sent",), "Say which"),
        (("--all", "--rows", "3", "--sent"), "Say which"),
        (("--all", "--proven", "--sent"), "Say which"),
        (("--proven", "--resend"), "--proven goes with --sent"),
        (("--rows", "3"), "Say what is so"),
        (("--rows", "3,x", "--sent"), "not 'x'"),
        (("--rows", "9-3", "--sent"), "names nobody"),
        (("--rows", "1-999999999", "--sent"), "too many"),
    ],
)
def test_settling_without_saying_whom_and_how_is_2(world: World, args: tuple[str, ...], says: str) -> None:
    result = call(world, "settle", DOUBTED, *args, "--confirm", f"{DOUBTED} 1")
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "slug", "why"),
    [
        ("close", DOUBTED, ("--reason", "they know")),
        ("release-claim", CLAIMED, ("--reason", "the host rebooted")),
        ("settle", DOUBTED, ("--rows", "3", "--sent")),
    ],
)
def test_without_a_terminal_the_phrase_must_be_given(
    world: World, command: str, slug: str, why: tuple[str, ...]
) -> None:
    result = call(world, command, slug, *why)
    assert result.exit_code == 2
    assert f'give --confirm "{slug} ' in result.stderr
    wrong = call(world, command, slug, *why, "--confirm", slug)
    assert wrong.exit_code == 3


def test_breaking_glass_is_not_for_operators(world: World) -> None:
    result = call(world, "break-glass", DOUBTED, "--reason", "nobody is up", "--confirm", f"{DOUBTED} 1750")
    assert result.exit_code == 3
    assert "needs the role admin" in result.stderr


@pytest.mark.slow
def test_a_host_is_held_and_its_campaigns_with_it(world: World) -> None:
    try:
        result = call(world, "hold", f"host:{HOST}", "--reason", "maintenance")
        assert (result.exit_code, "hasn't been told" in result.stdout) == (0, False)
        shown = json.loads(call(world, "show", "sunset-cruise-reminder", "--json").stdout)
        assert shown["status"] == "HELD"
        assert "maintenance" in shown["why"]
    finally:
        assert call(world, "release", f"host:{HOST}", "--reason", "done").exit_code == 0
    assert json.loads(call(world, "show", "sunset-cruise-reminder", "--json").stdout)["status"] == "DUE"


def test_a_host_that_is_none_is_2(world: World) -> None:
    result = call(world, "hold", "host:blast-mail-prd", "--reason", "maintenance")
    assert result.exit_code == 2
    assert "no carrier 'blast-mail-prd'" in result.stderr


@pytest.mark.slow
def test_a_claim_left_behind_is_released_once_and_planned_again(world: World) -> None:
    shown = json.loads(call(world, "show", CLAIMED, "--json").stdout)
    assert shown["status"] == "CLAIMED"
    choices = json.loads(call(world, "doubt", CLAIMED, "--json").stdout)["choices"]
    # There is no run to go on with or to close.
    assert [choice["action"] for choice in choices] == ["release-claim"]
    phrase = f"{CLAIMED} {shown['audience']}"
    result = call(world, "release-claim", CLAIMED, "--reason", "the host rebooted", "--confirm", phrase)
    assert result.exit_code == 0, result.output
    assert json.loads(call(world, "show", CLAIMED, "--json").stdout)["status"] != "CLAIMED"
    again = call(world, "release-claim", CLAIMED, "--reason", "the host rebooted", "--confirm", phrase)
    assert again.exit_code == 3
    assert [r["action"] for r in records(world, CLAIMED)].count("release-claim") == 2


@pytest.mark.slow
def test_the_unknown_are_settled_and_the_rest_is_sent_to_nobody_else(world: World) -> None:
    proven = call(world, "settle", DOUBTED, "--proven", "--sent", "--confirm", f"{DOUBTED} 3")
    assert "3 settled as sent. 3 unknown" in proven.stdout, proven.output
    nobody = call(world, "settle", DOUBTED, "--proven", "--sent", "--confirm", f"{DOUBTED} 3")
    assert (nobody.exit_code, "proves it of nobody" in nobody.stderr) == (1, True)
    settled = call(world, "settle", DOUBTED, "--rows", "698", "--sent", "--confirm", f"{DOUBTED} 1")
    assert settled.exit_code == 1  # two are left of whom nobody knows
    again = call(world, "settle", DOUBTED, "--all", "--resend", "--confirm", f"{DOUBTED} 2", "--json")
    assert json.loads(again.stdout)["unsent"] == 1052
    result = call(world, "send-rest", DOUBTED, "--confirm", f"{DOUBTED} 1052", "--json")
    assert result.exit_code == 0, result.output
    assert sorted(world.sent_to().values()) == [1] * 1052
    assert json.loads(call(world, "show", DOUBTED, "--json").stdout)["status"] == "SENT"


@pytest.mark.slow
def test_what_is_closed_is_done(world: World) -> None:
    result = call(world, "close", UNPROVEN, "--reason", "they know", "--confirm", f"{UNPROVEN} 1204")
    assert result.exit_code == 0, result.output
    shown = json.loads(call(world, "show", UNPROVEN, "--json").stdout)
    assert (shown["status"], shown["group"]) == ("PARTIAL", "Done")
