"""Drill 8: sent by hand this morning; the cron line is still there and fires again this afternoon."""

import pytest

from tests.support.world import RealWorld

pytestmark = pytest.mark.slow

SLUG = "harbor-lights-jul"


def test_it_was_sent_and_still_needs_somebody(world: RealWorld) -> None:
    line = next(n for n, text in enumerate(world.paths.cron.read_text().splitlines(), 1) if SLUG in text)

    told = world.spoken(SLUG)

    assert (told["status"], told["group"]) == ("SENT", "Needs attention")
    again = next(finding for finding in told["findings"] if finding["code"] == "fires-again")
    assert again["severity"] == "block"
    assert f"{world.paths.cron}:{line} fires again" in again["text"]
    host = next(source for source in told["sources"] if source["triggers"])
    assert host["triggers"][0]["next_fire"]
    assert "host" in told["next"]


def test_it_cannot_be_sent_again_and_the_host_shows_the_line(world: RealWorld) -> None:
    checks = world.command("preflight", SLUG, "--json")
    blocking = {row["check_id"] for row in checks.json["results"] if row["outcome"] == "fail"}
    assert {"not-already-sent"} <= blocking

    rehearsal = world.command("dry-run", SLUG, "--json").json
    assert rehearsal["plan"] is None
    assert "never twice" in rehearsal["no_plan_because"]

    (table,) = world.command("host", "cron", "--json").json
    assert table["ignored_because"] == ""
    (line,) = [line for line in table["lines"] if SLUG in line["command"]]
    assert line["next"]
    assert not world.sent_to()
