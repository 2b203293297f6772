"""Drill 12: the runner is killed in the middle. Who got it, who didn't, who may have: three answers, kept apart."""

import csv
import os
import signal
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from opsconsole.verdict import Status
from tests.drills.test_drill_01_paul_simon import addresses
from tests.support.blasthost import until
from tests.support.operator import before_the_screens
from tests.support.sshd import descendants
from tests.support.world import RealWorld, rehearse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SLUG, AUDIENCE = "fleet-week-parking", 377


@pytest.fixture
def broken(world: RealWorld) -> RealWorld:
    """A send that was killed, runner and supervisor, with mails in the air."""
    world.sink.pace = 0.03
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
        console.send(plan, plan.phrase)
        until(lambda: len(world.sent_to()) >= 40, 60)
        owner = int((world.paths.runs / SLUG / "1" / "owner").read_text().split()[0])
        for pid in (owner, *descendants(owner)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    world.sink.pace = 0
    count = -1
    while count != (count := len(world.sent_to())):  # what was on the wire arrives, or never does
        with suppress(AssertionError):
            until(lambda: len(world.sent_to()) > count, 1)
    return world


def people(world: RealWorld) -> list[str]:
    """By row, from 1 on."""
    with (world.campaign(SLUG) / "blast_data.csv").open(encoding="utf-8", newline="") as file:
        return ["", *(row["email"] for row in csv.DictReader(file))]


def doubt(world: RealWorld) -> dict[str, Any]:
    said = world.command("doubt", SLUG, "--json")
    document: dict[str, Any] = said.json
    journal: dict[str, Any] = document["journal"]
    return journal


def phrase(world: RealWorld, action: str, **rows: int) -> str:
    with world.console() as console:
        return console.confirmation(action, SLUG, **rows).phrase


def test_it_is_in_doubt_and_says_who_got_it_who_did_not_and_who_may_have(broken: RealWorld) -> None:
    told, sink = doubt(broken), broken.sent_to()

    assert broken.spoken(SLUG)["status"] == "IN DOUBT"
    accepted, unknown, unsent = told["counts"]["accepted"], told["unknown_total"], told["unsent"]
    assert accepted + unknown + unsent == AUDIENCE
    assert unknown > 0
    assert accepted <= len(sink) <= accepted + unknown
    everybody, rows = people(broken), {one["row"] for one in told["unknown"]}
    assert len(rows) == unknown
    assert all("•••" in one["who"] for one in told["unknown"])
    beyond = set(sink) - {everybody[row] for row in rows}
    assert len(beyond) == accepted  # nobody else is unknown, and nobody accepted is missing
    again = broken.command("send", SLUG, "--plan", "0" * 12, "--confirm", f"{SLUG} {AUDIENCE}")
    assert again.code == 3
    assert broken.sent_to() == sink


def test_the_rest_goes_to_the_rest_alone_and_each_unknown_is_decided(broken: RealWorld) -> None:
    before, told, everybody = broken.sent_to(), doubt(broken), people(broken)
    unknown = {one["row"]: everybody[one["row"]] for one in told["unknown"]}

    slip = broken.command("send-rest", SLUG, "--reason", "the runner died", "--confirm", f"{SLUG} {AUDIENCE}")
    assert slip.code == 3
    assert broken.sent_to() == before
    rest = broken.command(
        "send-rest", SLUG, "--reason", "the runner died", "--confirm", phrase(broken, "send-rest")
    )
    assert rest.code in (0, 1), rest.err

    after = broken.sent_to()
    assert set(after.values()) == {1}
    assert {who: after[who] for who in unknown.values()} == {who: before[who] for who in unknown.values()}
    assert len(after) == len(before) + told["unsent"]
    left = doubt(broken)
    assert (left["unsent"], left["unknown_total"]) == (0, len(unknown))

    first = min(unknown)  # one alone, the others by what the mail server says of them
    groups = [[first]] + [
        [row for row in unknown if row != first and bool(after[unknown[row]]) is got] for got in (True, False)
    ]
    for rows in filter(None, groups):
        fate = "--sent" if after[unknown[rows[0]]] else "--resend"
        typed, chosen = phrase(broken, "settle", rows=len(rows)), ",".join(map(str, rows))
        settled = broken.command(
            "settle", SLUG, "--rows", chosen, fate, "--reason", "by the sink", "--confirm", typed
        )
        assert settled.code in (0, 1), settled.err
    if doubt(broken)["unsent"]:
        typed = phrase(broken, "send-rest")
        assert broken.command("send-rest", SLUG, "--reason", "decided", "--confirm", typed).code in (0, 1)

    assert broken.sent_to() == Counter(addresses(broken, SLUG))
    assert doubt(broken)["unknown_total"] == 0
    assert broken.spoken(SLUG)["status"] in ("SENT", "PARTIAL")
    assert broken.command("audit", "verify", "--json").json["unresolved"] == []


def test_closed_as_it_is_nobody_else_gets_it_and_the_board_is_quiet(broken: RealWorld) -> None:
    before = broken.sent_to()

    closed = broken.command("close", SLUG, "--reason", "the date has passed", "--confirm", phrase(broken, "close"))

    assert closed.code in (0, 1), closed.err
    told = broken.spoken(SLUG)
    assert (told["status"], told["group"]) == ("PARTIAL", "Done")
    assert broken.command("send-rest", SLUG, "--reason", "x", "--confirm", f"{SLUG} 1").code == 3
    assert broken.sent_to() == before


async def test_on_the_screen_the_rest_is_sent_with_two_confirmations(broken: RealWorld) -> None:
    before, told = broken.sent_to(), doubt(broken)
    typed = phrase(broken, "send-rest")

    async with before_the_screens(broken) as operator:
        await operator.finds(SLUG)
        await operator.is_told(SLUG, Status.IN_DOUBT)
        await operator.press("D")
        await operator.sees("who got it", f"{told['unknown_total']} unknown", f"{told['unsent']:,}")
        assert broken.sent_to() == before
        await operator.press("E")
        await operator.confirms(typed, "the runner died")
        await operator.until(lambda: len(broken.sent_to()) == len(before) + told["unsent"])

    assert set(broken.sent_to().values()) == {1}
