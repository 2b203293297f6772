"""The demo's listmonk: beside the host on one board, in states that tell something, sending into the same sink."""

import os
import stat
from collections.abc import Iterator

import httpx
import pytest

from backends.embedded.listmonk.scene import LETTERS, PARTIAL, SENDING, STUCK
from backends.embedded.world import HOST, LISTS, World
from opsconsole import config, wiring
from opsconsole.console import Console
from opsconsole.verdict import Group, Status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(listmonk=True, runner_name="blast-runner-beside") as made:
        yield made


@pytest.fixture(scope="module")
def console(world: World) -> Iterator[Console]:
    assert world.lists is not None
    world.lists.until_logged("LegalFooter", 30)  # it looks for work every five seconds
    world.lists.until_logged("start processing campaign (Club news)", 30)
    made = wiring.build(config.load(world.config_path))
    made.refresh()
    yield made
    made.close()


def test_host_dashboard_and_listmonk_answer_side_by_side(console: Console) -> None:
    standing = {source.name: source.fresh for source in console.board().sources}
    assert standing == {HOST: True, LISTS: True, "dashboard": True, "console": True}


def test_its_campaigns_are_told_by_what_became_of_them(console: Console) -> None:
    told = {letter.slug: console.verdict(letter.slug) for letter in LETTERS}
    going = {Status.SENDING, Status.PAUSED, Status.PENDING, Status.UNAPPROVED}
    assert {v.status for v in told.values()} >= going | {Status.PARTIAL, Status.EXPIRED, Status.SENT}
    assert told[PARTIAL].group is Group.ATTENTION
    assert "371 of 412" in told[PARTIAL].why
    assert "LegalFooter" in told[STUCK].why
    assert told["berth-offer"].group is Group.ATTENTION


def test_no_campaign_of_one_is_taken_for_one_of_the_other(console: Console) -> None:
    for verdict in console.board().verdicts:
        there = [o.source for o in verdict.observations if o.source in (HOST, LISTS) and o.says != "absent"]
        assert len(there) < 2, verdict.slug


def test_what_it_sends_comes_to_the_sink(world: World) -> None:
    assert world.lists is not None
    world.lists.until(lambda: any(who.endswith(".newsletter@example.com") for who in world.sent_to()), 30)
    campaign = next(c for c in world.lists.database.campaigns.values() if c.name == "Club news")
    assert campaign.status == "running"
    assert SENDING in [letter.slug for letter in LETTERS]


def test_it_goes_with_the_world_and_its_token_is_for_one_user_alone() -> None:
    with World(listmonk=True, runner_name="blast-runner-gone") as made:
        assert made.lists is not None
        url, token = made.lists.url, made.config_path.parent / "lists.token"
        assert stat.S_IMODE(os.stat(token).st_mode) == 0o600
        assert httpx.get(f"{url}/api/health", timeout=5).status_code < 500
    assert not token.exists()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/api/health", timeout=5)


def test_other_worlds_have_none() -> None:
    assert World(runner_name="blast-runner-none").lists is None
