"""Situations that drills put a world into, where the world as it is laid out doesn't hold them already."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from backends.blasthost.probe import Probe
from backends.embedded.scene import local_text
from opsconsole.campaign import METADATA
from tests.support.standins import Systems
from tests.support.world import RealWorld

LETTER, LONDON = "client-letter-r3", "Europe/London"
STUCK = "charter-season"
MIB = 2**20


def third_round_is_queued(world: RealWorld, systems: Systems, minutes: int = 14) -> datetime:
    """Somebody says it went yesterday, and the provider counts 830; a job queued this morning sends it in a moment.

    Returns the instant it fires, which is when it is due by all sources.
    """
    now = datetime.now(UTC)
    fires = (now + timedelta(minutes=minutes)).replace(second=0, microsecond=0)
    text = local_text(fires, LONDON)
    world.dashboard.state.change(LETTER, {"due_at": text, "timezone": LONDON})
    path = world.campaign(LETTER) / METADATA
    document = {**json.loads(path.read_text()), "due_at": text}
    document.pop("window", None)  # whatever the hour is while this runs
    path.write_text(json.dumps(document))
    yesterday = now - timedelta(days=1)
    systems.sent.append(
        {
            "campaign": LETTER,
            "accepted": 830,
            "first_at": yesterday.isoformat(),
            "last_at": (yesterday + timedelta(minutes=4)).isoformat(),
        }
    )
    systems.jobs["4711"] = {
        "campaign": LETTER,
        "run_at": fires.isoformat(),
        "queued_at": (now - timedelta(hours=4)).isoformat(),
        "out": False,
    }
    return fires


def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has 512 MB, and 646 MB in use: the one thing that can't be done to the machine a test runs on."""
    look = Probe.look

    def short(self: Probe, *args: object) -> object:
        from dataclasses import replace

        facts = look(self, *args)  # type: ignore[arg-type]
        return replace(facts, memory_total=512 * MIB, memory_available=6 * MIB, swap_used=140 * MIB)

    monkeypatch.setattr(Probe, "look", short)


CALM = ("lighthouse-tour", "regatta-parking", "client-letter-r1", "client-letter-r2")


def only(world: RealWorld, slug: str) -> None:
    """Leaves one campaign in trouble, and a few that are over: the night somebody is woken for `slug`."""
    keep = {slug, *CALM}
    for folder in (world.paths.campaigns, world.paths.runs):
        for path in folder.iterdir():
            if path.name not in keep:
                shutil.rmtree(path)
    for log in world.paths.logs.glob("*.log"):
        if log.stem not in keep:
            log.unlink()
    for hold in world.paths.holds.iterdir():
        hold.unlink()
    lines = world.paths.cron.read_text().splitlines(keepends=True)
    world.paths.cron.write_text("".join(line for line in lines if "--campaign" not in line or slug in line))
    state = world.dashboard.state
    for row in state.campaigns():
        if row["slug"] not in keep:
            state.remove(row["slug"])
