"""Operations beyond a run: who may, asked twice, on record before and after, and closed as unclear by a look."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from opsconsole.audit.records import Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.deeds import say_record
from opsconsole.observation import Hold
from opsconsole.operations import OPERATING_FOR
from opsconsole.ports import NotThere, Operated, Operation, OutOfReach, Refused, Trouble
from tests.domain.words import SLUG
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost
from tests.support.pipeline import PIPELINE, Pipeline

OWN = "summer-list"
WHY = "the worker was mended"


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(Clock(), OWN)


@pytest.fixture
def desk(pipeline: Pipeline, tmp_path: Path) -> Iterator[Desk]:
    clock = pipeline.clock
    assert isinstance(clock, Clock)
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock, beside=(pipeline,))


def offered(console: Console, name: str, slug: str = "") -> Operation:
    return next(one for one in console.operations(slug).operations if one.id == name)


def done(console: Console, operation: Operation, typed: str, value: str = "", reason: str = WHY) -> Operated:
    return console.operate(operation, value, typed, reason, lambda data: None, Event())


def records(desk: Desk) -> list[Record]:
    return [r for r in reversed(desk.store.search()) if r.action.startswith("operate")]


def results(desk: Desk) -> list[Any]:
    return [r.detail["result"] for r in records(desk) if r.phase is Phase.OUTCOME]


def test_a_dead_letter_queue_is_sent_on_and_both_records_tell_what_was_there(
    desk: Desk, pipeline: Pipeline
) -> None:
    ana = desk.sit("ana", "admin")
    redrive = offered(ana, "redrive")
    asked = ana.confirm_operation(redrive)
    assert (asked.phrase, asked.needs_reason, len(asked.warnings)) == (f"{PIPELINE} 12", True, 1)
    assert dict(asked.lines)["this will"] == "queue them once more"

    assert done(ana, redrive, f"{PIPELINE} 12").after == "0"

    intent, outcome = records(desk)
    assert (intent.phase, intent.reason, intent.detail["count"]) == (Phase.INTENT, WHY, 12)
    assert (outcome.ref, outcome.detail["result"]) == (intent.seq, "done")
    assert (outcome.detail["before"], outcome.detail["after"]) == ("12", "0")
    assert pipeline.done == [("redrive", "", "ana")]
    assert "Send the dead letters on" in say_record(intent)[1]
    assert "It was 12, and is 0 now." in say_record(outcome)[1]
    assert desk.store.unresolved() == []


def test_a_campaigns_own_is_an_operators_and_takes_its_value_along(desk: Desk, pipeline: Pipeline) -> None:
    mara = desk.sit()
    rate = offered(mara, "rate", OWN)
    assert ("new value", "50") in mara.confirm_operation(rate, "50").lines
    with pytest.raises(Refused, match="needs a value: messages a second, now 20"):
        done(mara, rate, f"{OWN} 2601")
    done(mara, rate, f"{OWN} 2601", " 50 ")
    assert pipeline.rate == "50"
    assert [r.detail["value"] for r in records(desk)] == ["50", "50"]
    assert records(desk)[0].campaign == OWN


def test_what_is_about_no_campaign_is_for_admins_and_nothing_else_typed_will_do(
    desk: Desk, pipeline: Pipeline
) -> None:
    redrive = offered(desk.sit("ana", "admin"), "redrive")
    for console in (desk.sit("mara", "approver"), desk.sit("ana", "admin", read_only=True)):
        assert "role admin" in offered(console, "redrive").against or console.read_only
        with pytest.raises(Refused, match=r"needs the role admin|read-only"):
            done(console, redrive, f"{PIPELINE} 12")
    ana = desk.sit("ana", "admin")
    with pytest.raises(Refused, match="asked for 'bulk 12'"):
        done(ana, redrive, "yes")
    with pytest.raises(Refused, match="No reason was given"):
        done(ana, redrive, f"{PIPELINE} 12", reason=" ")
    with pytest.raises(Refused, match="takes no value"):
        done(ana, redrive, f"{PIPELINE} 12", "5")
    with pytest.raises(NotThere, match="offers no operations"):
        ana.operations(only="blast-mail-prod")
    with pytest.raises(NotThere):
        ana.operations("no-such-campaign")
    assert (pipeline.done, records(desk)) == ([], [])


def test_a_store_that_takes_no_record_lets_nothing_be_done(desk: Desk, pipeline: Pipeline) -> None:
    ana = desk.sit("ana", "admin")
    purge = offered(ana, "purge")
    ana.store_trouble = "The disk is full."
    with pytest.raises(Refused, match="No record, no action"):
        done(ana, purge, f"{PIPELINE} 12")
    assert pipeline.done == []


@pytest.mark.parametrize("scope", ["everything", f"host:{PIPELINE}", OWN])
def test_a_hold_binds_what_may_mail_and_nothing_else(desk: Desk, pipeline: Pipeline, scope: str) -> None:
    ana = desk.sit("ana", "admin")
    if scope == "everything":
        ana.hold_scope(scope, release=False, reason="wrong subject")
    else:
        pipeline.holds = (Hold(scope=scope, by="ana", at=desk.clock(), reason="wrong subject"),)
        ana.refresh()
    assert "on hold by ana: wrong subject" in offered(ana, "redrive").against
    with pytest.raises(Refused, match="People may get mail by it"):
        done(ana, replace(offered(ana, "redrive"), against=""), f"{PIPELINE} 12")
    done(ana, offered(ana, "purge"), f"{PIPELINE} 12")
    assert [what for what, _, _ in pipeline.done] == ["purge"]


def test_a_hold_that_another_console_records_at_that_moment_binds_it_too(
    desk: Desk, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bob = desk.sit("ana", "admin"), desk.sit("bob", "admin")
    redrive, purge = offered(ana, "redrive"), offered(ana, "purge")
    looked, look = [], pipeline.operations

    def held_meanwhile(slug: str = "") -> tuple[Operation, ...]:
        looked.append(slug)
        found = look(slug)
        if len(looked) == 2:  # the last look before it is done
            bob.hold_scope("everything", release=False, reason="wrong subject")
        return found

    monkeypatch.setattr(pipeline, "operations", held_meanwhile)
    with pytest.raises(Refused, match=r"on hold .* by bob: wrong subject"):
        done(ana, redrive, f"{PIPELINE} 12")
    assert pipeline.done == []
    monkeypatch.undo()
    done(ana, purge, f"{PIPELINE} 12")
    assert [what for what, _, _ in pipeline.done] == ["purge"]


def test_a_hold_on_another_system_binds_nothing_here(desk: Desk, pipeline: Pipeline) -> None:
    ana = desk.sit("ana", "admin")
    ana.hold_scope(f"host:{desk.host.name}", release=False, reason="disk")
    assert offered(ana, "redrive").against == ""


def test_what_changed_since_it_was_shown_is_not_done(desk: Desk, pipeline: Pipeline) -> None:
    ana = desk.sit("ana", "admin")
    seen, rate = offered(ana, "redrive"), offered(ana, "rate", OWN)
    pipeline.dead, pipeline.rate = 13, "40"
    with pytest.raises(Refused, match="it was about 12, and is about 13"):
        done(ana, seen, f"{PIPELINE} 12")
    with pytest.raises(Refused, match="it isn't as it was shown"):
        done(ana, rate, f"{OWN} 2601", "50")
    pipeline.dead = 0
    with pytest.raises(Refused, match="There is no dead letter"):
        done(ana, seen, f"{PIPELINE} 12")
    with pytest.raises(Refused, match="doesn't offer it any more"):
        done(ana, replace(seen, id="gone"), f"{PIPELINE} 12")
    assert (pipeline.done, records(desk)) == ([], [])


@pytest.mark.parametrize("error", [Refused("It is too late."), OutOfReach("No answer within 5 s.")])
def test_what_was_refused_or_never_reached_it_is_recorded_as_failed(
    desk: Desk, pipeline: Pipeline, error: Trouble
) -> None:
    ana = desk.sit("ana", "admin")
    pipeline.trouble = error
    with pytest.raises(type(error)):
        done(ana, offered(ana, "purge"), f"{PIPELINE} 12")
    assert results(desk) == ["failed"]
    assert desk.store.unresolved() == []


def test_a_lost_answer_is_closed_as_unclear_by_what_is_there_and_never_repeated(
    desk: Desk, pipeline: Pipeline
) -> None:
    ana = desk.sit("ana", "admin")
    pipeline.trouble = Trouble("The answer was lost")
    purge = offered(ana, "purge")
    with pytest.raises(Trouble, match="answer was lost"):
        done(ana, purge, f"{PIPELINE} 12")
    # The look that follows at once tells what is there, not whether it was this.
    assert results(desk) == ["unclear"]
    outcome = records(desk)[-1]
    assert "now: dead letters 0" in outcome.reason
    assert [what for what, _, _ in pipeline.done] == ["purge"]
    ana.refresh()
    assert len(pipeline.done) == 1


def test_one_that_cannot_be_looked_at_stays_open_and_another_console_gets_its_time(
    desk: Desk, pipeline: Pipeline
) -> None:
    ana = desk.sit("ana", "admin")
    purge = offered(ana, "purge")
    typed = f"{PIPELINE} 12"

    def gone() -> None:
        if pipeline.done:
            raise OutOfReach("No answer within 5 s.")

    pipeline.trouble, pipeline.on_look = Trouble("The answer was lost"), gone
    with pytest.raises(Trouble, match="answer was lost"):
        done(ana, purge, typed)
    assert [i.action for i in desk.store.unresolved()] == ["operate"]
    pipeline.on_look = lambda: None
    mara = desk.sit()
    assert "may be at it now" in mara.found_at_start[0]
    desk.clock.pass_(OPERATING_FOR + timedelta(seconds=1))
    mara.refresh()
    assert results(desk) == ["unclear"]
    assert desk.store.unresolved() == []


def test_one_that_is_under_way_is_not_looked_after_and_can_be_stopped(desk: Desk, pipeline: Pipeline) -> None:
    ana, stop, heard = desk.sit("ana", "admin"), Event(), []
    pipeline.slow.clear()

    def output(data: bytes) -> None:
        heard.append(data)
        ana.tidy()  # a look in the middle of it
        assert results(desk) == []
        stop.set()

    ended = ana.operate(offered(ana, "redrive"), "", f"{PIPELINE} 12", WHY, output, stop)
    assert (ended.stopped, ended.after, len(heard)) == (True, "11", 1)
    assert results(desk) == ["stopped"]


def test_one_system_that_cannot_be_asked_hides_nothing_of_the_others(desk: Desk, pipeline: Pipeline) -> None:
    blind = Pipeline(desk.clock, SLUG, name="other", blind=OutOfReach("other did not answer."))
    desk.beside = (blind, pipeline)
    both = desk.sit("ana", "admin").operations()
    assert {one.source for one in both.operations} == {PIPELINE}
    assert both.unread == (("other", "other did not answer."),)


def test_a_long_value_is_on_record_by_its_digest(desk: Desk, pipeline: Pipeline) -> None:
    mara = desk.sit()
    done(mara, offered(mara, "rate", OWN), f"{OWN} 2601", "x" * 5000)
    intent = records(desk)[0]
    assert (len(str(intent.detail["value"])), len(str(intent.detail["value_sha256"]))) == (200, 64)
