"""The timeline: one story out of every source, at the true instants, in the same order whoever tells first."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

from opsconsole.audit.records import OutboxItem, Phase, Record
from opsconsole.hostfacts import FileFact, FolderFacts, Kind
from opsconsole.milestones import milestones
from opsconsole.observation import Hold, Mark, Report, Says, Trigger
from opsconsole.outages import Outages
from opsconsole.timeline import Entry, Past, RunLog, entry_json, timeline
from tests.domain.words import DUE, NOW, SLUG, console, dashboard, ended, host, running, stale, verdict

HOST = "blast-mail-prod"
MINUTE = timedelta(minutes=1)


def record(seq: int, action: str, phase: Phase = Phase.NOTE, *, at: datetime = NOW, **more: Any) -> Record:
    known: dict[str, Any] = {"operator": "mara", "session": "s-1", "environment": "prod", "campaign": SLUG}
    known |= {"run": "", "reason": "", "detail": {}, "prev": "0" * 64, "mac": "f" * 64}
    return Record(seq=seq, utc=at, action=action, phase=phase, **(known | more))


def item(destination: str, payload: dict[str, Any], *, done: datetime | None, tries: int = 0) -> OutboxItem:
    return OutboxItem(1, NOW, destination, f"{destination}:1", payload, tries, NOW + MINUTE, "503", done)


def line(at: datetime, state: str, accepted: int, **more: Any) -> str:
    counts = {"total": 100, "accepted": accepted, "failed": 0, "unknown": 0}
    return json.dumps({"v": 1, "t": at.isoformat(), "mode": "send", "state": state, "counts": counts, **more})


def texts(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.text for entry in entries]


def test_a_send_is_told_from_the_approval_to_the_dashboard_that_knows_of_it() -> None:
    began = NOW - timedelta(minutes=29)
    records = (
        record(1, "hold", at=NOW - timedelta(hours=1), reason="wait for legal", operator="ben"),
        record(2, "release", at=NOW - timedelta(minutes=40), reason="legal agrees", operator="ben"),
        record(3, "send", Phase.INTENT, at=began - timedelta(seconds=1), detail={"plan": {"audience": 2601}}),
        record(4, "send", Phase.OUTCOME, at=NOW, ref=3, detail={"result": "ended", "status": "sent"}),
    )
    told = item("dashboard", {"slug": SLUG, "status": "sent"}, done=NOW + timedelta(seconds=2))
    words = (dashboard(), host(Says.ENDED, run=ended(), since=NOW - 20 * MINUTE), console(Says.ENDED))

    story = timeline(verdict(*words), Past(records=records, items=(told,)), NOW + MINUTE)

    said = [entry.text for entry in story if entry.at]
    order = ("approved by ana", "held:", "due (", "hold released", "send confirmed", "run started by mara")
    places = [next(n for n, text in enumerate(said) if text.startswith(words)) for words in order]
    places += [next(n for n, text in enumerate(said) if words in text) for words in ("run ended", "is recorded")]
    assert places == sorted(places)
    assert said[-2].startswith("dashboard is told: sent")
    held = next(entry for entry in story if entry.text.startswith("held:"))
    assert (held.who, held.why, held.record, held.source) == ("ben", "wait for legal", 1, "console")


def test_instants_by_a_clock_that_is_off_are_corrected_and_the_raw_ones_kept() -> None:
    written = NOW - timedelta(hours=2)
    file = FileFact(path="/f", kind=Kind.FILE, mtime_ns=int(written.timestamp()) * 10**9, rows=7)
    folder = FolderFacts(slug=SLUG, folder=Kind.FOLDER, files={"blast_data.csv": file})
    log = RunLog(source=HOST, text=line(NOW, "sending", 30).encode(), attempt=1)
    fires = Trigger(where="/etc/cron.d/x:3", text="0 14 * * *", next_fire=NOW + timedelta(hours=3))
    run = ended()
    words = host(Says.ENDED, run=run, triggers=(fires,), clock_offset=46.0)

    past = Past(folders=((HOST, folder),), logs=(log,), offsets={HOST: 46.0})
    story = timeline(verdict(dashboard(), words), past, NOW)

    by_text = {entry.text: entry for entry in story}
    off = timedelta(seconds=46)
    file_entry = by_text["blast_data.csv was last written, 7 rows"]
    assert (file_entry.at, file_entry.raw, file_entry.offset) == (written - off, written, 46.0)
    fired = next(e for e in story if "fires" in e.text)
    assert (fired.at, fired.raw) == (NOW + timedelta(hours=3) - off, NOW + timedelta(hours=3))
    logged = next(e for e in story if e.text.startswith("attempt 1: sending"))
    assert (logged.at, logged.raw) == (NOW - off, NOW)
    # The host's words on a run were corrected where they were read: only what its clock said is told beside it.
    started = by_text["run started by mara"]
    assert (started.at, started.raw) == (run.started_at, (run.started_at or NOW) + off)
    approved = next(e for e in story if e.text.startswith("approved by"))
    assert (approved.raw, approved.offset) == (None, None)


def test_a_clock_that_is_hardly_off_corrects_nothing() -> None:
    log = RunLog(source=HOST, text=line(NOW, "sending", 30).encode(), attempt=1)
    (entry,) = [
        e
        for e in timeline(verdict(host(clock_offset=0.4)), Past(logs=(log,), offsets={HOST: 0.4}), NOW)
        if "attempt 1" in e.text and "sending" in e.text
    ]
    assert (entry.at, entry.raw, entry.offset) == (NOW, None, 0.4)


def test_the_order_is_the_same_whichever_source_is_named_first() -> None:
    words = (
        dashboard(),
        host(Says.RUNNING, run=running(), holds=(Hold(scope=SLUG, by="ben", at=NOW, reason="no"),)),
        console(holds=(Hold(scope=SLUG, by="ben", at=NOW, reason="no"),)),
    )
    records = tuple(record(seq, "hold", reason=str(seq)) for seq in (1, 2, 3))
    judged = verdict(*words)
    stories = {
        timeline(replace(judged, observations=order), Past(records=turned), NOW)
        for order in permutations(judged.observations)
        for turned in permutations(records)
    }
    (story,) = stories
    assert [e.record for e in story if e.record] == [1, 2, 3]


def test_an_intent_is_told_before_the_claim_that_the_host_made_in_the_same_second() -> None:
    claimed = NOW.replace(microsecond=0)
    run = replace(ended(), claimed_at=claimed, started_at=claimed, ended_at=NOW + MINUTE)
    asked = record(7, "send", Phase.INTENT, at=claimed + timedelta(milliseconds=400))

    said = texts(timeline(verdict(host(Says.ENDED, run=run)), Past(records=(asked,)), NOW + MINUTE))

    confirmed = next(n for n, text in enumerate(said) if text.startswith("send confirmed"))
    assert confirmed < said.index("run claimed by mara") < said.index("run ended: 2,601 accepted")


def test_the_log_is_told_by_its_milestones_and_each_kind_of_error_once() -> None:
    lines = [line(NOW, "starting", 0)]
    lines += [line(NOW + n * MINUTE, "sending", n) for n in range(1, 100)]
    lines += [
        line(NOW + n * MINUTE, "sending", 99, last_error={"code": 451, "text": f"4.7.1 try later {n}", "n": n})
        for n in range(100, 140)
    ]
    lines.append(line(NOW + 150 * MINUTE, "paused", 99))
    lines.append(line(NOW + 160 * MINUTE, "finished", 100, summary=True, rc=0))

    found = milestones("\n".join(lines).encode(), UTC)

    said = [m.text for m in found]
    assert said[:2] == ["starting", "sending: 1 of 100 accepted"]
    assert [text.split(":")[0] for text in said if "%" in text] == ["25 % done", "50 % done", "75 % done"]
    assert len([m for m in found if m.mark is Mark.BAD]) == 1
    assert said[-2:] == ["paused: 99 of 100 accepted", "its log ends: 100 accepted"]
    assert [m.at for m in found] == sorted(m.at for m in found if m.at)


def test_a_rehearsal_in_a_shared_log_is_no_part_of_the_story() -> None:
    log = line(NOW, "sending", 1).replace('"send"', '"dry-run"') + "\n" + line(NOW + MINUTE, "sending", 2)
    assert [m.at for m in milestones(log.encode(), UTC)] == [NOW + MINUTE]


def test_a_line_without_an_offset_is_read_in_the_hosts_zone() -> None:
    log = RunLog(source=HOST, text=b"2026-05-12 10:52:00 starting mail blast\n", zone="America/Los_Angeles")
    (entry,) = [e for e in timeline(verdict(host()), Past(logs=(log,)), NOW) if e.text.startswith("log:")]
    assert entry.at == datetime(2026, 5, 12, 10, 52, tzinfo=ZoneInfo("America/Los_Angeles"))


def test_a_lost_connection_a_lost_answer_and_a_waiting_delivery_are_in_it() -> None:
    lost = record(5, "send-unclear", reason="the line broke")
    waits = item("dashboard", {"slug": SLUG, "status": "sent"}, done=None, tries=3)
    copied = item("anchor:blast-mail-prod", {"seq": 5}, done=NOW)

    story = timeline(verdict(stale(host())), Past(records=(lost,), items=(waits, copied)), NOW)

    said = " | ".join(f"{e.source}: {e.text} {e.why}" for e in story)
    assert f"{HOST}: out of reach: did not answer within 8 s" in said
    assert "the answer to the start was lost: it may have started the line broke" in said
    assert "dashboard is told: sent: " in said
    assert "503" in said
    assert "copy of the audit head (record 5) for blast-mail-prod" in said


def test_a_source_that_was_out_of_reach_for_a_while_is_told_with_its_beginning_and_its_end() -> None:
    lost = Report(source=HOST, looked_at=NOW, fresh_for=MINUTE, trouble="the line broke", out_of_reach_since=NOW)
    heard = {HOST: lost}
    outages = Outages(lambda: heard)
    for _ in range(3):
        outages.looked(HOST)
    outages.looked("clock")
    assert outages.over == (), "it still lasts, and is told by the source's own words"
    heard[HOST] = Report(source=HOST, looked_at=NOW + 4 * MINUTE, fresh_for=MINUTE)
    outages.looked(HOST)
    outages.looked(HOST)

    story = timeline(verdict(host()), Past(outages=outages.over), NOW + 5 * MINUTE)

    told = [(e.at, e.text) for e in story if e.source == HOST and e.at]
    assert told == [(NOW, "out of reach: the line broke"), (NOW + 4 * MINUTE, "answers again")]


def test_no_secret_and_no_recipient_is_in_it_and_nothing_acts() -> None:
    nasty = "anna@example.com said password=hunter2 \x1b[2J\u202ex\nBcc: x"
    words = host(Says.STARTED, run=running(), holds=(Hold(scope=SLUG, by=nasty, at=NOW, reason=nasty),))
    story = timeline(verdict(words), Past(records=(record(1, "hold", reason=nasty, operator=nasty),)), NOW)

    told = json.dumps([entry_json(e, DUE.zone) for e in story], ensure_ascii=False)
    for hidden in ("hunter2", "\x1b", "\u202e", "\n"):
        assert hidden not in told
    assert "anna@example.com" not in " ".join(e.text + e.why for e in story)
    assert "a•••@example.com" in told
