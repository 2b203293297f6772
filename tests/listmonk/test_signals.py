"""Pause means drained; resume, cancel and the switch of a date are read again before they are believed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backends.listmonk import triggers
from backends.listmonk.signals import Signaller
from opsconsole.observation import Says
from opsconsole.ports import Refused, Verb
from tests.listmonk.desk import Desk, desk, now
from tests.support.listmonk import Listmonk, standin

__all__ = ["standin"]


@pytest.fixture
def at(standin: Listmonk, tmp_path: Path) -> Iterator[Desk]:
    made = desk(standin, tmp_path)
    yield made
    made.backend.close()


def slowly(at: Desk, *, concurrency: int = 2, latency: float = 0.02) -> None:
    at.standin.configure({"app.concurrency": concurrency, "app.message_rate": 1000, "app.batch_size": 20})
    at.standin.post.latency = latency


def running(at: Desk, people: int = 60, sent: int = 5) -> int:
    """A campaign on its way, with so many sent at least."""
    number, _ = at.campaign(people=people)
    at.start(at.plan())
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) >= sent)
    return number


def signal(at: Desk, verb: Verb) -> object:
    return Signaller(at.backend.control, sleep=lambda _: None).signal("july", 1, verb)


@pytest.mark.slow
def test_paused_is_drained_and_resumed_it_reaches_everybody_once(at: Desk) -> None:
    slowly(at)
    number = running(at)
    state = at.backend.signal("july", 1, Verb.PAUSE)
    assert state.says is Says.PAUSED
    assert "drained: nothing of it is in flight" in state.word.note
    at_pause = len(at.standin.post.sent_to(number))
    assert at_pause < 60
    at.standin.post.latency = 0.0
    state = at.backend.signal("july", 1, Verb.RESUME)
    assert state.says in (Says.RUNNING, Says.ENDED)
    followed, said = at.follow()
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    assert set(at.standin.post.sent_to(number).values()) == {1}
    assert "stop processing campaign (July)" in said


@pytest.mark.slow
def test_until_the_log_says_so_it_is_pausing_with_so_many_in_flight_and_isn_t_resumed(at: Desk) -> None:
    slowly(at, concurrency=3, latency=0.0)
    at.standin.post.only(5)  # the next ones hang on their way
    number, _ = at.campaign(people=60)
    at.start(at.plan())
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) == 5)
    state = Signaller(at.backend.control, sleep=lambda _: None).signal("july", 1, Verb.PAUSE)
    assert state.says is Says.PAUSED
    assert state.word.note == "pausing: at most 3 are still in flight, its log has no word of the end"
    with pytest.raises(Refused, match=r"(?s)still pausing: at most 3 .*Wait until it is drained"):
        signal(at, Verb.RESUME)
    assert at.standin.campaign(number).status == "paused"
    at.standin.post.only(None)
    at.standin.until_logged("stop processing campaign (July)")
    state_now = at.backend.run_state("july")
    assert state_now is not None
    assert "drained" in state_now.word.note
    signal(at, Verb.RESUME)


def test_a_restart_of_listmonk_leaves_nothing_of_a_paused_one_in_flight(at: Desk) -> None:
    slowly(at, latency=0.6)
    at.campaign(people=60)
    at.start(at.plan())
    signal(at, Verb.PAUSE)
    at.standin.restart()
    at.standin.post.latency = 0.0
    state = at.backend.run_state("july")
    assert state is not None
    assert "drained" in state.word.note


@pytest.mark.slow
def test_the_end_of_a_namesake_is_not_taken_for_the_drain_of_this_one(at: Desk) -> None:
    slowly(at, latency=0.0)
    at.standin.post.only(5)  # the next ones hang on their way
    running(at)
    signal(at, Verb.PAUSE)
    namesake = at.standin.add_campaign("July", at.standin.add_list("nobody yet"))
    with at.listmonk.as_user(at.listmonk.manager) as other:
        other.put(f"/api/campaigns/{namesake}/status", json={"status": "running"}).raise_for_status()
    at.standin.until_status(namesake, "finished")
    at.standin.until_logged("campaign (July) finished")
    with pytest.raises(Refused, match="another campaign of its name was at work meanwhile"):
        signal(at, Verb.RESUME)
    at.standin.post.only(None)


@pytest.mark.slow
def test_a_token_that_may_not_read_the_log_can_pause_but_isn_t_let_resume(
    standin: Listmonk, tmp_path: Path
) -> None:
    blind = standin.standin.add_user(
        "blind", ("campaigns:get_all", "lists:get_all", "subscribers:get_all", "campaigns:send")
    )
    at = desk(standin, tmp_path, blind)
    slowly(at)
    running(at)
    state = signal(at, Verb.PAUSE)
    assert "whether it is drained isn't known: its log can't be read" in state.word.note  # type: ignore[attr-defined]
    with pytest.raises(Refused, match=r"(?s)isn't known: .*settings:get"):
        signal(at, Verb.RESUME)
    at.backend.close()


@pytest.mark.slow
def test_cancelled_is_an_end_with_whom_it_reached_and_is_terminal(at: Desk) -> None:
    slowly(at)
    number = running(at)
    state = at.backend.signal("july", 1, Verb.CANCEL)
    assert at.standin.campaign(number).status == "cancelled"
    followed, said = at.follow()
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    assert followed.end.can == frozenset()
    counts = followed.end.word.counts
    assert counts is not None
    assert counts.accepted == len(at.standin.post.sent_to(number)) < 60
    assert counts.total == 60
    assert "nothing is sent again by itself" in said
    assert state.run_id == followed.end.run_id
    for verb in Verb:
        with pytest.raises(Refused, match="It is over"):
            signal(at, verb)


@pytest.mark.slow
def test_a_scheduled_one_can_t_be_cancelled_but_its_date_can_be_switched_off_and_on(at: Desk) -> None:
    number, _ = at.campaign(status="scheduled", send_at=now() + timedelta(hours=5))
    with pytest.raises(Refused, match="Switch its date off instead"):
        signal(at, Verb.CANCEL)
    key = triggers.key(at.backend.control.find("july"))
    switched = at.backend.switch_trigger(key, False, "mara")
    assert at.standin.campaign(number).status == "draft"
    assert "scheduled" in switched.before
    assert "draft" in switched.after
    assert "read again" in switched.proof
    at.backend.switch_trigger(key, False, "mara")  # the same again changes nothing
    back = at.backend.switch_trigger(key, True, "mara")
    assert at.standin.campaign(number).status == "scheduled"
    assert "scheduled" in back.after


@pytest.mark.slow
def test_a_date_that_was_moved_or_has_passed_is_not_switched(at: Desk) -> None:
    number, to = at.campaign(status="scheduled", send_at=now() + timedelta(hours=5))
    key = triggers.key(at.backend.control.find("july"))
    with at.listmonk.as_user(at.listmonk.manager) as editor:
        moved = {"lists": [to.id], "send_at": (now() + timedelta(hours=6)).isoformat()}
        editor.put(f"/api/campaigns/{number}", json=moved).raise_for_status()
    with pytest.raises(Refused, match="another date now"):
        at.backend.switch_trigger(key, False, "mara")
    past, _ = at.campaign("June", send_at=now() - timedelta(hours=1))
    with pytest.raises(Refused, match="would start it within 5 s"):
        at.backend.switch_trigger(triggers.key(at.backend.control.find("june")), True, "mara")
    assert at.standin.campaign(past).status == "draft"
    for nonsense in ("", "campaign:x:y", "campaign:1:yesterday", "cron:1"):
        with pytest.raises(Refused):
            at.backend.switch_trigger(nonsense, False, "mara")


@pytest.mark.slow
def test_a_lost_reply_to_a_pause_is_read_and_never_asked_again(at: Desk) -> None:
    slowly(at)
    running(at)
    faults = at.standin.faults
    faults.mute, faults.only, faults.path = True, "PUT", "/status"
    before = len([1 for method, _, _ in at.standin.requests if method == "PUT"])
    state = at.backend.signal("july", 1, Verb.PAUSE)
    assert state.says is Says.PAUSED
    assert len([1 for method, _, _ in at.standin.requests if method == "PUT"]) == before + 1


@pytest.mark.slow
def test_one_that_was_scheduled_once_is_resumed_by_way_of_scheduled(at: Desk) -> None:
    slowly(at)
    number, _ = at.campaign(people=60, status="scheduled", send_at=now() + timedelta(seconds=0.1))
    at.standin.until(lambda: len(at.standin.post.sent_to(number)) >= 5)
    at.backend.signal("july", 1, Verb.PAUSE)
    at.standin.until_logged("stop processing campaign (July)")
    at.standin.post.latency = 0.0
    state = at.backend.signal("july", 1, Verb.RESUME)
    assert state.says in (Says.RUNNING, Says.ENDED)
    at.standin.until_status(number, "finished")
    assert set(at.standin.post.sent_to(number).values()) == {1}
