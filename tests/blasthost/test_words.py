"""What a host is understood to say, from what was found on it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backends.blasthost.attempts import run_state
from backends.blasthost.host import BlastHostBackend
from backends.blasthost.words import report
from opsconsole.campaign import DATA, FILES, METADATA, TEMPLATE
from opsconsole.digests import content_digest
from opsconsole.hostfacts import CronFact, FileFact, FolderFacts, HoldFact, HostFacts, Kind, ProcessFact, RunFact
from opsconsole.observation import Counts, Mark, Observation, Says
from opsconsole.policy import Policy
from opsconsole.settings import BlastHost

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
NS = 10**9
SETTINGS = BlastHost(ssh="prod")


def at(minutes_ago: float) -> int:
    return int((NOW - timedelta(minutes=minutes_ago)).timestamp() * NS)


def file(name: str, **values: object) -> FileFact:
    return FileFact(path=f"/var/mail/campaigns/c/{name}", kind=Kind.FILE, sha256=name[-1] * 64, **values)  # type: ignore[arg-type]


GONE = FileFact(path="", kind=Kind.MISSING)
COMPLETE = {name: file(name, rows=1204 if name == DATA else None) for name in FILES}
OUT = '{"v":1,"state":"sending","total":2601,"accepted":1587,"failed":2,"unknown":0}\n'
LOGGED = "Starting send\n2,601 recipients processed\n0 failures\nin 4.0 minutes\n"


def folder(slug: str = "c", *, log: str = "", log_age: float = 30, **values: object) -> FolderFacts:
    fact = replace(file("log"), mtime_ns=at(log_age), size=len(log)) if log else GONE
    given = {"folder": Kind.FOLDER, "files": COMPLETE, "metadata": b"{}", **values}
    return FolderFacts(slug=slug, log=fact, log_tail=log, **given)  # type: ignore[arg-type]


def run(attempt: int = 1, **values: object) -> RunFact:
    claim = {"run_id": "r1", "by": "mara", "at": "2026-05-12T17:40:00+00:00"}
    return RunFact(attempt=attempt, **{"claim": claim, **values})  # type: ignore[arg-type]


STARTED = "2026-05-12T17:41:00Z"
FINISHED = {"rc": 0, "at": "2026-05-12T17:45:00Z", "counts": {"total": 5, "accepted": 5}}
LIVE = run(started=STARTED, owner="1 2 3", owner_alive=True, out_tail=OUT, out_size=len(OUT), out_mtime_ns=at(1))


def process(slug: str = "c", mode: str = "send", elapsed: int = 120) -> ProcessFact:
    args = f"/bin/sh /usr/local/bin/mail-blast-runner --campaign {slug} --mode {mode}"
    return ProcessFact(pid=42, ppid=1, elapsed_s=elapsed, user="root", args=args)


def looked(*folders: FolderFacts, now: datetime = NOW, **values: object):
    facts = HostFacts(host="prod", campaigns={f.slug: f for f in folders}, **values)  # type: ignore[arg-type]
    return report(facts, SETTINGS, source="prod", now=now, fresh_for=timedelta(seconds=90), policy=Policy())


def said(campaign: FolderFacts, **values: object) -> Observation:
    return looked(campaign, **values).observations[0]


SAYS = [
    ("nothing happened", folder(), {}, Says.NOTHING),
    ("no folder", folder(folder=Kind.MISSING, files={}, metadata=None), {}, Says.ABSENT),
    ("no folder, but a claim", folder(folder=Kind.MISSING, files={}, runs=(run(),)), {}, Says.CLAIMED),
    ("no folder, but a log", folder(folder=Kind.MISSING, files={}, log=LOGGED), {}, Says.ENDED),
    ("claimed", folder(runs=(run(),)), {}, Says.CLAIMED),
    ("started, owner gone", folder(runs=(run(started=STARTED),)), {}, Says.STARTED),
    ("started, owner alive", folder(runs=(LIVE,)), {}, Says.RUNNING),
    ("owner stopped", folder(runs=(replace(LIVE, owner_stopped=True),)), {}, Says.PAUSED),
    (
        "the runner says paused",
        folder(runs=(replace(LIVE, out_tail='{"v":1,"state":"paused"}\n', out_size=24),)),
        {},
        Says.PAUSED,
    ),
    ("finished", folder(runs=(run(started=STARTED, finished=FINISHED),)), {}, Says.ENDED),
    ("released, nothing else", folder(runs=(run(released=True),)), {}, Says.NOTHING),
    ("released after an end", folder(runs=(run(finished=FINISHED), run(2, released=True))), {}, Says.ENDED),
    ("claimed after an end", folder(runs=(run(finished=FINISHED), run(2))), {}, Says.ENDED),
    ("a second run goes", folder(runs=(run(finished=FINISHED), replace(LIVE, attempt=2))), {}, Says.RUNNING),
    ("a send that isn't ours", folder(), {"processes": (process(),)}, Says.RUNNING),
    ("a send after an end", folder(runs=(run(finished=FINISHED),)), {"processes": (process(),)}, Says.RUNNING),
    ("a rehearsal goes", folder(), {"processes": (process(mode="dry-run"),)}, Says.NOTHING),
    ("another's send", folder(), {"processes": (process("c2"),)}, Says.NOTHING),
    ("only a log, ended", folder(log=LOGGED), {}, Says.ENDED),
    ("only a log, not ended", folder(log="Starting send\n100/2601\n"), {}, Says.STARTED),
    ("only a log, of a rehearsal", folder(log="Starting dry-run\n2601 recipients counted\n"), {}, Says.NOTHING),
    ("a log, then a claim", folder(log=LOGGED, runs=(run(),)), {}, Says.ENDED),
]


@pytest.mark.parametrize(("campaign", "facts", "says"), [s[1:] for s in SAYS], ids=[s[0] for s in SAYS])
def test_what_the_host_says(campaign, facts, says):
    observation = said(campaign, **facts)
    assert observation.says is says
    assert observation.keeps_traces
    assert observation.is_fresh(NOW)


def test_a_live_run_tells_how_far_it_is():
    word = said(folder(runs=(LIVE,))).run
    assert word is not None
    assert (word.run_id, word.by, word.attempt) == ("r1", "mara", 1)
    assert word.counts == Counts(total=2601, accepted=1587, failed=2)
    assert word.progress_at == NOW - timedelta(minutes=1)
    assert word.started_at == datetime(2026, 5, 12, 17, 41, tzinfo=UTC)


def test_a_log_without_times_is_dated_by_its_file_and_duration():
    observation = said(folder(log=LOGGED, log_age=30))
    assert observation.run is not None
    assert observation.run.counts == Counts(total=2601, accepted=2601)
    assert observation.run.ended_at == NOW - timedelta(minutes=30)
    assert observation.run.started_at == NOW - timedelta(minutes=34)


def test_times_in_a_log_are_of_the_hosts_zone():
    log = "2026-05-12 10:00:00 Starting send\n2026-05-12 10:04:00 5 recipients processed\n"
    word = said(folder(log=log), zone="America/Los_Angeles").run
    assert word is not None
    assert (word.started_at, word.ended_at) == (NOW.replace(hour=17, minute=0), NOW.replace(hour=17, minute=4))


def test_a_clock_that_is_off_moves_the_hosts_times_and_is_told():
    found = looked(folder(runs=(LIVE,)), clock_offset=45.0, clock_error=0.1)
    word = found.observations[0].run
    assert word is not None
    assert word.started_at == datetime(2026, 5, 12, 17, 40, 15, tzinfo=UTC)
    assert found.observations[0].clock_offset == 45.0
    assert any("45 s ahead" in finding for finding in found.findings)


def test_the_times_of_a_run_go_into_the_records_as_true_instants(monkeypatch):
    class Asked:
        def run_state(self, slug, attempt):
            return run_state(slug, LIVE, BlastHost(ssh="x").patterns)

    host = BlastHostBackend("blast-1", BlastHost(ssh="x"), policy=Policy())
    monkeypatch.setattr(host, "_launcher", Asked)
    unlooked = host.run_state("c")
    host._facts = HostFacts(host="blast-1", clock_offset=20.0, clock_error=0.1)
    state = host.run_state("c")
    assert state.word.started_at == unlooked.word.started_at - timedelta(seconds=20)


UNREAD = [
    folder(trouble="the run state can't be read: Permission denied"),
    replace(folder(), log=replace(GONE, kind=Kind.DENIED)),
    folder(runs=(run(trouble="claim.json can't be read"),)),
    FolderFacts(slug="c", folder=Kind.ERROR, trouble="broken"),
]


@pytest.mark.parametrize("campaign", UNREAD)
def test_blind_is_not_nothing(campaign):
    observation = said(campaign)
    assert not observation.is_fresh(NOW)
    assert observation.trouble


def test_blind_in_part_does_not_take_back_a_start():
    observation = said(folder(runs=(run(started=STARTED),), trouble="log can't be read"))
    assert observation.says is Says.STARTED
    assert observation.is_fresh(NOW)
    assert observation.trouble == "log can't be read"


def test_one_campaign_that_can_not_be_understood_hides_no_other():
    broken = folder("b", files=None)
    found = looked(folder("a"), broken, folder("c")).observations
    assert [o.slug for o in found] == ["a", "b", "c"]
    assert [o.is_fresh(NOW) for o in found] == [True, False, True]
    assert "can't be read" in found[1].trouble


def test_details_content_and_approval_come_from_the_files():
    raw = b'{"subject": "[Sale] [/today]", "approval": {"by": "ana"}, "expected_recipients": 1204}'
    observation = said(folder(metadata=raw))
    assert observation.details.subject == "[Sale] [/today]"
    assert observation.approval is not None
    assert observation.approval.by == "ana"
    assert observation.content is not None
    assert observation.content.rows == 1204
    assert observation.content.digest == content_digest({name: name[-1] * 64 for name in FILES})


def test_content_in_part_has_no_digest():
    files = {**COMPLETE, DATA: replace(COMPLETE[DATA], sha256=None, rows=None, trouble="not hashed (5.0 GB)")}
    content = said(folder(files=files)).content
    assert content is not None
    assert content.digest == ""
    assert [name for name, _ in content.digests] == [name for name in FILES if name != DATA]


EVIDENCE = [
    (folder(), {}, "F", Mark.YES, "complete, 1,204 rows"),
    (folder(files={**COMPLETE, DATA: GONE}), {}, "F", Mark.BAD, f"{DATA} missing"),
    (folder(metadata=b"{"), {}, "F", Mark.BAD, "is not JSON"),
    (folder(metadata=None), {}, "F", Mark.BAD, METADATA),
    (folder(files={**COMPLETE, TEMPLATE: replace(GONE, kind=Kind.SYMLINK)}), {}, "F", Mark.BAD, "no plain file"),
    (
        folder(files={**COMPLETE, DATA: replace(COMPLETE[DATA], rows_exact=False)}),
        {},
        "F",
        Mark.YES,
        "about 1,204 rows",
    ),
    (
        folder(files={**COMPLETE, DATA: replace(COMPLETE[DATA], sha256=None, trouble="not hashed (5.0 GB)")}),
        {},
        "F",
        Mark.UNSEEN,
        "not hashed (5.0 GB)",
    ),
    (folder(folder=Kind.MISSING), {}, "F", Mark.NO, "no folder"),
    (folder(folder=Kind.DENIED, trouble="shut"), {}, "F", Mark.UNSEEN, "shut"),
    (folder(), {}, "C", Mark.NO, "no line"),
    (folder(), {}, "L", Mark.NO, "none"),
    (folder(log=LOGGED), {}, "L", Mark.YES, "2,601 processed, 0 failures, ended today 17:22 UTC"),
    (folder(runs=(run(started=STARTED, finished={"rc": 3, "at": STARTED}),)), {}, "L", Mark.BAD, "exit code 3"),
    (folder(runs=(run(started=STARTED),)), {}, "L", Mark.BAD, "started today 17:41 UTC, no end recorded"),
    (folder(runs=(run(),)), {}, "L", Mark.WAITING, "claimed by mara today 17:40 UTC, not started"),
    (folder(runs=(LIVE,)), {}, "L", Mark.MOVING, "1,589 of 2,601, 2 failed"),
    (folder(), {"processes": (process(),)}, "L", Mark.MOVING, "not started by the console (process 42)"),
    (folder(trouble="the run state can't be read"), {}, "L", Mark.UNSEEN, "the run state can't be read"),
]


@pytest.mark.parametrize(("campaign", "facts", "letter", "mark", "text"), EVIDENCE)
def test_evidence(campaign, facts, letter, mark, text):
    line = next(line for line in said(campaign, **facts).evidence if line.letter == letter)
    assert line.mark is mark
    assert text in line.text


def cron(text: str, **values: object) -> tuple[CronFact, ...]:
    given = {"kind": Kind.FILE, "mode": 0o644, "owner": "root", **values}
    return (CronFact(file=FileFact(path="/etc/cron.d/mail-blasts", **given), text=text.encode()),)  # type: ignore[arg-type]


RUNNER = "/usr/local/bin/mail-blast-runner"


def test_a_cron_line_is_foretold_in_the_hosts_zone():
    line = f"0 14 12 5 * root {RUNNER} --campaign c --mode send\n"
    observation = said(
        folder(metadata=b'{"timezone": "America/Los_Angeles"}'), cron=cron(line), zone="America/Los_Angeles"
    )
    (trigger,) = observation.triggers
    assert trigger.sends
    assert trigger.where == "/etc/cron.d/mail-blasts:1"
    assert trigger.next_fire == datetime(2026, 5, 12, 21, tzinfo=UTC)
    assert trigger.previous_fire == datetime(2025, 5, 12, 21, tzinfo=UTC)
    evidence = next(line for line in observation.evidence if line.letter == "C")
    assert evidence.mark is Mark.WAITING
    assert evidence.text.startswith("fires today 14:00 PDT: 0 14 12 5 * root")
    later = (
        looked(folder(), cron=cron(line), zone="America/Los_Angeles", now=NOW + timedelta(hours=4))
        .observations[0]
        .triggers[0]
    )
    assert later.previous_fire == datetime(2026, 5, 12, 21, tzinfo=UTC)
    assert later.next_fire == datetime(2027, 5, 12, 21, tzinfo=UTC)


CRON_TABLES = [
    ("c", f"0 14 * * * root {RUNNER} --campaign c --mode dry-run\n", [False]),
    ("c", f"0 14 * * * root {RUNNER} --campaign=c --mode=send >> /var/log/x 2>&1\n", [True]),
    ("c", f"S=c\n0 14 * * * root {RUNNER} --campaign $S --mode send\n", [True]),
    (
        "c",
        f"0 14 * * * root {RUNNER} --campaign 'c' --mode send\n"
        '0 15 * * * root sh -c "cd /var/mail/campaigns/c && ./go"\n',
        [True, True],
    ),
    ("c", f"0 14 * * * root {RUNNER} --campaign c2 --mode send\n", []),
]


@pytest.mark.parametrize(("slug", "text", "sends"), CRON_TABLES)
def test_lines_that_concern_a_campaign_are_found(slug, text, sends):
    assert [trigger.sends for trigger in said(folder(slug), cron=cron(text)).triggers] == sends


def test_a_table_that_cron_ignores_is_told_for_the_host_and_each_line():
    line = f"0 14 * * * root {RUNNER} --campaign c --mode send\n"
    found = looked(folder(), cron=cron(line + "this is no line\n"))
    assert any("ignores all of /etc/cron.d/mail-blasts: line 2" in finding for finding in found.findings)
    (trigger,) = found.observations[0].triggers
    assert trigger.next_fire is None
    assert "line 2" in trigger.ignored_because
    evidence = next(line for line in found.observations[0].evidence if line.letter == "C")
    assert evidence.mark is Mark.BAD
    assert "ignored by cron" in evidence.text


def test_a_table_nobody_can_read_is_no_empty_table():
    fact = CronFact(
        file=FileFact(path="/etc/cron.d/mail-blasts", kind=Kind.FILE, trouble="can't be read: Permission denied")
    )
    found = looked(folder(), cron=(fact,))
    assert any("Permission denied" in finding for finding in found.findings)
    assert next(line for line in found.observations[0].evidence if line.letter == "C").mark is Mark.UNSEEN


def test_a_line_for_a_campaign_that_is_not_there_is_an_orphan():
    text = (
        f"0 14 * * * root {RUNNER} --campaign gone --mode send\n"
        f"0 15 * * * root {RUNNER} --campaign gone --mode dry-run\n"
    )
    findings = looked(folder(), cron=cron(text)).findings
    assert len(findings) == 1
    assert "mail-blasts:1 sends gone, next tomorrow 14:00 UTC" in findings[0]
    assert "no such campaign" in findings[0]


def test_holds_bind_their_campaign_and_all():
    held = (
        HoldFact(scope="ALL", text='{"by": "ana", "at": "2026-05-12T17:00:00Z", "reason": "provider down"}'),
        HoldFact(scope="c", text="not yet"),
        HoldFact(scope="d", unreadable=True),
    )
    found = {o.slug: o.holds for o in looked(folder("c"), folder("d"), holds=held).observations}
    assert [(hold.scope, hold.by, hold.reason) for hold in found["c"]] == [
        ("host:prod", "ana", "provider down"),
        ("c", "?", "not yet"),
    ]
    assert found["d"][1].reason == "a hold can't be read, so it counts"


def test_what_is_unchanged_is_read_once():
    memo: dict[str, object] = {}
    campaign = folder(log=LOGGED)
    facts = HostFacts(host="prod", campaigns={"c": campaign})
    given = {"source": "prod", "now": NOW, "fresh_for": timedelta(seconds=90), "policy": Policy(), "memo": memo}
    first = report(facts, SETTINGS, **given)
    kept = memo["c"]
    assert report(facts, SETTINGS, **given) == first
    assert memo["c"] is kept
    report(replace(facts, campaigns={}), SETTINGS, **given)
    assert memo == {}


def test_troubles_of_the_host_and_foreign_entries_are_passed_on():
    found = looked(troubles=("/var/mail/campaigns doesn't exist on the host",), foreign=("; rm -rf /",))
    assert found.observations == ()
    assert found.foreign == ("; rm -rf /",)
    assert "doesn't exist" in found.findings[0]
