"""Finished is listmonk's word; who was reached is counted, and who wasn't is named as far as anybody can know."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.case import Case
from opsconsole.observation import Says
from opsconsole.policy import Policy
from opsconsole.ports import RunState, Verb
from opsconsole.runs import ended_detail
from opsconsole.statuses import RULES
from tests.listmonk.desk import Desk, desk, now
from tests.support.listmonk import Listmonk, standin

__all__ = ["standin"]


@pytest.fixture
def at(standin: Listmonk, tmp_path: Path) -> Iterator[Desk]:
    made = desk(standin, tmp_path)
    yield made
    made.backend.close()


def ended(at: Desk) -> tuple[RunState, str]:
    followed, said = at.follow()
    assert followed.end is not None
    return followed.end, said


def status_of(at: Desk) -> str:
    """What the board calls it, by this source alone."""
    case = Case.of("july", [at.seen()], Policy(), now())
    return next(str(status) for status, rule in RULES if rule(case))


def test_those_that_were_refused_are_listed_by_their_ids_and_never_by_their_addresses(at: Desk) -> None:
    number, _ = at.campaign(people=10)
    for person in (3, 7):
        at.standin.post.fails_for[f"july{person}@example.com"] = "550 5.1.1 <july@example.com> no such user"
    at.start(at.plan())
    state, said = ended(at)
    counts = state.word.counts
    assert counts is not None
    assert (counts.total, counts.accepted, counts.failed, counts.unknown) == (10, 8, 2, 0)
    assert "failed, by subscriber id: " in said
    ids = said.split("failed, by subscriber id: ")[1].splitlines()[0].split(", ")
    refused = ("july3@example.com", "july7@example.com")
    assert set(ids) == {str(at.standin.database.by_email(one).id) for one in refused}
    assert "july3@example.com" not in said
    assert state.word.going.classes == (("550 5.1.1", 2),)
    assert ended_detail(state)["status"] == "partial"
    assert status_of(at) == "PARTIAL"
    assert at.standin.post.sent_to(number)["july3@example.com"] == 0
    assert "nothing is sent again by itself" in said


@pytest.mark.slow
def test_all_of_them_is_sent(at: Desk) -> None:
    at.campaign()
    at.start(at.plan())
    state, said = ended(at)
    assert ended_detail(state)["status"] == "sent"
    assert status_of(at) == "SENT"
    assert "missing" not in said


@pytest.mark.slow
def test_a_dead_mail_server_and_a_small_list_is_finished_for_listmonk_and_failed_for_us(at: Desk) -> None:
    at.standin.post.fails = "dial tcp 192.0.2.1:25: connect: connection refused"
    at.campaign(people=5)  # far fewer than its limit of errors, so it never pauses
    at.start(at.plan())
    state, _ = ended(at)
    assert at.standin.campaign(1).status == "finished"
    assert state.word.counts is not None
    assert (state.word.counts.accepted, state.word.counts.failed) == (0, 5)
    assert ended_detail(state)["status"] == "failed"
    assert status_of(at) == "FAILED"


@pytest.mark.slow
def test_too_many_errors_pause_it_and_that_is_told(at: Desk) -> None:
    at.standin.configure({"app.max_send_errors": 3, "app.batch_size": 10, "app.concurrency": 1})
    at.standin.post.fails = "454 4.7.0 Throttling failure: Daily message quota exceeded"
    number, _ = at.campaign(people=40)
    at.start(at.plan())
    at.standin.until_logged("set campaign (July) to paused")
    assert at.standin.campaign(number).status == "paused"
    state = at.backend.run_state("july")
    assert state is not None
    assert state.says is Says.PAUSED
    assert "too many errors" in state.word.note
    assert "up to 10 may be skipped" in state.word.note
    assert (
        "454 4.7.0",
        len(state.word.going.classes) and state.word.going.classes[0][1],
    ) in state.word.going.classes
    assert Verb.RESUME in state.can


@pytest.mark.slow
def test_a_restart_in_the_middle_skips_people_and_the_checkpoint_counts_them(at: Desk) -> None:
    at.standin.configure({"app.batch_size": 30, "app.concurrency": 2, "app.message_rate": 1000})
    at.standin.post.latency = 0.02
    number, _ = at.campaign(people=60)
    at.start(at.plan())
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) >= 5)
    at.backend.run_state("july")  # the console looks, so that it has the log when it is lost
    at.standin.kill()
    at.standin.post.latency = 0.0
    at.standin.start()
    at.standin.until_status(number, "finished")
    state, said = ended(at)
    mailed = at.standin.post.sent_to(number)
    assert set(mailed.values()) == {1}
    assert len(mailed) < 60
    counts = state.word.counts
    assert counts is not None
    assert counts.total == 60
    assert counts.accepted < 60
    assert counts.accepted + counts.unknown + counts.failed <= 60
    assert counts.accepted + counts.unknown >= len(mailed)  # nobody who got it is called certainly unmailed
    assert ended_detail(state)["status"] == "partial"
    assert status_of(at) == "PARTIAL"
    assert "were skipped" in state.word.note
    assert "started again" in said
    assert f"through with 60: {60 - counts.accepted} of them skipped or failed" in said
    looked = len([1 for method, _, _ in at.standin.requests if method == "PUT"])
    ended(at)
    assert (
        len([1 for method, _, _ in at.standin.requests if method == "PUT"]) == looked
    )  # and nothing was sent again


@pytest.mark.slow
def test_what_a_token_may_not_ask_is_said_and_the_rest_is_told(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, standin.sender)  # may not query by SQL
    standin.standin.post.fails_for["july2@example.com"] = "550 no"
    at.campaign(people=4)
    at.start(at.plan())
    state, said = ended(at)
    assert state.word.counts is not None
    assert state.word.counts.failed == 1
    assert "not known: its checkpoint, as the user sender lacks subscribers:sql_query" in said
    at.backend.close()


@pytest.mark.slow
def test_bounces_are_told_by_class_and_the_blocklisted_are_counted(at: Desk) -> None:
    number, to = at.campaign(people=6)
    at.standin.add_person("blocked@example.com", to, status="blocklisted")
    at.start(at.plan())
    at.standin.until_status(number, "finished")
    at.standin.bounce("july1@example.com", number, "hard")
    at.standin.bounce("july2@example.com", number, "soft")
    at.standin.bounce("july3@example.com", number, "soft")
    _, said = ended(at)
    assert "2 soft" in said
    assert "1 hard" in said
    assert "are blocklisted and get nothing" in said
    assert f"/admin/campaigns/{number}" in said


@pytest.mark.slow
def test_who_was_mailed_by_others_means_is_followed_and_reconciled_just_so(at: Desk) -> None:
    number, _ = at.campaign()
    with at.listmonk.as_user(at.listmonk.sender) as other:
        other.put(f"/api/campaigns/{number}/status", json={"status": "running"}).raise_for_status()
    at.standin.until_status(number, "finished")
    state, _ = ended(at)
    assert state.run_id == at.standin.campaign(number).uuid.replace("-", "")[:16]
    assert state.word.by == ""
    assert state.word.counts is not None
    assert state.word.counts.accepted == 6
