"""Cron lines as triggers: which can be switched, which are off, and what a host's evidence says of them."""

from datetime import UTC, datetime

import pytest

from backends.blasthost.cronswitch import digest, read_key
from backends.blasthost.words import report
from opsconsole.config import duration
from opsconsole.hostfacts import CronFact, FileFact, FolderFacts, HostFacts, Kind, ScriptFact
from opsconsole.observation import Evidence, Mark, Observation
from opsconsole.policy import Policy
from opsconsole.ports import Refused
from opsconsole.proof import prove_no_trigger
from opsconsole.settings import BlastHost
from opsconsole.verdict import judge

NOW = datetime(2026, 5, 12, 17, 52, tzinfo=UTC)
PATH = "/etc/cron.d/mail-blasts"
SETTINGS = BlastHost(ssh="prod")
SEND = "root /usr/local/bin/mail-blast-runner --campaign c --mode send"
OFF = "#opsconsole-disabled by=mara at=2026-05-12T15:30:00Z# "


def said(text: str, mode: int = 0o644, *scripts: ScriptFact) -> Observation:
    stat = FileFact(path=PATH, kind=Kind.FILE, mode=mode, owner="root")
    facts = HostFacts(
        host="prod",
        cron=(CronFact(file=stat, text=text.encode()),),
        campaigns={"c": FolderFacts(slug="c", folder=Kind.MISSING)},
        scripts=scripts,
    )
    fresh_for = duration(SETTINGS.fresh_for)
    (word,) = report(facts, SETTINGS, source="prod", now=NOW, fresh_for=fresh_for, policy=Policy()).observations
    return word


def cron_of(word: Observation) -> Evidence:
    return next(line for line in word.evidence if line.letter == "C")


def test_a_line_can_be_switched_by_a_key_that_names_it_and_the_table_as_they_were() -> None:
    text = f"# one\n0 14 12 5 * {SEND}\n"
    (trigger,) = said(text).triggers
    key = read_key(trigger.key)
    assert (key.source, key.path, key.number) == ("prod", PATH, 2)
    assert (key.line, key.table) == (digest(f"0 14 12 5 * {SEND}".encode()), digest(text.encode()))
    assert trigger.live


def test_a_line_that_is_off_starts_nothing_says_by_whom_and_can_be_switched_on() -> None:
    word = said(f"# one\n{OFF}0 14 12 5 * {SEND}\n")
    (trigger,) = word.triggers
    assert (trigger.off, trigger.live, trigger.next_fire) == (True, False, None)
    assert trigger.ignored_because == "switched off by mara, 2026-05-12 15:30 UTC"
    assert read_key(trigger.key).line == digest(f"0 14 12 5 * {SEND}".encode())
    assert cron_of(word).mark is Mark.NO
    assert cron_of(word).text.startswith("switched off by mara, 2026-05-12 15:30 UTC: 0 14 12 5 *")


@pytest.mark.parametrize("line", [f"0 14 12 5 * {SEND}", f"{OFF}0 14 12 5 * {SEND}"], ids=["on", "off"])
def test_in_a_file_that_cron_ignores_nothing_can_be_switched(line: str) -> None:
    (trigger,) = said(f"{line}\n", mode=0o666).triggers
    assert (trigger.key, trigger.live) == ("", False)
    assert "lets group or others write" in trigger.ignored_because


def test_a_line_at_every_restart_is_live_though_it_has_no_time() -> None:
    word = said(f"@reboot {SEND}\n")
    (trigger,) = word.triggers
    assert (trigger.next_fire, trigger.live) == (None, True)
    assert cron_of(word).mark is Mark.WAITING
    assert "at every restart" in cron_of(word).text


def test_a_line_that_may_start_any_campaign_leaves_no_proof_that_nothing_starts_one() -> None:
    every = ScriptFact(path="/opt/all.sh", text=b'for x in *; do mail-blast-runner --campaign "$x"; done\n')
    word = said("0 14 12 5 * root /opt/all.sh\n", 0o644, every)
    assert word.triggers == ()
    with pytest.raises(Refused, match=r"mail-blasts:1 may start any campaign: it calls /opt/all.sh"):
        prove_no_trigger(judge("c", [word], Policy(), NOW), NOW)
    assert prove_no_trigger(
        judge("c", [said(f"{OFF}0 14 12 5 * root /opt/all.sh\n", 0o644, every)], Policy(), NOW), NOW
    )
