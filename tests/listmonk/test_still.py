"""Running by its status, and nothing moves: the console says since when, and why."""

from datetime import timedelta
from pathlib import Path

import pytest

from backends.embedded.listmonk.rows import Campaign
from opsconsole.verdict import Group
from tests.listmonk.desk import Desk, desk
from tests.listmonk.later import MINUTE, Later, codes, verdict
from tests.support.listmonk import Listmonk

THROTTLED = "454 4.7.0 Throttling failure: Maximum sending rate exceeded"


def row(at: Desk, number: int) -> Campaign:
    found: Campaign = at.standin.campaign(number)
    return found


def started(at: Desk, number: int) -> None:
    at.backend.client.put_status(number, "running")


@pytest.mark.slow
def test_its_sliding_window_is_used_up_and_it_sleeps(at: Desk, clock: Later) -> None:
    window = {"duration": "1h", "rate": 10}
    keys = {f"app.message_sliding_window_{key}": value for key, value in window.items()}
    at.standin.configure({"app.message_sliding_window": True, **keys})
    number, _ = at.campaign("July", 60)
    started(at, number)
    at.standin.until_logged("Sleeping for")
    at.standin.until(lambda: row(at, number).sent >= 10)
    at.backend.observe()
    clock.by += 6 * MINUTE

    said = verdict(at, "july", clock)

    assert said.status == "STALLED"
    assert "sliding window is used up" in said.why
    assert "until today" in said.why or "until tomorrow" in said.why


def test_the_mail_server_takes_nothing(at: Desk, clock: Later) -> None:
    at.standin.post.fails, at.standin.post.latency = THROTTLED, 0.02
    number, _ = at.campaign("July", 900)
    started(at, number)
    at.standin.until(lambda: sum("error sending" in line for line in at.standin.log) >= 12)
    at.backend.observe()
    at.standin.restart_passive()  # as it stood then
    clock.by += 6 * MINUTE

    said = verdict(at, "july", clock)

    assert said.status == "STALLED"
    assert "mail server takes nothing" in said.why
    assert "rate limited" in said.why
    assert "454 4.7.0" in said.why
    assert said.group is Group.ATTENTION
    assert {"smtp-errors", "restarted"} <= codes(said)


def test_nobody_picks_it_up(asleep: Desk, clock: Later) -> None:
    number, _ = asleep.campaign("July")
    started(asleep, number)
    asleep.backend.observe()
    clock.by += 6 * MINUTE

    said = verdict(asleep, "july", clock)

    assert said.status == "STALLED"
    assert "hasn't picked it up" in said.why


@pytest.mark.slow
def test_it_can_not_be_processed_and_says_so_only_in_its_log(at: Desk, clock: Later) -> None:
    number, _ = at.campaign("July", body="{{ nonsense }}")
    started(at, number)
    at.standin.until_logged("error processing campaign (July)")
    at.backend.observe()
    clock.by += 6 * MINUTE

    said = verdict(at, "july", clock)

    assert said.status == "STALLED"
    assert "can't process it" in said.why
    assert "stuck" in codes(said)


def test_another_campaign_has_its_turn(asleep: Desk, clock: Later) -> None:
    long_ago = clock() - 20 * MINUTE
    asleep.campaign("July", status="running", to_send=50, sent=10, started_at=long_ago)
    other, _ = asleep.campaign("August", status="running", to_send=5000, sent=10, started_at=long_ago)
    asleep.backend.observe()
    clock.by += 6 * MINUTE
    with asleep.standin.database.lock:
        asleep.standin.database.campaigns[other].sent = 900

    asleep.backend.observe()
    said = verdict(asleep, "july", clock)

    assert said.status == "STALLED"
    assert "August has the turn" in said.why
    assert verdict(asleep, "august", clock).status == "SENDING"


def test_a_console_that_was_started_anew_still_knows_since_when(tmp_path: Path, asleep: Desk, clock: Later) -> None:
    number, _ = asleep.campaign("July", status="running", to_send=500, sent=10, started_at=clock() - 2 * MINUTE)
    asleep.backend.observe()
    with asleep.standin.database.lock:
        asleep.standin.database.campaigns[number].sent = 60
    clock.by += MINUTE
    moved = clock()
    asleep.backend.observe()
    clock.by += 6 * MINUTE

    another = desk(asleep.listmonk, tmp_path, clock=clock)
    said = verdict(another, "july", clock)

    assert said.status == "STALLED"
    assert said.run is not None
    assert said.run.progress_at is not None
    assert abs(said.run.progress_at - moved) < timedelta(seconds=30)


def test_bounces_come_in_heaps_and_are_told_by_class(asleep: Desk, clock: Later) -> None:
    asleep.standin.configure({"bounce.enabled": True})
    number, _ = asleep.campaign("July", 60, status="running", to_send=60, sent=50, started_at=clock() - MINUTE)
    for person in range(1, 13):
        asleep.standin.bounce(f"july{person}@example.com", number, "hard" if person < 10 else "complaint")

    said = verdict(asleep, "july", clock)

    assert {"bounce-spike", "complaint-spike"} <= codes(said)
    assert said.group is Group.ATTENTION
    spike = next(finding for finding in said.findings if finding.code == "bounce-spike")
    assert "9 hard, 3 complaint" in spike.evidence[0]
    assert any("more" in line for line in spike.evidence)  # listmonk's own count has an end


@pytest.mark.slow
def test_listmonk_paused_it_itself(at: Desk, clock: Later) -> None:
    at.standin.configure({"app.max_send_errors": 5})
    at.standin.post.fails = THROTTLED
    number, _ = at.campaign("July", 200)
    at.backend.observe()
    started(at, number)
    at.standin.until_status(number, "paused")
    at.standin.until_logged("set campaign (July) to paused")

    said = verdict(at, "july", clock)

    assert said.status == "PAUSED"
    assert "errors-exceeded" in codes(said)
    assert said.group is Group.ATTENTION


def test_what_the_whole_is_in_trouble_with_is_said_once(standin: Listmonk, tmp_path: Path) -> None:
    standin.standin.configure({"app.concurrency": 3}, in_force=False)
    standin.standin.importing(100, 40)
    user = standin.standin.add_user("all", [*standin.manager.permissions, "subscribers:import"])

    findings = desk(standin, tmp_path, user).backend.observe().findings

    assert any("aren't in force" in finding for finding in findings)
    assert any("40 of 100" in finding for finding in findings)
