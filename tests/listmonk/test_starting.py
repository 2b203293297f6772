"""A campaign is started once, as it was planned, and nothing listmonk replies is taken for true."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backends.listmonk.starting import Starter
from opsconsole.observation import Says
from opsconsole.ports import MaybeStarted, Refused, Started, Trouble
from tests.listmonk.desk import Desk, desk, now
from tests.support.listmonk import Listmonk, standin

__all__ = ["standin"]


@pytest.fixture
def at(standin: Listmonk, tmp_path: Path) -> Iterator[Desk]:
    made = desk(standin, tmp_path)
    yield made
    made.backend.close()


def puts(at: Desk, what: str) -> list[str]:
    return [path for method, path, _ in at.standin.requests if method == "PUT" and what in path]


def test_a_planned_campaign_is_sent_to_everybody_once_and_told_to_its_end(at: Desk) -> None:
    number, _ = at.campaign()
    plan = at.plan()
    started = at.start(plan)
    assert started.fresh
    assert started.state.run_id == plan.run_id
    followed, said = at.follow()
    assert followed.end is not None
    assert followed.end.says is Says.ENDED
    assert followed.end.run_id == plan.run_id
    counts = followed.end.word.counts
    assert counts is not None
    assert (counts.total, counts.accepted, counts.failed) == (6, 6, 0)
    assert set(at.standin.post.sent_to(number).values()) == {1}
    assert "start processing campaign (July)" in said
    assert "6 of 6 accepted" in said
    again, rest = at.follow(offset=len(said.encode()) // 2)
    assert said.encode().endswith(rest.encode())
    assert again.offset == followed.offset == len(said.encode())
    seen = at.seen()
    assert seen.says is Says.ENDED
    assert seen.run is not None
    assert seen.run.run_id == plan.run_id


@pytest.mark.slow
def test_the_same_plan_again_starts_nothing_and_is_told_of_its_run(at: Desk) -> None:
    number, _ = at.campaign()
    plan = at.plan()
    at.start(plan)
    again = at.start(plan)
    assert not again.fresh
    assert again.state.run_id == plan.run_id
    at.standin.until_status(number, "finished")
    assert set(at.standin.post.sent_to(number).values()) == {1}
    assert len(puts(at, "/status")) == 1


@pytest.mark.slow
def test_another_plan_of_a_campaign_that_went_is_told_who_started_it_and_when(at: Desk) -> None:
    number, _ = at.campaign()
    plan = at.plan()
    at.start(plan, by="mara")
    at.standin.until_status(number, "finished")
    with pytest.raises(Refused, match=r"(?s)finished.*started here by mara at .* run " + plan.run_id):
        at.start(replace(at.plan(), subject="another"), by="olga")


@pytest.mark.slow
def test_who_is_second_to_a_start_from_listmonk_s_own_pages_is_told_so(at: Desk) -> None:
    at.campaign()
    plan = at.plan()
    with at.listmonk.as_user(at.listmonk.sender) as other:
        other.put("/api/campaigns/1/status", json={"status": "running"}).raise_for_status()
    with pytest.raises(Refused, match=r"Who started it isn't known"):
        at.start(plan)


@pytest.mark.slow
def test_two_consoles_that_start_it_at_the_same_time_start_it_once(at: Desk, tmp_path: Path) -> None:
    number, _ = at.campaign(people=20)
    other = desk(at.listmonk, tmp_path)
    plans = [at.plan(), replace(at.plan(), planned_by="olga")]
    results: list[Started | Trouble] = []

    def begin(who: Desk, plan: object) -> None:
        try:
            results.append(who.start(plan))  # type: ignore[arg-type]
        except Trouble as error:
            results.append(error)

    threads = [threading.Thread(target=begin, args=pair) for pair in zip((at, other), plans, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(type(one).__name__ for one in results) == ["Refused", "Started"]
    at.standin.until_status(number, "finished")
    assert set(at.standin.post.sent_to(number).values()) == {1}
    assert len(puts(at, "/status")) == 1
    other.backend.close()


@pytest.mark.slow
@pytest.mark.parametrize("part", ["subject", "body", "lists", "settings"])
def test_an_edit_after_the_plan_refuses_it_and_names_the_part(at: Desk, part: str) -> None:
    number, to = at.campaign()
    plan = at.plan()
    more = at.standin.add_list("more")
    edits: dict[str, dict[str, object]] = {
        "subject": {"subject": "Another"},
        "body": {"body": "<p>Another</p>"},
        "lists": {"lists": [to.id, more.id]},
        "settings": {"from_email": "Other <other@example.com>"},
    }
    changed = edits[part]
    with at.listmonk.as_user(at.listmonk.manager) as editor:
        editor.put(f"/api/campaigns/{number}", json={"lists": [to.id], **changed}).raise_for_status()
    with pytest.raises(
        Refused, match=rf"(?s)stale: .*{part} was [0-9a-f]{{12}} in the plan, is [0-9a-f]{{12}} now"
    ):
        at.start(plan)
    assert puts(at, "/status") == []


@pytest.mark.slow
def test_one_more_subscriber_refuses_it_with_both_numbers(at: Desk) -> None:
    _, to = at.campaign()
    plan = at.plan()
    at.standin.add_person("late@example.com", to)
    with pytest.raises(Refused, match="audience was 6 in the plan, is 7 now"):
        at.start(plan)
    assert puts(at, "/status") == []


@pytest.mark.slow
def test_a_scheduled_one_is_sent_now_by_way_of_draft_and_without_its_date(at: Desk) -> None:
    number, _ = at.campaign(status="scheduled", send_at=now() + timedelta(hours=5), media=[])
    plan = at.plan()
    started = at.start(plan)
    assert started.state.says in (Says.RUNNING, Says.ENDED)
    at.standin.until_status(number, "finished")
    assert at.standin.campaign(number).send_at is None
    assert len(at.standin.post.sent_to(number)) == 6


@pytest.mark.slow
def test_a_draft_with_a_date_would_only_be_scheduled_so_its_date_goes_first(at: Desk) -> None:
    number, _ = at.campaign(send_at=now() + timedelta(hours=5))
    at.start(at.plan())
    at.standin.until_status(number, "finished")


def test_without_the_right_to_edit_nothing_at_all_is_done_to_a_dated_one(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, standin.sender)
    number, _ = at.campaign(status="scheduled", send_at=now() + timedelta(hours=5))
    with pytest.raises(Refused, match=r"(?s)lacks campaigns:manage.*take away the date"):
        at.start(at.plan())
    assert puts(at, "/campaigns") == []
    assert at.standin.campaign(number).status == "scheduled"
    at.backend.close()


@pytest.mark.slow
def test_a_token_that_may_only_read_starts_nothing(standin: Listmonk, tmp_path: Path) -> None:
    at = desk(standin, tmp_path, standin.reader)
    at.campaign()
    with pytest.raises(Refused, match=r"lacks campaigns:send"):
        at.start(at.plan())
    assert puts(at, "/campaigns") == []
    at.backend.close()


@pytest.mark.slow
def test_one_that_is_due_by_its_own_date_is_left_to_listmonk(at: Desk) -> None:
    at.standin.restart_passive()  # its scheduler isn't at work
    at.campaign(status="scheduled", send_at=now() - timedelta(minutes=5))
    with pytest.raises(Refused, match=r"(?s)listmonk starts it by itself.*scheduler isn't at work"):
        at.start(at.plan())


@pytest.mark.slow
def test_a_pick_up_that_doesn_t_come_is_told_with_what_is_known(at: Desk) -> None:
    at.standin.restart_passive()
    at.campaign()
    plan = at.plan()
    at.remembered.clear()
    started = Starter(at.backend.control, pick_up=timedelta(seconds=0.3)).start(plan, "mara")
    assert started.fresh
    assert started.state.says is Says.RUNNING
    assert "not picked up within" in started.state.word.note
    at.standin.restart_passive(False)
    followed, _ = at.follow()
    assert followed.end is not None
    assert followed.end.run_id == plan.run_id


def test_a_lost_reply_is_not_asked_again_but_read(at: Desk) -> None:
    number, _ = at.campaign()
    plan = at.plan()
    faults = at.standin.faults
    faults.mute, faults.only, faults.path = True, "PUT", "/status"
    started = at.start(plan)
    assert started.fresh
    assert started.state.run_id == plan.run_id
    at.standin.until_status(number, "finished")
    assert len(puts(at, "/status")) == 1
    assert set(at.standin.post.sent_to(number).values()) == {1}


@pytest.mark.slow
def test_a_lost_reply_of_a_start_that_isn_t_to_be_seen_may_have_started(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backends.listmonk.client import LostReply

    number, _ = at.campaign()
    plan = at.plan()

    def lost(campaign_id: int, status: str) -> None:
        raise LostReply("The line broke.", "It may have been done.", "")

    monkeypatch.setattr(at.backend.client, "put_status", lost)
    with pytest.raises(MaybeStarted, match="still a draft"):
        Starter(at.backend.control, sleep=lambda _: None).start(plan, "mara")
    with pytest.raises(Trouble, match="may still arrive"):
        at.backend.give_up("july", plan.run_id)
    assert at.standin.campaign(number).status == "draft"


@pytest.mark.slow
def test_a_start_that_never_came_is_given_up_once_it_can_t_come_any_more(standin: Listmonk, tmp_path: Path) -> None:
    late = [timedelta(0)]
    at = desk(standin, tmp_path, clock=lambda: now() + late[0])
    at.campaign()
    plan = at.plan()
    at.backend.control.claims.put(at.backend.control.find("july"), plan, "mara", now())
    with pytest.raises(Trouble):
        at.backend.give_up("july", plan.run_id)
    late[0] = timedelta(minutes=3)
    assert at.backend.give_up("july", plan.run_id) is None
    assert at.backend.run_state("july") is None
    at.backend.close()


@pytest.mark.slow
def test_somebody_who_gives_it_a_date_in_the_last_moment_doesn_t_get_it_scheduled(
    at: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, to = at.campaign()
    plan = at.plan()
    put = at.backend.client.put_status
    dated = {"lists": [to.id], "send_at": (now() + timedelta(hours=5)).isoformat()}

    def dated_first(campaign_id: int, status: str) -> None:
        if status == "running":
            with at.listmonk.as_user(at.listmonk.manager) as editor:
                editor.put(f"/api/campaigns/{number}", json=dated).raise_for_status()
        put(campaign_id, status)

    monkeypatch.setattr(at.backend.client, "put_status", dated_first)
    with pytest.raises(Refused, match="put back to draft"):
        at.start(plan)
    assert at.standin.campaign(number).status == "draft"
    assert at.standin.post.sent_to(number) == {}


def test_a_claim_that_can_t_be_written_is_no_start(at: Desk) -> None:
    number, _ = at.campaign()
    plan = at.plan()
    folder = at.backend.control.kept.folder
    (folder / f"start-{at.standin.campaign(number).uuid}.json").mkdir(
        parents=True
    )  # what is there can't be replaced
    with pytest.raises(Refused, match=r"(?s)claims in .* can't be used.*Nothing was started"):
        at.start(plan)
    assert puts(at, "/campaigns") == []


@pytest.mark.slow
def test_a_date_isn_t_taken_away_where_the_edit_would_forget_a_deleted_list(at: Desk) -> None:
    people = at.standin.add_list("people")
    at.standin.add_people(people, 3)
    gone = at.standin.add_list("gone")
    number = at.standin.add_campaign("July", people, gone, send_at=now() + timedelta(hours=5))
    with at.listmonk.as_user(at.listmonk.manager) as editor:
        editor.delete(f"/api/lists/{gone.id}").raise_for_status()
    with pytest.raises(Refused, match="names what is deleted in listmonk: gone"):
        at.start(at.plan())
    assert puts(at, "/campaigns") == []
    assert at.standin.campaign(number).send_at is not None


@pytest.mark.slow
def test_a_campaign_that_listmonk_cancels_itself_is_an_end_with_nobody_mailed(at: Desk) -> None:
    number, _ = at.campaign(messenger="email-gone")
    at.start(at.plan())
    at.standin.until_status(number, "cancelled")
    state = at.backend.run_state("july")
    assert state is not None
    assert state.says is Says.ENDED
    assert state.word.counts is not None
    assert state.word.counts.accepted == 0
