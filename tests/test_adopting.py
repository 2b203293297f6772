"""A run that others started is taken over by a new record, never by an edit, and its end is told once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsconsole.audit.store import AuditStore
from opsconsole.deeds import say_record
from opsconsole.observation import Counts, RunWord, Says
from opsconsole.ports import Refused
from opsconsole.verdict import Status, Verdict
from tests.domain.words import ALL, NOW, SLUG
from tests.support.console import HOST, PHRASE, Clock, Desk, FakeHost
from tests.test_decisions import Told, heard


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), Told(clock), clock)


def somebody_ran_it(desk: Desk, says: Says, run_id: str = "", counts: Counts | None = ALL, **more: Any) -> None:
    known: dict[str, Any] = {"attempt": 0, "by": "ben", "started_at": NOW - timedelta(minutes=30), **more}
    ended = NOW - timedelta(minutes=21) if says is Says.ENDED else None
    run = RunWord(run_id=run_id, ended_at=ended, counts=counts, **known)
    desk.host.word = replace(desk.host.word, says=says, run=run, since=ended or run.started_at)


def codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


@pytest.mark.parametrize("run_id", ["", "r-77"])
def test_an_ended_run_is_known_from_then_on_and_told_like_one_of_ours(desk: Desk, run_id: str) -> None:
    somebody_ran_it(desk, Says.ENDED, run_id, rc=0)
    mara = desk.sit()
    assert "foreign-run" in codes(mara.verdict(SLUG))
    assert "adopt" in mara.verdict(SLUG).next_steps

    record = mara.decide("adopt", SLUG, "ben ran it while the link was down")

    assert (record.run, record.detail["source"], record.detail["run_by"]) == (run_id, HOST, "ben")
    assert record.detail["content"] == desk.host.word.content.digest  # type: ignore[union-attr]
    said = f"adopted: the run {run_id or 'without an id'} on {HOST} by ben, 2,601 accepted of 2,601"
    assert say_record(record)[1] == said
    verdict = mara.verdict(SLUG)
    assert "adopt" not in verdict.next_steps
    assert (verdict.status, codes(verdict) & {"foreign-run", "adopted-run"}) == (Status.SENT, {"adopted-run"})
    assert any("adopted by mara" in finding.text for finding in verdict.findings)
    own = next(o for o in verdict.observations if o.source == "console")
    assert (own.says, own.run and own.run.counts) == (Says.ENDED, ALL)
    assert any("ben ran it while the link was down" in line.text for line in own.evidence)
    (told,) = heard(desk)
    assert (told["status"], told["counts"]["accepted"], told["duration_s"]) == ("sent", 2601, 540.0)
    assert told["note"] == f"run on {HOST} by ben, adopted by mara"
    assert told["run_id"] == (run_id or f"{SLUG}:{HOST}:{(NOW - timedelta(minutes=30)).isoformat()}")


def test_a_second_adoption_has_nothing_to_adopt_and_tells_nobody_twice(desk: Desk) -> None:
    somebody_ran_it(desk, Says.ENDED, "r-77")
    desk.sit("ana").decide("adopt", SLUG, "it is ours")
    with pytest.raises(Refused, match="No run of it is foreign"):
        desk.sit("mara").decide("adopt", SLUG, "it is ours")
    assert len(heard(desk)) == 1


def test_a_run_adopted_while_it_goes_is_told_once_it_has_ended(desk: Desk) -> None:
    somebody_ran_it(desk, Says.RUNNING, progress_at=NOW, counts=Counts(total=2601, accepted=5))
    mara = desk.sit()
    mara.decide("adopt", SLUG, "ben started it")
    assert heard(desk) == []
    assert codes(mara.verdict(SLUG)) & {"foreign-run", "adopted-run"} == {"adopted-run"}

    desk.clock.pass_(timedelta(minutes=1))
    # Of a process that is gone its log tells the start, a few seconds later than the process did.
    somebody_ran_it(desk, Says.ENDED, started_at=NOW - timedelta(minutes=30) + timedelta(seconds=4))
    ana = desk.sit("ana")
    ana.refresh()
    ana.refresh()

    (told,) = heard(desk)
    assert (told["status"], told["operator"], told["counts"]["accepted"]) == ("sent", "mara", 2601)
    first, second = reversed(desk.store.search(action="adopt"))
    assert (first.detail["result"], second.detail["result"]) == ("going", "ended")
    assert any("adopted by mara" in f.text for f in ana.verdict(SLUG).findings)


def test_another_run_of_the_same_campaign_is_as_foreign_as_the_first(desk: Desk) -> None:
    somebody_ran_it(desk, Says.ENDED)
    mara = desk.sit()
    mara.decide("adopt", SLUG, "it is ours")
    somebody_ran_it(desk, Says.ENDED, started_at=NOW - timedelta(minutes=25))
    mara.refresh()
    assert "foreign-run" in codes(mara.verdict(SLUG))


def test_adopting_takes_back_no_decision(desk: Desk) -> None:
    somebody_ran_it(desk, Says.STARTED)
    mara = desk.sit()
    mara.decide("mark", SLUG, "the provider shows all of it", typed=PHRASE)
    mara.decide("adopt", SLUG, "ben ran it")
    assert mara.verdict(SLUG).status is Status.SENT
    assert "marked as executed" in mara.verdict(SLUG).why


@pytest.mark.parametrize(
    ("counts", "rc", "status"),
    [(None, None, "sent"), (None, 1, "failed"), (Counts(total=2601, accepted=2600, failed=1), 0, "partial")],
)
def test_how_it_ended_is_told_by_what_is_known_of_it(
    desk: Desk, counts: Counts | None, rc: int | None, status: str
) -> None:
    somebody_ran_it(desk, Says.ENDED, "r-77", counts, rc=rc)
    desk.sit().decide("adopt", SLUG, "it is ours")
    assert [told["status"] for told in heard(desk)] == [status]


def test_a_run_that_left_neither_id_nor_instant_can_not_be_named(desk: Desk) -> None:
    began: datetime | None = None
    somebody_ran_it(desk, Says.STARTED, started_at=began)
    with pytest.raises(Refused, match="without an id and without an instant"):
        desk.sit().decide("adopt", SLUG, "it is ours")
    assert desk.store.search(action="adopt") == []
