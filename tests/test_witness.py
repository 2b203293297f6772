"""The copies of the audit head against the store: whatever one of them lost or changed is noticed before a send."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.anchored import ACCEPTED
from opsconsole.audit.chain import store_id
from opsconsole.audit.outbox import Outbox
from opsconsole.audit.records import Phase
from opsconsole.ports import Refused
from opsconsole.runs import Runs
from tests.domain.test_plan import plan as make_plan
from tests.support.scripted import Host
from tests.support.witnessed import HOST, KEY, ME, Desk, Switch, a_desk, troubles  # noqa: F401 - a fixture among them


def test_the_first_start_ever_finds_an_empty_host_in_order(desk: Desk) -> None:
    assert troubles(desk.restart()) == ("", "")
    desk.records(3)
    assert troubles(desk.restart()) == ("", "")
    (one,) = desk.witness.check()
    assert (one.held, one.lines, one.found) == (3, 3, ())


def test_the_intent_is_on_the_host_before_the_host_is_asked_to_send(desk: Desk) -> None:
    desk.record("approve")
    intent = desk.record("send")
    desk.witness.before_send(HOST)
    lines = [line for _, line in desk.witness.lines(HOST) if line]
    assert [(line.seq, line.mac, line.machine, line.environment) for line in lines] == [
        (intent.seq, intent.mac, "a1b2c3", "prod")
    ]
    assert Outbox(desk.store).waiting() == [], "the newest copy stands for those before it"
    assert desk.restart().carrier_trouble(HOST) == ""


def runs_on(desk: Desk, carrier: Host) -> Runs:
    return Runs(lambda: desk.store, {HOST: carrier}, ME, lambda: desk.now, before_send=desk.witness.before_send)


def test_a_carrier_is_asked_only_once_the_intent_is_known_elsewhere(desk: Desk) -> None:
    carrier, known = Host(), []
    carrier.on_start = lambda plan: known.extend(line for _, line in desk.witness.lines(HOST) if line)
    runs_on(desk, carrier).start(replace(make_plan(), carrier=HOST))
    (intent,) = [r for r in desk.store.search(action="send") if r.phase is Phase.INTENT]
    assert [(line.seq, line.mac) for line in known] == [(intent.seq, intent.mac)]


def test_a_refusal_of_the_witness_closes_the_intent_and_the_carrier_is_never_asked(desk: Desk) -> None:
    desk.records(2)
    desk.kept.unlink()
    carrier = Host()
    with pytest.raises(Refused, match="host-lost-records"):
        runs_on(desk, carrier).start(replace(make_plan(), carrier=HOST))
    assert carrier.starts == []
    assert desk.store.unresolved() == []
    newest = desk.store.search(action="send", limit=1)[0]
    assert (newest.phase, newest.detail["result"]) == (Phase.OUTCOME, "not-started")


def test_a_copy_that_comes_late_is_covered_by_a_newer_one(desk: Desk) -> None:
    late = desk.record()
    newer = desk.record()
    recorder = desk.witness.recorders()[f"anchor:{HOST}"]
    for made in (newer, late, newer, late):
        recorder.record({"seq": made.seq, "mac": made.mac, "environment": "prod"})
    assert [line.seq for _, line in desk.witness.lines(HOST) if line] == [newer.seq]


@pytest.mark.slow
def test_a_host_put_back_to_a_snapshot_is_noticed_and_not_sent_on_until_a_person_accepts_it(desk: Desk) -> None:
    desk.records(3)
    snapshot = desk.kept.read_bytes()
    desk.records(2)
    desk.kept.write_bytes(snapshot)
    witness = desk.restart()
    assert witness.chain_trouble == ""
    assert "host-lost-records: blast-1 lost records: it acknowledged record 5, and now ends at record 3" in (
        witness.carrier_trouble(HOST)
    )
    assert "opsconsole host accept blast-1" in witness.carrier_trouble(HOST)
    desk.record()
    with pytest.raises(Refused, match=r"host-lost-records.*Nothing was sent"):
        witness.before_send(HOST)
    assert desk.deliver() == (0, 1), "and no new line hides the gap"
    assert desk.kept.read_bytes() == snapshot

    accepted = witness.accept(HOST, "restored from the backup of Monday, runs compared by hand")
    assert (accepted.action, accepted.detail["host"], accepted.detail["held"]) == (ACCEPTED, HOST, 3)
    assert troubles(witness) == ("", "")
    desk.record()
    witness.before_send(HOST)
    assert troubles(desk.restart()) == ("", "")
    assert desk.deliver()[1] == 0
    assert desk.kept.read_bytes() == snapshot, "what was there stays as evidence"


def test_lines_lost_after_an_acceptance_are_noticed_again(desk: Desk) -> None:
    desk.records(2)
    desk.kept.unlink()
    desk.restart().accept(HOST, "new disk")
    desk.records(2)
    for file in desk.kept.parent.iterdir():
        file.unlink()
    assert "holds no anchor" in desk.restart().carrier_trouble(HOST)


def test_a_gap_hidden_by_a_newer_line_is_noticed_all_the_same(desk: Desk) -> None:
    desk.records(4)
    first, second, third, fourth = desk.kept.read_text().splitlines()
    desk.kept.write_text(f"{first}\n{second}\n{fourth}\n")
    assert "lost records" in desk.restart().carrier_trouble(HOST)
    assert third not in desk.kept.read_text()


def test_a_new_machine_under_the_old_name_is_noticed(desk: Desk) -> None:
    desk.records(3)
    desk.machine = "ffff00"
    witness = desk.restart()
    assert "blast-1 is another machine now (ffff00) than when it kept record 3 (a1b2c3)" in (
        witness.carrier_trouble(HOST)
    )
    desk.record()
    with pytest.raises(Refused, match="another machine"):
        witness.before_send(HOST)
    witness.accept(HOST, "moved to new hardware, with all its records")
    assert troubles(desk.restart()) == ("", "")
    desk.machine = "a1b2c3"
    assert "another machine" in desk.restart().carrier_trouble(HOST), "the old one came back"


def test_a_machine_that_changes_under_an_open_console_is_noticed_at_the_next_look(desk: Desk) -> None:
    desk.records(1)
    witness = desk.restart()
    desk.machine = "ffff00"
    witness.look()
    assert "another machine" in witness.carrier_trouble(HOST)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace('"seq":2', '"seq":1'), "a line of blast-1 was edited"),
        (lambda text: text + "anything\n", "a line of blast-1 was edited"),
        (lambda text: text + text.splitlines()[0] + "\n", "out of order: record 1 stands behind record 3"),
        (lambda text: "\n".join(reversed(text.splitlines())) + "\n", "out of order"),
        (lambda text: text[: text.index("\n") - 5] + text[text.index("\n") :], "a line of blast-1 was edited"),
    ],
)
def test_anchors_that_were_edited_are_told_from_honest_ones(desk: Desk, edit, says: str) -> None:  # type: ignore[no-untyped-def]
    desk.records(3)
    desk.kept.write_text(edit(desk.kept.read_text()))
    witness = desk.restart()
    assert says in witness.carrier_trouble(HOST)
    assert witness.chain_trouble == "", "who edits a host's file can't stop every console"
    desk.record()
    with pytest.raises(Refused):
        witness.before_send(HOST)
    witness.accept(HOST, "somebody tidied up there")
    witness.before_send(HOST)


def test_a_line_of_another_store_does_not_belong_there(desk: Desk, tmp_path: Path) -> None:
    desk.records(2)
    other = Desk(tmp_path / "other")
    other.records(1)
    desk.kept.write_text(desk.kept.read_text() + other.kept.read_text().replace(store_id(KEY), "0" * 16))
    assert "was edited" in desk.restart().carrier_trouble(HOST)
    other.store.close()


def test_a_host_out_of_reach_for_a_while_is_borne_and_then_not(desk: Desk) -> None:
    desk.records(1)
    witness = desk.restart()
    desk.keeper.away = True
    for _ in range(3):
        desk.record()
    witness.before_send(HOST)  # a moment ago: allowed, and shown
    assert witness.unanchored(HOST) == f"unanchored: 3 events since {desk.now - timedelta(seconds=2):%H:%M} UTC"
    assert witness.findings() == {HOST: (witness.unanchored(HOST),)}
    desk.now += timedelta(minutes=11)
    with pytest.raises(Refused, match=r"unanchored: 3 events since .* at blast-1.*Nothing was sent"):
        witness.before_send(HOST)
    desk.keeper.away = False
    witness.before_send(HOST)
    assert witness.findings() == {HOST: ()}


def test_a_host_in_trouble_stays_in_trouble_while_it_is_out_of_reach(desk: Desk) -> None:
    desk.records(2)
    desk.kept.write_text("")
    witness = desk.restart()
    assert witness.carrier_trouble(HOST)
    desk.keeper.away, desk.line = True, 2
    witness.look()
    assert witness.carrier_trouble(HOST)
    with pytest.raises(Refused, match="can't be asked now"):
        witness.accept(HOST, "whatever")


def test_a_host_is_compared_again_over_each_new_connection_and_not_in_between(desk: Desk) -> None:
    desk.records(2)
    witness = desk.restart()
    asked = len(desk.session.execs)
    witness.look()
    assert len(desk.session.execs) == asked
    desk.kept.write_text("")
    desk.line = 2
    witness.look()
    assert "holds no anchor" in witness.carrier_trouble(HOST)


def test_nobody_waits_for_a_host_that_is_not_connected(desk: Desk) -> None:
    desk.record()
    desk.line = None
    asked = len(desk.session.execs)
    desk.witness.look()
    assert desk.deliver() == (0, 1)
    assert len(desk.session.execs) == asked
    desk.line = 2
    assert desk.deliver() == (1, 0)


def test_nothing_is_accepted_that_nothing_speaks_against(desk: Desk) -> None:
    desk.records(1)
    with pytest.raises(Refused, match="Nothing speaks against"):
        desk.restart().accept(HOST, "just in case")
    with pytest.raises(Refused, match="keeps no anchors"):
        desk.witness.accept("elsewhere", "just in case")
