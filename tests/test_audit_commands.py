"""The audit commands on a whole world: a send leaves its anchors, and whatever is lost afterwards is told."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backends.embedded.world import World
from opsconsole.audit.key import load
from opsconsole.audit.records import Event
from opsconsole.audit.store import AuditStore
from opsconsole.cli import main

HOST = "blast-mail-demo"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(runner_name="blast-runner-audit") as world:
        yield world


def call(world: World, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(world.config_path), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def called(world: World, *args: str) -> Any:
    return json.loads(call(world, *args, "--json").stdout)


def store_of(world: World) -> Path:
    return world.config_path.parent / "data" / "audit.db"


def anchors_of(world: World) -> Path:
    (file,) = (world.paths.runs.parent / "anchors").iterdir()
    return file


def an_event(world: World) -> None:
    """Something that matters for a send, and its copy on the host."""
    assert call(world, "hold", "everything", "--reason", "a look first").exit_code == 0
    assert call(world, "board").exit_code in (0, 1)


def test_an_empty_host_and_an_empty_store_agree(world: World) -> None:
    result = call(world, "audit", "verify")
    assert result.exit_code == 0, result.output
    assert f"{HOST} agrees: 0 anchors looked at, none so far" in result.stdout
    assert "No anchors are kept anywhere so far" in call(world, "audit", "anchors").stdout


@pytest.mark.slow
def test_what_matters_for_a_send_is_copied_to_the_host(world: World) -> None:
    an_event(world)
    (held,) = called(world, "audit", "anchors")
    assert (held["keeper"], held["honest"]) == (HOST, True)
    assert held["mac"] in anchors_of(world).read_text()
    verified = called(world, "audit", "verify")
    assert (verified["ok"], verified["anchors"][0]["newest"]) == (True, held["seq"])
    assert verified["anchors"][0]["found"] == []


@pytest.mark.slow
def test_a_host_that_lost_its_records_is_shown_everywhere_until_somebody_accepts_it(world: World) -> None:
    an_event(world)
    anchors_of(world).unlink()
    assert call(world, "audit", "verify", "--offline").exit_code == 0
    verified = call(world, "audit", "verify")
    assert verified.exit_code == 1
    assert f"{HOST} lost records" in verified.stdout
    assert "Whole: " in verified.stdout, "the store itself is in order"
    board = called(world, "board")
    (source,) = [s for s in board["sources"] if s["name"] == HOST]
    assert not any("unanchored" in text for text in source["findings"]), "what waited was taken there meanwhile"
    assert any("host-lost-records" in text for text in source["findings"])
    assert [HOST in text and "nothing is sent there" in text for text in board["troubles"]] == [True]
    assert call(world, "board").stderr.splitlines() == board["troubles"]
    assert any("host-lost-records" in line["says"] for line in called(world, "doctor"))
    assert call(world, "--read-only", "host", "accept", HOST, "--reason", "restored").exit_code == 3
    accepted = call(world, "host", "accept", HOST, "--reason", "restored from the backup of Monday")
    assert accepted.exit_code == 0, accepted.output
    assert call(world, "audit", "verify").exit_code == 0
    assert "host-accepted" in call(world, "audit", "search", "--action", "host-accepted").stdout
    refused = call(world, "host", "accept", HOST, "--reason", "again")
    assert (refused.exit_code, "Nothing speaks against" in refused.stderr) == (3, True)


@pytest.mark.slow
def test_a_store_put_back_stops_every_action_and_verify_names_the_first_missing_record(world: World) -> None:
    store = store_of(world)
    earlier = store.with_name("earlier.db")
    shutil.copyfile(store, earlier)
    with sqlite3.connect(store) as db:
        (last,) = db.execute("SELECT max(seq) FROM audit").fetchone()
    db.close()
    later = store.with_name("later.db")
    an_event(world)
    shutil.copyfile(store, later)
    shutil.copyfile(earlier, store)
    assert "Whole: " in call(world, "audit", "verify", "--offline").stdout, "by itself it looks whole"
    result = call(world, "audit", "verify")
    assert result.exit_code == 1
    assert f"NOT WHOLE at record {last + 1}" in result.stdout
    assert ". Keep the file as it is" in result.stdout
    told = [line for line in called(world, "doctor") if line["what"] == "audit store" and not line["ok"]]
    assert any(f"record {last + 1} is missing" in line["says"] for line in told), "doctor doesn't call it whole"
    refused = call(world, "hold", "everything", "--reason", "no matter what")
    assert refused.exit_code == 3
    assert "isn't whole" in refused.stderr
    looked = call(world, "board")
    assert looked.exit_code == 1, "looking goes on"
    assert "The audit store isn't whole" in looked.stderr
    with sqlite3.connect(store) as db:
        assert db.execute("SELECT max(seq) FROM audit").fetchone() == (last,), (
            "and nothing is added to the evidence"
        )
    db.close()
    shutil.copyfile(later, store)
    assert call(world, "audit", "verify").exit_code == 0


def test_a_host_out_of_reach_leaves_the_verdict_open(world: World) -> None:
    config = world.config_path.with_name("away.toml")
    text = world.config_path.read_text()
    away = text.replace('ssh = "blast-mail-demo"', 'ssh = "127.0.0.1:1"')
    assert away != text
    config.write_text(away)
    result = CliRunner().invoke(main, ["--config", str(config), "audit", "verify"])
    assert result.exit_code == 4, result.output
    assert "could not be asked for its anchors" in result.stdout


@pytest.mark.slow
def test_an_intent_is_resolved_once_and_with_a_reason(world: World) -> None:
    key = load(world.config_path.parent / "data" / "audit.key")
    with AuditStore(store_of(world), key, clock=lambda: datetime.now(UTC)) as store:
        left = store.intent(Event("mara", "s-0", "demo", "approve", "spring-offer"))
    assert f"record {left.seq}, approve spring-offer" in call(world, "audit", "verify", "--offline").stdout
    assert call(world, "audit", "resolve", str(left.seq)).exit_code == 2, "a reason is asked for"
    done = call(world, "audit", "resolve", str(left.seq), "--reason", "looked: nothing came of it")
    assert done.exit_code == 0, done.output
    assert called(world, "audit", "verify", "--offline")["unresolved"] == []
    again = call(world, "audit", "resolve", str(left.seq), "--reason", "looked")
    assert (again.exit_code, "no open intent" in again.stderr) == (2, True)
