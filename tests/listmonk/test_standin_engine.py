"""How it sends: picked up by a scan, fetched in batches, counted late, and what it loses."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backends.embedded.listmonk.engine import Waits
from backends.embedded.listmonk.standin import QUICK, StandIn
from tests.support.listmonk import Listmonk, listmonk

HOUR = timedelta(hours=1)


def start(made: Listmonk, number: int) -> None:
    status(made, number, "running")


def status(made: Listmonk, number: int, target: str) -> None:
    with made.as_user(made.sender) as client:
        assert client.put(f"/api/campaigns/{number}/status", json={"status": target}).status_code == 200


def stats(made: Listmonk) -> list[dict[str, object]]:
    with made.as_user(made.reader) as client:
        found: list[dict[str, object]] = client.get("/api/campaigns/running/stats").json()["data"]
    return found


def with_people(on: StandIn, count: int, **fields: object) -> int:
    people = on.add_list("July")
    on.add_people(people, count)
    return on.add_campaign("July", people, **fields)


def logged(on: StandIn, text: str) -> int:
    return sum(text in line for line in on.log)


def test_a_campaign_is_picked_up_by_the_scan_sent_and_finished(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 60)
    start(standin, number)
    on.until_status(number, "finished")
    row = on.campaign(number)
    assert (row.sent, row.to_send) == (60, 60)
    assert set(on.post.sent_to(number).values()) == {1}
    assert len(on.post.sent_to(number)) == 60
    assert row.started_at is not None
    on.until_logged("campaign (July) finished")
    assert logged(on, "manager.go:430: start processing campaign (July)") == 1


@pytest.mark.slow
def test_sent_is_flushed_by_the_scan_and_to_send_is_unknown_before_it() -> None:
    made = listmonk(waits=Waits(scan=0.3, second=0.02))
    on = made.standin
    try:
        number = with_people(on, 40)
        on.post.only(10)
        start(made, number)
        assert on.campaign(number).to_send == 0
        on.until(lambda: len(on.post.letters) == 10)
        (running,) = stats(made)
        assert set(running) == {"id", "status", "to_send", "sent", "started_at", "updated_at", "rate", "net_rate"}
        assert running["to_send"] == 40
        on.until(lambda: on.campaign(number).sent == 10)  # by the next scan
        (running,) = stats(made)
        assert (running["sent"], running["rate"], running["net_rate"]) == (10, 10, 10)
    finally:
        on.stop()


@pytest.mark.slow
def test_the_checkpoint_is_moved_before_anything_is_sent(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"app.batch_size": 50, "app.concurrency": 1, "app.message_rate": 1})
    number = with_people(on, 60)
    on.post.only(0)
    start(standin, number)
    on.until(lambda: on.campaign(number).last_subscriber_id)
    assert not on.post.letters
    assert on.campaign(number).last_subscriber_id == 50
    assert on.campaign(number).max_subscriber_id == 60


def test_a_kill_skips_what_was_fetched_and_calls_it_finished(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 60)
    on.post.only(10)
    start(standin, number)
    on.until(lambda: len(on.post.letters) == 10)
    on.kill()
    assert on.campaign(number).status == "running"
    sent = len(on.post.letters)
    on.post.only(None)
    on.start()
    on.until_status(number, "finished")
    assert on.campaign(number).sent < on.campaign(number).to_send == 60
    assert len(on.post.letters) == sent  # nobody else got it, nobody twice
    assert logged(on, "campaign (July) finished") == 1
    assert logged(on, "start processing") == 1  # the log of the first life is gone


def test_a_pause_drops_the_queue_and_is_drained_when_the_log_says_so(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 80)
    on.post.only(10)
    start(standin, number)
    on.until(lambda: len(on.post.letters) == 10 and on.post.held)
    status(standin, number, "paused")
    assert stats(standin) == []
    assert logged(on, "stop processing") == 0
    on.post.only(None)
    on.until_logged("stop processing campaign (July)")
    sent, row = len(on.post.letters), on.campaign(number)
    assert row.status == "paused"
    assert row.sent == sent <= 20  # those in flight at ten workers, and no other
    assert row.last_subscriber_id == max(letter.subscriber_id for letter in on.post.letters)
    start(standin, number)
    on.until_status(number, "finished")
    assert set(on.post.sent_to(number).values()) == {1}
    assert on.campaign(number).started_at == row.started_at


@pytest.mark.slow
def test_a_resume_while_it_drains_waits_for_the_end_of_it(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 40)
    on.post.only(0)
    start(standin, number)
    on.until(lambda: on.post.held)
    status(standin, number, "paused")
    start(standin, number)
    assert on.campaign(number).status == "running"
    on.post.only(None)
    on.until_status(number, "finished")
    assert logged(on, "start processing campaign (July)") == 2
    assert set(on.post.sent_to(number).values()) == {1}


@pytest.mark.slow
def test_too_many_errors_pause_it_and_the_resume_skips_the_batch(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"app.max_send_errors": 5, "app.batch_size": 20, "app.concurrency": 1})
    number = with_people(on, 60)
    on.post.fails = "dial tcp: connect: connection refused"
    start(standin, number)
    on.until_status(number, "paused")
    on.until_logged("set campaign (July) to paused")
    assert logged(on, "error count exceeded 5. pausing campaign July") == 1
    assert logged(on, "error sending message in campaign July: subscriber 1: dial tcp") == 1
    fetched = on.campaign(number).last_subscriber_id
    assert fetched >= 20
    assert on.campaign(number).sent == 0
    on.post.fails = ""
    start(standin, number)
    on.until_status(number, "finished")
    assert len(on.post.sent_to(number)) == 60 - fetched


def test_a_dead_server_and_a_small_list_is_finished_with_nothing_sent(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 12)
    on.post.fails = "dial tcp: connect: connection refused"
    start(standin, number)
    on.until_status(number, "finished")
    assert (on.campaign(number).sent, on.campaign(number).to_send) == (0, 12)
    assert logged(on, "error sending message in campaign July") == 12


@pytest.mark.slow
def test_single_refusals_are_counted_by_nobody(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 12)
    on.post.fails_for["p3@example.com"] = "550 5.1.1 no such user"
    start(standin, number)
    on.until_status(number, "finished")
    assert on.campaign(number).sent == 11


@pytest.mark.slow
@pytest.mark.parametrize("late", [timedelta(minutes=1), timedelta(hours=5)])
def test_a_due_one_is_sent_however_late(standin: Listmonk, late: timedelta) -> None:
    on = standin.standin
    number = with_people(on, 3, status="scheduled", send_at=on.now() - late)
    on.until_status(number, "finished")
    assert on.campaign(number).sent == 3


@pytest.mark.slow
def test_it_waits_for_its_time_by_the_databases_clock(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 3, status="scheduled", send_at=on.now() + HOUR)
    assert on.campaign(number).status == "scheduled"
    on.offset = 2 * HOUR
    on.until_status(number, "finished")


@pytest.mark.slow
def test_a_passive_one_never_picks_anything_up(standin: Listmonk) -> None:
    on = standin.standin
    on.restart_passive()
    number = with_people(on, 3, status="scheduled", send_at=on.now() - HOUR)
    on.until(lambda: on.now() - on.campaign(number).created_at > timedelta(seconds=0.15))
    assert on.campaign(number).status == "scheduled"
    on.restart_passive(False)
    on.until_status(number, "finished")


@pytest.mark.slow
def test_a_pause_by_a_passive_sibling_drops_nothing(standin: Listmonk) -> None:
    """It only changes the row: what is queued is sent, and the engine notices at its next batch."""
    on = standin.standin
    number = with_people(on, 60)
    on.post.only(10)
    start(standin, number)
    on.until(lambda: len(on.post.letters) == 10)
    with StandIn(waits=QUICK, passive=True, sibling_of=on) as sibling:
        status(replace(standin, standin=sibling), number, "paused")
    on.post.only(None)
    on.until_logged("finish processing campaign (July)")
    assert on.campaign(number).status == "paused"
    assert on.campaign(number).sent == 60


@pytest.mark.slow
def test_nobody_in_it_is_finished_without_a_mail(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 0, status="scheduled", send_at=on.now() - HOUR)
    on.until_status(number, "finished")
    assert (on.campaign(number).to_send, on.campaign(number).started_at) == (0, None)


@pytest.mark.slow
def test_an_unknown_messenger_cancels_it(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 3, messenger="email-gone")
    start(standin, number)
    on.until_status(number, "cancelled")
    on.until_logged("error processing campaign (July): unknown messenger email-gone")


@pytest.mark.slow
def test_a_broken_template_leaves_it_running_for_ever(standin: Listmonk) -> None:
    on = standin.standin
    broken = on.database.add_template("Broken", "{{ Frist }}")
    number = with_people(on, 3, template_id=broken.id)
    start(standin, number)
    on.until(lambda: logged(on, "error processing campaign (July)") >= 2)
    assert on.campaign(number).status == "running"
    assert not on.post.letters


@pytest.mark.slow
def test_one_message_that_cant_be_rendered_is_no_error_of_the_campaign(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 3, body="{{ if eq .Subscriber.ID 2 }}{{ .Subscriber.Nothing }}{{ end }}Hello")
    start(standin, number)
    on.until_status(number, "finished")
    assert on.campaign(number).sent == 2
    assert logged(on, "error rendering message (July) (p2@example.com)") == 1


@pytest.mark.slow
def test_a_full_window_stops_every_campaign_and_says_for_how_long(standin: Listmonk) -> None:
    on = standin.standin
    window = {
        "app.message_sliding_window": True,
        "app.message_sliding_window_duration": "1h",
        "app.message_sliding_window_rate": 5,
    }
    on.configure(window)
    first = with_people(on, 20)
    start(standin, first)
    on.until_logged("messages exceeded (5) for the window (1h0m0s since ")
    assert logged(on, "Sleeping for ") == 1
    other = on.add_campaign("Other", *on.database.lists.values())
    start(standin, other)
    on.until(lambda: on.campaign(first).sent == 5 and on.campaign(other).status == "running")
    status(standin, first, "paused")
    on.until_logged("start processing campaign (Other)")
    assert len(on.post.letters) == 5
    assert logged(on, "stop processing") == 0  # the sleep doesn't look


@pytest.mark.slow
def test_late_joiners_are_mailed_after_a_resume(standin: Listmonk) -> None:
    on = standin.standin
    number = with_people(on, 30)
    on.post.only(5)
    start(standin, number)
    on.until(lambda: len(on.post.letters) == 5)
    status(standin, number, "paused")
    on.post.only(None)
    on.until_logged("stop processing")
    on.add_person("late@example.com", next(iter(on.database.lists.values())))
    start(standin, number)
    on.until_status(number, "finished")
    assert on.campaign(number).to_send == 31
    assert on.post.sent_to(number)["late@example.com"] == 1


@pytest.mark.slow
def test_put_finished_ends_a_running_one(standin: Listmonk) -> None:
    on = standin.standin
    on.configure({"app.batch_size": 4, "app.concurrency": 1, "app.message_rate": 1})  # two messages are queued
    number = with_people(on, 60)
    on.post.only(5)
    start(standin, number)
    on.until(lambda: len(on.post.letters) == 5)
    status(standin, number, "finished")
    on.post.only(None)
    on.until_logged("finish processing campaign (July)")
    assert 5 < on.campaign(number).sent < 60  # what was fetched is still sent
