"""Drill 14: the ground is bad. Each trouble is a named check with its evidence and a remedy."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from backends.embedded.world import HOST
from opsconsole.ports import Refused
from opsconsole.preflight.check import Outcome
from opsconsole.verdict import Severity, Status
from tests.support.programs import false_clock
from tests.support.sshd import Sshd
from tests.support.world import RealWorld, forbidding, rehearse

pytestmark = pytest.mark.slow

SLUG = "fleet-week-parking"


@dataclass(frozen=True)
class Trouble:
    """What is done to the host, the check that must notice, and words of its sentence, evidence and remedy."""

    spoil: Callable[[RealWorld], object]
    check: str
    says: tuple[str, ...]
    evidence: tuple[str, ...]
    remedy: tuple[str, ...]


TROUBLES = {
    "credentials-for-everybody": Trouble(
        lambda world: world.paths.credentials.chmod(0o644), "credentials", ("0644", "0600"), (), ("chmod", "600")
    ),
    "credentials-gone": Trouble(
        lambda world: world.paths.credentials.unlink(), "credentials", ("blast-credentials.conf",), (), ("",)
    ),
    "runner-not-executable": Trouble(
        lambda world: world.paths.runner.chmod(0o644), "runner-there", ("can't be executed",), ("0644",), ("755",)
    ),
    "runner-gone": Trouble(
        lambda world: world.paths.runner.unlink(), "runner-there", ("There is no runner",), (), ("runner",)
    ),
    "disk-full": Trouble(
        lambda world: world.policy(min_free_disk_mb=10**9),
        "disk",
        ("Too little disk space", "1,000,000,000 MB"),
        ("MB free of",),
        ("Free some space",),
    ),
    "memory-short": Trouble(
        lambda world: world.policy(min_free_memory_mb=10**9),
        "memory",
        ("memory left",),
        ("available",),
        ("ps aux",),
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_is_named_and_forbids_the_send(world: RealWorld, name: str) -> None:
    trouble = TROUBLES[name]
    trouble.spoil(world)

    with world.console() as console:
        result = forbidding(list(console.preflight(SLUG)))[trouble.check]
        for words, text in (
            (trouble.says, result.says),
            (trouble.evidence, " ".join(result.evidence)),
            (trouble.remedy, result.remedy),
        ):
            for word in words:
                assert word in text
        assert result.remedy
        with pytest.raises(Refused, match=trouble.check):
            console.plan(SLUG)
        assert console.verdict(SLUG).status is Status.OVERDUE
    assert not world.sent_to()


def test_all_of_it_at_once_is_told_by_one_pre_flight_as_json(world: RealWorld) -> None:
    for name in ("credentials-for-everybody", "runner-not-executable"):
        TROUBLES[name].spoil(world)
    world.policy(min_free_disk_mb=10**9, min_free_memory_mb=10**9)
    with world.paths.cron.open("a") as table:
        table.write("61 25 * * * root true\n")

    checks = world.command("preflight", SLUG, "--json")

    assert (checks.code, checks.json["ok"]) == (1, False)
    bad = {row["check_id"]: row for row in checks.json["results"] if row["outcome"] in ("fail", "warn")}
    assert {"credentials", "runner-there", "disk", "memory", "cron-file"} <= bad.keys()
    for row in bad.values():
        assert row["says"]
        assert row["remedy"]
    assert {"credentials", "runner-there", "disk", "memory"} <= {name for name, row in bad.items() if row["blocks"]}
    assert world.command("send", SLUG, "--plan", "0" * 12, "--confirm", f"{SLUG} 377").code == 3
    assert not world.sent_to()


@pytest.mark.parametrize("name", ["runner-not-executable", "disk-full"])
def test_what_goes_bad_after_the_plan_is_refused_by_the_host_itself(world: RealWorld, name: str) -> None:
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
    TROUBLES[name].spoil(world)

    said = world.command("send", SLUG, "--plan", plan.digest, "--confirm", plan.phrase)

    assert said.code == 3
    assert {"runner-not-executable": str(world.paths.runner), "disk-full": "1000000000 MB"}[name] in said.err
    assert not world.sent_to()
    with world.console() as console:
        assert console.store().unresolved() == []


def test_a_changed_host_key_is_refused_until_somebody_takes_the_old_one_away(world: RealWorld) -> None:
    known = world.config_path.parent / "known_hosts"
    old = world.server.fingerprint
    world.server.restart(new_host_key=True)
    new = world.server.fingerprint
    assert new != old

    with world.console() as console:
        source = next(source for source in console.board().sources if source.name == HOST)
        assert not source.fresh
        for words in ("host key", "has changed", old, new, f"remove the old line by hand ({known}:1)"):
            assert words in source.trouble
        assert console.verdict(SLUG).status is Status.UNKNOWN
        with pytest.raises(Refused):
            console.plan(SLUG)
        results = list(console.preflight(SLUG))
        assert any(result.blocks for result in results)

    assert world.command("host", "trust", HOST, new).code != 0  # not while another key is known
    known.write_text("")
    trouble = next(s for s in world.command("board", "--json").json["sources"] if s["name"] == HOST)["trouble"]
    assert "is not known" in trouble
    command = trouble[trouble.index("opsconsole host trust") :].rstrip(".").split()
    assert command[-1] == new
    assert world.command("host", "trust", HOST, old).code != 0
    assert world.spoken(SLUG)["status"] == "UNKNOWN"
    trusted = world.command(*command[1:])
    assert (trusted.code, new in trusted.out) == (0, True)
    assert world.spoken(SLUG)["status"] == "OVERDUE"


def test_a_key_that_changes_while_the_console_is_open(world: RealWorld) -> None:
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
        world.server.restart(new_host_key=True)

        with pytest.raises(Refused, match="UNKNOWN"):
            console.send(plan, plan.phrase)

        source = next(source for source in console.board().sources if source.name == HOST)
        assert world.server.fingerprint in source.trouble
    assert not world.sent_to()


@pytest.fixture
def late_clock(sshd: Sshd) -> Callable[[int], None]:
    """Sets the clock of all that runs on the host: so many seconds ahead."""

    def set_to(seconds: int) -> None:
        environment = ",".join(f'environment="{setting}"' for setting in false_clock(f"{seconds:+d}s"))
        sshd.accept(sshd.key, key_options=environment)

    return set_to


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("seconds", [45, -45])
def test_a_clock_45_s_off_forbids_the_send(
    world: RealWorld, late_clock: Callable[[int], None], seconds: int
) -> None:
    late_clock(seconds)

    with world.console() as console:
        verdict = console.verdict(SLUG)
        skew = next(finding for finding in verdict.findings if finding.code == "clock-skew")
        assert skew.severity is Severity.BLOCK
        assert re.search(f"4[456] s {'ahead' if seconds > 0 else 'behind'}", skew.text)
        result = forbidding(list(console.preflight(SLUG)))["clock-offset"]
        offset = re.search(r"offset ([+-][\d.]+)", result.evidence[0])
        assert offset is not None
        assert abs(float(offset[1]) - seconds) < 1  # the clocks aren't read in the same instant
        assert "timedatectl" in result.remedy
        with pytest.raises(Refused, match="clock"):
            console.plan(SLUG)
    assert not world.sent_to()


@pytest.mark.needs("faketime")
def test_a_clock_that_jumps_after_the_plan_is_refused_by_the_host_itself(
    world: RealWorld, late_clock: Callable[[int], None]
) -> None:
    with world.console() as console:
        rehearse(console, SLUG)
        plan = console.plan(SLUG)
    late_clock(45)

    with world.console(look=False) as console, pytest.raises(Refused, match="clock"):
        console.carrier_of(SLUG).start(plan, "mara")
    assert not world.sent_to()


def test_one_bad_line_and_cron_ignores_the_whole_file(world: RealWorld) -> None:
    scheduled = "captains-table-june"
    assert "starts it" in world.spoken(scheduled)["why"]
    with world.paths.cron.open("a") as table:
        table.write("61 25 * * * root true\n")
    bad = len(world.paths.cron.read_text().splitlines())

    told = world.spoken(scheduled)
    assert "nothing will start it" in told["why"]
    ignored = next(finding for finding in told["findings"] if finding["code"] == "cron-ignored")
    assert str(bad) in ignored["text"]
    (table,) = world.command("host", "cron", "--json").json
    assert str(bad) in table["ignored_because"]
    with world.console() as console:
        result = next(r for r in console.preflight(scheduled) if r.check_id == "cron-file")
        assert result.outcome is Outcome.FAIL
        assert str(world.paths.cron) in " ".join(result.evidence)
        assert "where this campaign has a line" in result.says
        assert result.remedy


def test_a_cron_file_nobody_may_read(world: RealWorld) -> None:
    world.paths.cron.unlink()
    world.paths.cron.mkdir()  # unreadable for root too

    with world.console() as console:
        result = forbidding(list(console.preflight(SLUG)))["cron-file"]
        assert "can't be read" in result.says
        assert console.verdict(SLUG).status is Status.OVERDUE
        assert any(str(world.paths.cron) in text for s in console.board().sources for text in s.findings)
        with pytest.raises(Refused):
            console.plan(SLUG)


def test_the_credentials_are_never_read(world: RealWorld) -> None:
    canary = "canary-3f1c9a77"
    world.paths.credentials.write_text(world.paths.credentials.read_text() + f"password = {canary}\nuser = blast\n")

    with world.console() as console:
        rehearse(console, SLUG)
        for record in console.store().search(limit=100):
            assert canary not in json.dumps(record.detail, default=str)
    for path in (world.config_path.parent / "data").rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes()
