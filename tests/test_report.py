"""Reports: what a person who wasn't there reads of a campaign, and what the next shift is told of the board."""

import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opsconsole.audit.store import AuditStore
from opsconsole.console import Console
from opsconsole.errors import AuditUnavailable
from opsconsole.observation import Counts, Hold, Says, Trigger
from opsconsole.ports import NotThere, Refused, Trouble
from opsconsole.reports import gather
from opsconsole.reports.handover import handover_model
from opsconsole.reports.incident import incident_model
from opsconsole.reports.model import Model, Section
from opsconsole.reports.render import render_html, render_markdown
from opsconsole.reports.writing import write_both, write_one
from tests.domain.words import NOW, SLUG, ended, stale
from tests.support.console import HOST, PHRASE, Clock, Desk, FakeDashboard, FakeHost, run

SECOND = timedelta(seconds=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with AuditStore(tmp_path / "audit.db", bytes(32), clock=clock) as store:
        yield Desk(store, FakeHost(clock), FakeDashboard(clock), clock)


def told(console: Console) -> Model:
    return incident_model(gather.incident(console, SLUG))


def part(model: Model, title: str) -> Section:
    return next(section for section in model.sections if section.title.startswith(title))


def rows(model: Model, title: str) -> str:
    return "\n".join(" · ".join(row) for row in part(model, title).rows)


def questions(model: Model) -> str:
    return rows(model, "Open questions")


def test_of_what_never_started_it_says_that_nobody_got_it_and_asks_who_was_to_start_it(desk: Desk) -> None:
    model = told(desk.sit())

    assert (model.lead, model.tone) == ("OVERDUE", "bad")
    about = dict(model.about)
    assert about["Who got it"] == "Nobody of 2,601: no source knows of a start."
    assert "ana at 2026-05-09 10:00:00 PDT (17:00:00 UTC) (t-9a8cae17)" in about["Approved by"]
    assert "52 min ago" in about["Due"]
    assert "Who was to start it?" in questions(model)
    assert "sent now, moved, or called off" in questions(model)
    assert part(model, "What was done").empty
    assert part(model, "The run").nothing == "No source knows of a run."
    assert [row[2] for row in part(model, "Timeline").rows][-2:] == ["report", "schedule"]


@pytest.mark.slow
def test_of_what_was_done_it_says_by_whom_why_and_what_came_of_it(desk: Desk) -> None:
    mara = desk.sit()
    mara.decide("hold", SLUG, "wait for legal: tell anna@example.com")
    mara.decide("release", SLUG, "legal agrees")
    plan = desk.rehearse(mara)
    mara.send(plan, PHRASE, "the band waits")
    desk.clock.pass_(timedelta(minutes=9))
    done = Counts(total=2601, accepted=2598, failed=3)
    desk.host.shows(Says.ENDED, run(Says.ENDED, plan.run_id, counts=done, at=desk.clock()))
    mara.refresh()

    model = told(mara)

    deeds = rows(model, "What was done")
    assert "mara · held: nobody may send · “wait for legal: tell a•••@example.com”" in deeds
    assert "send confirmed: 2,601 recipients by blast-mail-prod" in deeds
    assert "→ the end of the run is recorded: partial, 2,598 accepted of 2,601, 3 failed" in deeds
    assert dict(model.about)["Who got it"] == "2,598 of 2,601 were accepted by the mail server; 3 failed."
    assert "3 recipients that failed" in questions(model)
    assert "Why was it started 52 min after it was due?" in questions(model)
    run_facts = dict(part(model, "The run").pairs)
    assert run_facts["Run"].startswith(plan.run_id)
    assert "52 min after it was due" in run_facts["Started"]
    content = {row[0]: row[1:] for row in part(model, "Content").rows}
    assert content["blast_data.csv"] == ("222222222222",) * 3
    record = dict(part(model, "The record").pairs)
    assert record["Its seal (MAC)"] == desk.store.head().mac
    assert record["The chain"].startswith("whole")


def test_of_a_word_alone_it_says_that_nothing_proves_it(desk: Desk) -> None:
    mara = desk.sit()
    mara.decide("mark", SLUG, "ben sent it by hand, the provider shows 2,601", typed=PHRASE)

    model = told(mara)

    assert (model.lead, model.tone) == ("SENT", "fine")
    assert dict(model.about)["Who got it"] == "Not proven: a person says that it went out to 2,601."
    assert "on the word of mara alone" in questions(model)


@pytest.mark.slow
def test_of_a_run_that_broke_off_it_asks_who_got_it_and_what_came_of_the_intent(desk: Desk) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    mara.send(plan, PHRASE)
    desk.host.broke_off(plan.run_id)
    mara.refresh()

    model = told(mara)

    assert model.lead == "IN DOUBT"
    asked = questions(model)
    assert "only its journal can tell" in asked
    assert "Did the 2 unknown recipients get it?" in asked
    assert "send of paul-simon-may12 by mara" in asked
    assert dict(model.about)["Who got it"].startswith("At least 1,587 of 2,601 were accepted")
    assert "handed over" not in dict(model.about)["Who got it"], "a log that broke off proves that of nobody"


def test_of_a_host_out_of_reach_it_says_since_when_and_that_nothing_is_sure(desk: Desk) -> None:
    desk.host.observe = lambda: replace(  # type: ignore[method-assign]
        FakeHost.observe(desk.host), observations=(stale(desk.host.word),), trouble="did not answer within 8 s"
    )
    model = told(desk.sit())

    assert model.lead == "UNKNOWN"
    assert dict(model.about)["Who got it"].startswith("Not known: blast-mail-prod can't be seen")
    assert "What happened on blast-mail-prod since 2026-05-12" in questions(model)
    assert "out of reach since" in rows(model, "What each source says")


def test_of_a_line_that_fires_again_and_of_counts_that_differ_it_asks(desk: Desk) -> None:
    fires = Trigger(where="/etc/cron.d/mail-blasts:3", text="0 14 12 5 *", next_fire=NOW + timedelta(hours=3))
    desk.host.word = replace(desk.host.word, says=Says.ENDED, run=ended(), triggers=(fires,), clock_offset=46.0)
    desk.board.word = replace(
        desk.board.word, says=Says.SENT, run=ended(Counts(total=2601, accepted=2500, failed=101)), since=NOW
    )
    model = told(desk.sit())

    assert "/etc/cron.d/mail-blasts:3 on blast-mail-prod to fire again at 2026-05-12 13:52:00 PDT" in questions(
        model
    )
    assert "Why do the counts differ?" in questions(model)
    assert "clock 46.0 s ahead" in rows(model, "What each source says")
    assert "(its clock said 2026-05-12 13:52:00 PDT, 46.0 s ahead)" in rows(model, "Timeline")


def test_the_same_facts_give_the_same_bytes_while_time_goes_on(desk: Desk, tmp_path: Path) -> None:
    mara = desk.sit()
    mara.decide("hold", SLUG, "wait")
    first = incident_model(gather.incident(mara, SLUG))
    board = handover_model(gather.shift(mara))
    for _ in range(3):
        desk.clock.pass_(41 * SECOND)
        again = incident_model(gather.incident(mara, SLUG))
        written = write_both(mara, again, gather.newest_look(mara), tmp_path, SLUG)  # leaves a record each time
        assert render_markdown(again) == render_markdown(first)
        assert render_html(again) == render_html(first)
        assert render_html(handover_model(gather.shift(mara))) == render_html(board)
        assert len(list(written.files[0].parent.iterdir())) == 2, "the same report is kept once"
    mara.refresh()
    later = render_markdown(incident_model(gather.incident(mara, SLUG)))
    assert later != render_markdown(first), "a new look makes a new report"


def test_an_instant_before_the_newest_look_can_not_be_told_of(desk: Desk) -> None:
    mara = desk.sit()
    with pytest.raises(Refused, match="newest look was at"):
        gather.incident(mara, SLUG, NOW - SECOND)
    later = gather.incident(mara, SLUG, NOW + timedelta(hours=8))
    assert later.verdict.status == "UNKNOWN", "what was heard eight hours ago proves nothing any more"
    with pytest.raises(NotThere):
        gather.incident(mara, "paul-simon-may13")


def test_it_is_for_this_users_eyes_and_overwrites_nothing(desk: Desk, tmp_path: Path) -> None:
    mara = desk.sit()
    model = told(mara)
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / f"{SLUG}-20260512T175200Z.html").write_text("somebody else's")
    (folder / f"{SLUG}-20260512T175200Z-2.md").symlink_to(tmp_path / "elsewhere")

    written = write_both(mara, model, NOW, tmp_path, SLUG)

    assert [path.name for path in written.files] == [f"{SLUG}-20260512T175200Z-3{end}" for end in (".md", ".html")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written.files} == {0o600}
    assert not (tmp_path / "elsewhere").exists()
    (note,) = desk.store.search(action="report")
    assert (note.campaign, note.operator, written.unrecorded) == (SLUG, "mara", "")
    mine = tmp_path / "mine.md"
    assert write_one(mara, "text", mine, SLUG) == ""
    with pytest.raises(Refused, match="exists"):
        write_one(mara, "other", mine, SLUG)
    with pytest.raises(Trouble, match="could not be written"):
        write_one(mara, "text", tmp_path / "nowhere" / "x.md", SLUG)


@pytest.mark.slow
def test_a_console_that_may_only_look_writes_it_and_no_record(desk: Desk, tmp_path: Path) -> None:
    viewer = desk.sit("vera", "viewer", read_only=True)
    before = desk.store.head()
    written = write_both(viewer, told(viewer), NOW, tmp_path, SLUG)
    assert "read-only" in written.unrecorded
    assert all(path.exists() for path in written.files)
    assert desk.store.head() == before
    assert not viewer.disabled_reason("report", SLUG)


@pytest.mark.slow
def test_without_a_store_it_is_written_and_says_so(desk: Desk, tmp_path: Path) -> None:
    mara = desk.sit()

    def broken() -> AuditStore:
        raise AuditUnavailable("The audit store can't be read.", "Nothing was recorded.", "Free some space.")

    mara._opened, mara._open_store = None, broken
    model = told(mara)
    written = write_both(mara, model, gather.newest_look(mara), tmp_path, SLUG)

    assert "can't be read" in written.unrecorded
    assert "can't be read" in questions(model)
    assert "not looked at" in dict(part(model, "The record").pairs)["The chain"]
    assert "can't be read" in render_markdown(handover_model(gather.shift(mara)))


@pytest.mark.slow
def test_a_store_that_is_not_whole_is_named_on_the_report(desk: Desk) -> None:
    mara = desk.sit()
    mara.decide("hold", SLUG, "wait")
    mara.decide("release", SLUG, "go on")
    import sqlite3

    with sqlite3.connect(desk.store.path or "") as raw:
        raw.executescript("DROP TRIGGER IF EXISTS audit_no_update; UPDATE audit SET reason='other' WHERE seq=1")
    model = told(mara)
    assert dict(part(model, "The record").pairs)["The chain"].startswith("NOT WHOLE: record 1")
    assert "Who changed the audit store?" in questions(model)


def test_the_next_shift_reads_what_needs_somebody_first(desk: Desk) -> None:
    desk.host.word = replace(
        desk.host.word, holds=(Hold(scope=f"host:{HOST}", by="ben", at=NOW, reason="new kernel", where=HOST),)
    )
    mara = desk.sit()
    mara.decide("hold", SLUG, "wait for legal")

    model = handover_model(gather.shift(mara))

    titles = [section.title for section in model.sections]
    assert titles[:3] == ["Needs attention", "Left open", "In flight"]
    held = rows(model, "Holds")
    assert "host:blast-mail-prod · ben" in held
    assert f"{SLUG} · mara" in held
    assert "mara · paul-simon-may12 · held: nobody may send · wait for legal" in rows(
        model, "Decided in the last 12 h"
    )
    assert {row[0] for row in part(model, "Sources").rows} == {HOST, "dashboard", "console"}


def test_the_next_shift_reads_what_is_due_and_that_nothing_will_start_it(desk: Desk) -> None:
    desk.clock.now = NOW - timedelta(hours=3)
    model = handover_model(gather.shift(desk.sit()))
    assert "in 2 h 8 min · paul-simon-may12 · PENDING · 2,601 · nothing: somebody has to send it" in rows(
        model, "Due"
    )
    assert (model.tone, part(model, "Needs attention").empty) == ("fine", True)


@pytest.mark.slow
def test_the_next_shift_reads_what_hangs(desk: Desk) -> None:
    mara = desk.sit()
    plan = desk.rehearse(mara)
    mara.send(plan, PHRASE)
    desk.host.broke_off(plan.run_id)
    mara.refresh()
    model = handover_model(gather.shift(mara))
    assert model.lead == "1 in trouble"
    assert "IN DOUBT" in rows(model, "Needs attention")
    assert "who got it [D]" in rows(model, "Needs attention")
    assert "mara · send · paul-simon-may12" in rows(model, "Left open")
