"""The demo's broken runs can be mended as on a real host, through SSH."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.blasthost.host import BlastHostBackend
from backends.embedded.journals import IN_FLIGHT
from backends.embedded.world import World
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import AnchorKeeper, Carrier, Doubts, Fate, HoldKeeper, HostView, Releases, Source
from opsconsole.settings import BlastHost

BROKEN, CLAIMED = "boat-show-tickets", "volunteer-call"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, runner_name=f"mail-blast-runner-doubt-{tmp_path.parent.name}") as made:
        yield made


@pytest.fixture
def host(world: World) -> Iterator[BlastHostBackend]:
    document = tomllib.loads(world.config_path.read_text())
    ((name, table),) = document["environments"]["demo"]["blasthost"].items()
    backend = BlastHostBackend(name, msgspec.convert(table, BlastHost), policy=Policy())
    yield backend
    backend.close()


@pytest.mark.slow
def test_the_broken_run_is_decided_by_what_the_mail_log_says_and_sent_to_its_end(
    world: World, host: BlastHostBackend
) -> None:
    doubt = host.doubt(BROKEN, 1)
    assert (doubt.counts.accepted, doubt.unknown_total, doubt.unsent) == (694, IN_FLIGHT, 1050)
    assert doubt.against == ""
    said = [unknown.maillog for unknown in doubt.unknown]
    assert ["status sent" in word for word in said] == [True, True, False, False, False, False]
    assert said[2].endswith("no delivery logged yet")
    assert said[3].endswith("no word that it was taken")
    assert said[4:] == ["", ""]
    fates = {u.row: Fate.SENT if "status sent" in u.maillog else Fate.RESEND for u in doubt.unknown}

    decided = host.decide(BROKEN, 1, doubt.run_id, fates, "ana")
    assert (decided.unknown_total, decided.unsent) == (0, 1054)
    started = host.send_rest(BROKEN, 1, doubt.run_id, "ana")

    assert started.fresh
    end = time.monotonic() + 60
    while (state := host.run_state(BROKEN, 1)) is None or state.says is not Says.ENDED:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert (state.run_id, state.word.rc) == (doubt.run_id, 0)
    assert state.word.counts is not None
    assert state.word.counts.accepted == 1750
    mailed = world.sent_to()
    assert len(mailed) == 1054
    assert set(mailed.values()) == {1}


def test_the_claimed_one_is_released_and_the_next_attempt_is_free(host: BlastHostBackend) -> None:
    claimed = host.run_state(CLAIMED)
    assert claimed is not None
    assert claimed.says is Says.CLAIMED
    host.release(CLAIMED, 1, claimed.run_id, "ana", "nobody was there")
    told = {seen.slug: seen for seen in host.observe().observations}
    assert (told[CLAIMED].says, told[CLAIMED].next_attempt) == (Says.NOTHING, 2)
    assert (told[BROKEN].says, told[BROKEN].next_attempt) == (Says.STARTED, 1)


def test_a_blast_host_is_all_that_the_console_may_ask_for(host: BlastHostBackend) -> None:
    for port in (Source, Carrier, HostView, Releases, Doubts, HoldKeeper, AnchorKeeper):
        assert isinstance(host, port)
