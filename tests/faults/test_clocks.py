"""Given a host or a console whose clock is wrong, or set while somebody watches, then it is shown, warned of and
refused at the documented limits, nothing is sent where it is refused, and one instant has one verdict."""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backends.blasthost import words
from backends.blasthost.hashcache import HashCache
from backends.blasthost.probe import Probe
from opsconsole.audit.records import Phase
from opsconsole.audit.store import AuditStore
from opsconsole.observation import RunWord, Says
from opsconsole.policy import Policy
from opsconsole.ports import Refused, Started, Trouble
from opsconsole.verdict import Status
from tests.domain.words import DUE, NOW, SLUG
from tests.faults.hosts import case
from tests.faults.house import HOST, House, utc_now
from tests.faults.support import report, seed, size
from tests.support.blasthost import until
from tests.support.console import Clock, Desk, FakeDashboard, FakeHost
from tests.support.programs import false_clock

pytestmark = pytest.mark.slow

POLICY = Policy()
FRESH = timedelta(seconds=90)
"""So long is a look good for in these stories."""
SLACK = 1.5  # seconds: what asking takes on a busy machine
OFFSETS = (1, 2, 9, 10, 11, 29, 30, 31, 300, 3600, 86400)


def under(offset: float) -> tuple[str, ...]:
    """Before a command: it sees a clock so many seconds ahead."""
    return ("env", *false_clock(f"{offset:+g}s"))


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("way", [1, -1], ids=["ahead", "behind"])
def test_a_host_whose_clock_is_off_is_shown_warned_of_and_its_times_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: int
) -> None:
    house, wrong, fired = House(tmp_path, monkeypatch), [], 0
    settings = house.tree.settings()
    house.tree.campaign("spring-offer")
    for seconds in OFFSETS:
        off = way * seconds
        house.session.prefix = under(off)
        asked = utc_now()
        facts = Probe(house.session, settings, HashCache(None)).look()  # type: ignore[arg-type]
        late = (utc_now() - asked).total_seconds()
        fired += abs(facts.clock_offset) > 0.5
        if abs(facts.clock_offset - off) > facts.clock_error + late:
            wrong.append(f"{off} s was taken for {facts.clock_offset}")
        fresh = timedelta(seconds=90)
        told = words.report(facts, settings, source=HOST, now=utc_now(), fresh_for=fresh, policy=POLICY)
        warned = any("this one: set it with NTP" in finding for finding in told.findings)
        edge = facts.clock_error + late
        if seconds < POLICY.clock_warn - edge and warned:
            wrong.append(f"{off} s was warned of")
        if seconds > POLICY.clock_warn + edge and not warned:
            wrong.append(f"{off} s was not warned of")
        if seconds > POLICY.clock_show + edge:
            ours = utc_now()
            word = house_word(ours + timedelta(seconds=off))
            put_right = words.dated(word, facts, POLICY).started_at
            if put_right is None or abs((put_right - ours).total_seconds()) > edge:
                wrong.append(f"{off} s: a start at {ours} is told as {put_right}")
    report(f"clocks-host-{'ahead' if way > 0 else 'behind'}", len(OFFSETS), fired, len(wrong))
    assert fired == len(OFFSETS)
    assert not wrong, "\n".join(wrong)


def house_word(at: datetime) -> RunWord:
    return RunWord(started_at=at)


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("way", [1, -1], ids=["ahead", "behind"])
def test_a_host_whose_clock_is_too_far_off_is_never_sent_on(tmp_path: Path, way: int) -> None:
    wrong, fired, offsets = [], 0, [29, 31, 300, 86400] if size(0, 1) == 0 else list(OFFSETS)
    for seconds in offsets:
        off = way * seconds
        made = case(tmp_path / f"off{seconds}", 2)
        try:
            made.session.before = under(off)
            answer = made.start()
            refused = isinstance(answer, Trouble)
            fired += refused
            if seconds > POLICY.clock_refuse + SLACK:
                if not refused or not any(word in str(answer) for word in ("clock", "stale")):
                    wrong.append(f"{off} s: {answer}")
                if made.mailed or made.tree.attempts():
                    wrong.append(f"{off} s: refused, and {made.mailed} were mailed, {made.tree.attempts()} claimed")
            elif seconds < POLICY.clock_refuse - SLACK:
                if not isinstance(answer, Started):
                    wrong.append(f"{off} s was refused: {answer}")
                    continue
                until(lambda made=made: (s := made.state()) is not None and s.says is Says.ENDED, 60)  # type: ignore[misc]
                if set(made.mailed.values()) != {1} or len(made.mailed) != 2:
                    wrong.append(f"{off} s: {made.mailed}")
        finally:
            made.tree.end_runs()
    report(f"clocks-start-{'ahead' if way > 0 else 'behind'}", len(offsets), fired, len(wrong))
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


def test_one_instant_has_one_verdict_however_the_clock_got_there(desk: Desk) -> None:
    """Steps while somebody watches, through the start grace and the end of the latest start."""
    chance, wrong, fired = random.Random(seed()), [], 0
    console, seen = desk.sit(), {}
    edges = [timedelta(0), POLICY.start_grace, POLICY.latest_start_after]
    moments = [DUE.instant + edge + timedelta(seconds=s) for edge in edges for s in (-61, -1, 0, 1, 31)]
    heads = []
    for _ in range(size(150, 3000)):
        before, desk.clock.now = desk.clock.now, chance.choice(moments)
        fired += abs(desk.clock.now - before) > timedelta(seconds=2)
        console.refresh()
        verdict = console.verdict(SLUG)
        said = (verdict.status, verdict.why)
        if seen.setdefault(desk.clock.now, said) != said:
            wrong.append(f"{desk.clock.now}: {said} after {seen[desk.clock.now]}")
        heads.append(desk.store.head().seq)
    report("clocks-steps-watching", len(heads), fired, len(wrong))
    assert not wrong, wrong
    assert {status for status, _ in seen.values()} >= {Status.DUE, Status.OVERDUE, Status.PENDING}
    assert set(heads) == {heads[0]}, "a step of the clock records nothing, and tells nobody"
    assert not desk.host.asked_for("start")


@pytest.mark.parametrize("step", [s * way for s in (61, 300, 3600, 86400) for way in (1, -1)])
def test_a_step_between_the_two_confirmations_sends_nothing_it_should_not(desk: Desk, step: int) -> None:
    """Behind what is recorded: refused by the store. Ahead: what was seen before the step is too old to send by."""
    console = desk.sit()
    plan = desk.rehearse(console)
    phrase = console.confirmation("send", SLUG, plan).phrase
    desk.clock.pass_(timedelta(seconds=step))
    stale = step < 0 or step > FRESH.total_seconds()
    expected = pytest.raises(Refused, match=r"[Nn]othing") if stale else nullcontext()
    with expected:
        console.send(plan, phrase)
    assert len(desk.host.asked_for("start")) == int(not stale)
    report("clocks-step-confirming", 1, 1, 0)


def test_a_record_from_the_future_refuses_intents_until_it_is_explained(desk: Desk) -> None:
    desk.clock.now = NOW + timedelta(days=1)
    desk.store.note(desk.sit().identity.event("note"))
    desk.clock.now = NOW
    console = desk.sit()
    plan = desk.rehearse(console)
    for _ in range(2):
        with pytest.raises(Refused, match="clock"):
            console.send(plan, console.confirmation("send", SLUG, plan).phrase)
    assert not desk.host.asked_for("start")
    assert not [r for r in desk.store.search(action="send") if r.phase is Phase.INTENT]
    sit = desk.sit("mara", "admin")
    sit.accept_clock("the machine woke with the wrong date")
    console.send(plan, console.confirmation("send", SLUG, plan).phrase)
    assert len(desk.host.asked_for("start")) == 1
    intent = next(r for r in desk.store.search(action="send") if r.phase is Phase.INTENT)
    assert intent.utc == NOW, "and the true instant is on record"
    report("clocks-future-record", 1, 1, 0)
