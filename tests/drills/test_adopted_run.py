"""A run that somebody started by hand is adopted by command: known from then on, its end told to the dashboard."""

import pytest

from tests.support.world import RealWorld

SLUG = "harbor-lights-jul"


@pytest.mark.slow
def test_a_run_by_hand_is_adopted_and_told_once(world: RealWorld) -> None:
    before = world.spoken(SLUG)
    assert "foreign-run" in {finding["code"] for finding in before["findings"]}
    assert "adopt" in before["next"]
    assert world.command("adopt", SLUG).code == 2

    told = world.command("adopt", SLUG, "--reason", "ben sent it while the link was down", "--json")

    assert (told.code, told.json["result"], told.json["status"]) == (0, "ended", before["status"])
    after = world.spoken(SLUG)
    (adopted,) = [finding for finding in after["findings"] if finding["code"] == "adopted-run"]
    assert "was adopted by" in adopted["text"]
    (operation,) = world.dashboard_state()["operations"]
    assert operation["run_id"]
    assert "adopted by" in operation["note"]
    again = world.command("adopt", SLUG, "--reason", "once more")
    assert (again.code, "No run of it is foreign" in again.err) == (3, True)
    assert len(world.dashboard_state()["operations"]) == 1
    assert not world.sent_to()
