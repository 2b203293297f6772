"""A trigger is switched: asked twice, on record before it is done, proven by a look, and closed by looking."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.records import Phase, Record
from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.observation import Counts, Hold, Observation, Report, Says, Trigger
from opsconsole.policy import Policy
from opsconsole.ports import OutOfReach, Refused, Switched, Trouble
from opsconsole.runs import STARTING_FOR
from opsconsole.settings import Role
from opsconsole.verdict import Group, Status
from tests.domain.words import NOW, SLUG, dashboard, host
from tests.support.console import CONTENT, PHRASE, Clock, Desk, FakeDashboard, FakeHost, run

WHERE = "/etc/cron.d/mail-blasts:14"
WHY = "it was sent by hand this morning"


def line(off: bool = False, where: str = WHERE, said: str = "5a1d") -> Trigger:
    return Trigger(
        where=where,
        text=f"0 15 4 7 * root mail-blast-runner --campaign {SLUG} --mode send",
        next_fire=None if off else NOW + timedelta(hours=3),
        ignored_because="switched off by mara, 2026-05-12 17:52 UTC" if off else "",
        key=f"{said}:{'off' if off else 'on'}:{where}",
        off=off,
    )


@dataclass
class CronHost(FakeHost):
    """A host with one cron line. `does`: the switch reaches it, whatever becomes of the answer."""

    does: bool = True
    switched: list[tuple[str, bool, str]] = field(default_factory=list)

    def switch_trigger(self, key: str, on: bool, by: str) -> Switched:
        self.switched.append((key, on, by))
        before = next(t for t in self.word.triggers if t.key == key)
        if self.does and not isinstance(self.trouble, Refused | OutOfReach):
            after = line(not on, before.where)
            self.word = replace(self.word, triggers=tuple(after if t is before else t for t in self.word.triggers))
        if self.trouble is not None:
            raise self.trouble
        return Switched(
            where=before.where, before="the line", after="#off# the line", proof="read again", undo="a copy"
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    ended = run(Says.ENDED, "r1", counts=Counts(total=2601, accepted=2601))
    word = host(Says.ENDED, content=CONTENT, run=ended.word, since=NOW, triggers=(line(),))
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        board = FakeDashboard(clock, dashboard(Says.SENT, run=ended.word))
        yield Desk(store, CronHost(clock, word=word, state=ended), board, clock)


def the_host(desk: Desk) -> CronHost:
    assert isinstance(desk.host, CronHost)
    return desk.host


def records(desk: Desk) -> list[Record]:
    return [r for r in reversed(desk.store.search(campaign=SLUG)) if r.action.startswith("trigger-")]


def codes(console: Console) -> set[str]:
    return {finding.code for finding in console.verdict(SLUG).findings}


def test_what_was_sent_and_would_fire_again_is_switched_off_proven_and_done_with(desk: Desk) -> None:
    mara = desk.sit()
    assert (mara.verdict(SLUG).status, mara.verdict(SLUG).group) == (Status.SENT, Group.ATTENTION)
    asked = mara.confirmation("trigger-off", SLUG, key=line().key)
    assert (asked.phrase, asked.needs_reason) == (PHRASE, True)
    assert ("trigger", f"{WHERE} on {desk.host.name}") in asked.lines
    assert any("copy is kept" in text for _, text in asked.lines)

    done = mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)

    assert done.where == WHERE
    assert "fires-again" not in codes(mara)
    assert mara.verdict(SLUG).group is Group.DONE
    intent, outcome = records(desk)
    assert (intent.action, intent.phase, intent.reason, intent.detail["where"]) == (
        "trigger-off",
        Phase.INTENT,
        WHY,
        WHERE,
    )
    assert (outcome.ref, outcome.detail["result"], outcome.detail["left"]) == (intent.seq, "done", [])
    assert (outcome.detail["before"], outcome.detail["proof"], outcome.detail["undo"]) == (
        "the line",
        "read again",
        "a copy",
    )
    assert the_host(desk).switched == [(line().key, False, "mara")]


def test_switching_it_on_again_warns_that_it_can_send_once_more_and_a_hold_forbids_it(desk: Desk) -> None:
    mara = desk.sit()
    mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    off = line(off=True)
    assert "can send it once more" in mara.confirmation("trigger-on", SLUG, key=off.key).warnings[0]
    desk.host.word = replace(desk.host.word, holds=(Hold(scope=SLUG, by="ana", at=NOW, reason="wait"),))
    mara.refresh()
    with pytest.raises(Refused, match="on hold"):
        mara.switch_trigger(SLUG, off.key, True, PHRASE, "wrong line")
    desk.host.word = replace(desk.host.word, holds=())
    mara.refresh()
    mara.switch_trigger(SLUG, off.key, True, PHRASE, "wrong line")
    assert "fires-again" in codes(mara)
    assert records(desk)[-1].detail["left"] == [WHERE]


@pytest.mark.parametrize(
    ("typed", "why", "said"), [("", WHY, "asked for"), (SLUG, WHY, "asked for"), (PHRASE, "  ", "No reason")]
)
def test_without_the_phrase_or_a_reason_nothing_is_done_or_recorded(
    desk: Desk, typed: str, why: str, said: str
) -> None:
    mara = desk.sit()
    with pytest.raises(Refused, match=said):
        mara.switch_trigger(SLUG, line().key, False, typed, why)
    assert (records(desk), the_host(desk).switched) == ([], [])


@pytest.mark.parametrize(("role", "read_only"), [("viewer", False), ("admin", True)])
def test_who_may_not_act_switches_nothing(desk: Desk, role: Role, read_only: bool) -> None:
    console = desk.sit(role=role, read_only=read_only)
    with pytest.raises(Refused):
        console.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    assert the_host(desk).switched == []


def test_a_line_that_changed_since_it_was_looked_at_is_refused_before_the_host_is_asked(desk: Desk) -> None:
    mara = desk.sit()
    desk.host.word = replace(desk.host.word, triggers=(line(said="b0b0"),))
    with pytest.raises(Refused, match="changed since it was looked at"):
        mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    assert (records(desk), the_host(desk).switched) == ([], [])


@pytest.mark.parametrize("error", [Refused("The table is locked."), OutOfReach("No answer.")])
def test_what_the_host_refuses_is_on_record_as_failed(desk: Desk, error: Trouble) -> None:
    mara = desk.sit()
    desk.host.trouble = error
    with pytest.raises(type(error)):
        mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    assert records(desk)[-1].detail["result"] == "failed"
    assert desk.store.unresolved() == []
    assert "fires-again" in codes(mara)


@pytest.mark.parametrize(("does", "result"), [(True, "done"), (False, "failed")])
def test_a_lost_answer_leaves_it_open_until_a_look_that_nothing_can_overtake_tells(
    desk: Desk, does: bool, result: str
) -> None:
    mara = desk.sit()
    the_host(desk).does, desk.host.trouble = does, Trouble("The answer was lost.")
    with pytest.raises(Trouble, match="lost"):
        mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    assert [r.action for r in desk.store.unresolved()] == ["trigger-off"]
    mara.refresh()
    assert [r.action for r in desk.store.unresolved()] == ["trigger-off"], "a script may still be on its way"

    desk.clock.pass_(STARTING_FOR + timedelta(seconds=1))
    mara.refresh()

    assert desk.store.unresolved() == []
    assert records(desk)[-1].detail["result"] == result
    assert len(the_host(desk).switched) == 1


def test_a_line_that_is_gone_by_then_is_unclear_and_a_silent_host_closes_nothing(desk: Desk) -> None:
    mara = desk.sit()
    desk.host.trouble = Trouble("The answer was lost.")
    with pytest.raises(Trouble):
        mara.switch_trigger(SLUG, line().key, False, PHRASE, WHY)
    desk.clock.pass_(STARTING_FOR + timedelta(seconds=1))
    word, desk.host.word = desk.host.word, replace(desk.host.word, out_of_reach_since=desk.clock.now)
    mara.refresh()
    assert len(desk.store.unresolved()) == 1
    desk.host.word = replace(word, triggers=())
    mara.refresh()
    assert records(desk)[-1].detail["result"] == "unclear"


def off_and_approved(desk: Desk, by: str) -> str:
    """The line is off, and `by` approved the content in the console."""
    desk.host.word = host(Says.NOTHING, content=CONTENT, triggers=(line(off=True),))
    desk.board.word = dashboard()
    if by:
        desk.sit(by, "approver").decide("approve", SLUG, "looks right")
    return line(off=True).key


@pytest.mark.parametrize(("by", "said"), [("", "without an approval"), ("mara", "four eyes"), ("ana", "")])
def test_under_four_eyes_nobody_switches_on_what_nobody_else_approved(desk: Desk, by: str, said: str) -> None:
    desk.policy = Policy(four_eyes=True)
    key = off_and_approved(desk, by)
    mara = desk.sit()
    if said:
        with pytest.raises(Refused, match=said):
            mara.switch_trigger(SLUG, key, True, PHRASE, "as planned")
    else:
        mara.switch_trigger(SLUG, key, True, PHRASE, "as planned")
    assert len(the_host(desk).switched) == (not said)


def test_a_hold_that_was_recorded_after_the_last_look_binds_a_line_as_well(desk: Desk) -> None:
    ana, mara = desk.sit("ana"), desk.sit()
    event = mara.identity.event("trigger-on", SLUG, "", "as planned", source=desk.host.name, where=WHERE)
    ana.hold_scope(f"host:{desk.host.name}", False, "wait")
    with pytest.raises(Refused, match="on hold"):
        desk.store.intent(event)


def test_a_line_of_two_campaigns_names_the_other_and_a_hold_on_either_binds_it(desk: Desk) -> None:
    key = off_and_approved(desk, "")
    look, second = desk.host.observe, replace(desk.host.word, slug="spring-sail")
    desk.host.observe = lambda: with_also(look(), second)  # type: ignore[method-assign]
    mara = desk.sit()
    asked = mara.confirmation("trigger-on", SLUG, key=key)
    assert any("spring-sail" in warning for warning in asked.warnings)
    desk.sit("ana").decide("hold", "spring-sail", "wait")
    with pytest.raises(Refused, match=r"spring-sail: .*on hold"):
        mara.switch_trigger(SLUG, key, True, PHRASE, "as planned")
    assert the_host(desk).switched == []


def with_also(report: Report, word: Observation) -> Report:
    also = replace(word, source=report.source, observed_at=report.looked_at)
    return replace(report, observations=(*report.observations, also))
