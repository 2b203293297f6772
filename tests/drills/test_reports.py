"""The reports of drills 1 and 2, as a manager reads them in the morning, and the hand-over of that night."""

import threading
from pathlib import Path

import pytest

from tests.support.world import RealWorld, rehearse

pytestmark = pytest.mark.slow

OVERDUE, EXPIRED, SMALL = "paul-simon-may12", "birthday-sail-may11", "fleet-week-parking"


def test_before_anybody_acted_they_say_that_nobody_got_it_and_who_should_have_acted(world: RealWorld) -> None:
    late = world.command("report", OVERDUE, "--json").json
    assert (late["lead"], late["tone"], late["recorded"]) == ("OVERDUE", "bad", True)
    about = dict(late["about"])
    assert about["Who got it"] == "Nobody of 2,601: no source knows of a start."
    assert "ana at" in about["Approved by"]
    assert "t-9a8cae17" in about["Approved by"]
    markdown, page = map(Path, late["files"])
    assert "Who was to start it?" in markdown.read_text()
    assert page.read_text().startswith("<!doctype html>")

    too_late = world.command("report", EXPIRED, "--output", "-").out
    assert "EXPIRED" in too_late
    assert "Is it still worth sending?" in too_late

    story = world.command("show", EXPIRED, "--timeline", "--json").json["timeline"]
    told = [entry["text"] for entry in story if entry["at"]]
    places = [
        next(n for n, text in enumerate(told) if words in text) for words in ("last written", "due (", "latest")
    ]
    assert places == sorted(places)
    assert any(text.startswith("approved by ana (t-71c0)") for text in told)


def test_after_it_was_sent_and_marked_they_say_by_whom_and_what_it_rests_on(world: RealWorld) -> None:
    with world.console() as console:
        rehearse(console, SMALL)
        plan = console.plan(SMALL)
        console.send(plan, plan.phrase)
        console.follow(SMALL, 1, 0, lambda data: None, threading.Event())
    marked = world.command("mark", EXPIRED, "--reason", "ben sent it by hand", "--confirm", f"{EXPIRED} 1204")
    assert marked.code == 0

    sent = world.command("report", SMALL, "--json").json
    assert (sent["lead"], dict(sent["about"])["Who got it"]) == (
        "SENT",
        "377 of 377 were accepted by the mail server.",
    )
    parts = {section["title"]: section for section in sent["sections"]}
    story = [row[-1] for row in parts["Timeline"]["rows"]]
    order = (
        "dry run: passed, 377",
        "send confirmed: 377",
        "run claimed",
        "25 % done",
        "75 % done",
        "run ended: 377",
    )
    places = [next(n for n, text in enumerate(story) if words in text) for words in order]
    assert places == sorted(places)
    assert any(row[0] == "dashboard" for row in parts["Who was told"]["rows"])
    assert dict(parts["The record"]["pairs"])["The chain"].startswith("whole")

    on_a_word = world.command("report", EXPIRED, "--output", "-").out
    assert "Not proven: a person says that it went out to 1,204" in on_a_word
    assert "What does the mail provider count?" in on_a_word

    shift = world.command("report", "--board", "--json").json
    decided = next(section for section in shift["sections"] if section["title"].startswith("Decided"))
    assert {row[2] for row in decided["rows"]} == {SMALL, EXPIRED}
    trouble = next(section for section in shift["sections"] if section["title"] == "Needs attention")
    assert OVERDUE in {row[0] for row in trouble["rows"]}


def test_from_the_last_known_state_it_is_the_same_twice(world: RealWorld) -> None:
    world.command("report", OVERDUE)  # leaves a record
    once, again = (world.command("report", OVERDUE, "--last-known", "--output", "-").out for _ in range(2))
    assert once == again
    assert OVERDUE in once
    assert world.command("report", OVERDUE, "--at", "2020-01-01T00:00:00+00:00").code == 3
    assert world.command("report", OVERDUE, "--at", "yesterday").code == 2
    assert world.command("report").code == 2
    assert world.command("report", OVERDUE, "--board").code == 2
