"""The commands as a script and an operator meet them: exit codes, shapes, and words that say what to do next."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backends.embedded.campaigns.catalogue import ZONES
from backends.embedded.world import World
from opsconsole.cli import main

SLUG = "paul-simon-may12"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(runner_name="blast-runner-cli") as world:
        yield world


def call(world: World, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(world.config_path), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def called(world: World, *args: str) -> Any:
    return json.loads(call(world, *args, "--json").stdout)


def test_a_board_with_somebody_overdue_is_1_and_names_them(world: World) -> None:
    result = call(world, "board", "--status", "overdue")
    assert result.exit_code == 1
    assert SLUG in result.stdout


def test_a_board_without_anybody_in_that_status_is_0_and_says_so(world: World) -> None:
    result = call(world, "board", "--status", "error")
    assert result.exit_code == 0
    assert "No such campaign." in result.stdout


@pytest.mark.parametrize("word", ["overdu", "in dubt"])
def test_a_status_that_is_none_never_reads_as_nobody_in_trouble(world: World, word: str) -> None:
    result = call(world, "board", "--status", word)
    assert result.exit_code == 2
    assert f"no status {word!r}. Did you mean" in " ".join(result.stderr.split())


def test_the_board_as_json_holds_every_campaign_source_and_group(world: World) -> None:
    board = called(world, "board", "--status", "in-doubt", "--status", "overdue")
    assert {c["status"] for c in board["campaigns"]} == {"IN DOUBT", "OVERDUE"}
    assert {s["name"] for s in board["sources"]} == {"dashboard", "console", "blast-mail-demo"}
    assert all(s["fresh"] for s in board["sources"])
    assert board["troubles"] == []
    found = next(c for c in board["campaigns"] if c["slug"] == SLUG)
    assert (found["audience"], found["group"]) == (2601, "Needs attention")
    assert found["zone"] in ZONES


def test_show_tells_every_source_and_what_comes_next(world: World) -> None:
    result = call(world, "show", SLUG)
    assert result.exit_code == 1
    assert "next: preflight, dry-run, send" in result.stdout
    assert {s["source"] for s in called(world, "show", SLUG)["sources"]} >= {"dashboard", "blast-mail-demo"}


def test_what_comes_next_is_named_as_it_is_typed(world: World) -> None:
    board = called(world, "board")["campaigns"]
    ids = {step for campaign in board for step in campaign["next"]}
    one = next(campaign["slug"] for campaign in board if "cancel" in campaign["next"])

    shown = next(line for line in call(world, "show", one).stdout.splitlines() if "next: " in line)

    assert "cancel" in ids
    assert "call-off" in shown
    assert "cancel" not in shown, "that command ends a run"


def test_a_wrong_command_is_2_with_the_one_that_was_meant(world: World) -> None:
    result = call(world, "bord")
    assert result.exit_code == 2
    assert "Did you mean 'board'?" in result.stderr


def test_a_campaign_nobody_knows_is_told_and_nothing_is_done(world: World) -> None:
    result = call(world, "hold", "paul-simon-may21", "--reason", "x")
    assert result.exit_code == 2
    assert "No source knows a campaign 'paul-simon-may21'" in result.stderr
    assert "Did you mean 'paul-simon-may12'?" in result.stderr


def test_a_name_that_can_be_no_campaign_is_2(world: World) -> None:
    assert call(world, "show", "../etc").exit_code == 2


@pytest.mark.slow
def test_preflight_names_every_check(world: World) -> None:
    result = call(world, "preflight", SLUG)
    assert result.exit_code == 0
    assert "0 forbid a send." in result.stdout
    late = called(world, "preflight", "birthday-sail-may11")
    assert late["ok"] is False
    assert any(r["blocks"] and r["remedy"] for r in late["results"])


@pytest.mark.slow
def test_a_send_names_its_plan_and_without_a_terminal_means_it_in_words(world: World) -> None:
    """Given a rehearsal, when a script sends: without plan, terminal or the right phrase, nothing is sent."""
    assert call(world, "preflight", SLUG).exit_code == 0
    rehearsed = called(world, "dry-run", SLUG)
    plan, count = rehearsed["plan"], rehearsed["audience"]
    assert count == 2601
    assert call(world, "send", SLUG).exit_code == 2
    silent = call(world, "send", SLUG, "--plan", plan[:12])
    assert silent.exit_code == 2
    assert f'--confirm "{SLUG} {count}"' in silent.stderr
    assert call(world, "send", SLUG, "--plan", plan[:12], "--confirm", f"{SLUG} {count - 1}").exit_code == 3
    assert call(world, "send", SLUG, "--plan", "123", "--confirm", f"{SLUG} {count}").exit_code == 3
    assert world.sent_to() == {}


@pytest.mark.slow
def test_a_dry_run_speaks_in_words_and_names_the_next_command(world: World) -> None:
    result = call(world, "dry-run", SLUG)
    assert result.exit_code == 0
    assert "OK: 2,601 counted, 0 refused." in result.stdout
    assert f"opsconsole send {SLUG} --plan " in result.stdout
    assert '"v"' not in result.stdout


def test_read_only_refuses_every_action(world: World) -> None:
    result = call(world, "--read-only", "hold", SLUG, "--reason", "x")
    assert result.exit_code == 3
    assert "read-only" in result.stderr


@pytest.mark.slow
def test_a_hold_is_recorded_found_and_taken_off_again(world: World) -> None:
    slug = "fleet-week-parking"
    held = call(world, "hold", slug, "--reason", "wait [/x] for ana")
    assert held.exit_code == 0
    assert "blast-mail-demo was told." in held.stdout
    assert called(world, "show", slug)["status"] == "HELD"
    found = call(world, "audit", "search", "wait")
    assert found.exit_code == 0
    assert slug in found.stdout
    assert "wait [/x] for ana" in found.stdout
    assert [record["campaign"] for record in called(world, "audit", "search", "wait")] == [slug]
    assert call(world, "release", slug, "--reason", "ana came").exit_code == 0
    assert called(world, "show", slug)["status"] == "OVERDUE"


def test_a_record_that_is_none_is_a_slip_of_the_hand(world: World) -> None:
    result = call(world, "audit", "show", "99999")
    assert (result.exit_code, result.stderr) == (2, "There is no record 99999.\n")


def test_audit_verify_proves_the_records_whole(world: World) -> None:
    result = call(world, "audit", "verify")
    assert result.exit_code == 0
    assert "every seal holds" in result.stdout


@pytest.mark.slow
def test_doctor_looks_at_configuration_store_disk_and_sources(world: World) -> None:
    lines = called(world, "doctor")
    by_name = {line["what"]: line["ok"] for line in reversed(lines)}
    assert all(by_name[name] for name in ("configuration", "audit store", "disk", "dashboard"))
    assert call(world, "doctor").exit_code == 1  # the demo's host has a cron line for a campaign that is gone


def test_doctor_warns_before_a_disk_takes_no_more_records(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsconsole.commands.setup.ROOM_MB", 1 << 40)
    disk = next(line for line in called(world, "doctor") if line["what"] == "disk")
    assert not disk["ok"]
    assert "without a record nothing can be done" in disk["says"]


def test_a_host_out_of_reach_is_4_and_an_empty_answer_says_what_is_not_judged(world: World, tmp_path: Path) -> None:
    known = world.config_path.read_text()
    ssh = tmp_path / "ssh_config"
    lines = world.ssh_config.read_text().splitlines()
    ssh.write_text("\n".join("  Port 1" if line.strip().startswith("Port") else line for line in lines) + "\n")
    file = tmp_path / "config.toml"
    file.write_text(
        known.replace(str(world.ssh_config), str(ssh)).replace(
            str(world.config_path.parent / "data"), str(tmp_path)
        )
    )
    result = CliRunner().invoke(main, ["--config", str(file), "board", "--status", "overdue"])
    assert result.exit_code == 4
    assert "UNKNOWN, not judged" in result.stdout
    shown = CliRunner().invoke(main, ["--config", str(file), "show", "fleet-week-parking"])
    assert shown.exit_code == 4
    assert "has no folder" not in shown.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('enviroment = "x"\n', "did you mean 'environment'"),
        ("[[[", "this is not TOML"),
    ],
)
def test_a_wrong_configuration_is_2_and_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    for command in ("board", "doctor"):
        result = CliRunner().invoke(main, ["--config", str(file), command])
        assert result.exit_code == 2
        assert says in result.stderr


def test_config_init_writes_one_that_can_be_edited_and_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    args = ["--config", str(file), "config"]
    missing = CliRunner().invoke(main, ["--config", str(file), "board"])
    assert missing.exit_code == 2
    assert "opsconsole config init" in missing.stderr
    assert CliRunner().invoke(main, [*args, "init"]).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(main, [*args, "check"]).exit_code == 0
    again = CliRunner().invoke(main, [*args, "init"])
    assert again.exit_code == 3
    assert "was not touched" in again.stderr


def test_every_key_of_the_configuration_is_told_with_its_default() -> None:
    result = CliRunner().invoke(main, ["config", "keys"])
    assert result.exit_code == 0
    assert "stall_after" in result.stdout
    assert "ssh" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_OPSCONSOLE_COMPLETE" in result.stdout


@pytest.mark.parametrize("args", [[], ["demo"]])
def test_without_a_terminal_no_screens_open_and_the_commands_are_named(world: World, args: list[str]) -> None:
    """They would wait for keys that can't come, and for nothing to end them."""
    done = subprocess.run(
        [sys.executable, "-m", "opsconsole.cli", "--config", str(world.config_path), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TERM": "xterm"},
    )
    assert done.returncode == 2
    assert "need a terminal" in done.stderr
    assert "opsconsole board" in done.stderr
