"""Drill 15: texts that would like to act. They are shown as text, refused by grammar, or refused as headers."""

import csv
import json
import re
import threading
from pathlib import Path

import pytest

from backends.embedded.campaigns.catalogue import FOREIGN
from backends.embedded.world import HOST
from opsconsole.ports import Refused
from opsconsole.redact import csv_cell
from opsconsole.verdict import Status
from tests.support.world import RealWorld, forbidding, rehearse

pytestmark = pytest.mark.slow

ODD, GOOD = "tall-ships-preview", "fleet-week-parking"
# What a terminal obeys, but for the line's end: C0, C1, and the marks that turn writing round.
ACTING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "args",
    [
        ("board",),
        ("show", ODD),
        ("preflight", ODD),
        ("dry-run", ODD),
        ("host", "show"),
        ("host", "cron"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_no_command_prints_what_a_terminal_obeys(world: RealWorld, args: tuple[str, ...]) -> None:
    (world.paths.campaigns / "\x1b]0;owned\x07\u202egnp").mkdir()
    rewrite(world.campaign(GOOD) / "blast_metadata.json", name="\x1b[2J[bold]x[/bold]\u202e", subject="a\x9bb")
    with world.paths.cron.open("a") as table:
        table.write("# \x1b[31m\n0 1 1 1 * root echo '\x1b]8;;https://www.example.com\x07'\n")

    said = world.command(*args)

    assert not ACTING.search(said.out + said.err)
    assert said.out


def test_markup_is_shown_as_it_was_written(world: RealWorld) -> None:
    told = world.spoken(ODD)
    shown = world.command("show", ODD).out

    assert told["subject"] == "[Sale] [/today] {{ first_name }}"
    assert told["name"] == "[bold]Tall ships[/bold]"
    assert "[Sale] [/today]" in shown
    assert "[bold]Tall ships[/bold]" in shown


@pytest.mark.parametrize(
    "slug", ["; rm -rf /", "$(touch x)", "../etc", "-rf", "a b", "UPPER", "a" * 65, "\x1b[2J", ""]
)
def test_a_slug_outside_the_grammar_is_refused_everywhere(world: RealWorld, slug: str) -> None:
    for args in (
        ("show", "--", slug),
        ("preflight", "--", slug),
        ("dry-run", "--", slug),
        ("send", "--plan", "0" * 12, "--confirm", f"{slug} 1", "--", slug),
        ("hold", "--reason", "x", "--", slug),
        ("attach", "--", slug),
    ):
        said = world.command(*args)
        assert said.code in (2, 3), args
        assert said.err
        assert not ACTING.search(said.err)
    assert not world.sent_to()


def test_a_folder_outside_the_grammar_is_told_and_never_touched(world: RealWorld) -> None:
    board = world.command("board", "--json").json
    source = next(source for source in board["sources"] if source["name"] == HOST)

    assert FOREIGN in source["foreign"]
    assert all(row["slug"] != FOREIGN for row in board["campaigns"])
    assert (world.paths.campaigns / FOREIGN).is_dir()


def test_a_name_with_a_line_break_is_refused_as_a_header(world: RealWorld) -> None:
    with world.console() as console:
        results, _ = rehearse(console, ODD)
        result = forbidding(results)["headers-safe"]
        said = " ".join([result.says, *result.evidence, result.remedy])
        for words in ("subject", "blast_data.csv, line 7", "line break"):
            assert words in said
        assert not ACTING.search(said)
        rehearsal = console.last_dry_run(ODD)
        assert rehearsal is not None
        assert not rehearsal.ok
        with pytest.raises(Refused):
            console.plan(ODD)
    assert not world.sent_to()


@pytest.mark.parametrize("key", ["from", "reply_to", "subject", "list_unsubscribe"])
def test_a_line_break_in_the_metadata_is_refused_as_a_header(world: RealWorld, key: str) -> None:
    rewrite(world.campaign(GOOD) / "blast_metadata.json", **{key: "x@example.com\r\nBcc: all@example.com"})

    with world.console() as console:
        results, _ = rehearse(console, GOOD)
        assert forbidding(results)
        with pytest.raises(Refused):
            console.plan(GOOD)
    assert not world.sent_to()


def test_hostile_cells_and_texts_are_mailed_as_text_and_nothing_runs(world: RealWorld) -> None:
    folder, canary = world.campaign(GOOD), world.root / "canary"
    run = f"touch {canary}"
    with (folder / "blast_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["=HYPERLINK(1)", "{{ 7*7 }}", f"$({run})", f"`{run}`", "[bold]x[/bold]", f"'; {run} #"]
    for row, name in zip(rows, names, strict=False):
        row["first_name"] = name
    with (folder / "blast_data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    rewrite(
        folder / "blast_metadata.json",
        subject="[Sale] [/today] {{ first_name }}",
        name=f"$({run})",
        owner=f"`{run}`",
        series=f"; {run}",
        strange={"'": f"$({run})"},
    )
    (folder / f"$({run.replace('/', ':')})").write_text("x")
    (folder / "-rf").write_text("x")

    with world.console() as console:
        assert not forbidding(rehearse(console, GOOD)[0])
        plan = console.plan(GOOD)
        console.send(plan, plan.phrase, f"$({run}) \x1b[2J")
        console.follow(GOOD, 1, 0, lambda data: None, threading.Event())
        assert console.verdict(GOOD).status is Status.SENT

    subjects = {message["rcpt"]: message["subject"] for message in world.mailbox()}
    for row, name in zip(rows, names, strict=False):
        assert subjects[row["email"]] == f"[Sale] [/today] {name}"
    assert not canary.exists()
    assert not (world.server.home / "x").exists()


def test_what_is_exported_cannot_act(world: RealWorld, tmp_path: Path) -> None:
    world.command("hold", GOOD, "--reason", "=HYPERLINK(1) \x1b[2J \u202e password=hunter2")
    file = tmp_path / "audit.jsonl"

    assert world.command("audit", "export", str(file)).code == 0

    text = file.read_text()
    assert not ACTING.search(text)
    assert "hunter2" not in text
    assert any("=HYPERLINK(1)" in json.loads(line).get("reason", "") for line in text.splitlines())
    listed = world.command("audit", "search").out
    assert "=HYPERLINK(1)" in listed
    assert not ACTING.search(listed)
    assert csv_cell("=HYPERLINK(1)").startswith("'")
