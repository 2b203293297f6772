"""What an operator reads of it: doctor on the mapping, `show` and its JSON on who knows how a campaign ended."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backends.embedded.world import World
from opsconsole.cli import main

pytestmark = pytest.mark.slow

SLUG = "birthday-sail-may11"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(runner_name="blast-runner-told") as world:
        yield world


def call(world: World, *args: str) -> Result:
    result = CliRunner().invoke(main, ["--config", str(world.config_path), *args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def called(world: World, *args: str) -> Any:
    return json.loads(call(world, *args, "--json").stdout)


def test_doctor_says_of_each_field_in_how_many_rows_it_is(world: World) -> None:
    lines = [line for line in called(world, "doctor") if "fields" in line]
    campaigns, tasks = lines
    rows = len(world.dashboard_state()["campaigns"])
    assert f"mapping of campaigns, {rows} rows looked at: slug {rows}" in campaigns["says"]
    assert campaigns["fields"]["status"] == rows
    assert 0 < campaigns["fields"]["completed_at"] < rows
    assert tasks["fields"]["notes"] > 0


def test_doctor_warns_of_a_field_that_is_never_found(world: World) -> None:
    config = world.config_path.read_text()
    table = '\n[environments.demo.dashboard.campaigns]\nsession = "sesion_id"\nstatus = "stat"\n'
    try:
        world.config_path.write_text(config + table)
        told = {line["says"].split(" ")[0]: line for line in called(world, "doctor")}
        shown = call(world, "doctor").stdout
    finally:
        world.config_path.write_text(config)
    session, status = told["campaigns.session"], told["campaigns.status"]
    assert (session["ok"], session["warn"]) == (True, True)
    assert "(sesion_id): in no row" in session["says"]
    assert not status["ok"], "nothing can be read without it"
    assert "! dashboard" in shown


def test_show_tells_who_knows_and_who_has_yet_to_hear(world: World) -> None:
    assert called(world, "show", SLUG)["recorded"] == []
    world.dashboard.stop()
    try:
        marked = call(world, "mark", SLUG, "--reason", "ben sent it by hand", "--confirm", f"{SLUG} 1204")
        assert marked.exit_code == 0
        (waiting,) = called(world, "show", SLUG)["recorded"]
        shown = call(world, "show", SLUG).stdout
    finally:
        world.dashboard.start()
    assert (waiting["destination"], waiting["recorded_at"], waiting["status"]) == ("dashboard", None, "sent")
    assert waiting["tries"] >= 1
    assert "can't be reached" in waiting["why"]
    assert "dashboard: waiting (" in shown
    assert "can't be reached at http://127.0.0.1" in shown
