"""A host's cron table as people read it: whose campaign, when on whose clock, and what is wrong with each line."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opsconsole.cronview import CronRow, CronTable, cron_tables, in_zones, say_fire, table_json
from opsconsole.hostfacts import CronFact, FileFact, FolderFacts, HostFacts, Kind, ScriptFact
from opsconsole.observation import Says, Trigger
from opsconsole.settings import BlastHost
from opsconsole.verdict import Verdict
from tests.domain.words import NOW, SLUG, dashboard, ended, host, verdict

PATH = "/etc/cron.d/mail-blasts"
RUNNER = "/usr/local/bin/mail-blast-runner"
SETTINGS = BlastHost(ssh="prod")
SEND = f"{RUNNER} --campaign {SLUG} --mode send"


def facts(
    *lines: str, zone: str = "America/New_York", scripts: dict[str, str] | None = None, **file: Any
) -> HostFacts:
    text = "".join(f"{line}\n" for line in lines).encode()
    stat = {"path": PATH, "kind": Kind.FILE, "mode": 0o644, "owner": "root", **file}
    return HostFacts(
        host="prod",
        zone=zone,
        cron=(CronFact(file=FileFact(**stat), text=text),),
        scripts=tuple(ScriptFact(path=p, text=t.encode()) for p, t in (scripts or {}).items()),
        campaigns={slug: FolderFacts(slug=slug, folder=Kind.FOLDER) for slug in (SLUG, "regatta-parking")},
    )


def table(found: HostFacts, *verdicts: Verdict, now: datetime = NOW, local: str = "Europe/Vienna") -> CronTable:
    (one,) = cron_tables(found, SETTINGS, verdicts or (verdict(dashboard(), host()),), now, local)
    return one


def row(*lines: str, **more: Any) -> CronRow:
    return table(facts(*lines, **more)).rows[-1]


def codes(found: CronRow) -> list[str]:
    return [note.code for note in found.notes]


def test_one_instant_on_the_clock_of_host_campaign_and_operator() -> None:
    shown = table(facts(f"0 14 12 5 * root {SEND}"))
    (line,) = shown.rows
    assert (line.words, line.campaigns, line.sends, line.user) == ("At 14:00 on May 12", (SLUG,), True, "root")
    assert line.next_at == datetime(2026, 5, 12, 18, tzinfo=UTC)
    assert in_zones(line.next_at, shown, line, NOW) == (
        ("host", "today 14:00 EDT"),
        ("campaign", "today 11:00 PDT"),
        ("you", "today 20:00 CEST"),
    )
    assert say_fire(line.next_at, shown, line, NOW).endswith("in 8 min")
    said = table_json(shown, NOW)["lines"][0]
    assert said["where"] == f"{PATH}:1"
    assert said["next"] == {
        "at": "2026-05-12T18:00:00+00:00",
        "host": "2026-05-12T14:00:00-04:00",
        "campaign": "2026-05-12T11:00:00-07:00",
        "operator": "2026-05-12T20:00:00+02:00",
    }
    assert line.last_at is not None
    assert line.last_at.year == 2025


def test_clocks_that_agree_are_told_once() -> None:
    shown = table(facts(f"0 11 12 5 * root {SEND}", zone="America/Los_Angeles"), local="America/Los_Angeles")
    line = shown.rows[0]
    assert line.next_at is not None
    assert in_zones(line.next_at, shown, line, NOW) == (("host and campaign and you", "today 11:00 PDT"),)


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("/opt/blasts/may.sh", f"#!/bin/sh\n# go\nexec {RUNNER} --campaign {SLUG} --mode send\n"),
        ("cd /opt/blasts && ./may.sh", f'#!/bin/sh\nC={SLUG}\nmail-blast-runner --campaign "$C" --mode send\n'),
        (
            "flock -n /run/lock/x /opt/blasts/may.sh >> /tmp/log 2>&1",
            f"cat /var/mail/campaigns/{SLUG}/x; --mode send",
        ),
        ("sh -c '/opt/blasts/may.sh'", f"#!/usr/bin/python3\nrun(['--campaign', '{SLUG}', '--mode', 'send'])\n"),
    ],
    ids=["plain", "in a folder", "behind flock", "quoted, in another language"],
)
def test_what_a_script_starts_belongs_to_the_line_that_calls_it(command: str, script: str) -> None:
    line = row(f"0 14 12 5 * root {command}", scripts={"/opt/blasts/may.sh": script})
    assert (line.campaigns, line.via) == ((SLUG,), "/opt/blasts/may.sh")
    assert line.sends is not False


@pytest.mark.parametrize(
    "script",
    [f"#!/bin/sh\n# not for {SLUG} any more: mail-blast-runner --campaign x\ntrue\n", f"#!/bin/sh\necho {SLUG}\n"],
    ids=["a comment", "nothing of the runner"],
)
def test_a_script_that_starts_nothing_belongs_to_nobody(script: str) -> None:
    line = row("0 14 12 5 * root /opt/blasts/may.sh", scripts={"/opt/blasts/may.sh": script})
    assert (line.campaigns, line.via, codes(line)) == ((), "", [])


def test_a_script_that_rehearses_sends_nothing_and_one_that_names_nobody_may_start_any() -> None:
    dry = row("0 1 * * * root /opt/d.sh", scripts={"/opt/d.sh": f"{RUNNER} --campaign {SLUG} --mode dry-run"})
    assert (dry.campaigns, dry.sends) == ((SLUG,), False)
    every = row("0 5 * * * root /opt/e.sh", scripts={"/opt/e.sh": f'for c in *; do {RUNNER} --campaign "$c"; done'})
    assert codes(every) == ["unseen"]
    assert "doesn't name" in every.notes[0].text
    found = replace(
        facts("0 1 * * * root /opt/e.sh"), scripts=(ScriptFact(path="/opt/e.sh", trouble="too secret"),)
    )
    assert "can't be read: too secret" in table(found).rows[0].notes[0].text


def test_a_line_for_a_campaign_that_is_not_there_is_an_orphan() -> None:
    orphan = row(f"0 14 12 5 * root {RUNNER} --campaign pirate-night-2019 --mode send")
    assert orphan.campaigns == ()
    assert orphan.notes[0].code == "orphan"
    assert "pirate-night-2019 is no campaign on this host" in orphan.notes[0].text
    rehearsing = row(f"0 14 12 5 * root {RUNNER} --campaign pirate-night-2019 --mode dry-run")
    assert "orphan" not in codes(rehearsing)


def test_what_a_verdict_says_of_the_line_stands_beside_it() -> None:
    trigger = Trigger(where=f"{PATH}:1", text="x", next_fire=NOW + timedelta(minutes=8))
    sent = verdict(dashboard(Says.SENT), host(Says.ENDED, run=ended(), triggers=(trigger,)))
    line = table(facts(f"0 14 12 5 * root {SEND}"), sent).rows[0]
    assert codes(line) == ["fires-again", "yearly"]
    assert line.notes[0].alarm
    assert line.notes[1].text == "cron knows no year: after that it fires again 2027 May 12 14:00 EDT"
    late = replace(trigger, next_fire=NOW + timedelta(hours=3))
    waiting = verdict(dashboard(), host(triggers=(late,)))
    assert "fires-off-time" in codes(table(facts(f"0 17 12 5 * root {SEND}"), waiting).rows[0])


def test_the_next_change_of_the_hosts_clocks_is_told_on_the_lines_it_touches() -> None:
    now = datetime(2026, 10, 20, tzinfo=UTC)
    twice, once, other = table(
        facts("30 * * * * root true", "30 1 * * * root true", "30 5 * * * root true"), now=now
    ).rows
    assert "starts this line twice at 01:30" in twice.notes[0].text
    assert "On Sun 1 Nov 2026" in once.notes[0].text
    assert "01:30 comes twice, cron starts this line the first time only" in once.notes[0].text
    assert other.notes == ()


def test_a_line_that_is_off_says_by_whom_and_when_it_would_fire() -> None:
    shown = table(facts(f"#opsconsole-disabled by=mara at=2026-05-12T15:30:00Z# 0 14 12 5 * root {SEND}"))
    (line,) = shown.rows
    assert line.off == "switched off by mara, 2026-05-12 15:30 UTC"
    said = table_json(shown, NOW)["lines"][0]
    assert said["next"] is None
    assert said["would_fire"]["at"] == "2026-05-12T18:00:00+00:00"
    assert codes(line) == []


def test_a_file_that_cron_ignores_says_why_and_none_of_its_lines_fire() -> None:
    shown = table(facts(f"0 14 12 5 * root {SEND}", mode=0o666))
    assert "lets group or others write" in shown.ignored_because
    assert shown.rows[0].next_at is None
    gone = facts()
    missing = CronFact(file=FileFact(path=PATH, kind=Kind.MISSING))
    assert table(replace(gone, cron=(missing,))).ignored_because == "it isn't there"
