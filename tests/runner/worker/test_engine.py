"""One message after the other through the engine: what is sent, what is on record, what becomes of the message."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.channel.port import Kind, ServerRefusesUs
from runner.worker.schema import content_seal, reference
from runner.worker.verdicts import Do, Taken
from tests.runner.worker.memory import TAKEN, World, again, says

ANA, BEN, CLARA = "ana@example.com", "ben@example.com", "clara@example.com"
TO_ANA = Taken("m1", "r1", reference("spring", ANA))


def test_a_queued_campaign_is_processing_before_anybody_is_mailed() -> None:
    world = World(ANA)
    world.while_sending = lambda: seen.append(world.campaigns["spring"]["status"])
    seen: list[str] = []

    (verdict,) = world.run(ANA)

    assert verdict.do is Do.DONE
    assert (world.mailed, seen) == ([ANA], ["processing"])
    assert world.counts == {"sent_count": 1}


def test_a_message_that_comes_twice_mails_once() -> None:
    world = World(ANA)

    assert [verdict.do for verdict in (*world.run(ANA, ANA), *world.run(ANA))] == [Do.DONE] * 3
    assert world.mailed == [ANA]
    assert world.counts == {"sent_count": 1}
    assert world.tally["duplicates"] == 2


def test_a_contact_that_was_deleted_is_counted_missing_and_the_message_is_done() -> None:
    world = World(ANA)

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.DONE] * 2
    assert world.counts == {"sent_count": 1, "missing_count": 1}


def test_a_pause_after_the_message_was_taken_holds_it_still() -> None:
    world = World(ANA, BEN)
    world.meanwhile = lambda: world.campaigns["spring"].update(paused=True)

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.WAIT] * 2
    assert not world.mailed
    assert not world.deliveries


def test_a_pause_between_two_messages_holds_the_second() -> None:
    world = World(ANA, BEN)
    world.while_sending = lambda: world.campaigns["spring"].update(paused=True)

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.DONE, Do.WAIT]
    assert world.mailed == [ANA]


def test_a_mail_made_before_the_content_changed_never_goes_out_after_it() -> None:
    world = World(ANA)
    world.meanwhile = lambda: world.campaigns["spring"].update(subject="Another", content_version=1)

    (verdict,) = world.run(ANA)

    assert (verdict.do, verdict.seconds) == (Do.WAIT, 0.0)
    world.meanwhile = lambda: None
    assert world.run(ANA)[0].do is Do.DONE
    assert world.mailed == [ANA]


def test_content_that_was_changed_past_the_console_is_mailed_to_nobody() -> None:
    world = World(ANA, BEN)
    world.campaigns["spring"]["content_seal"] = content_seal(world.campaigns["spring"])
    assert world.run(ANA)[0].do is Do.DONE

    world.campaigns["spring"]["body"] = "<p>Not what anybody approved</p>"
    world.engine._campaigns.learn("spring", dict(world.campaigns["spring"]))  # as a second later
    assert world.run(BEN)[0].do is Do.WAIT
    assert world.mailed == [ANA]
    assert "it isn't what was started" in world.campaigns["spring"]["pause_reason"]


def test_a_cancelled_campaign_is_dropped_and_nothing_is_written() -> None:
    world = World(ANA, status="cancelled")

    assert world.run(ANA)[0].do is Do.DONE
    assert (world.mailed, world.deliveries, world.counts) == ([], {}, {})


def test_a_lost_answer_is_unknown_counted_and_never_sent_again() -> None:
    world = World(ANA)
    world.says = [says(Kind.UNKNOWN, 0, "the answer was lost"), TAKEN]

    assert [verdict.do for verdict in (*world.run(ANA), *world.run(ANA))] == [Do.DONE] * 2
    assert world.mailed == [ANA]
    assert world.counts == {"unknown_count": 1}


def test_what_a_dead_worker_began_becomes_unknown_and_a_living_ones_is_waited_for() -> None:
    world = World(ANA, BEN)
    for who, seconds in ((ANA, 1000), (BEN, 1)):
        begun = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        world.deliveries["spring", who] = {"state": "sending", "begin_id": "theirs", "begun_at": begun}

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.DONE, Do.WAIT]
    assert not world.mailed
    assert world.counts == {"unknown_count": 1}


def test_a_cancel_does_not_hide_what_a_dead_worker_had_begun() -> None:
    world = World(ANA, BEN, CLARA, status="cancelled")
    for who, seconds in ((ANA, 1000), (BEN, 1)):
        begun = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        world.deliveries["spring", who] = {"state": "sending", "begin_id": "theirs", "begun_at": begun}

    assert [verdict.do for verdict in world.run(ANA, BEN, CLARA)] == [Do.DONE, Do.WAIT, Do.DONE]
    assert not world.mailed
    assert world.counts == {"unknown_count": 1}
    assert world.tally["dropped"] == 1


def test_who_is_to_get_it_again_is_not_taken_for_a_duplicate_of_a_completed_campaign() -> None:
    world = World(ANA, BEN, status="completed")
    world.deliveries["spring", ANA] = {"state": "sent", "begin_id": "theirs"}
    world.deliveries["spring", BEN] = {"state": "resend", "begin_id": "theirs"}

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.DONE, Do.DEAD]
    assert not world.mailed


def test_refused_for_now_is_tried_three_times_and_gives_the_delivery_back_meanwhile() -> None:
    world, message = World(ANA), TO_ANA
    world.says = [says(Kind.DEFERRED, 450, "4.2.0 mailbox busy, greylisted")]

    for _ in range(2):
        (verdict,) = world.run(message)
        assert (verdict.do, verdict.seconds >= 60) == (Do.BACK, True)
        assert not world.deliveries
        message = again(message)
    assert world.run(message)[0].do is Do.DONE
    assert world.counts == {"failed_count": 1}
    assert world.deliveries["spring", ANA]["error_class"] == "greylisted"


def test_refused_for_good_fails_with_its_class_at_once() -> None:
    world = World(ANA)
    world.says = [says(Kind.FAILED, 550, "5.1.1 <ana@example.com> user unknown")]

    assert world.run(ANA)[0].do is Do.DONE
    found = world.deliveries["spring", ANA]
    assert (found["state"], found["error_class"]) == ("failed", "mailbox unknown")
    assert ANA not in found["error"]


def test_going_too_fast_costs_no_try() -> None:
    world = World(ANA)
    world.says = [says(Kind.DEFERRED, 429, "TooManyRequestsException"), TAKEN]

    assert world.run(TO_ANA)[0].do is Do.WAIT
    assert not world.deliveries
    assert world.run(TO_ANA)[0].do is Do.DONE


def test_ten_refused_alike_pause_the_campaign_with_the_reason_and_stay_unsent() -> None:
    people = [f"p{n}@example.com" for n in range(12)]
    world = World(*people)
    world.says = [says(Kind.SENDER_REFUSED, 554, "MailFromDomainNotVerifiedException: example.com")]

    assert {verdict.do for verdict in world.run(*people)} == {Do.BACK, Do.WAIT}
    campaign = world.campaigns["spring"]
    assert campaign["paused"]
    assert campaign["paused_by"] == "worker w"
    assert "MailFromDomainNotVerified" in campaign["pause_reason"]
    assert (world.deliveries, world.counts) == ({}, {})


def test_content_that_nobody_can_be_mailed_pauses_the_campaign_before_anybody() -> None:
    world = World(ANA, BEN, body="{% for %}")

    assert {verdict.do for verdict in world.run(ANA, BEN)} == {Do.WAIT}
    assert "body line 1" in world.campaigns["spring"]["pause_reason"]
    assert not world.deliveries


def test_a_variable_that_nobody_has_fails_some_and_then_pauses_the_campaign() -> None:
    people = [f"p{n}@example.com" for n in range(30)]
    world = World(*people, body="<p>{{ frist_name }}</p>")

    world.run(*people)

    assert "'frist_name' is undefined" in world.campaigns["spring"]["pause_reason"]
    assert world.counts.get("failed_count", 0) < 10
    assert not world.mailed


def test_an_account_that_may_not_send_is_held_and_what_was_begun_is_given_back() -> None:
    world = World(ANA, BEN)
    world.says = [ServerRefusesUs("SES: sending is paused for this account"), TAKEN]

    assert [verdict.do for verdict in world.run(ANA, BEN)] == [Do.WAIT] * 2
    assert world.engine.hold.left > 0
    assert "sending is paused" in world.engine.hold.why
    assert (world.mailed, world.deliveries) == ([], {})
    assert not world.campaigns["spring"].get("paused")


def test_a_login_that_one_campaigns_own_server_refuses_pauses_that_campaign_alone() -> None:
    world = World(ANA)
    world.everybody = False
    world.says = [ServerRefusesUs("the mail server refused the login: 535")]

    assert world.run(ANA)[0].do is Do.WAIT
    assert "refused the login" in world.campaigns["spring"]["pause_reason"]
    assert not world.engine.hold.left


@pytest.mark.parametrize("kind", [Kind.LOST, Kind.UNREACHABLE])
def test_a_connection_that_broke_before_the_mail_costs_nothing(kind: Kind) -> None:
    world = World(ANA)
    world.says = [says(kind, 0, "connection refused")]

    assert world.run(ANA)[0].do is Do.WAIT
    assert not world.deliveries


def test_what_was_sent_is_counted_sent_though_it_was_declared_unknown_meanwhile() -> None:
    world = World(ANA)

    def given_up() -> None:
        world.deliveries["spring", ANA]["state"] = "unknown"
        world.campaigns["spring"]["unknown_count"] = 1

    world.while_sending = given_up
    world.run(ANA)

    assert world.counts == {"sent_count": 1}
    assert world.deliveries["spring", ANA]["state"] == "sent"


def test_nothing_is_begun_once_the_worker_is_told_to_stop() -> None:
    world = World(ANA)

    (verdict,) = world.run(ANA, going=False)

    assert (verdict.do, verdict.seconds, world.mailed, world.deliveries) == (Do.BACK, 0.0, [], {})


def test_what_nobody_foresaw_leaves_the_delivery_on_record_and_tells_no_address() -> None:
    world = World(ANA)
    world.says = [RuntimeError(f"something about {ANA}")]

    (verdict,) = world.run(ANA)

    assert verdict.do is Do.WAIT
    assert ANA not in verdict.why
    assert world.deliveries["spring", ANA]["state"] == "sending"  # whether it went out isn't known
